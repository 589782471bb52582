//! What PostgreSQL asks of an access method (`amapi.h`), once for all of ours: the callbacks are generic over the
//! [`AccessMethod`], which says what differs.

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
