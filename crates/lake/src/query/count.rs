//! `count(*)` of whole tables: footers say how many rows there are, and nothing is decoded.
//!
//! It is a rule of ours and not DataFusion's own, which answers from statistics while a plan is made: here the files are looked
//! at when the query runs, and one that is not as it was found is an error as in any other scan. Row counts are believed as far
//! as the columns of the footer and their bytes bear them out ([`crate::source::footer`]).

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::common::Result as EngineResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::scan::LakeScan;
use crate::exec::Reading;

/// Puts [`FooterCount`] in the place of aggregates that only count all rows of a scan.
#[derive(Debug)]
pub(super) struct CountFromFooters;

impl PhysicalOptimizerRule for CountFromFooters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let counted = plan.transform_down(|plan| {
            Ok(match counted(&plan) {
                Some(count) => Transformed::yes(Arc::new(count) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(plan),
            })
        });
        counted.data()
    }

    fn name(&self) -> &'static str {
        "lagoon_count"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn counted(plan: &Arc<dyn ExecutionPlan>) -> Option<FooterCount> {
    let aggregate = plan.downcast_ref::<AggregateExec>()?;
    // The state of a count is what it gives.
    let is_first = matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::Single);
    let is_plain = aggregate.group_expr().is_empty() && aggregate.filter_expr().iter().all(Option::is_none);
    let counts_all = aggregate.aggr_expr().iter().all(|call| {
        let is_known = |argument: &Arc<dyn PhysicalExpr>| {
            argument.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
        };
        *call.fun() == *count_udaf() && !call.is_distinct() && call.expressions().iter().all(is_known)
    });
    if !is_first || !is_plain || !counts_all || aggregate.aggr_expr().is_empty() {
        return None;
    }
    let mut input = aggregate.input();
    while input.downcast_ref::<CooperativeExec>().is_some() || input.downcast_ref::<ProjectionExec>().is_some() {
        input = input.children().into_iter().next()?;
    }
    let reading = input.downcast_ref::<LakeScan>()?.of_all_rows()?;
    let properties = PlanProperties::new(
        EquivalenceProperties::new(aggregate.schema()),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Final,
        Boundedness::Bounded,
    );
    Some(FooterCount { reading, properties: Arc::new(properties) })
}

/// The number of rows of some files, once for each column.
struct FooterCount {
    reading: Arc<Reading>,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for FooterCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FooterCount")
    }
}

impl DisplayAs for FooterCount {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FooterCount: files={}", self.reading.statistics().files)
    }
}

impl ExecutionPlan for FooterCount {
    fn name(&self) -> &'static str {
        "FooterCount"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let schema = self.properties.eq_properties.schema().clone();
        let (reading, of) = (self.reading.clone(), schema.clone());
        let batch = async move {
            let rows = reading.count().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            let column = |_| Arc::new(Int64Array::from(vec![rows])) as ArrayRef;
            let columns = of.fields().iter().map(column).collect();
            Ok(RecordBatch::try_new(of, columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(batch))))
    }
}
