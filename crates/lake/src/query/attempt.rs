//! Two attempts at one query: with numerics of 128 bits, and with as many as they need.
//!
//! Of the first attempt no row is delivered before it is known that no numeric had more than 38 digits, since a row cannot be
//! taken back. So its rows are held back, up to [`HELD_BYTES`]; most answers are shorter. An answer that is longer is delivered
//! if all of it was computed before its first row came, and is begun again with 256 bits if not.
//!
//! Where there is one attempt only, the first rows are held back all the same: so most errors come before any row, and the
//! consumer may still ask PostgreSQL.
//!
//! A query that has no room is [`frugal`] from then on, again by either attempt.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;

use super::ir::Rel;
use super::plan::{self, Sources};
use super::scalar::Field;
use super::{depth, frugal, session};
use crate::engine::cancel::Flag;
use crate::engine::memory;
use crate::error::{Error, Result};
use crate::exec::{Outlet, batch_bytes};
use crate::expr::functions::Width;
use crate::fault::Fault;
use crate::types::ColumnType;

/// Bytes of rows that are held back, and the part of the query's memory that they are at most: they come while sorts and
/// groups still have most of it.
const HELD_BYTES: usize = 8 << 20;
const HELD_PART: usize = 16;

/// What was delivered.
#[derive(Default)]
pub(super) struct Delivered {
    pub rows: AtomicU64,
    pub batches: AtomicU64,
}

/// The plan that is run, and the one that takes its place when a numeric has more than 38 digits.
pub(super) struct Attempts {
    pub columns: Vec<ColumnType>,
    /// The same with their digits.
    pub fields: Vec<Field>,
    state: SessionState,
    logical: LogicalPlan,
    first: Arc<dyn ExecutionPlan>,
    second: Option<LogicalPlan>,
}

impl Attempts {
    pub(super) fn new(rel: &Rel, sources: Sources<'_>, state: SessionState) -> Result<Self> {
        depth::check(rel)?;
        let wide = plan::plan(Width::Wide, rel, sources)?;
        let columns: Vec<_> = wide.columns.iter().map(|field| field.ty.clone()).collect();
        let fast = plan::plan(Width::Fast, rel, sources).and_then(|fast| fast.delivering(&columns));
        if let Ok(fast) = fast
            && fast != wide.plan
        {
            match session::physical(&state, &fast) {
                Ok(first) => {
                    let second = Some(wide.plan);
                    return Ok(Self { columns, fields: wide.columns, state, logical: fast, first, second });
                }
                // A constant is too wide already.
                Err(Error::Function(Fault::TooWide)) => {}
                Err(error) => return Err(error),
            }
        }
        let first = session::physical(&state, &wide.plan)?;
        Ok(Self { columns, fields: wide.columns, state, logical: wide.plan, first, second: None })
    }

    /// What is raised when nobody waits for the rows any more.
    pub(super) fn flag(&self) -> Flag {
        session::flag(&self.state)
    }

    /// Delivers all rows, or as many as the consumer wants.
    pub(super) async fn run(self, outlet: &Outlet, delivered: &Delivered) -> Result<()> {
        let Self { state, logical, first, second, .. } = self;
        match both(first.clone(), second.as_ref(), &state, outlet, delivered).await {
            Err(error)
                if delivered.batches.load(Ordering::Relaxed) == 0 && frugal::may_help(&state, &first, &error) =>
            {
                drop(first);
                let plans: Vec<_> = second.iter().chain([&logical]).collect();
                let state = frugal::session(&state, &plans).await?;
                let first = frugal::physical(&state, &logical).await.map_err(|_| error)?;
                both(first, second.as_ref(), &state, outlet, delivered).await
            }
            outcome => outcome,
        }
    }
}

/// The first plan and, if a numeric was too wide for it, the second.
async fn both(
    first: Arc<dyn ExecutionPlan>,
    second: Option<&LogicalPlan>,
    state: &SessionState,
    outlet: &Outlet,
    delivered: &Delivered,
) -> Result<()> {
    let is_certain = second.is_none() || computes_before_it_delivers(&first);
    if tentative(first, is_certain, state, outlet, delivered).await? {
        return Ok(());
    }
    let second = second.ok_or(Error::Function(Fault::TooWide))?;
    // What cannot be planned with 256 bits is PostgreSQL's.
    let planned = frugal::physical(state, second).await;
    let second = planned.map_err(|error| match error {
        Error::MemoryLimit { .. } | Error::Canceled => error,
        _ => Error::Function(Fault::TooWide),
    })?;
    deliver(stream(second, state)?, outlet, delivered).await
}

