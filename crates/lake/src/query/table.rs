//! What a tree is over.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::pack::Held;
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

/// Rows that PostgreSQL sends: a small table, complete. [`Packing`](super::Packing) makes it.
#[derive(Clone, Debug, Default)]
pub struct Shipment {
    pub columns: Vec<ColumnType>,
    /// Their columns have the Arrow types of `columns`.
    pub batches: Vec<RecordBatch>,
    /// The memory that they take.
    pub(super) _held: Arc<Held>,
}

impl Shipment {
    /// One that has no rows yet, for a tree that is only looked at.
    pub(super) fn empty(columns: Vec<ColumnType>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}
