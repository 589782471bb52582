//! The index access method `hnsw`: the graph of `lagoon-vector` on PostgreSQL's pages.
//!
//! [`handler`] lists the callbacks, each verb has its own file, and [`pages`] is the only one that touches buffers.

mod build;
mod column;
mod cost;
mod error;
mod handler;
mod info;
mod insert;
mod open;
mod options;
mod pages;
mod planner;
mod recall;
mod scan;
mod vacuum;
mod validate;
mod verify;

pgrx::extension_sql_file!("../../sql/hnsw.sql", name = "hnsw", requires = ["vector", "sparsevec", "bit"]);

/// Called once per process from `_PG_init`.
pub fn init() {
    options::init();
}
