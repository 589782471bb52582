//! A running query: a tree and tables in, record batches out over a bounded channel, as [`crate::exec::Scan`] has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::check::unsupported;
use super::ir::Rel;
use crate::error::Result;
use crate::exec::{Poll, Statistics};
use crate::source::files::DataFile;
use crate::source::table::TableColumn;
use crate::types::ColumnType;

/// A table that a tree refers to by its index.
#[derive(Clone, Debug)]
pub struct Table {
    pub files: Vec<DataFile>,
    /// As [`crate::source::table::resolve`] matched them with the files.
    pub columns: Vec<TableColumn>,
}

/// Rows that PostgreSQL sends: a small table, complete.
#[derive(Clone, Debug)]
pub struct Shipment {
    pub columns: Vec<ColumnType>,
    /// Their columns have the Arrow types of `columns`.
    pub batches: Vec<RecordBatch>,
}

/// How a query runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Partitions that work at the same time.
    pub parallelism: usize,
    /// Bytes that sorts, groups and joins may take together. Scans take theirs from [`crate::engine::memory`].
    pub memory: u64,
}

/// A running query.
pub struct Query {
    columns: Vec<ColumnType>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({:?})", self.statistics())
    }
}

impl Query {
    /// Starts a query whose parameters are bound. `wake` is called, from an engine thread, whenever a poll may find something.
    pub fn start(
        rel: &Rel,
        tables: &[Table],
        shipments: Vec<Shipment>,
        options: &Options,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self> {
        let _ = (rel, tables, shipments, options, wake);
        Err(unsupported("whole queries"))
    }

    /// The types of the columns of its batches. A column that [`super::check`] cannot give has one, too, but nothing is to be
    /// made of its values.
    pub fn columns(&self) -> &[ColumnType] {
        &self.columns
    }

    /// The next batch, if there is one. Never blocks.
    pub fn poll(&mut self) -> Result<Poll> {
        Ok(Poll::Done)
    }

    /// Stops the tasks and waits for their end, for `limit` at most. True if they have ended.
    pub fn cancel(&mut self, limit: Duration) -> bool {
        let _ = limit;
        true
    }

    /// Counts so far, of all tables together; rows and batches are those delivered.
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}