/// The first of two attempts; false if the second one is needed, and then nothing was delivered.
async fn tentative(
    plan: Arc<dyn ExecutionPlan>,
    is_certain: bool,
    state: &SessionState,
    outlet: &Outlet,
    delivered: &Delivered,
) -> Result<bool> {
    let mut held = Held::new(state);
    let mut stream = stream(plan, state)?;
    loop {
        let batch = match next(&mut stream).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return held.deliver(outlet, delivered).await.map(|_| true),
            Err(Error::Function(Fault::TooWide)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let has_room = held.push(batch);
        if has_room {
            // Nothing else lets this task be stopped while rows come without a pause.
            tokio::task::yield_now().await;
        } else if !is_certain {
            return Ok(false);
        } else if held.deliver(outlet, delivered).await? {
            return deliver(stream, outlet, delivered).await.map(|()| true);
        } else {
            return Ok(true);
        }
    }
}

/// Rows that wait until it is known whether they are the answer.
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
    most: usize,
    reservation: MemoryReservation,
}

impl Held {
    fn new(state: &SessionState) -> Self {
        let pool = &state.runtime_env().memory_pool;
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => HELD_BYTES.min(limit / HELD_PART),
            _ => HELD_BYTES,
        };
        let reservation = MemoryConsumer::new("rows held back").register(pool);
        Self { batches: Vec::new(), bytes: 0, most, reservation }
    }

    /// Takes a batch; false if it is to be the last one.
    fn push(&mut self, batch: RecordBatch) -> bool {
        let bytes = batch_bytes(&batch);
        self.batches.push(batch);
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes <= self.most && self.reservation.try_grow(bytes).is_ok()
    }

    /// Hands them over, which waits for the consumer; false if that is gone.
    async fn deliver(self, outlet: &Outlet, delivered: &Delivered) -> Result<bool> {
        for batch in self.batches {
            if !hand_over(batch, outlet, delivered).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether all values of a plan are computed before its first row comes: a sort is all that is left to do.
fn computes_before_it_delivers(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let node: &dyn Any = plan.as_ref();
    if node.is::<SortExec>() {
        return true;
    }
    let only_passes = node.is::<SortPreservingMergeExec>()
        || node.is::<GlobalLimitExec>()
        || node.is::<LocalLimitExec>()
        || node
            .downcast_ref::<ProjectionExec>()
            .is_some_and(|projection| projection.expr().iter().all(|column| is_plain(&column.expr)));
    only_passes && plan.children().into_iter().all(computes_before_it_delivers)
}

/// A column, or the same in a type with more bits.
fn is_plain(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let node: &dyn Any = expr.as_ref();
    node.is::<Column>() || (node.is::<CastExpr>() && expr.children().into_iter().all(is_plain))
}

fn stream(plan: Arc<dyn ExecutionPlan>, state: &SessionState) -> Result<SendableRecordBatchStream> {
    execute_stream(plan, state.task_ctx()).map_err(|error| Error::from_query(&error))
}

/// The next batch that has rows.
async fn next(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
    while let Some(batch) = stream.next().await {
        if memory::is_short() {
            return Err(Error::Memory { message: "the process ran short".to_owned() });
        }
        let batch = batch.map_err(|error| Error::from_query(&error))?;
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

async fn deliver(mut stream: SendableRecordBatchStream, outlet: &Outlet, delivered: &Delivered) -> Result<()> {
    while let Some(batch) = next(&mut stream).await? {
        if !hand_over(batch, outlet, delivered).await {
            break;
        }
    }
    Ok(())
}

/// Counts a batch and delivers it; false if the consumer is gone.
async fn hand_over(batch: RecordBatch, outlet: &Outlet, delivered: &Delivered) -> bool {
    delivered.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
    delivered.batches.fetch_add(1, Ordering::Relaxed);
    outlet.deliver(batch).await
}
