//! What a scan reads.

use std::sync::Arc;

use crate::expr::Expr;
use crate::source::files::DataFile;
use crate::source::table::TableColumn;

/// What to read.
#[derive(Clone, Debug)]
pub struct ScanSpec {
    pub files: Vec<DataFile>,
    /// Columns of the table that the projection or the filter uses.
    pub columns: Vec<TableColumn>,
    /// Indexes into `columns`, in the order of delivery.
    pub projection: Vec<usize>,
    /// A bound condition. Only rows for which it is true are delivered.
    pub filter: Option<Arc<Expr>>,
    /// Rows after which the scan may stop; it never delivers more.
    pub limit: Option<u64>,
    /// Partitions that are decoded at the same time.
    pub parallelism: usize,
}
