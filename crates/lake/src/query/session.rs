//! How DataFusion plans a query: its rules in an order of ours, with some of our own, and settings that fit our scans.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use datafusion::common::Result as EngineResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::count::CountFromFooters;
use super::optimizer;
use super::outer::NullableSides;
use super::wanted;
use crate::engine::cancel::Flag;
use crate::engine::pool::Pool;
use crate::engine::spill::{Files, Place};
use crate::error::{Error, Result};

/// How a query runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Partitions that work at the same time.
    pub parallelism: usize,
    /// Bytes that the query may take. A part of them is left to the pages of its scans.
    pub memory: u64,
    /// Where sorts, groups and joins that have no room in memory go on; `None` lets them end with an error.
    pub spill: Option<Arc<Place>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { parallelism: 2, memory: 1 << 30, spill: None }
    }
}

/// Rows of a batch between operators.
const BATCH_ROWS: usize = 8192;
/// Bytes and rows of a side of a join of which every partition has all.
const WHOLE_SIDE_BYTES: usize = 64 << 20;
const WHOLE_SIDE_ROWS: usize = 2_000_000;
/// How often each list of rules for logical plans is walked: a second time they find next to nothing.
const PASSES: usize = 1;
/// Times that planning may say that it waits. It waits for nothing.
const MOST_WAITS: usize = 1 << 20;
/// What a sort keeps for the merge after a spill: so much, or the part of the query's memory that one of so many would have.
const MERGE_BYTES: u64 = 10 << 20;
const MERGES: u64 = 32;
/// Temporary files that are merged at a time. Each has a descriptor meanwhile.
const MERGED_FILES: usize = 64;

/// A session for one query.
pub(super) fn session(options: &Options) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(options.parallelism.max(1));
    let flag = Flag::default();
    config.set_extension(Arc::new(flag.clone()));
    let set = config.options_mut();
    let merge = options.memory / (MERGES * options.parallelism.max(1) as u64);
    set.execution.sort_spill_reservation_bytes = usize::try_from(merge.min(MERGE_BYTES)).unwrap_or(0);
    set.optimizer.hash_join_single_partition_threshold = WHOLE_SIDE_BYTES;
    set.optimizer.hash_join_single_partition_threshold_rows = WHOLE_SIDE_ROWS;
    set.optimizer.max_passes = PASSES;
    // Sides of joins are chosen with their order.
    set.optimizer.join_reordering = false;
    // Partitions of a scan take pieces as they come: there is nothing to even out.
    set.optimizer.enable_round_robin_repartition = false;
    set.optimizer.repartition_file_scans = false;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment(options, flag)?)
        // The optimizer of logical plans is ours: see `physical`.
        .with_optimizer_rules(Vec::new())
        .with_physical_optimizer_rules(physical_rules());
    Ok(state.build())
}

/// DataFusion's rules between those of ours that come first and last.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(NullableSides)];
    rules.extend(wanted::physical(PhysicalOptimizer::new().rules));
    rules.push(Arc::new(CountFromFooters));
    rules
}

/// What is raised when the query of a session is no longer wanted.
pub(super) fn flag(state: &SessionState) -> Flag {
    state.config().get_extension::<Flag>().map(|flag| flag.as_ref().clone()).unwrap_or_default()
}

/// Memory and files of its own.
fn environment(options: &Options, flag: Flag) -> Result<Arc<RuntimeEnv>> {
    let mode = match &options.spill {
        Some(place) => DiskManagerMode::Custom(Arc::new(Files::new(place.clone(), flag.clone()))),
        None => DiskManagerMode::Disabled,
    };
    let files = DiskManagerBuilder::default().with_mode(mode).with_max_spill_merge_fan_in(MERGED_FILES);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Pool::new(options.memory, flag))
        .with_disk_manager_builder(files)
        .build_arc()
        .map_err(|error| Error::Start { message: error.to_string() })
}

/// What is executed for a plan.
pub(super) fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let planned = std::panic::catch_unwind(AssertUnwindSafe(|| at_once(plan_physical(state, plan))));
    let planned = planned.map_err(|_| Error::internal("a query could not be planned"))?;
    planned?.map_err(|error| Error::from_query(&error))
}

/// The same for a caller that can wait.
pub(super) async fn plan_physical(state: &SessionState, plan: &LogicalPlan) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let plan = optimizer::optimized(state, plan)?;
    state.query_planner().create_physical_plan(&plan, state).await
}

/// The same as a [`Planner`](super::shared::Planner).
pub(super) fn planned<'a>(
    state: &'a SessionState,
    plan: &'a LogicalPlan,
) -> BoxFuture<'a, EngineResult<Arc<dyn ExecutionPlan>>> {
    plan_physical(state, plan).boxed()
}

/// Runs what waits for nothing on this thread.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> Result<T> {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MOST_WAITS {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return Ok(outcome);
        }
    }
    Err(Error::internal("planning waits"))
}
