//! The index access methods, [`hnsw`] and [`ivfflat`], and what they share: the [callbacks](am) of PostgreSQL, the column and
//! its values, pages, and how an index is built, found and checked. [`pages`] is the only one that touches buffers.

mod am;
mod build;
mod column;
mod error;
mod hnsw;
mod ivfflat;
mod open;
mod pages;
mod planner;
mod random;
mod recall;
mod rows;
mod sample;
mod support;
mod validate;
mod verify;
mod workers;

/// Called once per process from `_PG_init`.
pub fn init() {
    am::options::init::<hnsw::Hnsw>();
    am::options::init::<ivfflat::Ivfflat>();
}
