//! What DataFusion knows of the side of an outer join that may be missing, and must forget above it.
//!
//! It takes a column that has one value below the join for one that has it above, too (`EquivalenceGroup::join` of
//! datafusion-physical-expr 55), where it is NULL in rows without a partner: an order by that column would be left out.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result as EngineResult, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// Puts [`Nullable`] below outer joins. It goes before all rules that look at what is known.
#[derive(Debug)]
pub(super) struct NullableSides;

impl PhysicalOptimizerRule for NullableSides {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> EngineResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let [left, right] = nullable(&plan);
            let children: Vec<_> = plan.children().into_iter().cloned().collect();
            let knows = |child: &Arc<dyn ExecutionPlan>| !child.properties().eq_properties.constants().is_empty();
            let is_nullable = [left, right];
            if !children.iter().zip(is_nullable).any(|(child, nullable)| nullable && knows(child)) {
                return Ok(Transformed::no(plan));
            }
            let children = children.into_iter().zip(is_nullable).map(|(child, nullable)| {
                if nullable && knows(&child) { Arc::new(Nullable::new(child)) as Arc<dyn ExecutionPlan> } else { child }
            });
            let children = children.collect();
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            plan.replace_children(children, anew).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "lagoon_nullable_sides"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Which of the two sides of a join may be missing in its rows.
fn nullable(plan: &Arc<dyn ExecutionPlan>) -> [bool; 2] {
    let kind = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        *join.join_type()
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        *join.join_type()
    } else if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        join.join_type()
    } else {
        return [false; 2];
    };
    match kind {
        JoinType::Left => [false, true],
        JoinType::Right => [true, false],
        JoinType::Full => [true, true],
        _ => [false; 2],
    }
}

/// The rows of its input, of which no column is known to have one value only.
#[derive(Debug)]
struct Nullable {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Nullable {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let of_input = input.properties();
        let mut known = EquivalenceProperties::new(input.schema());
        known.add_orderings(of_input.eq_properties.oeq_class().clone());
        let properties = Arc::new(PlanProperties::clone(of_input).with_eq_properties(known));
        Self { input, properties }
    }
}

impl DisplayAs for Nullable {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nullable")
    }
}

impl ExecutionPlan for Nullable {
    fn name(&self) -> &'static str {
        "Nullable"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        let lost = || DataFusionError::Internal("a side of a join is gone".to_owned());
        Ok(Arc::new(Self::new(children.pop().ok_or_else(lost)?)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> EngineResult<Arc<Statistics>> {
        Ok(inputs.first().cloned().unwrap_or_else(|| Arc::new(Statistics::new_unknown(&self.schema()))))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> EngineResult<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> EngineResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
