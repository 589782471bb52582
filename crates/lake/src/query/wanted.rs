//! Looks whether a query is still wanted, in between what takes long without waiting for anything: the optimizer's rules, and
//! joins that find few of very many pairs.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::Result as EngineResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};

use super::kept::CountKept;
use super::rules::Rule;
use crate::engine::cancel;

/// The rule of DataFusion before which nodes are still changed without harm: later ones tie nodes together.
const BEFORE: &str = "EnsureCooperative";

/// Rules of the optimizer, with a look after each.
pub(super) fn logical(rules: Vec<Rule>) -> Vec<Rule> {
    let look: Rule = Arc::new(Look);
    rules.into_iter().flat_map(|rule| [rule, look.clone()]).collect()
}

/// A rule for what is executed.
type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules for what is executed, and ours that change its nodes: joins look, and what windows keep is counted.
pub(super) fn physical(mut rules: Vec<PhysicalRule>) -> Vec<PhysicalRule> {
    let at = rules.iter().position(|rule| rule.name() == BEFORE).unwrap_or(rules.len());
    let own: [PhysicalRule; 2] = [Arc::new(Joins), Arc::new(CountKept)];
    rules.splice(at..at, own);
    rules
}

fn look() -> EngineResult<()> {
    cancel::check().map_err(|error| DataFusionError::External(Box::new(error)))
}

#[derive(Debug)]
struct Look;

impl OptimizerRule for Look {
    fn name(&self) -> &'static str {
        "look"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> EngineResult<Transformed<LogicalPlan>> {
        look()?;
        Ok(Transformed::no(plan))
    }
}

#[derive(Debug)]
struct Joins;

impl PhysicalOptimizerRule for Joins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> EngineResult<Arc<dyn ExecutionPlan>> {
        look()?;
        plan.transform_up(|node| match looking(node.as_ref())? {
            Some(node) => Ok(Transformed::yes(node)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "joins that look"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join whose condition looks, in the place of one that has a condition.
fn looking(node: &dyn ExecutionPlan) -> EngineResult<Option<Arc<dyn ExecutionPlan>>> {
    let node: &dyn Any = node;
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(Some(asking(filter))).build_exec().map(Some);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(asking(filter))).build()?;
        return Ok(Some(Arc::new(join)));
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>()
        && let Some(filter) = join.filter()
    {
        let (left, right) = (join.left().clone(), join.right().clone());
        let (on, options) = (join.on().to_vec(), join.sort_options().to_vec());
        let filter = Some(asking(filter));
        let join =
            SortMergeJoinExec::try_new(left, right, on, filter, join.join_type(), options, join.null_equality())?;
        return Ok(Some(Arc::new(join)));
    }
    Ok(None)
}

fn asking(filter: &JoinFilter) -> JoinFilter {
    let expression = Arc::new(Asking(filter.expression().clone()));
    JoinFilter::new(expression, filter.column_indices().to_vec(), filter.schema().clone())
}

/// A condition that is an error when nobody wants to know.
#[derive(Debug, Eq)]
struct Asking(Arc<dyn PhysicalExpr>);

// Derived, they would move what they look at.
impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ref().hash(state);
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Asking {
    fn data_type(&self, input: &Schema) -> EngineResult<DataType> {
        self.0.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> EngineResult<bool> {
        self.0.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> EngineResult<FieldRef> {
        self.0.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> EngineResult<ColumnarValue> {
        look()?;
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> EngineResult<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(child) if children.is_empty() => Ok(Arc::new(Self(child))),
            _ => Err(DataFusionError::Internal("a condition has one child".to_owned())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
