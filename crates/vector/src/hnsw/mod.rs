//! The index `hnsw`: graph core and page format.
//!
//! The index is a graph of *elements* (a vector and the rows that hold it) on layers: layer 0 has every element, each
//! layer above it about one in `m` of the one below. [`mod@format`] defines its pages, [`crate::store`] the interface to
//! whoever keeps them, and each verb has its own file: [`build`], [`insert`], [`search`], [`vacuum`], [`verify`].
//!
//! One promise goes beyond the HNSW paper: every live element can always be reached from every other (`tree.rs`).
pub mod arena;
pub mod build;
mod flush;
pub mod format;
pub mod graph;
mod head;
pub mod info;
pub mod insert;
pub mod level;
mod link;
mod packed;
mod repair;
pub mod rows;
pub mod scan;
pub mod search;
mod select;
mod set;
mod slots;
mod tree;
pub mod vacuum;
pub mod verify;

pub use head::coder;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
