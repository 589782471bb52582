//! The logical optimizer: DataFusion's rules that bring conditions to where rows come from, our order of joins, then its rules
//! that leave out columns and repeated work.
//!
//! ```text
//! joins        blocks of joins, and plans of an order
//! order        which order costs least
//! cardinality  rows and values, by estimate
//! ```

mod cardinality;
mod joins;
mod order;

use datafusion::common::Result as EngineResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;

use super::rules::rules;
use super::wanted;

/// Rules before joins are ordered.
const BEFORE: [&str; 15] = [
    "optimize_unions",
    "simplify_expressions",
    "replace_distinct_aggregate",
    "eliminate_join",
    "extract_equijoin_predicate",
    "eliminate_duplicated_expr",
    "eliminate_filter",
    "eliminate_cross_join",
    "eliminate_limit",
    "propagate_empty_relation",
    "eliminate_outer_join",
    "push_down_limit",
    "push_down_filter",
    "single_distinct_aggregation_to_group_by",
    "eliminate_group_by_constant",
];
/// Rules after that.
const AFTER: [&str; 3] = ["push_down_filter", "common_sub_expression_eliminate", "optimize_projections"];

/// A plan that gives the same rows as this one, sooner.
pub(super) fn optimized(state: &SessionState, plan: &LogicalPlan) -> EngineResult<LogicalPlan> {
    let plan = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let plan = Optimizer::with_rules(wanted::logical(rules(&BEFORE))).optimize(plan, state, |_, _| {})?;
    let plan = joins::ordered(plan)?;
    Optimizer::with_rules(wanted::logical(rules(&AFTER))).optimize(plan, state, |_, _| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_is_named_is_there() {
        assert_eq!(rules(&BEFORE).len(), BEFORE.len());
        assert_eq!(rules(&AFTER).len(), AFTER.len());
    }
}
