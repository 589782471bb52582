//! What the access methods `hnsw` and `ivfflat` share: the column and its values, pages, and how an index is found and checked.

pub mod build;
mod column;
mod error;
mod open;
mod pages;
pub mod rows;
pub mod scan;
pub mod vacuum;
mod validate;
pub mod workers;

pub use column::{Column, space, tid};
pub use open::Opened;
pub use pages::{PgPages, Purpose};
pub use validate::validate;

/// Support function: the distance of two values, by whose name that of the index is chosen.
pub const DISTANCE: u16 = 1;
/// Support function: the norm of a value. Its presence says cosine.
pub const NORM: u16 = 2;
/// Support function that is never called. Its presence lifts pgvector's limits of dimensions.
pub const WIDE: u16 = 3;
/// How many numbers of support functions there are.
pub const SUPPORT_FUNCTIONS: u16 = 3;
