//! The index access methods, [`hnsw`] and [`ivfflat`], and what they share: the column and its values, pages, and how an index
//! is built, found and checked. [`pages`] is the only one that touches buffers.

use std::hash::{BuildHasher, Hasher, RandomState};

mod build;
mod column;
mod cost;
mod error;
mod hnsw;
mod ivfflat;
mod open;
mod pages;
mod planner;
mod recall;
mod rows;
mod scan;
mod vacuum;
mod validate;
mod verify;
mod workers;

use column::{Column, space, tid};
use open::Opened;
use pages::{PgPages, Purpose};
use validate::validate;

/// Support function: the distance of two values, by whose name that of the index is chosen.
const DISTANCE: u16 = 1;
/// Support function: the norm of a value. Its presence says cosine.
const NORM: u16 = 2;
/// Support function that is never called. Its presence lifts pgvector's limits of dimensions.
const WIDE: u16 = 3;
/// How many numbers of support functions there are.
const SUPPORT_FUNCTIONS: u16 = 3;

/// Called once per process from `_PG_init`.
pub fn init() {
    hnsw::init();
    ivfflat::init();
}

/// A seed for random choices of the engine.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
