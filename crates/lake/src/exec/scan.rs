//! One scan: files, projection, filter and limit in, record batches out over a bounded channel.
//!
//! Tasks on the engine's runtime decode ahead, a piece of a file at a time; the consumer polls from a thread that must not
//! block inside the engine and is woken by a callback. Dropping or cancelling the scan stops the tasks at their next await.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::delivery::{Delivery, Poll};
use super::reading::{Reading, Statistics};
use super::sample::Sample;
use super::spec::ScanSpec;
use super::work::{self, Outlet, QUEUE_BATCHES, QUEUE_BYTES};
use crate::engine::runtime::engine;
use crate::error::Result;

/// A running scan.
pub struct Scan {
    delivery: Delivery,
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
        Self::over(spec, Reading::new(spec, engine()?.environment.clone())?, wake)
    }

    /// The same, of the rows of a sample of these very files, in their order: one task reads.
    pub fn sampled(spec: &ScanSpec, sample: Arc<Sample>, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let spec = ScanSpec { parallelism: 1, ..spec.clone() };
        Self::over(&spec, Reading::new(&spec, engine()?.environment.clone())?.of_sample(sample), wake)
    }

    fn over(spec: &ScanSpec, reading: Reading, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let engine = engine()?;
        let reading = Arc::new(reading);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let outlet = || Outlet::new(sender.clone(), room.clone(), wake.clone());
        let task = |_| engine.spawn(work::run(reading.clone(), outlet()));
        let tasks = (0..reading.readers(spec)).map(task).collect();
        let stopped = reading.clone();
        Ok(Self { delivery: Delivery::new(receiver, tasks, room, move || stopped.stop()), reading })
    }

    /// The next batch, if there is one. Never blocks.
    pub fn poll(&mut self) -> Result<Poll> {
        self.delivery.poll()
    }

    /// Stops the tasks and waits for their end, for `limit` at most. True if they have ended.
    pub fn cancel(&mut self, limit: Duration) -> bool {
        self.delivery.cancel(limit)
    }

    /// Counts so far.
    pub fn statistics(&self) -> Statistics {
        self.reading.statistics()
    }
}

#[cfg(test)]
pub(crate) mod tests;
