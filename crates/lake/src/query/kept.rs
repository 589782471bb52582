//! Rows that a window keeps until it has seen all: DataFusion does not count them, so a node below it does.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result as EngineResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

/// A window has its rows twice while it computes: in the batches as they came, and in one.
const COPIES: usize = 2;

/// Puts a [`Kept`] below every window that keeps its rows.
#[derive(Debug)]
pub(super) struct CountKept;

impl PhysicalOptimizerRule for CountKept {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> EngineResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            if !plan.is::<WindowAggExec>() {
                return Ok(Transformed::no(plan));
            }
            let keep =
                |input: &Arc<dyn ExecutionPlan>| Arc::new(Kept { input: input.clone() }) as Arc<dyn ExecutionPlan>;
            let inputs = plan.children().into_iter().map(keep).collect();
            plan.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))
                .map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "lagoon_kept"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows of its input, whose memory is counted until the last of them is no longer needed.
#[derive(Debug)]
struct Kept {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Kept {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl ExecutionPlan for Kept {
    fn name(&self) -> &'static str {
        "Kept"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let lost = || DataFusionError::Internal("the input of a window is gone".to_owned());
        Ok(Arc::new(Self { input: children.pop().ok_or_else(lost)? }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("a window").register(context.memory_pool());
        let count = move |batch: EngineResult<RecordBatch>| {
            let batch = batch?;
            reservation.try_grow(get_record_batch_memory_size(&batch).saturating_mul(COPIES))?;
            Ok(batch)
        };
        let batches = self.input.execute(partition, context)?.map(count);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
