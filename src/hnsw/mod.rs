//! The index access method `hnsw`: the graph of `lagoon-vector` on PostgreSQL's pages.
//!
//! [`handler`] lists the callbacks and each verb has its own file; what it shares with other access methods is in [`crate::pg::index`].

mod build;
mod cost;
mod handler;
mod info;
mod insert;
mod options;
mod planner;
mod recall;
mod scan;
mod vacuum;
mod verify;

pgrx::extension_sql_file!("../../sql/hnsw.sql", name = "hnsw", requires = ["vector", "sparsevec", "bit"]);

/// Called once per process from `_PG_init`.
pub fn init() {
    options::init();
}
