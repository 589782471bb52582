//! What a tree is over.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::check::Output;
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
    pub columns: Vec<Output>,
    /// Their columns have the Arrow types of [`Self::physical`].
    pub batches: Vec<RecordBatch>,
    /// The memory that they take.
    pub(super) _held: Arc<Held>,
}

impl Shipment {
    /// One that has no rows yet, for a tree that is only looked at.
    pub(super) fn empty(columns: Vec<Output>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// The types of all columns of the batches: those of `columns`, then the digits of some of them.
    pub(super) fn physical(columns: &[Output]) -> Vec<ColumnType> {
        let digits = columns.iter().filter(|column| column.digits.is_some()).map(|_| ColumnType::Int4);
        columns.iter().map(|column| column.ty.clone()).chain(digits).collect()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}
