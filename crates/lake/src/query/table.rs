//! What a tree is over.

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::engine::memory::{self, Permit};
use crate::error::Result;
use crate::source::files::DataFile;
use crate::source::table::TableColumn;
use crate::types::ColumnType;

/// Memory is asked for in pieces of so many bytes.
const PIECE_BYTES: u64 = 1 << 20;

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

/// A column as the engine delivers it, or as PostgreSQL sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub ty: ColumnType,
    /// The column of the batches, beyond those of the tree, which has an integer (int4) for each row: the digits that
    /// PostgreSQL shows behind the point of a numeric. None are those of the type.
    pub digits: Option<usize>,
}

impl From<ColumnType> for Output {
    /// Digits are those of the type.
    fn from(ty: ColumnType) -> Self {
        Self { ty, digits: None }
    }
}

/// Memory that is counted for a shipment.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: u64,
    /// Given back when they are dropped.
    permits: Vec<Permit>,
}

impl Held {
    /// Counts so many bytes in all.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<()> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            let piece = missing.max(PIECE_BYTES);
            self.permits.push(memory::take(piece, &|| "a table that PostgreSQL sends".to_owned())?);
            self.bytes += piece;
        }
        Ok(())
    }
}
