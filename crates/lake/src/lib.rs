//! Parquet for PostgreSQL without PostgreSQL: scans on DataFusion, an expression model, CSV ingest and datasets.
//!
//! ```text
//! source::files -> Footer                    what the planner asks: files, columns, rows
//! source::table::resolve                     declared columns against those of the files
//! types                                      one file a family: Arrow, SQL, CSV fields, statistics
//! expr::rules -> expr::Expr                  what may be pushed, and what becomes of it
//! exec::Scan                                 a stream of record batches over a bounded channel
//! ingest::write -> dataset                   CSV to content-addressed Parquet files
//! ```
//!
//! Nothing here knows of PostgreSQL or panics on bad input; nothing here starts a thread before [`engine::runtime::engine`].
#![forbid(unsafe_code)]

mod adapt;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod exec;
pub mod expr;
mod fault;
pub mod ingest;
pub mod query;
pub mod schema;
pub mod source;
pub mod trust;
pub mod types;

pub use error::{Error, Result};
pub use fault::Fault;
/// The batches that a scan delivers are Arrow's; tests write files with the parquet crate.
pub use {arrow, parquet};
