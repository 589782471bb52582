//! What reads pieces: the tasks of a scan and the partitions of a query take from it, a piece after another.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use datafusion::datasource::physical_plan::parquet::RowGroupAccess;
use datafusion::error::Result as EngineResult;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricValue, MetricsSet};
use datafusion::prelude::SessionConfig;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::Mutex;

use super::late;
use super::learned::Learned;
use super::order::{MOST_FILES, Preference};
use super::pieces::{self, BATCH_ROWS, Piece};
use super::plan::{Plan, failed};
use super::sample::Sample;
use super::spec::ScanSpec;
use crate::engine::cancel;
use crate::engine::memory::{self, Permit};
use crate::engine::runtime::Live;
use crate::error::{Error, Result};
use crate::expr::Expr;
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
    /// Rows of which only the columns of the filter were decoded.
    pub rows_skipped: u64,
    /// Bytes asked of the store.
    pub bytes: u64,
    /// Rows and batches delivered.
    pub rows: u64,
    pub batches: u64,
}

impl Statistics {
    /// Of two scans together.
    pub fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            row_groups: self.row_groups + other.row_groups,
            row_groups_pruned: self.row_groups_pruned + other.row_groups_pruned,
            pages_pruned: self.pages_pruned + other.pages_pruned,
            rows_skipped: self.rows_skipped + other.rows_skipped,
            bytes: self.bytes + other.bytes,
            rows: self.rows + other.rows,
            batches: self.batches + other.batches,
        }
    }
}

/// What those who read share.
pub(crate) struct Reading {
    plan: Plan,
    files: Vec<DataFile>,
    /// The only rows that are read, if not all are.
    sample: Option<Arc<Sample>>,
    environment: Arc<RuntimeEnv>,
    todo: Mutex<Todo>,
    preference: OnceLock<Preference>,
    /// Rows that are still to be delivered.
    left: AtomicU64,
    counts: Counts,
    bytes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

/// What is still to be read.
struct Todo {
    pieces: VecDeque<Piece>,
    /// Files by number; not yet in order, if there is one.
    files: VecDeque<usize>,
    ordered: bool,
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
    rows_skipped: AtomicU64,
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
            todo: Mutex::new(Todo {
                pieces: VecDeque::new(),
                files: (0..spec.files.len()).collect(),
                ordered: false,
                readers,
            }),
            preference: OnceLock::new(),
            left: AtomicU64::new(spec.limit.unwrap_or(u64::MAX)),
            counts: Counts::default(),
            bytes,
            stopped: Arc::default(),
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

    /// What is learned while the scan runs, for [`Self::next`]: a condition over the columns of the table, and tests over
    /// those that are delivered.
    pub(crate) fn learned(&self, condition: Option<Expr>, tests: &[Arc<dyn PhysicalExpr>]) -> Result<Learned> {
        self.plan.learned(condition, tests)
    }

    /// The next piece, opened, if there is one for this reader. Row groups that have no row of those that were learned to
    /// matter are left out.
    pub(crate) async fn next(self: &Arc<Self>, learned: Option<&Learned>) -> Result<Option<Opened>> {
        // A panic that is not in a piece is a bug of ours: no file is to blame.
        let piece = AssertUnwindSafe(self.take(learned)).catch_unwind().await;
        let piece = piece.unwrap_or_else(|_| Err(Error::internal("a scan could not be divided")))?;
        piece.map(|(piece, permit)| self.open(piece, permit, learned)).transpose()
    }

    /// Pieces are to come first that may have the least values of a column of the table, or the greatest.
    pub(crate) fn prefer(&self, column: usize, descending: bool) {
        if let Some(column) = self.plan.name(column) {
            // The first wish holds: a scan is planned for one order.
            let _ = self.preference.set(Preference { column: column.to_owned(), descending });
        }
    }

    /// Whether footers alone say how many rows there are: all are delivered, and no file claims unlikely many.
    pub(crate) fn is_countable(&self) -> bool {
        let is_believed = |file: &DataFile| !file.footer.doubtful;
        self.plan.is_bare() && self.left.load(Ordering::Relaxed) == u64::MAX && self.files.iter().all(is_believed)
    }

    /// The rows of all files, as their footers have them. The files are looked at: one that has changed is an error.
    pub(crate) async fn count(&self) -> Result<u64> {
        let mut rows = 0u64;
        for file in &self.files {
            tokio::task::coop::consume_budget().await;
            file.held.open()?;
            rows = rows.saturating_add(file.footer.rows);
            self.counts.row_groups_pruned.fetch_add(file.footer.row_groups, Ordering::Relaxed);
        }
        Ok(rows)
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

    /// Nobody wants the rows any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
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
            rows_skipped: self.counts.rows_skipped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            rows: self.counts.rows.load(Ordering::Relaxed),
            batches: self.counts.batches.load(Ordering::Relaxed),
        }
    }

