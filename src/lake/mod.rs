//! Parquet files as tables: the foreign data wrapper `lagoon_parquet`, datasets and ingest, over the engine `lagoon_lake`.
//!
//! ```text
//! options  -> which files          access  -> who may read them
//! relation -> files and columns    filter  -> what is pushed, and why not
//! plan     -> rows, cost, plan     scan    -> tuples (decode: batches to datums)   explain
//! infer    -> CREATE FOREIGN TABLE t ()    functions, catalog -> datasets, ingest
//! home     -> where the files of datasets are; pending, orphans -> when they go
//! ```

mod access;
mod catalog;
mod decode;
mod error;
mod explain;
mod filter;
mod functions;
mod handler;
mod home;
mod infer;
mod numeric;
mod options;
mod orphans;
mod pending;
mod plan;
mod relation;
mod scan;
mod value;

use crate::pg::hook;

pgrx::extension_sql_file!(
    "../../sql/lake.sql",
    name = "lake",
    requires = [lagoon::ingest, lagoon::register_dataset, lagoon::drop_dataset, lagoon::remove_orphaned_files]
);

/// Called from `_PG_init`. The foreign data wrapper and the event trigger need no registration: they are found through the
/// catalogs, so they work whenever the library is loaded.
pub fn init() {
    hook::at_transaction(pending::transaction_ends);
}
