//! The index access method `ivfflat`: the lists of [`lagoon_vector::ivf`] on PostgreSQL's pages.
//!
//! [`handler`] lists the callbacks and each verb has its own file.

mod build;
mod cost;
mod handler;
mod info;
mod insert;
mod options;
mod sample;
mod scan;
mod vacuum;

pgrx::extension_sql_file!("../../../../sql/ivfflat.sql", name = "ivfflat", requires = ["vector", "halfvec", "bit"]);

/// Called once per process from `_PG_init`.
pub fn init() {
    options::init();
}
