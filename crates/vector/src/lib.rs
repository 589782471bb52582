//! Indexes of vectors and their distance kernels. Knows nothing of PostgreSQL.
//!
//! Values become codes ([`space`]), whose distances are computed by [`distance`]; codes are stored on pages ([`page`]) of a page
//! store ([`store`]). [`hnsw`] and [`ivf`] are the kinds of index.
#![deny(unsafe_code)]

mod centre;
pub mod distance;
mod error;
pub mod hnsw;
pub mod ivf;
pub mod mem;
#[allow(unsafe_code)]
pub mod memory;
mod method;
mod pace;
pub mod page;
mod queue;
mod random;
pub mod report;
pub mod sample;
pub mod space;
pub mod store;

pub use error::{Error, Result};
pub use method::Method;
pub use space::{Coder, Metric, Space};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