    /// The next piece and its memory.
    async fn take(&self, learned: Option<&Learned>) -> Result<Option<(Piece, Permit)>> {
        let mut todo = self.todo.lock().await;
        loop {
            if self.is_finished() {
                return Ok(None);
            }
            if let Some(mut piece) = todo.pieces.pop_front() {
                if let Some(learned) = learned
                    && !self.reduce(&mut piece, learned)?
                {
                    continue;
                }
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
            if !todo.ordered {
                todo.ordered = true;
                self.order_files(&mut todo.files).await?;
            }
            let Some(number) = todo.files.pop_front() else { return Ok(None) };
            let Some(file) = self.files.get(number) else { return Ok(None) };
            let mut pieces = self.cut(file, number, learned)?;
            if let Some(preference) = self.preference.get() {
                pieces = ordered(pieces, preference)?;
            }
            todo.pieces.extend(pieces);
        }
    }

    /// Puts files in the order that is preferred.
    async fn order_files(&self, files: &mut VecDeque<usize>) -> Result<()> {
        let Some(preference) = self.preference.get().filter(|_| (2..=MOST_FILES).contains(&files.len())) else {
            return Ok(());
        };
        let mut keyed = Vec::with_capacity(files.len());
        for number in files.drain(..) {
            tokio::task::coop::consume_budget().await;
            let file = self.files.get(number).ok_or_else(|| Error::internal("no such file"))?;
            let metadata = file.held.parsed(&mut || true)?;
            let groups: Vec<_> = (0..metadata.num_row_groups()).collect();
            keyed.push((guarded(file.location(), || preference.key(&metadata, &groups))?, number));
        }
        keyed.sort_by(|left, right| preference.compare(&left.0, &right.0));
        files.extend(keyed.into_iter().map(|(_, number)| number));
        Ok(())
    }

    /// Takes row groups out of a piece; false if none is left.
    fn reduce(&self, piece: &mut Piece, learned: &Learned) -> Result<bool> {
        let groups = piece.access.row_group_indexes();
        let survivors = guarded(&piece.location, || learned.survivors(&piece.metadata, &groups))?;
        let Some(survivors) = survivors else { return Ok(true) };
        for (group, _) in groups.iter().zip(survivors).filter(|(_, survives)| !survives) {
            // Of a row group that was cut, no part alone is counted.
            if piece.access.inner().get(*group) == Some(&RowGroupAccess::Scan) {
                let rows =
                    piece.metadata.row_groups().get(*group).and_then(|group| u64::try_from(group.num_rows()).ok());
                piece.rows = piece.rows.saturating_sub(rows.unwrap_or(0));
                self.counts.row_groups_pruned.fetch_add(1, Ordering::Relaxed);
            }
            piece.access.skip(*group);
        }
        Ok(piece.access.row_group_index_iter().next().is_some())
    }

    /// Which row groups of a file are to be read, by what is remembered of its statistics.
    fn survivors(&self, file: &DataFile, learned: Option<&Learned>) -> Result<Vec<bool>> {
        let metadata = file.held.parsed(&mut || true)?;
        let groups: Vec<_> = (0..metadata.num_row_groups()).collect();
        let by_filter = guarded(file.location(), || self.plan.survivors(&metadata, &groups))?;
        let mut survivors = by_filter.unwrap_or_else(|| vec![true; groups.len()]);
        if let Some(learned) = learned
            && let Some(mattering) = guarded(file.location(), || learned.survivors(&metadata, &groups))?
        {
            survivors.iter_mut().zip(mattering).for_each(|(survives, matters)| *survives &= matters);
        }
        let gone = survivors.iter().filter(|survives| !**survives).count();
        self.counts.row_groups_pruned.fetch_add(gone, Ordering::Relaxed);
        Ok(survivors)
    }

    fn cut(&self, file: &DataFile, at: usize, learned: Option<&Learned>) -> Result<Vec<Piece>> {
        if self.sample.as_ref().is_some_and(|sample| !sample.reads(at)) {
            return Ok(Vec::new());
        }
        let number = |name: &String| file.footer.columns.iter().position(|column| column.name == *name);
        let columns: Vec<_> = self.plan.names().iter().filter_map(number).collect();
        let mut survivors = self.survivors(file, learned)?;
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

    fn open(self: &Arc<Self>, piece: Piece, permit: Permit, learned: Option<&Learned>) -> Result<Opened> {
        let location = piece.location.clone();
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| self.start(piece, learned)));
        // What was taken for the piece is taken again by the reader, now that it knows the bytes.
        drop(permit);
        opened.unwrap_or_else(|_| Err(Error::unreadable(&location)))
    }

