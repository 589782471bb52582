//! The index access method `hnsw`: the graph of `lagoon-vector` on PostgreSQL's pages.
//!
//! [`handler`] lists the callbacks and each verb has its own file.

mod build;
mod cost;
mod handler;
mod info;
mod insert;
mod options;
mod scan;
mod vacuum;

pgrx::extension_sql_file!("../../../../sql/hnsw.sql", name = "hnsw", requires = ["vector", "sparsevec", "bit"]);

/// Called once per process from `_PG_init`.
pub fn init() {
    options::init();
}
