//! One scan: files, projection, filter and limit in, record batches out over a bounded channel.
//!
//! Tasks on the engine's runtime decode ahead, a piece of a file at a time; the consumer polls from a thread that must not
//! block inside the engine and is woken by a callback. Dropping or cancelling the scan stops the tasks at their next await.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::plan::Plan;
use super::spec::ScanSpec;
use super::work::{self, Counts, Outlet, QUEUE_BYTES, Queued, Todo, Work};
use crate::engine::runtime::engine;
use crate::error::Result;

/// Batches that may wait for the consumer, if they are small.
const CHANNEL_BATCHES: usize = 4;

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
    receiver: mpsc::Receiver<Result<Queued>>,
    tasks: Vec<JoinHandle<()>>,
    work: Arc<Work>,
    bytes: Arc<AtomicU64>,
    row_groups: usize,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({:?})", self.statistics())
    }
}

impl Scan {
    /// Starts the tasks of a scan. `wake` is called, from an engine thread, whenever a poll may find something.
    pub fn start(spec: &ScanSpec, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let engine = engine()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let plan = Plan::new(spec, bytes.clone())?;
        // A bare LIMIT is answered by the first rows; more tasks would only decode what is thrown away.
        let tasks = if spec.limit.is_some() && plan.is_bare() { 1 } else { spec.parallelism.max(1) };
        let work = Arc::new(Work {
            plan,
            files: spec.files.clone(),
            environment: engine.environment.clone(),
            todo: Mutex::new(Todo { pieces: VecDeque::new(), file: 0, tasks }),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            left: AtomicU64::new(spec.limit.unwrap_or(u64::MAX)),
            counts: Counts::default(),
        });
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        let task = |_| engine.spawn(work::run(work.clone(), Outlet::new(sender.clone(), wake.clone())));
        let tasks = (0..tasks).map(task).collect();
        let row_groups = spec.files.iter().map(|file| file.footer.row_groups).sum();
        Ok(Self { receiver, tasks, work, bytes, row_groups })
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
        let is_running = |tasks: &[JoinHandle<()>]| tasks.iter().any(|task| !task.is_finished());
        while is_running(&self.tasks) && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200)); // bounded; the tasks hold nothing that the caller needs
        }
        !is_running(&self.tasks)
    }

    fn stop(&mut self) {
        self.receiver.close();
        self.work.room.close();
        self.tasks.iter().for_each(JoinHandle::abort);
        while self.receiver.try_recv().is_ok() {}
    }

    /// Counts so far.
    pub fn statistics(&self) -> Statistics {
        let counts = &self.work.counts;
        Statistics {
            files: self.work.files.len(),
            row_groups: self.row_groups,
            row_groups_pruned: counts.row_groups_pruned.load(Ordering::Relaxed).min(self.row_groups),
            pages_pruned: counts.pages_pruned.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            rows: counts.rows.load(Ordering::Relaxed),
            batches: counts.batches.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
