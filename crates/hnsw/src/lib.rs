//! HNSW graph core, page format and distance kernels. Knows nothing of PostgreSQL.
#![deny(unsafe_code)]

pub mod distance;
