//! The tasks of a scan: each decodes pieces and hands their batches over.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::reading::Reading;
use crate::engine::runtime::Live;
use crate::error::{Error, Result};

/// Bytes of a value as it is counted, beside its text.
const VALUE_BYTES: usize = 16;
/// Bytes of values that may wait for the consumer. A batch of more waits alone.
pub const QUEUE_BYTES: usize = 4 << 20;
/// Batches that may wait for the consumer, if they are small.
pub(crate) const QUEUE_BATCHES: usize = 4;

/// A batch that waits for the consumer, with what it takes of the queue.
pub(crate) struct Queued {
    pub batch: RecordBatch,
    pub _room: OwnedSemaphorePermit,
}

/// The end of the queue that a task has. When it goes, whatever ended the task, the consumer learns of it.
pub(crate) struct Outlet {
    sender: Option<mpsc::Sender<Result<Queued>>>,
    room: Arc<Semaphore>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Outlet {
    /// `room` has a permit for each byte that may wait.
    pub(crate) fn new(
        sender: mpsc::Sender<Result<Queued>>,
        room: Arc<Semaphore>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self { sender: Some(sender), room, wake }
    }

    /// Hands a batch over; false when the consumer is gone.
    pub(crate) async fn deliver(&self, batch: RecordBatch) -> bool {
        let bytes = u32::try_from(batch_bytes(&batch).clamp(1, QUEUE_BYTES)).unwrap_or(1);
        let Ok(room) = self.room.clone().acquire_many_owned(bytes).await else { return false };
        self.send(Ok(Queued { batch, _room: room })).await
    }

    /// Hands an error over, which is the last thing that the consumer asks for.
    pub(crate) async fn fail(&self, error: Error) {
        self.send(Err(error)).await;
    }

    async fn send(&self, outcome: Result<Queued>) -> bool {
        let Some(sender) = &self.sender else { return false };
        let sent = sender.send(outcome).await.is_ok();
        (self.wake)();
        sent
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.sender = None;
        (self.wake)();
    }
}

/// One task, from its first piece to its last.
pub(super) async fn run(reading: Arc<Reading>, outlet: Outlet) {
    let _live = Live::new();
    let ended = AssertUnwindSafe(read(&reading, &outlet)).catch_unwind().await;
    if let Err(error) = ended.unwrap_or_else(|_| Err(Error::internal("a scan could not be delivered"))) {
        outlet.fail(error).await;
    }
}

async fn read(reading: &Arc<Reading>, outlet: &Outlet) -> Result<()> {
    while let Some(mut piece) = reading.next(None).await? {
        while let Some(batch) = piece.next().await? {
            let rows = batch.num_rows();
            let wanted = usize::try_from(reading.deliver(rows as u64)).unwrap_or(rows);
            if wanted == 0 || !outlet.deliver(batch.slice(0, wanted)).await || reading.is_finished() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How many of the first rows of a batch have values of so many bytes together, one row at least: texts that share a page
/// count each, since the consumer copies them.
pub fn rows_within(batch: &RecordBatch, limit: usize) -> usize {
    let rows = batch.num_rows();
    let columns: Vec<_> = batch.columns().iter().filter(|column| is_variable(column.data_type())).collect();
    if columns.is_empty() {
        return rows;
    }
    let mut bytes = 0usize;
    for row in 0..rows {
        bytes = columns.iter().map(|column| row_bytes(column, row)).fold(bytes, usize::saturating_add);
        if bytes > limit {
            return row.max(1);
        }
    }
    rows
}

fn is_variable(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8View | DataType::BinaryView | DataType::List(_))
}

/// Bytes of a value that are not in the array of its column itself.
fn row_bytes(array: &ArrayRef, row: usize) -> usize {
    // The lower half of a view's first word is the length.
    let view = |views: &[u128]| views.get(row).map_or(0, |view| *view as u32 as usize);
    match array.data_type() {
        DataType::Utf8View => view(array.as_string_view().views()),
        DataType::BinaryView => view(array.as_binary_view().views()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offset = |at: usize| list.value_offsets().get(at).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
            let (first, last) = (offset(row), offset(row + 1));
            let items = list.values();
            let own = last.saturating_sub(first).saturating_mul(VALUE_BYTES);
            let inner = |item| if is_variable(items.data_type()) { row_bytes(items, item) } else { 0 };
            (first..last).map(inner).fold(own, usize::saturating_add)
        }
        _ => 0,
    }
}

/// Bytes of a batch as its consumer counts them.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    let column = |array: &ArrayRef| {
        let fixed = array.len().saturating_mul(VALUE_BYTES);
        if !is_variable(array.data_type()) {
            return fixed;
        }
        (0..array.len()).map(|row| row_bytes(array, row)).fold(fixed, usize::saturating_add)
    };
    batch.columns().iter().map(column).fold(0, usize::saturating_add)
}
