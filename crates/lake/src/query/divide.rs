//! Batches of scans in parts, for a query that has little room.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::DataType;
use datafusion::common::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// Rows of a batch in such a query.
pub(super) const SMALL_BATCH: usize = 1024;

/// The batches of a scan in parts that have no more rows than the session's others, each with texts of its own: of a part of
/// a batch, all texts of that would be counted.
pub(super) fn divided(batches: SendableRecordBatchStream, context: &TaskContext) -> SendableRecordBatchStream {
    let rows = context.session_config().batch_size();
    if rows > SMALL_BATCH {
        return batches;
    }
    let schema = batches.schema();
    let parts = batches.map_ok(move |batch| {
        let starts = (0..batch.num_rows()).step_by(rows.max(1));
        let part = move |start: usize| own(&batch.slice(start, rows.min(batch.num_rows() - start)));
        futures::stream::iter(starts.map(part))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, parts.try_flatten()))
}

/// The same rows in memory of their own.
fn own(batch: &RecordBatch) -> EngineResult<RecordBatch> {
    let column = |array: &ArrayRef| -> ArrayRef {
        match array.data_type() {
            DataType::Utf8View => Arc::new(array.as_string_view().gc()),
            DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
            _ => array.clone(),
        }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().map(column).collect();
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}
