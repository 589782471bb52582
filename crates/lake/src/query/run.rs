//! A running query: a tree and tables in, record batches out over a bounded channel, as [`crate::exec::Scan`] has it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::ir::Rel;
use super::plan::{self, Readings};
use super::session;
use crate::engine::memory;
use crate::engine::runtime::{Live, engine};
use crate::error::{Error, Result};
use crate::exec::{Outlet, Poll, QUEUE_BATCHES, QUEUE_BYTES, Queued, Statistics};
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

/// How a query runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Partitions that work at the same time.
    pub parallelism: usize,
    /// Bytes that sorts, groups and joins may take together. Scans take theirs from [`crate::engine::memory`].
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { parallelism: 2, memory: 1 << 30 }
    }
}

/// A running query.
pub struct Query {
    columns: Vec<ColumnType>,
    receiver: mpsc::Receiver<Result<Queued>>,
    task: JoinHandle<()>,
    room: Arc<Semaphore>,
    readings: Readings,
    delivered: Arc<Delivered>,
}

#[derive(Default)]
struct Delivered {
    rows: AtomicU64,
    batches: AtomicU64,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({:?})", self.statistics())
    }
}

impl Query {
    /// Starts a query whose parameters are bound. `wake` is called, from an engine thread, whenever a poll may find something.
    pub fn start(
        rel: &Rel,
        tables: &[Table],
        shipments: &[Shipment],
        options: &Options,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self> {
        let engine = engine()?;
        let readings = Readings::default();
        let planned = plan::plan(rel, tables, shipments, &readings)?;
        let state = session::session(options)?;
        let plan = session::physical(&state, &planned.plan)?;
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let delivered = Arc::new(Delivered::default());
        let outlet = Outlet::new(sender, room.clone(), wake);
        let task = engine.spawn(run(plan, state, outlet, delivered.clone()));
        let columns = planned.columns.into_iter().map(|field| field.ty).collect();
        Ok(Self { columns, receiver, task, room, readings, delivered })
    }

    /// The types of the columns of its batches. A column that [`super::check`] cannot give has one, too, but nothing is to be
    /// made of its values.
    pub fn columns(&self) -> &[ColumnType] {
        &self.columns
    }

    /// The next batch, if there is one. Never blocks.
    pub fn poll(&mut self) -> Result<Poll> {
        match self.receiver.try_recv() {
            Ok(Ok(queued)) => Ok(Poll::Batch(queued.batch)),
            Ok(Err(error)) => Err(error),
            Err(TryRecvError::Empty) => Ok(Poll::Pending),
            Err(TryRecvError::Disconnected) => Ok(Poll::Done),
        }
    }

    /// Stops the tasks and waits for their end, for `limit` at most. True if they have ended.
    pub fn cancel(&mut self, limit: Duration) -> bool {
        self.stop();
        let end = Instant::now() + limit;
        while !self.task.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200)); // bounded; the tasks hold nothing that the caller needs
        }
        self.task.is_finished()
    }

    fn stop(&mut self) {
        self.receiver.close();
        self.room.close();
        self.task.abort();
        while self.receiver.try_recv().is_ok() {}
    }

    /// Counts so far, of all tables together; rows and batches are those delivered.
    pub fn statistics(&self) -> Statistics {
        let readings = self.readings.lock().map(|readings| readings.clone()).unwrap_or_default();
        let of_scans = readings.iter().fold(Statistics::default(), |sum, reading| {
            let one = reading.statistics();
            Statistics {
                files: sum.files + one.files,
                row_groups: sum.row_groups + one.row_groups,
                row_groups_pruned: sum.row_groups_pruned + one.row_groups_pruned,
                pages_pruned: sum.pages_pruned + one.pages_pruned,
                bytes: sum.bytes + one.bytes,
                ..sum
            }
        });
        let rows = self.delivered.rows.load(Ordering::Relaxed);
        Statistics { rows, batches: self.delivered.batches.load(Ordering::Relaxed), ..of_scans }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(plan: Arc<dyn ExecutionPlan>, state: SessionState, outlet: Outlet, delivered: Arc<Delivered>) {
    let _live = Live::new();
    let ended = AssertUnwindSafe(deliver(plan, state, &outlet, &delivered)).catch_unwind().await;
    if let Err(error) = ended.unwrap_or_else(|_| Err(Error::internal("a query ended in a panic"))) {
        outlet.fail(error).await;
    }
}

async fn deliver(
    plan: Arc<dyn ExecutionPlan>,
    state: SessionState,
    outlet: &Outlet,
    delivered: &Delivered,
) -> Result<()> {
    let failed = |error| Error::from_query(&error);
    let mut stream = execute_stream(plan, state.task_ctx()).map_err(failed)?;
    while let Some(batch) = stream.next().await {
        if memory::is_short() {
            return Err(Error::Memory { message: "the process ran short".to_owned() });
        }
        let batch = batch.map_err(failed)?;
        if batch.num_rows() == 0 {
            continue;
        }
        delivered.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        delivered.batches.fetch_add(1, Ordering::Relaxed);
        if !outlet.deliver(batch).await {
            return Ok(());
        }
    }
    Ok(())
}