    fn start(self: &Arc<Self>, piece: Piece, learned: Option<&Learned>) -> Result<Opened> {
        let left = usize::try_from(self.left.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let limit = (left < usize::MAX).then_some(left);
        let (location, tested, is_wide) = (piece.location.clone(), piece.rows, piece.most_rows < BATCH_ROWS);
        // A limit counts what the filter lets through, whatever was learned.
        let learned = learned.filter(|learned| limit.is_none() && !learned.steps().is_empty());
        let opened = |stream, metrics, is_late| {
            let (reading, is_tested) = (self.clone(), is_late && learned.is_some());
            Opened { stream, metrics, location, reading, is_late, is_tested, is_wide, tested, passed: 0 }
        };
        if let Some(steps) = self.plan.late(&piece, learned) {
            let metrics = ExecutionPlanMetricsSet::new();
            let stream = late::open(self.plan.job(piece, limit, metrics.clone()), steps, self.stopped.clone());
            return Ok(opened(stream, Metrics::Own(metrics), true));
        }
        let limit = limit.filter(|_| self.plan.is_bare());
        let batch_rows = limit.map_or(piece.batch_rows, |limit| piece.batch_rows.min(limit.max(1)));
        let config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(1);
        let context = TaskContext::default().with_session_config(config).with_runtime(self.environment.clone());
        let plan = self.plan.of(&piece, limit)?;
        let stream = plan.execute(0, Arc::new(context)).map_err(|error| failed(&error, &piece.location))?;
        Ok(opened(stream.boxed(), Metrics::Of(plan), false))
    }
}

/// What statistics say. A panic over them is their file's fault.
fn guarded<T>(location: &Location, say: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(say)).map_err(|_| Error::unreadable(location))
}

/// Pieces of one file in the order that is preferred. Parts of one row group are taken from its end, if the greatest are.
fn ordered(mut pieces: Vec<Piece>, preference: &Preference) -> Result<Vec<Piece>> {
    if preference.descending {
        pieces.reverse();
    }
    let mut keyed = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let groups = piece.access.row_group_indexes();
        keyed.push((guarded(&piece.location, || preference.key(&piece.metadata, &groups))?, piece));
    }
    keyed.sort_by(|left, right| preference.compare(&left.0, &right.0));
    Ok(keyed.into_iter().map(|(_, piece)| piece).collect())
}

/// A bare LIMIT is answered by the first rows; more readers would only decode what is thrown away.
fn readers(plan: &Plan, spec: &ScanSpec) -> usize {
    if spec.limit.is_some() && plan.is_bare() { 1 } else { spec.parallelism.max(1) }
}

/// A piece that is being decoded.
pub(crate) struct Opened {
    stream: BoxStream<'static, EngineResult<RecordBatch>>,
    metrics: Metrics,
    location: Location,
    reading: Arc<Reading>,
    /// Whether the columns of the filter are decoded first.
    is_late: bool,
    /// Whether what was learned is part of that.
    is_tested: bool,
    /// Whether values are so wide that batches have fewer rows.
    is_wide: bool,
    /// Its rows, and those so far that passed the filter.
    tested: u64,
    passed: u64,
}

/// Where the counts of what was pruned are.
enum Metrics {
    Of(Arc<dyn ExecutionPlan>),
    Own(ExecutionPlanMetricsSet),
}

impl Opened {
    /// Its next rows, one at least; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            cancel::check()?;
            let next = AssertUnwindSafe(self.stream.next()).catch_unwind().await;
            let next = next.map_err(|_| Error::unreadable(&self.location))?;
            let Some(batch) = next else {
                self.end();
                return Ok(None);
            };
            if memory::is_short() {
                return Err(Error::Memory { message: "the process ran short".to_owned() });
            }
            let batch = self.reading.plan.trim(batch.map_err(|error| failed(&error, &self.location))?);
            self.passed += batch.num_rows() as u64;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// Whether rows are tested by what was learned before it was opened.
    pub(crate) fn is_tested(&self) -> bool {
        self.is_tested
    }

    /// Whether batches are not to be put together.
    pub(crate) fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// So many of the rows that it gave were of no use.
    pub(crate) fn dropped(&mut self, rows: usize) {
        self.passed = self.passed.saturating_sub(rows as u64);
    }

    fn end(&mut self) {
        self.reading.plan.count(self.tested, self.passed);
        if self.is_late {
            let skipped = self.tested.saturating_sub(self.passed);
            self.reading.counts.rows_skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        // Whoever asks again after the end counts nothing twice.
        (self.tested, self.passed) = (0, 0);
    }
}

/// What was pruned is counted when a piece ends, whatever ends it.
impl Drop for Opened {
    fn drop(&mut self) {
        match &self.metrics {
            Metrics::Of(plan) => collect(plan.as_ref(), &self.reading.counts),
            Metrics::Own(metrics) => add(&metrics.clone_inner(), &self.reading.counts),
        }
    }
}

fn collect(plan: &dyn ExecutionPlan, counts: &Counts) {
    if let Some(metrics) = plan.metrics() {
        add(&metrics, counts);
    }
    for child in plan.children() {
        collect(child.as_ref(), counts);
    }
}

fn add(metrics: &MetricsSet, counts: &Counts) {
    for metric in metrics.iter() {
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
}
