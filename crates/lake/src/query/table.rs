//! What a tree is over.

use arrow::array::RecordBatch;

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
