//! HNSW graph core, page format and distance kernels. Knows nothing of PostgreSQL.
//!
//! The index is a graph of *elements* (a vector and the rows that hold it) on layers: layer 0 has every element, each
//! layer above it about one in `m` of the one below. [`format`] says how it lies on pages, [`store`] what is asked of
//! whoever keeps the pages, and each verb has its own file: [`build`], [`insert`], [`search`], [`vacuum`], [`verify`].
//!
//! One promise goes beyond the HNSW paper: on layer 0 some links are *protected*, both ways, and they form a spanning tree.
//! No insert may evict them and vacuum mends them, so every live element can be reached from every other, always.
#![deny(unsafe_code)]

pub mod arena;
pub mod build;
pub mod distance;
mod error;
mod flush;
pub mod format;
pub mod graph;
pub mod info;
pub mod insert;
pub mod level;
mod link;
pub mod mem;
mod repair;
pub mod scan;
pub mod search;
mod select;
pub mod space;
pub mod store;
pub mod vacuum;
pub mod verify;

pub use error::{Error, Result};
pub use space::{Metric, Space};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
