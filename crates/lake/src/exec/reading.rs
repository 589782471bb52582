//! What reads pieces: the tasks of a scan and the partitions of a query take from it, a piece after another.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::prelude::SessionConfig;
use futures::{FutureExt, StreamExt};
use tokio::sync::Mutex;

use super::pieces::{self, Piece};
use super::plan::{Plan, failed};
use super::sample::Sample;
use super::spec::ScanSpec;
use crate::engine::memory::{self, Permit};
use crate::engine::runtime::Live;
use crate::error::{Error, Result};
use crate::source::Location;
use crate::source::files::DataFile;

/// Bytes of a piece at most, and at least.
const LARGEST_PIECE: u64 = 32 << 20;
const SMALLEST_PIECE: u64 = 1 << 20;
/// Tasks that could have a piece of the same size each within the limit of memory.
const SHARES: u64 = 8;

/// Counts of a scan, for EXPLAIN ANALYZE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub files: usize,
    pub row_groups: usize,
    /// Row groups that statistics, bloom filters or the limit ruled out.
    pub row_groups_pruned: usize,
    /// Pages that the page index ruled out.
    pub pages_pruned: usize,
    /// Bytes asked of the store.
    pub bytes: u64,
    /// Rows and batches delivered.
    pub rows: u64,
    pub batches: u64,
}

/// What those who read share.
pub(crate) struct Reading {
    plan: Plan,
    files: Vec<DataFile>,
    /// The only rows that are read, if not all are.
    sample: Option<Arc<Sample>>,
    environment: Arc<RuntimeEnv>,
    todo: Mutex<Todo>,
    /// Rows that are still to be delivered.
    left: AtomicU64,
    counts: Counts,
    bytes: Arc<AtomicU64>,
}

/// What is still to be read.
struct Todo {
    pieces: VecDeque<Piece>,
    /// The next file.
    file: usize,
    /// Those who take pieces.
    readers: usize,
}

/// For EXPLAIN ANALYZE.
#[derive(Default)]
struct Counts {
    rows: AtomicU64,
    batches: AtomicU64,
    row_groups_pruned: AtomicUsize,
    pages_pruned: AtomicUsize,
}

impl Reading {
    /// For `readers` at the same time; fewer if that is enough for what is asked for, which [`Self::readers`] says.
    pub(crate) fn new(spec: &ScanSpec, environment: Arc<RuntimeEnv>) -> Result<Self> {
        let bytes = Arc::new(AtomicU64::new(0));
        let plan = Plan::new(spec, bytes.clone())?;
        let readers = readers(&plan, spec);
        Ok(Self {
            plan,
            files: spec.files.clone(),
            sample: None,
            environment,
            todo: Mutex::new(Todo { pieces: VecDeque::new(), file: 0, readers }),
            left: AtomicU64::new(spec.limit.unwrap_or(u64::MAX)),
            counts: Counts::default(),
            bytes,
        })
    }

    /// Of the rows of a sample alone.
    pub(crate) fn of_sample(self, sample: Arc<Sample>) -> Self {
        Self { sample: Some(sample), ..self }
    }

    /// How many are to read.
    pub(crate) fn readers(&self, spec: &ScanSpec) -> usize {
        readers(&self.plan, spec)
    }

    /// The next piece, opened, if there is one for this reader.
    pub(crate) async fn next(self: &Arc<Self>) -> Result<Option<Opened>> {
        // A panic that is not in a piece is a bug of ours: no file is to blame.
        let piece = AssertUnwindSafe(self.take()).catch_unwind().await;
        let piece = piece.unwrap_or_else(|_| Err(Error::internal("a scan could not be divided")))?;
        piece.map(|(piece, permit)| self.open(piece, permit)).transpose()
    }

    /// Of so many rows those that are wanted: fewer when the limit is reached, none beyond it.
    pub(crate) fn deliver(&self, rows: u64) -> u64 {
        let take = |left: u64| Some(left.saturating_sub(rows));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_else(|left| left);
        let wanted = rows.min(left);
        if wanted > 0 {
            self.counts.rows.fetch_add(wanted, Ordering::Relaxed);
            self.counts.batches.fetch_add(1, Ordering::Relaxed);
        }
        wanted
    }

