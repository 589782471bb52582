//! The consumer's end of running tasks: batches are polled, and dropping it stops the tasks at their next await.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::work::Queued;
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

/// What tasks deliver over a channel, whose bytes `room` bounds.
pub(crate) struct Delivery {
    receiver: mpsc::Receiver<Result<Queued>>,
    tasks: Vec<JoinHandle<()>>,
    room: Arc<Semaphore>,
    on_stop: Box<dyn Fn() + Send + Sync>,
}

impl Delivery {
    /// `on_stop` tells what runs without an await for long that it is no longer wanted.
    pub(crate) fn new(
        receiver: mpsc::Receiver<Result<Queued>>,
        tasks: Vec<JoinHandle<()>>,
        room: Arc<Semaphore>,
        on_stop: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { receiver, tasks, room, on_stop: Box::new(on_stop) }
    }

    /// The next batch, if there is one. Never blocks.
    pub(crate) fn poll(&mut self) -> Result<Poll> {
        match self.receiver.try_recv() {
            Ok(Ok(queued)) => Ok(Poll::Batch(queued.batch)),
            Ok(Err(error)) => Err(error),
            Err(TryRecvError::Empty) => Ok(Poll::Pending),
            Err(TryRecvError::Disconnected) => Ok(Poll::Done),
        }
    }

    /// Stops the tasks and waits for their end, for `limit` at most. True if they have ended.
    pub(crate) fn cancel(&mut self, limit: Duration) -> bool {
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
        (self.on_stop)();
        while self.receiver.try_recv().is_ok() {}
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.stop();
    }
}
