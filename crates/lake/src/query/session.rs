//! How DataFusion plans a query: its own rules, and settings that fit our scans.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use datafusion::common::Result as EngineResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use super::count::CountFromFooters;
use super::optimizer;
use super::outer::NullableSides;
use crate::error::{Error, Result};

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

/// Rows of a batch between operators.
const BATCH_ROWS: usize = 8192;
/// Bytes and rows of a side of a join of which every partition has all.
const WHOLE_SIDE_BYTES: usize = 64 << 20;
const WHOLE_SIDE_ROWS: usize = 2_000_000;
/// How often each list of rules for logical plans is walked: a second time they find next to nothing.
const PASSES: usize = 1;
/// Times that planning may say that it waits. It waits for nothing.
const MOST_WAITS: usize = 1 << 20;
/// Consumers of memory that an error names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN;

/// A session for one query.
pub(super) fn session(options: &Options) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(options.parallelism.max(1));
    let set = config.options_mut();
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
        .with_runtime_env(environment(options)?)
        // The optimizer of logical plans is ours: see `physical`.
        .with_optimizer_rules(Vec::new())
        .with_physical_optimizer_rules(physical_rules());
    Ok(state.build())
}

/// DataFusion's rules between those of ours that come first and last.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(NullableSides)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules.push(Arc::new(CountFromFooters));
    rules
}

/// Memory of its own, and no files.
fn environment(options: &Options) -> Result<Arc<RuntimeEnv>> {
    let bytes = usize::try_from(options.memory).unwrap_or(usize::MAX);
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(bytes), NAMED_CONSUMERS);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
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
