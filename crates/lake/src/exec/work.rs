//! The tasks of a scan: each takes a piece, decodes it, hands its batches over, and takes the next.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::prelude::SessionConfig;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::pieces::{self, Piece};
use super::plan::{Plan, failed};
use crate::engine::memory::{self, Permit};
use crate::engine::runtime::Live;
use crate::error::{Error, Result};
use crate::source::files::DataFile;

/// Bytes of a value as it is counted, beside its text.
const VALUE_BYTES: usize = 16;
/// Bytes of values that may wait for the consumer. A batch of more waits alone.
pub const QUEUE_BYTES: usize = 4 << 20;
/// Bytes of a piece at most, and at least.
const LARGEST_PIECE: u64 = 32 << 20;
const SMALLEST_PIECE: u64 = 1 << 20;
/// Tasks that could have a piece of the same size each within the limit of memory.
const SHARES: u64 = 8;

/// A batch that waits for the consumer, with what it takes of the queue.
pub(super) struct Queued {
    pub batch: RecordBatch,
    pub _room: OwnedSemaphorePermit,
}

/// What the tasks of a scan share.
pub(super) struct Work {
    pub plan: Plan,
    pub files: Vec<DataFile>,
    pub environment: Arc<RuntimeEnv>,
    pub todo: Mutex<Todo>,
    pub room: Arc<Semaphore>,
    /// Rows that are still to be delivered.
    pub left: AtomicU64,
    pub counts: Counts,
}

/// What is still to be read.
pub(super) struct Todo {
    pub pieces: VecDeque<Piece>,
    /// The next file.
    pub file: usize,
    /// Tasks that take pieces.
    pub tasks: usize,
}

/// For EXPLAIN ANALYZE.
#[derive(Default)]
pub(super) struct Counts {
    pub rows: AtomicU64,
    pub batches: AtomicU64,
    pub row_groups_pruned: AtomicUsize,
    pub pages_pruned: AtomicUsize,
}

/// The end of the queue that a task has. When it goes, whatever ended the task, the consumer learns of it.
pub(super) struct Outlet {
    sender: Option<mpsc::Sender<Result<Queued>>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Outlet {
    pub(super) fn new(sender: mpsc::Sender<Result<Queued>>, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { sender: Some(sender), wake }
    }

    /// False when the consumer is gone.
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
pub(super) async fn run(work: Arc<Work>, outlet: Outlet) {
    let _live = Live::new();
    loop {
        // A panic that is not in a piece is a bug of ours: no file is to blame.
        let piece = AssertUnwindSafe(work.next()).catch_unwind().await;
        let outcome = match piece {
            Ok(Ok(None)) => return,
            Ok(Ok(Some((piece, permit)))) => work.decode(piece, permit, &outlet).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::internal("a scan could not be divided")),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                outlet.send(Err(error)).await;
                return;
            }
        }
    }
}

