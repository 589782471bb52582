//! The index access methods, [`hnsw`] and [`ivfflat`], and what they share: the [callbacks](am), the column and its values,
//! pages, builds, checks, and the functions on indexes. Only [`pages`] accesses buffers.

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
