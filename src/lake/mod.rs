//! Parquet files as tables: the foreign data wrapper `lagoon_parquet`, datasets and ingest, over the engine `lagoon_lake`.
//!
//! ```text
//! source     what a path leads to for a role      dataset    the catalogue, and where its files are
//! attribute  columns of a foreign table           expr       what is pushed, and why not
//! types      datums and constants, by type        fdw        plan and execution of scans
//! query      whole statements in the engine       rows       batches to tuples (decode: to datums), for both
//! functions  datasets, ingest                     engine     its threads (memory: what it takes, in all processes)
//! ```

mod attribute;
mod dataset;
mod decode;
mod engine;
mod error;
mod explain;
mod expr;
mod fdw;
mod functions;
mod memory;
mod parameters;
mod query;
mod rows;
mod source;
mod types;
mod upgrade;

use crate::pg::hook;

pgrx::extension_sql_file!(
    "../../sql/lake.sql",
    name = "lake",
    requires = [
        lagoon::ingest,
        lagoon::register_dataset,
        lagoon::drop_dataset,
        lagoon::remove_orphaned_files,
        lagoon::memory_status
    ]
);

/// Called from `_PG_init`. The foreign data wrapper and the event trigger need no registration: they are found through the
/// catalogs, so they work whenever the library is loaded.
pub fn init() {
    memory::init();
    query::init();
    hook::at_statistics(fdw::handler::answer_statistics);
    hook::at_transaction(dataset::pending::transaction_ends);
}
