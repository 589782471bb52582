//! A running query: a tree and tables in, record batches out over a bounded channel, as [`crate::exec::Scan`] has it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc};

use super::ir::Rel;
use super::plan::{self, Sources};
use super::scan::Readings;
use super::session::{self, Options};
use super::table::{Shipment, Table};
use crate::engine::memory;
use crate::engine::runtime::{Live, engine};
use crate::error::{Error, Result};
use crate::exec::{Delivery, Outlet, Poll, QUEUE_BATCHES, QUEUE_BYTES, Statistics};
use crate::expr::functions::Width;
use crate::fault::Fault;
use crate::types::ColumnType;

/// A running query.
pub struct Query {
    columns: Vec<ColumnType>,
    delivery: Delivery,
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
        let sources = Sources { tables, shipments, readings: &readings };
        let state = session::session(options)?;
        let attempts = Attempts::new(rel, sources, state)?;
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let delivered = Arc::new(Delivered::default());
        let outlet = Outlet::new(sender, room.clone(), wake);
        let columns = attempts.columns.clone();
        let task = engine.spawn(run(attempts, outlet, delivered.clone()));
        let stopped = readings.clone();
        let stop = move || {
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

/// The plan that is run, and the one that takes its place when a numeric has more than 38 digits before any row is delivered.
struct Attempts {
    columns: Vec<ColumnType>,
    state: SessionState,
    first: Arc<dyn ExecutionPlan>,
    second: Option<LogicalPlan>,
}

impl Attempts {
    fn new(rel: &Rel, sources: Sources<'_>, state: SessionState) -> Result<Self> {
        let wide = plan::plan(Width::Wide, rel, sources)?;
        let columns: Vec<_> = wide.columns.iter().map(|field| field.ty.clone()).collect();
        let fast = plan::plan(Width::Fast, rel, sources).and_then(|fast| fast.delivering(&columns));
        if let Ok(fast) = fast
            && fast != wide.plan
        {
            let first = session::physical(&state, &fast)?;
            // Rows that are made one by one are delivered before the last one is known.
            if first.properties().emission_type == EmissionType::Final {
                return Ok(Self { columns, state, first, second: Some(wide.plan) });
            }
        }
        let first = session::physical(&state, &wide.plan)?;
        Ok(Self { columns, state, first, second: None })
    }
}

async fn run(attempts: Attempts, outlet: Outlet, delivered: Arc<Delivered>) {
    let _live = Live::new();
    let ended = AssertUnwindSafe(attempt(attempts, &outlet, &delivered)).catch_unwind().await;
    if let Err(error) = ended.unwrap_or_else(|_| Err(Error::internal("a query ended in a panic"))) {
        outlet.fail(error).await;
    }
}

async fn attempt(attempts: Attempts, outlet: &Outlet, delivered: &Delivered) -> Result<()> {
    let Attempts { state, first, second, .. } = attempts;
    let outcome = deliver(first, &state, outlet, delivered).await;
    match (outcome, second) {
        (Err(Error::Function(Fault::TooWide)), Some(second)) if delivered.batches.load(Ordering::Relaxed) == 0 => {
            let second = state.create_physical_plan(&second).await.map_err(|error| Error::from_query(&error))?;
            deliver(second, &state, outlet, delivered).await
        }
        (outcome, _) => outcome,
    }
}

async fn deliver(
    plan: Arc<dyn ExecutionPlan>,
    state: &SessionState,
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
