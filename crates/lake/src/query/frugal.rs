//! How a query goes on that has no room: in small batches, and with merges of sorted rows in the place of tables of hashes,
//! which cannot go on in files.
//!
//! That is slower, so it is not what a query begins with. Merges compare their keys in a way of their own (DataFusion 55), which
//! knows neither NaN nor wide numerics: with such keys the query ends for want of memory.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::divide::SMALL_BATCH;
use super::session;
use super::shared::{self, SharedExec};
use crate::error::{Error, Result};

/// Partitions: each has a part of the memory, but with one, DataFusion takes hashes for every join.
const PARTITIONS: usize = 2;
/// Milliseconds that the tasks of the attempt before have for their end, and so for giving back its memory.
const MOST_WAITS: u32 = 1000;

/// Whether it may help a query that ended like this.
pub(super) fn may_help(state: &SessionState, plan: &Arc<dyn ExecutionPlan>, error: &Error) -> bool {
    matches!(error, Error::MemoryLimit { .. } | Error::TotalMemoryLimit { .. })
        && state.runtime_env().disk_manager.tmp_files_enabled()
        && can_be_frugal(plan)
}

/// The session of the next attempt at these plans, when the one before has given back its memory.
pub(super) async fn session(before: &SessionState, plans: &[&LogicalPlan]) -> Result<SessionState> {
    for plan in plans {
        shared::forget(plan).map_err(|error| Error::from_query(&error))?;
    }
    let pool = &before.runtime_env().memory_pool;
    for _ in 0..MOST_WAITS {
        if pool.reserved() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut state = before.clone();
    *state.config_mut() = before.config().clone().with_batch_size(SMALL_BATCH);
    let options = state.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.target_partitions = PARTITIONS;
    Ok(state)
}

/// A plan whose merges compare keys as PostgreSQL does.
pub(super) async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = session::plan_physical(state, plan).await.map_err(|error| Error::from_query(&error))?;
    if compares_alike(&plan)? { Ok(plan) } else { Err(Error::MemoryLimit { message: "a join needs more".to_owned() }) }
}

fn can_be_frugal(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let node: &dyn Any = plan.as_ref();
    node.is::<HashJoinExec>()
        || node.is::<SortExec>()
        || node.is::<AggregateExec>()
        || inputs(plan).iter().any(can_be_frugal)
}

fn compares_alike(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    if let Some(join) = (plan.as_ref() as &dyn Any).downcast_ref::<SortMergeJoinExec>() {
        let schema = join.left().schema();
        for (key, _) in join.on() {
            if !is_plain(&key.data_type(&schema).map_err(|error| Error::from_query(&error))?) {
                return Ok(false);
            }
        }
    }
    for input in &inputs(plan) {
        if !compares_alike(input)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a node reads: its children, and what is computed once for several.
fn inputs(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let shared = plan.downcast_ref::<SharedExec>().and_then(SharedExec::source);
    plan.children().into_iter().cloned().chain(shared.map(|(_, plan)| plan)).collect()
}

/// Types of which two values are equal when their bits are, and which have an order.
fn is_plain(ty: &DataType) -> bool {
    ty.is_integer()
        || matches!(
            ty,
            DataType::Boolean
                | DataType::Date32
                | DataType::Timestamp(_, None)
                | DataType::Decimal128(..)
                | DataType::Utf8
                | DataType::Utf8View
                | DataType::BinaryView
        )
}
