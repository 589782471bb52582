//! Tests that run inside a server; built with the feature `pg_test`. One file a wing, each with its functions in
//!
//!     #[pgrx::pg_schema]
//!     mod tests {
//!         #[pgrx::pg_test]
//!         fn wing_promise_name() { assert!(...) }
//!     }
//!
//! The harness (`tests/inside.rs`) calls every function of schema `tests` without arguments in a transaction that it rolls
//! back. `cargo pgrx test` is not used: as root it needs sudo, and it links all the code twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod embed;
mod hnsw;
mod ingest;
mod lake;
mod vector;
mod wasm;
mod worker;
