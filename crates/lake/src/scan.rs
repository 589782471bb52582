//! One scan: files, projection, filter and limit in, record batches out over a bounded channel.
//!
//! A task on the engine's runtime decodes ahead; the consumer polls from a thread that must not block inside the engine
//! and is woken by a callback. Dropping or cancelling the scan stops the task at its next await.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;

use crate::adapt::Adapters;
use crate::error::{Error, Result};
use crate::expr::{Condition, Filter};
use crate::files::DataFile;
use crate::runtime::{Engine, caught, engine};
use crate::table::TableColumn;

/// Rows of a batch at most.
pub const BATCH_ROWS: usize = 8192;
/// Batches that may wait for the consumer.
const CHANNEL_BATCHES: usize = 4;
/// Files below this many bytes are not split between partitions.
const SMALLEST_SPLIT: usize = 1 << 20;

/// What to read.
#[derive(Clone, Debug)]
pub struct ScanSpec {
    pub files: Vec<DataFile>,
    /// Columns of the table that the projection or the filter uses.
    pub columns: Vec<TableColumn>,
    /// Indexes into `columns`, in the order of delivery.
    pub projection: Vec<usize>,
    /// A bound filter. Only rows for which it is true are delivered.
    pub filter: Option<Arc<Filter>>,
    /// Rows after which the scan may stop; it never delivers more.
    pub limit: Option<u64>,
    /// Partitions that are decoded at the same time.
    pub parallelism: usize,
}

/// What a poll finds.
#[derive(Debug)]
pub enum Poll {
    Batch(RecordBatch),
    /// Nothing yet; the callback will be called.
    Pending,
    /// No more batches.
    Done,
}

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

/// A running scan.
pub struct Scan {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    task: Option<JoinHandle<()>>,
    plan: Arc<dyn ExecutionPlan>,
    delivered: Arc<Delivered>,
    files: usize,
    row_groups: usize,
}

#[derive(Default)]
struct Delivered {
    rows: AtomicU64,
    batches: AtomicU64,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({:?})", self.statistics())
    }
}

impl Scan {
    /// Plans the scan and starts its task. `wake` is called, from an engine thread, whenever a poll may find something.
    pub fn start(spec: &ScanSpec, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let engine = engine()?;
        let plan = plan(engine, spec)?;
        let config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_target_partitions(spec.parallelism.max(1));
        let context =
            Arc::new(TaskContext::default().with_session_config(config).with_runtime(engine.environment.clone()));
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        let delivered = Arc::new(Delivered::default());
        let path = spec.files.first().map(|file| file.path.clone()).unwrap_or_default();
        let producer = Producer {
            plan: plan.clone(),
            context,
            sender: sender.clone(),
            wake: Waker(wake),
            limit: spec.limit.unwrap_or(u64::MAX),
            delivered: delivered.clone(),
            path,
        };
        let task = engine.spawn(async move {
            let wake = Waker(producer.wake.0.clone());
            if let Err(error) = caught(producer.run()).await {
                let _ = sender.send(Err(error)).await; // the consumer is gone only when nobody wants to know
            }
            drop(sender);
            drop(wake);
        });
        let row_groups = spec.files.iter().map(|file| file.footer.row_groups).sum();
        Ok(Self { receiver, task: Some(task), plan, delivered, files: spec.files.len(), row_groups })
    }

    /// The next batch, if there is one. Never blocks.
    pub fn poll(&mut self) -> Result<Poll> {
        match self.receiver.try_recv() {
            Ok(Ok(batch)) => Ok(Poll::Batch(batch)),
            Ok(Err(error)) => Err(error),
            Err(TryRecvError::Empty) => Ok(Poll::Pending),
            Err(TryRecvError::Disconnected) => Ok(Poll::Done),
        }
    }

    /// Stops the task and waits for its end, for `limit` at most. True if it has ended.
    pub fn cancel(&mut self, limit: Duration) -> bool {
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {}
        let Some(task) = self.task.take() else { return true };
        task.abort();
        let end = Instant::now() + limit;
        while !task.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200)); // bounded; the task holds nothing that the caller needs
        }
        task.is_finished()
    }

    /// Counts so far.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics {
            files: self.files,
            row_groups: self.row_groups,
            rows: self.delivered.rows.load(Ordering::Relaxed),
            batches: self.delivered.batches.load(Ordering::Relaxed),
            ..Statistics::default()
        };
        collect(self.plan.as_ref(), &mut statistics);
        statistics
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Wakes when dropped too, so that the consumer learns of the end of the task whatever ended it.
struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Drop for Waker {
    fn drop(&mut self) {
        (self.0)();
    }
}

struct Producer {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    sender: mpsc::Sender<Result<RecordBatch>>,
    wake: Waker,
    limit: u64,
    delivered: Arc<Delivered>,
    path: PathBuf,
}

