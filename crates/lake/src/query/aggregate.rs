//! Groups and aggregates.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::functions_aggregate::any_value::any_value_udaf;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::grouping::grouping_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{
    Aggregate as Node, AggregateUDF, Expr as Logical, GroupingSet, LogicalPlan, Operator, lit,
};

use super::ir::Aggregate;
use super::planner::{Planner, Relation, sort_keys};
use super::scalar::{Field, binary, condition, key, keyed, null, scalar};
use super::unnest;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::functions::{self, Scale, Typed, Width};
use crate::types::{ColumnType, Compared};

/// What GROUPING is called among the aggregates; its arguments are groups.
const GROUPING: &str = "grouping";

/// Groups first, then aggregates.
pub(super) fn plain(
    planner: &mut Planner,
    input: Relation,
    groups: &[Expr],
    aggregates: &[Aggregate],
) -> Result<Relation> {
    let calls = aggregates.iter().map(|call| {
        if call.function == GROUPING {
            return Ok(Typed::new(lit(0i32), ColumnType::Int4));
        }
        self::call(planner.width, call, &input.fields)
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let keys = keys(planner.width, groups, &input.fields)?;
    grouped(planner, input, keys, calls)
}

fn keys(width: Width, groups: &[Expr], columns: &[Field]) -> Result<Vec<Typed>> {
    groups.iter().map(|group| keyed(scalar(width, group, columns)?)).collect()
}

fn grouped(planner: &mut Planner, input: Relation, keys: Vec<Typed>, calls: Vec<Typed>) -> Result<Relation> {
    let mut fields = Vec::new();
    let mut groups = Vec::new();
    for key in keys {
        let name = planner.name();
        groups.push(key.expr.alias(&name));
        fields.push(Field { column: Column::from_name(name), ty: key.ty, scale: key.scale });
    }
    finish(planner, input, groups, fields, calls)
}

/// Makes the node, and on top of it what is to be done with the results of its calls.
fn finish(
    planner: &mut Planner,
    input: Relation,
    groups: Vec<Logical>,
    fields: Vec<Field>,
    calls: Vec<Typed>,
) -> Result<Relation> {
    let taken = Taken::of(planner, calls, &|exprs| find_aggregate_exprs(exprs.iter().copied()))?;
    let mut aggregates: Vec<Logical> = taken.calls.into_iter().map(|(call, name)| call.alias(name)).collect();
    if groups.is_empty() && aggregates.is_empty() {
        aggregates.push(node(count_udaf(), vec![lit(1i64)]).alias(planner.name()));
    }
    let columns = fields.iter().map(Typed::from).chain(taken.results).collect();
    let node = Node::try_new(Arc::new(input.plan), groups, aggregates).map_err(Error::internal)?;
    planner.project(Relation { plan: LogicalPlan::Aggregate(node), fields: Vec::new() }, columns, false)
}

/// Calls that a node computes, taken out of the expressions over them.
pub(super) struct Taken {
    /// Each with the name that it has in the results.
    pub calls: Vec<(Logical, String)>,
    pub results: Vec<Typed>,
}

impl Taken {
    /// `find` finds the calls within expressions.
    pub(super) fn of(
        planner: &mut Planner,
        exprs: Vec<Typed>,
        find: &dyn Fn(&[&Logical]) -> Vec<Logical>,
    ) -> Result<Self> {
        let mut calls: Vec<(Logical, String)> = Vec::new();
        let mut results = Vec::with_capacity(exprs.len());
        for Typed { expr, ty, scale } in exprs {
            let within = match &scale {
                Scale::Each(scale) => find(&[&expr, scale]),
                _ => find(&[&expr]),
            };
            for call in within {
                if !calls.iter().any(|(known, _)| *known == call) {
                    calls.push((call, planner.name()));
                }
            }
            let scale = match scale {
                Scale::Each(scale) => Scale::Each(Box::new(replaced(*scale, &calls)?)),
                other => other,
            };
            results.push(Typed { expr: replaced(expr, &calls)?, ty, scale });
        }
        Ok(Self { calls, results })
    }
}

/// The expression with columns in place of calls.
fn replaced(expr: Logical, calls: &[(Logical, String)]) -> Result<Logical> {
    let replaced = expr.transform_down(|expr| {
        Ok(match calls.iter().find(|(call, _)| *call == expr) {
            Some((_, name)) => Transformed::yes(Logical::Column(Column::from_name(name))),
            None => Transformed::no(expr),
        })
    });
    replaced.data().map_err(Error::internal)
}

/// In sets that have groups.
pub(super) fn in_sets(
    planner: &mut Planner,
    input: Relation,
    groups: &[Expr],
    sets: &[&Vec<usize>],
    aggregates: &[Aggregate],
) -> Result<Relation> {
    let keys = keys(planner.width, groups, &input.fields)?;
    // Groups become columns, since sets name them more than once.
    let width = keys.len();
    let columns = keys.into_iter().chain(input.fields.iter().map(Typed::from)).collect();
    let input = planner.project(input, columns, true)?;
    let (fields, columns) = input.fields.split_at(width);
    let column = |at: &usize| -> Result<Logical> {
        let field = fields.get(*at).ok_or_else(|| Error::internal(format!("no group {at}")))?;
        Ok(Logical::Column(field.column.clone()))
    };
    let is_grouped = |at: &usize| sets.iter().any(|set| set.contains(at));
    let calls = aggregates.iter().map(|call| {
        if call.function != GROUPING {
            return self::call(planner.width, call, columns);
        }
        let at = call.arguments.iter().map(|argument| groups.iter().position(|group| group == argument));
        let at = at.collect::<Option<Vec<_>>>().ok_or_else(|| Error::internal("GROUPING of what is no group"))?;
        // A bit each, the last one first; of what is in no set it is always one.
        let mut sum: Option<Logical> = None;
        for (bit, at) in at.iter().rev().take(31).enumerate() {
            let weight = lit(1i32 << bit);
            let part = match is_grouped(at) {
                true => binary(node(grouping_udaf(), vec![column(at)?]), Operator::Multiply, weight),
                false => weight,
            };
            sum = Some(match sum {
                Some(sum) => binary(sum, Operator::Plus, part),
                None => part,
            });
        }
        Ok(Typed::new(sum.unwrap_or_else(|| lit(0i32)), ColumnType::Int4))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let set = |set: &&Vec<usize>| set.iter().map(column).collect::<Result<Vec<_>>>();
    let sets_of_columns = sets.iter().map(set).collect::<Result<Vec<_>>>()?;
    let kept: Vec<_> = (0..width).filter(is_grouped).filter_map(|at| fields.get(at).cloned()).collect();
    let all: Vec<_> = fields.to_vec();
    let nodes = vec![Logical::GroupingSet(GroupingSet::GroupingSets(sets_of_columns))];
    let relation = finish(planner, Relation { plan: input.plan, fields: Vec::new() }, nodes, kept, calls)?;
    // A group of no set is NULL in all rows.
    let mut made = relation.fields.iter();
    let mut columns = Vec::new();
    for (at, field) in all.into_iter().enumerate() {
        if is_grouped(&at) {
            columns.extend(made.next().map(Typed::from));
        } else {
            columns.push(Typed::new(null(&field.ty)?, field.ty));
        }
    }
    columns.extend(made.map(Typed::from));
    planner.project(relation, columns, false)
}

/// Of all rows, as one of several sets: groups are NULL.
pub(super) fn of_all(
    planner: &mut Planner,
    input: Relation,
    groups: &[Expr],
    aggregates: &[Aggregate],
) -> Result<Relation> {
    let keys = keys(planner.width, groups, &input.fields)?;
    let nulls = keys.into_iter().map(|key| Ok(Typed::new(null(&key.ty)?, key.ty))).collect::<Result<Vec<_>>>()?;
    let calls = aggregates.iter().map(|call| {
        if call.function != GROUPING {
            return self::call(planner.width, call, &input.fields);
        }
        // All bits: it is grouped by none.
        let bits = (1i64 << call.arguments.len().min(31)) - 1;
        Ok(Typed::new(lit(i32::try_from(bits).unwrap_or(i32::MAX)), ColumnType::Int4))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let relation = grouped(planner, input, Vec::new(), calls)?;
    let columns = nulls.into_iter().chain(relation.fields.iter().map(Typed::from)).collect();
    planner.project(relation, columns, false)
}

fn node(function: Arc<AggregateUDF>, arguments: Vec<Logical>) -> Logical {
    Logical::AggregateFunction(AggregateFunction::new_udf(function, arguments, false, None, Vec::new(), None))
}

/// A call over these columns: an expression over calls of DataFusion's.
pub(super) fn call(width: Width, call: &Aggregate, columns: &[Field]) -> Result<Typed> {
    let filter = call.filter.as_ref();
    let arguments = call.arguments.iter().map(|argument| scalar(width, &argument.only_where(filter), columns));
    let mut arguments = arguments.collect::<Result<Vec<_>>>()?;
    if call.function == unnest::ANY {
        let argument = arguments.pop().ok_or_else(|| Error::internal("any of nothing"))?;
        let scale = if argument.scale == Scale::Fixed { Scale::Fixed } else { Scale::Unknown };
        return Ok(Typed { expr: node(any_value_udaf(), vec![argument.expr]), ty: argument.ty, scale });
    }
    if call.distinct {
        for argument in &mut arguments {
            if argument.ty.compared() == Some(Compared::Float) {
                argument.expr = key(argument.clone())?;
            }
        }
    }
    let filter = filter.map(|filter| condition(width, filter, columns)).transpose()?;
    let order = sort_keys(width, &call.order, columns)?;
    functions::aggregate(width, &call.function, arguments, call.distinct, filter, order)
}

impl Expr {
    /// The argument of a call whose filter this is: DataFusion computes it before it filters, so that what fails would fail for
    /// rows that are left out.
    pub(super) fn only_where(&self, filter: Option<&Expr>) -> Expr {
        match (self, filter, self.ty()) {
            (Self::Column(..) | Self::Constant(..) | Self::Parameter(..), ..) => self.clone(),
            (argument, Some(filter), Some(ty)) => Expr::Case(vec![(filter.clone(), argument.clone())], None, ty),
            (argument, ..) => argument.clone(),
        }
    }
}