    /// Whether the limit is reached.
    pub(crate) fn is_finished(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Counts so far.
    pub(crate) fn statistics(&self) -> Statistics {
        let row_groups = self.files.iter().map(|file| file.footer.row_groups).sum();
        Statistics {
            files: self.files.len(),
            row_groups,
            row_groups_pruned: self.counts.row_groups_pruned.load(Ordering::Relaxed).min(row_groups),
            pages_pruned: self.counts.pages_pruned.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            rows: self.counts.rows.load(Ordering::Relaxed),
            batches: self.counts.batches.load(Ordering::Relaxed),
        }
    }

    /// The next piece and its memory.
    async fn take(&self) -> Result<Option<(Piece, Permit)>> {
        let mut todo = self.todo.lock().await;
        loop {
            if self.is_finished() {
                return Ok(None);
            }
            if let Some(piece) = todo.pieces.pop_front() {
                let what = || format!("a part of \"{}\"", piece.location);
                return match memory::take(piece.bytes, &what) {
                    Ok(permit) => Ok(Some((piece, permit))),
                    // Another reader goes on with it when it has finished its own.
                    Err(_) if todo.readers > 1 => {
                        todo.readers -= 1;
                        todo.pieces.push_front(piece);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                };
            }
            let Some(file) = self.files.get(todo.file) else { return Ok(None) };
            let number = todo.file;
            todo.file += 1;
            todo.pieces.extend(self.cut(file, number)?);
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

    fn cut(&self, file: &DataFile, at: usize) -> Result<Vec<Piece>> {
        if self.sample.as_ref().is_some_and(|sample| !sample.reads(at)) {
            return Ok(Vec::new());
        }
        let number = |name: &String| file.footer.columns.iter().position(|column| column.name == *name);
        let columns: Vec<_> = self.plan.names().iter().filter_map(number).collect();
        let mut survivors = self.survivors(file)?;
        if let Some(sample) = &self.sample {
            survivors.iter_mut().enumerate().for_each(|(group, survives)| *survives &= sample.has(at, group));
        }
        if !survivors.contains(&true) {
            return Ok(Vec::new());
        }
        let share = memory::limit() / (SHARES * Live::count().max(1));
        let wanted = share.clamp(SMALLEST_PIECE, LARGEST_PIECE);
        let cut = std::panic::catch_unwind(AssertUnwindSafe(|| pieces::cut(file, &columns, &survivors, wanted)));
        let mut pieces = cut.unwrap_or_else(|_| Err(Error::unreadable(file.location())))?;
        if let Some(sample) = &self.sample {
            sample.thin(at, &mut pieces);
        }
        Ok(pieces)
    }

    fn open(self: &Arc<Self>, piece: Piece, permit: Permit) -> Result<Opened> {
        let location = piece.location.clone();
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| self.start(piece)));
        // What was taken for the piece is taken again by the reader, now that it knows the bytes.
        drop(permit);
        let (plan, stream) = opened.unwrap_or_else(|_| Err(Error::unreadable(&location)))?;
        Ok(Opened { plan, stream, location, reading: self.clone() })
    }

    fn start(&self, piece: Piece) -> Result<(Arc<dyn ExecutionPlan>, SendableRecordBatchStream)> {
        let left = self.left.load(Ordering::Relaxed);
        let limit = usize::try_from(left).ok().filter(|limit| self.plan.is_bare() && *limit < usize::MAX);
        let batch_rows = limit.map_or(piece.batch_rows, |limit| piece.batch_rows.min(limit.max(1)));
        let config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(1);
        let context = TaskContext::default().with_session_config(config).with_runtime(self.environment.clone());
        let plan = self.plan.of(&piece, limit)?;
        let stream = plan.execute(0, Arc::new(context)).map_err(|error| failed(&error, &piece.location))?;
        Ok((plan, stream))
    }
}

/// A bare LIMIT is answered by the first rows; more readers would only decode what is thrown away.
fn readers(plan: &Plan, spec: &ScanSpec) -> usize {
    if spec.limit.is_some() && plan.is_bare() { 1 } else { spec.parallelism.max(1) }
}

/// A piece that is being decoded.
pub(crate) struct Opened {
    plan: Arc<dyn ExecutionPlan>,
    stream: SendableRecordBatchStream,
    location: Location,
    reading: Arc<Reading>,
}

impl Opened {
    /// Its next rows, one at least; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let next = AssertUnwindSafe(self.stream.next()).catch_unwind().await;
            let next = next.map_err(|_| Error::unreadable(&self.location))?;
            let Some(batch) = next else { return Ok(None) };
            if memory::is_short() {
                return Err(Error::Memory { message: "the process ran short".to_owned() });
            }
            let batch = self.reading.plan.trim(batch.map_err(|error| failed(&error, &self.location))?);
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }
}

/// What was pruned is counted when a piece ends, whatever ends it.
impl Drop for Opened {
    fn drop(&mut self) {
        collect(self.plan.as_ref(), &self.reading.counts);
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
