//! The foreign data wrapper `lagoon_parquet`.
//!
//! ```text
//! options  -> which files          relation -> files and columns, matched
//! plan     -> rows, paths, plan    planned  -> what it knows meanwhile
//! scan     -> tuples                        explain
//! infer    -> CREATE FOREIGN TABLE t ()     handler -> what PostgreSQL calls
//! analyze  -> a sample of the rows          statistics -> guesses from footers, without it
//! cost     -> what a scan costs             private, handover -> from plan to execution
//! ```

mod analyze;
mod cost;
mod explain;
pub(in crate::lake) mod handler;
pub(in crate::lake) mod handover;
mod infer;
mod options;
mod plan;
mod planned;
pub(in crate::lake) mod private;
pub(in crate::lake) mod relation;
mod scan;
mod statistics;
