//! DataFusion's rules for logical plans, but where one gives another answer than SQL.

use std::sync::Arc;

use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// A rule of the optimizer.
pub(super) type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// DataFusion's rules of these names, in this order. Those that are left out are for subqueries and nested types, which no plan
/// of ours has.
pub(super) fn rules(names: &[&str]) -> Vec<Rule> {
    let all = Optimizer::new().rules;
    let found = |name: &&str| all.iter().find(|rule| rule.name() == *name).cloned();
    let guarded = |rule: Rule| -> Rule { if rule.name() == FILTERS { Arc::new(Filters { rule }) } else { rule } };
    names.iter().filter_map(found).map(guarded).collect()
}

/// The name of DataFusion's rule that brings conditions to where rows come from.
const FILTERS: &str = "push_down_filter";

/// That rule, which brings a condition that names no column below every aggregate. Below one that has a row without rows the
/// condition would no longer decide whether there is one: `HAVING false`.
#[derive(Debug)]
struct Filters {
    rule: Rule,
}

impl OptimizerRule for Filters {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> EngineResult<Transformed<LogicalPlan>> {
        if is_over_a_certain_row(&plan) {
            return Ok(Transformed::no(plan));
        }
        self.rule.rewrite(plan, config)
    }
}

/// Whether a plan is conditions over an aggregate that has a row even if there are none.
fn is_over_a_certain_row(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Filter(filter) = plan else { return false };
    let mut below = filter.input.as_ref();
    // The rule makes one of several conditions, and goes on with that.
    while let LogicalPlan::Filter(filter) = below {
        below = filter.input.as_ref();
    }
    matches!(below, LogicalPlan::Aggregate(aggregate) if has_certain_row(&aggregate.group_expr))
}

/// Whether groups have a row without rows: where there is none, or a set of none.
fn has_certain_row(groups: &[Expr]) -> bool {
    match groups {
        [] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        [Expr::GroupingSet(_)] => true,
        _ => false,
    }
}
