//! What the planner wants to know of a file.

use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;

use super::plausible::is_doubtful;
use crate::schema::Column;

/// What the planner wants to know of a file.
#[derive(Debug)]
pub struct Footer {
    pub columns: Arc<[Column]>,
    pub rows: u64,
    pub row_groups: usize,
    /// Uncompressed bytes of each top-level column over all row groups.
    pub column_bytes: Vec<u64>,
    /// Whether there are more rows than are believed without decoding a column.
    pub(crate) doubtful: bool,
}

impl Footer {
    /// Of a parsed footer with these columns.
    pub(crate) fn new(columns: Vec<Column>, metadata: &ParquetMetaData) -> Self {
        let descriptor = metadata.file_metadata().schema_descr();
        let mut column_bytes = vec![0u64; columns.len()];
        let mut rows = 0u64;
        for group in metadata.row_groups() {
            rows = rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
            for (leaf, chunk) in group.columns().iter().enumerate().take(descriptor.num_columns()) {
                if let Some(bytes) = column_bytes.get_mut(descriptor.get_column_root_idx(leaf)) {
                    *bytes = bytes.saturating_add(u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
                }
            }
        }
        let doubtful = metadata.row_groups().iter().any(is_doubtful);
        Self { columns: columns.into(), rows, row_groups: metadata.num_row_groups(), column_bytes, doubtful }
    }

    /// Bytes that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        let names: usize = self.columns.iter().map(|column| size_of::<Column>() + column.name.len()).sum();
        size_of::<Self>() + names + self.column_bytes.len() * size_of::<u64>()
    }
}