impl Producer {
    async fn run(self) -> Result<()> {
        let failed = |error: &datafusion::error::DataFusionError| Error::from_engine(error, &self.path);
        let mut left = self.limit;
        let mut stream = execute_stream(self.plan.clone(), self.context.clone()).map_err(|error| failed(&error))?;
        while left > 0 {
            let Some(batch) = stream.next().await else { break };
            let mut batch = batch.map_err(|error| failed(&error))?;
            let rows = batch.num_rows();
            if rows == 0 {
                continue;
            }
            if rows as u64 > left {
                batch = batch.slice(0, left as usize);
            }
            let rows = batch.num_rows() as u64;
            left -= rows;
            self.delivered.rows.fetch_add(rows, Ordering::Relaxed);
            self.delivered.batches.fetch_add(1, Ordering::Relaxed);
            if self.sender.send(Ok(batch)).await.is_err() {
                break;
            }
            (self.wake.0)();
        }
        Ok(())
    }
}

/// The physical plan: a Parquet source that rules out what the filter cannot be true for, by statistics, and the filter
/// itself on the rows as they are delivered.
fn plan(engine: &Engine, spec: &ScanSpec) -> Result<Arc<dyn ExecutionPlan>> {
    let path = spec.files.first().map(|file| file.path.clone()).unwrap_or_default();
    let failed = |error: datafusion::error::DataFusionError| Error::from_engine(&error, &path);
    let fields: Vec<_> = spec.columns.iter().map(|column| Field::new(&column.name, column.ty.arrow(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut options = TableParquetOptions::default();
    options.global.coerce_int96 = Some("us".to_owned());
    let cache = engine.environment.cache_manager.get_file_metadata_cache();
    let readers = CachedParquetFileReaderFactory::new(engine.store.clone(), cache);
    let mut source = ParquetSource::new(schema)
        .with_table_parquet_options(options)
        .with_parquet_file_reader_factory(Arc::new(readers));
    // What the source reads: the projection, then what only the filter needs.
    let mut wanted = spec.projection.clone();
    if let Some(filter) = &spec.filter {
        let mut seen: HashSet<usize> = wanted.iter().copied().collect();
        filter.visit_columns(&mut |column| {
            if seen.insert(column) {
                wanted.push(column);
            }
        });
    }
    let predicate: Option<Arc<dyn PhysicalExpr>> = match &spec.filter {
        Some(filter) => {
            let position = |column: usize| wanted.iter().position(|i| *i == column).unwrap_or(usize::MAX);
            let positions: Vec<_> = (0..spec.columns.len()).map(position).collect();
            let position = |column: usize| positions.get(column).copied().unwrap_or(usize::MAX);
            Some(Arc::new(Condition::new(filter.clone(), spec.columns.clone().into(), &position)?))
        }
        None => None,
    };
    if let Some(predicate) = &predicate {
        source = source.with_predicate(predicate.clone());
    }
    let files = spec.files.iter().map(|file| PartitionedFile::new_from_meta(file.meta.clone())).collect::<Vec<_>>();
    let source: Arc<dyn FileSource> = Arc::new(source);
    let early_limit = spec.limit.filter(|_| predicate.is_none()).and_then(|limit| usize::try_from(limit).ok());
    let mut config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
        .with_file_groups(vec![FileGroup::new(files)])
        .with_limit(early_limit)
        .with_expr_adapter(Some(Arc::new(Adapters)))
        .with_projection_indices(Some(wanted.clone()))
        .map_err(failed)?
        .build();
    // A bare LIMIT is answered by the first rows; more partitions would only decode what is thrown away.
    if spec.parallelism > 1 && early_limit.is_none() {
        let split = config.repartitioned(spec.parallelism, SMALLEST_SPLIT, None).map_err(failed)?;
        if let Some(split) = split
            .as_ref()
            .and_then(|split| split.downcast_ref::<datafusion::datasource::physical_plan::FileScanConfig>())
        {
            config = split.clone();
        }
    }
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    let Some(predicate) = predicate else { return Ok(scan) };
    let keep = (0..spec.projection.len()).collect::<Vec<_>>();
    let filter = FilterExecBuilder::new(predicate, scan)
        .apply_projection(Some(keep))
        .and_then(FilterExecBuilder::build)
        .map_err(failed)?;
    Ok(Arc::new(filter))
}

fn collect(plan: &dyn ExecutionPlan, statistics: &mut Statistics) {
    for metric in plan.metrics().iter().flat_map(|metrics| metrics.iter()) {
        match metric.value() {
            MetricValue::Count { name, count } if name == "bytes_scanned" => statistics.bytes += count.value() as u64,
            MetricValue::PruningMetrics { name, pruning_metrics } => match name.as_ref() {
                "row_groups_pruned_statistics" | "row_groups_pruned_bloom_filter" | "limit_pruned_row_groups" => {
                    statistics.row_groups_pruned += pruning_metrics.pruned();
                }
                "page_index_pages_pruned" => statistics.pages_pruned += pruning_metrics.pruned(),
                _ => {}
            },
            _ => {}
        }
    }
    for child in plan.children() {
        collect(child.as_ref(), statistics);
    }
}

#[cfg(test)]
mod tests;