impl Work {
    /// The next piece and its memory, if there is one for this task.
    async fn next(&self) -> Result<Option<(Piece, Permit)>> {
        let mut todo = self.todo.lock().await;
        loop {
            if self.left.load(Ordering::Relaxed) == 0 {
                return Ok(None);
            }
            if let Some(piece) = todo.pieces.pop_front() {
                let what = || format!("a part of \"{}\"", piece.location);
                return match memory::take(piece.bytes, &what) {
                    Ok(permit) => Ok(Some((piece, permit))),
                    // Another task goes on with it when it has finished its own.
                    Err(_) if todo.tasks > 1 => {
                        todo.tasks -= 1;
                        todo.pieces.push_front(piece);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                };
            }
            let Some(file) = self.files.get(todo.file) else { return Ok(None) };
            todo.file += 1;
            todo.pieces.extend(self.cut(file)?);
        }
    }

    /// Which row groups of a file are to be read, by what is remembered of its statistics.
    fn survivors(&self, file: &DataFile) -> Result<Vec<bool>> {
        let metadata = file.held.parsed(&mut || true)?;
        let pruned = std::panic::catch_unwind(AssertUnwindSafe(|| self.plan.survivors(&metadata)));
        let pruned = pruned.map_err(|_| Error::unreadable(file.location()))?;
        let survivors = pruned.unwrap_or_else(|| vec![true; metadata.num_row_groups()]);
        let gone = survivors.iter().filter(|survives| !**survives).count();
        self.counts.row_groups_pruned.fetch_add(gone, Ordering::Relaxed);
        Ok(survivors)
    }

    fn cut(&self, file: &DataFile) -> Result<Vec<Piece>> {
        let number = |name: &String| file.footer.columns.iter().position(|column| column.name == *name);
        let columns: Vec<_> = self.plan.names().iter().filter_map(number).collect();
        let survivors = self.survivors(file)?;
        if !survivors.contains(&true) {
            return Ok(Vec::new());
        }
        let share = memory::limit() / (SHARES * Live::count().max(1));
        let wanted = share.clamp(SMALLEST_PIECE, LARGEST_PIECE);
        let cut = std::panic::catch_unwind(AssertUnwindSafe(|| pieces::cut(file, &columns, &survivors, wanted)));
        cut.unwrap_or_else(|_| Err(Error::unreadable(file.location())))
    }

    /// Decodes a piece; false when the consumer has what it wants.
    async fn decode(&self, piece: Piece, permit: Permit, outlet: &Outlet) -> Result<bool> {
        let location = piece.location.clone();
        let decoded = AssertUnwindSafe(self.stream(piece, permit, outlet)).catch_unwind().await;
        decoded.unwrap_or_else(|_| Err(Error::unreadable(&location)))
    }

    async fn stream(&self, piece: Piece, permit: Permit, outlet: &Outlet) -> Result<bool> {
        let left = self.left.load(Ordering::Relaxed);
        let limit = usize::try_from(left).ok().filter(|limit| self.plan.is_bare() && *limit < usize::MAX);
        let batch_rows = limit.map_or(piece.batch_rows, |limit| piece.batch_rows.min(limit.max(1)));
        let config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(1);
        let context =
            Arc::new(TaskContext::default().with_session_config(config).with_runtime(self.environment.clone()));
        let plan = self.plan.of(&piece, limit)?;
        let _counted = Counted { plan: plan.as_ref(), counts: &self.counts };
        let mut stream = plan.execute(0, context).map_err(|error| failed(&error, &piece.location))?;
        // What was taken for the piece is taken again by the reader, now that it knows the bytes.
        drop(permit);
        while let Some(batch) = stream.next().await {
            check_memory()?;
            let batch = self.plan.trim(batch.map_err(|error| failed(&error, &piece.location))?);
            if batch.num_rows() > 0 && !self.deliver(batch, outlet).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands a batch over, as far as it is wanted; false when no more is.
    async fn deliver(&self, batch: RecordBatch, outlet: &Outlet) -> bool {
        let rows = batch.num_rows() as u64;
        let take = |left: u64| Some(left.saturating_sub(rows));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_else(|left| left);
        let wanted = rows.min(left);
        if wanted == 0 {
            return false;
        }
        let batch = if wanted < rows { batch.slice(0, wanted as usize) } else { batch };
        let bytes = u32::try_from(bytes(&batch).clamp(1, QUEUE_BYTES)).unwrap_or(1);
        let Ok(room) = self.room.clone().acquire_many_owned(bytes).await else { return false };
        self.counts.rows.fetch_add(wanted, Ordering::Relaxed);
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        outlet.send(Ok(Queued { batch, _room: room })).await && left > rows
    }
}

fn check_memory() -> Result<()> {
    if memory::is_short() { Err(Error::Memory { message: "the process ran short".to_owned() }) } else { Ok(()) }
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
fn bytes(batch: &RecordBatch) -> usize {
    let column = |array: &ArrayRef| {
        let fixed = array.len().saturating_mul(VALUE_BYTES);
        if !is_variable(array.data_type()) {
            return fixed;
        }
        (0..array.len()).map(|row| row_bytes(array, row)).fold(fixed, usize::saturating_add)
    };
    batch.columns().iter().map(column).fold(0, usize::saturating_add)
}

/// Counts what a plan pruned when it ends, whatever ends it.
struct Counted<'a> {
    plan: &'a dyn ExecutionPlan,
    counts: &'a Counts,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        collect(self.plan, self.counts);
    }
}

fn collect(plan: &dyn ExecutionPlan, counts: &Counts) {
    for metric in plan.metrics().iter().flat_map(|metrics| metrics.iter()) {
        let MetricValue::PruningMetrics { name, pruning_metrics } = metric.value() else { continue };
        match name.as_ref() {
            "row_groups_pruned_statistics" | "row_groups_pruned_bloom_filter" | "limit_pruned_row_groups" => {
                counts.row_groups_pruned.fetch_add(pruning_metrics.pruned(), Ordering::Relaxed);
            }
            "page_index_pages_pruned" => {
                counts.pages_pruned.fetch_add(pruning_metrics.pruned(), Ordering::Relaxed);
            }
            _ => {}
        }
    }
    for child in plan.children() {
        collect(child.as_ref(), counts);
    }
}
