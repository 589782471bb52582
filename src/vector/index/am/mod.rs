//! The callbacks of an access method (`amapi.h`), generic over the [`AccessMethod`], which has what differs.

mod build;
mod cost;
mod handler;
mod insert;
mod method;
pub mod options;
mod scan;
mod shortfall;
mod vacuum;
mod values;

pub use handler::handler;
pub use method::{AccessMethod, Built, IntegerOption, ScanExtent, Vacuumed};
pub use values::ScanValues;
