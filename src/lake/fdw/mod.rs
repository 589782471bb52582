//! The foreign data wrapper `lagoon_parquet`.
//!
//! ```text
//! options  -> which files          relation -> files and columns, matched
//! plan     -> rows, cost, plan     scan     -> tuples               explain
//! infer    -> CREATE FOREIGN TABLE t ()     handler -> what PostgreSQL calls   private -> what a plan carries
//! ```

mod explain;
mod handler;
mod infer;
mod options;
mod plan;
mod private;
mod relation;
mod scan;
