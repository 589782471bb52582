//! One scan: files, projection, filter and limit in, record batches out over a bounded channel.
//!
//! Tasks on the engine's runtime decode ahead, a piece of a file at a time; the consumer polls from a thread that must not
//! block inside the engine and is woken by a callback. Dropping or cancelling the scan stops the tasks at their next await.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::reading::{Reading, Statistics};
use super::spec::ScanSpec;
use super::work::{self, Outlet, QUEUE_BATCHES, QUEUE_BYTES, Queued};
use crate::engine::runtime::engine;
use crate::error::Result;

/// What a poll finds.
#[derive(Debug)]
pub enum Poll {
    Batch(RecordBatch),
    /// Nothing yet; the callback will be called.
    Pending,
    /// No more batches.
    Done,
}

/// A running scan.
pub struct Scan {
    receiver: mpsc::Receiver<Result<Queued>>,
    tasks: Vec<JoinHandle<()>>,
    room: Arc<Semaphore>,
    reading: Arc<Reading>,
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
        let reading = Arc::new(Reading::new(spec, engine.environment.clone())?);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let outlet = || Outlet::new(sender.clone(), room.clone(), wake.clone());
        let task = |_| engine.spawn(work::run(reading.clone(), outlet()));
        let tasks = (0..reading.readers(spec)).map(task).collect();
        Ok(Self { receiver, tasks, room, reading })
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
        self.room.close();
        self.tasks.iter().for_each(JoinHandle::abort);
        while self.receiver.try_recv().is_ok() {}
    }

    /// Counts so far.
    pub fn statistics(&self) -> Statistics {
        self.reading.statistics()
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
