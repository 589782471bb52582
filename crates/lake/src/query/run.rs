//! A running query: a tree and tables in, record batches out over a bounded channel, as [`crate::exec::Scan`] has it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Semaphore, mpsc};

use super::attempt::{Attempts, Delivered};
use super::ir::Rel;
use super::prepared::Prepared;
use super::scan::Readings;
use super::session::Options;
use super::table::{Shipment, Table};
use crate::engine::runtime::{Live, engine};
use crate::error::{Error, Result};
use crate::exec::{Delivery, Outlet, Poll, QUEUE_BATCHES, QUEUE_BYTES, Statistics};
use crate::types::ColumnType;

/// A running query.
pub struct Query {
    columns: Vec<ColumnType>,
    delivery: Delivery,
    readings: Readings,
    delivered: Arc<Delivered>,
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
        Self::run(Prepared::new(rel, tables, shipments, options)?, wake)
    }

    /// Starts a query that is planned.
    pub fn run(prepared: Prepared, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let engine = engine()?;
        let Prepared { attempts, readings } = prepared;
        let flag = attempts.flag();
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let delivered = Arc::new(Delivered::default());
        let outlet = Outlet::new(sender, room.clone(), wake);
        let columns = attempts.columns.clone();
        let task = engine.spawn(flag.around(run(attempts, outlet, delivered.clone())));
        let stopped = readings.clone();
        let stop = move || {
            flag.raise();
            if let Ok(readings) = stopped.lock() {
                readings.iter().for_each(|reading| reading.stop());
            }
        };
        Ok(Self { columns, delivery: Delivery::new(receiver, vec![task], room, stop), readings, delivered })
    }

    /// The types of the columns of its batches. A column that [`super::check()`] cannot give has one, too, but nothing is to be
    /// made of its values.
    pub fn columns(&self) -> &[ColumnType] {
        &self.columns
    }

    /// The next batch, if there is one. Never blocks.
    pub fn poll(&mut self) -> Result<Poll> {
        self.delivery.poll()
    }

    /// Stops the tasks and waits for their end, for `limit` at most. True if they have ended.
    pub fn cancel(&mut self, limit: Duration) -> bool {
        self.delivery.cancel(limit)
    }

    /// Counts so far, of all tables together; rows and batches are those delivered.
    pub fn statistics(&self) -> Statistics {
        let readings = self.readings.lock().map(|readings| readings.clone()).unwrap_or_default();
        let of_scans = readings.iter().map(|reading| reading.statistics()).fold(Statistics::default(), Statistics::and);
        let rows = self.delivered.rows.load(Ordering::Relaxed);
        Statistics { rows, batches: self.delivered.batches.load(Ordering::Relaxed), ..of_scans }
    }
}

async fn run(attempts: Attempts, outlet: Outlet, delivered: Arc<Delivered>) {
    let _live = Live::new();
    let ended = AssertUnwindSafe(attempts.run(&outlet, &delivered)).catch_unwind().await;
    if let Err(error) = ended.unwrap_or_else(|_| Err(Error::internal("a query ended in a panic"))) {
        outlet.fail(error).await;
    }
}
