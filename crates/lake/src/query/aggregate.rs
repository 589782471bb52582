//! Groups and aggregates.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::functions_aggregate::any_value::any_value_udaf;
use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::grouping::grouping_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate as Node, AggregateUDF, Expr as Logical, GroupingSet, LogicalPlan, lit};

use super::ir::{Aggregate, Rel};
use super::plan::{Planner, Relation};
use super::scalar::{Field, Typed, condition, scalar};
use super::{constant, own, unnest, unsupported};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::types::{ColumnType, Compared};

/// What GROUPING is called among the aggregates; its arguments are groups.
const GROUPING: &str = "grouping";

/// Plans groups, then aggregates.
pub(super) fn plan(
    planner: &mut Planner<'_>,
    input: &Rel,
    groups: &[Expr],
    sets: Option<&[Vec<usize>]>,
    aggregates: &[Aggregate],
) -> Result<Relation> {
    let Some(sets) = sets else {
        let input = planner.relation(input)?;
        let calls = aggregates.iter().map(|call| {
            if call.function == GROUPING { Ok(Call::grouping(lit(0i32))) } else { self::call(call, &input.fields) }
        });
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let keys = keys(groups, &input.fields)?;
        return grouped(planner, input, keys, calls);
    };
    let mut relations = Vec::new();
    let some: Vec<_> = sets.iter().filter(|set| !set.is_empty()).collect();
    if !some.is_empty() {
        relations.push(in_sets(planner, input, groups, &some, aggregates)?);
    }
    // The set of no group has a row even if there are no rows, so it is an aggregate of its own.
    for _ in sets.iter().filter(|set| set.is_empty()) {
        relations.push(of_all(planner, input, groups, aggregates)?);
    }
    let mut relations = relations.into_iter();
    let first = relations.next().ok_or_else(|| Error::internal("no grouping set"))?;
    relations.try_fold(first, |so_far, next| planner.union(so_far, next))
}

fn keys(groups: &[Expr], columns: &[Field]) -> Result<Vec<Typed>> {
    let key = |group: &Expr| {
        let typed = scalar(group, columns)?;
        if matches!(typed.ty, ColumnType::Array(_)) {
            return Err(unsupported("groups of arrays"));
        }
        Ok(Typed { ty: typed.ty.clone(), fixed: typed.fixed, expr: typed.key() })
    };
    groups.iter().map(key).collect()
}

fn grouped(planner: &mut Planner<'_>, input: Relation, keys: Vec<Typed>, mut calls: Vec<Call>) -> Result<Relation> {
    let wanted = calls.len();
    if keys.is_empty() && calls.iter().all(|call| call.is_constant) {
        calls.push(Call::plain(count_udaf(), vec![lit(1i64)], ColumnType::Int8));
    }
    let mut fields = Vec::new();
    let mut groups = Vec::new();
    for key in keys {
        let name = planner.name();
        groups.push(key.expr.alias(&name));
        fields.push(Field { column: Column::from_name(name), ty: key.ty, fixed: key.fixed });
    }
    finish(planner, input, groups, fields, calls, wanted)
}

/// Makes the node, and on top of it what is to be done with the results of calls.
fn finish(
    planner: &mut Planner<'_>,
    input: Relation,
    groups: Vec<Logical>,
    fields: Vec<Field>,
    calls: Vec<Call>,
    wanted: usize,
) -> Result<Relation> {
    let mut aggregates = Vec::new();
    let mut columns: Vec<Typed> = fields.iter().map(Typed::from).collect();
    for (i, call) in calls.into_iter().enumerate() {
        let made = if call.is_constant {
            call.expr
        } else {
            let name = planner.name();
            aggregates.push(call.expr.alias(&name));
            (call.after)(Logical::Column(Column::from_name(name)))
        };
        if i < wanted {
            columns.push(Typed { expr: made, ty: call.ty, fixed: call.fixed });
        }
    }
    let node = Node::try_new(Arc::new(input.plan), groups, aggregates).map_err(Error::internal)?;
    planner.project(Relation { plan: LogicalPlan::Aggregate(node), fields: Vec::new() }, columns, false)
}

/// In sets that have groups.
fn in_sets(
    planner: &mut Planner<'_>,
    input: &Rel,
    groups: &[Expr],
    sets: &[&Vec<usize>],
    aggregates: &[Aggregate],
) -> Result<Relation> {
    let input = planner.relation(input)?;
    let keys = keys(groups, &input.fields)?;
    // Groups become columns, since sets name them more than once.
    let width = keys.len();
    let columns = keys.into_iter().chain(input.fields.iter().map(Typed::from)).collect();
    let input = planner.project(input, columns, true)?;
    let (fields, columns) = input.fields.split_at(width);
    let column = |at: &usize| {
        let field = fields.get(*at).ok_or_else(|| Error::internal(format!("no group {at}")))?;
        Ok(Logical::Column(field.column.clone()))
    };
    let calls = aggregates.iter().map(|call| {
        if call.function != GROUPING {
            return self::call(call, columns);
        }
        let at = |argument: &Expr| groups.iter().position(|group| group == argument);
        let at = call.arguments.iter().map(at).collect::<Option<Vec<_>>>();
        let at = at.ok_or_else(|| Error::internal("GROUPING of what is no group"))?;
        if at.iter().any(|at| !sets.iter().any(|set| set.contains(at))) {
            return Err(unsupported("GROUPING of what is in no set"));
        }
        let arguments = at.iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Call { is_constant: false, ..Call::plain(grouping_udaf(), arguments, ColumnType::Int4) })
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let set = |set: &&Vec<usize>| set.iter().map(column).collect::<Result<Vec<_>>>();
    let sets_of_columns = sets.iter().map(set).collect::<Result<Vec<_>>>()?;
    let wanted = calls.len();
    let mut fields = fields.to_vec();
    let missing: Vec<_> = (0..width).filter(|at| !sets.iter().any(|set| set.contains(at))).collect();
    let nulls = missing.iter().map(|at| fields.get(*at).map(|field| null(&field.ty)).transpose());
    let nulls = nulls.collect::<Result<Vec<_>>>()?;
    let kept: Vec<_> =
        fields.iter().enumerate().filter(|(at, _)| !missing.contains(at)).map(|(_, f)| f.clone()).collect();
    let groups = vec![Logical::GroupingSet(GroupingSet::GroupingSets(sets_of_columns))];
    let node = Relation { plan: input.plan, fields: Vec::new() };
    let relation = finish(planner, node, groups, kept, calls, wanted)?;
    if missing.is_empty() {
        return Ok(relation);
    }
    // A group of no set is NULL in all rows.
    let mut made = relation.fields.iter();
    let mut columns = Vec::new();
    for (at, field) in fields.drain(..).enumerate() {
        match missing.iter().position(|missing| *missing == at).and_then(|at| nulls.get(at).cloned().flatten()) {
            Some(expr) => columns.push(Typed { expr, ty: field.ty, fixed: true }),
            None => columns.extend(made.next().map(Typed::from)),
        }
    }
    columns.extend(made.map(Typed::from));
    planner.project(relation, columns, false)
}

/// Of all rows, as one of several sets: groups are NULL.
fn of_all(planner: &mut Planner<'_>, input: &Rel, groups: &[Expr], aggregates: &[Aggregate]) -> Result<Relation> {
    let input = planner.relation(input)?;
    let types = keys(groups, &input.fields)?.into_iter().map(|key| key.ty);
    let nulls = types.map(|ty| Ok(Typed { expr: null(&ty)?, ty, fixed: true })).collect::<Result<Vec<_>>>()?;
    let calls = aggregates.iter().map(|call| {
        if call.function != GROUPING {
            return self::call(call, &input.fields);
        }
        // All bits: it is grouped by none.
        Ok(Call::grouping(lit(i32::try_from((1i64 << call.arguments.len().min(31)) - 1).unwrap_or(i32::MAX))))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let relation = grouped(planner, input, Vec::new(), calls)?;
    let columns = nulls.into_iter().chain(relation.fields.iter().map(Typed::from)).collect();
    planner.project(relation, columns, false)
}

fn null(ty: &ColumnType) -> Result<Logical> {
    Ok(lit(constant::null(&ty.arrow())?))
}

/// A call of an aggregate function, as an expression of a node.
pub(super) struct Call {
    pub expr: Logical,
    pub ty: ColumnType,
    pub fixed: bool,
    /// What makes the result of what the node gives.
    pub after: fn(Logical) -> Logical,
    /// Known without the node.
    is_constant: bool,
}

impl Call {
    fn plain(function: Arc<AggregateUDF>, arguments: Vec<Logical>, ty: ColumnType) -> Self {
        let expr = AggregateFunction::new_udf(function, arguments, false, None, Vec::new(), None);
        Self { expr: Logical::AggregateFunction(expr), ty, fixed: true, after: |expr| expr, is_constant: false }
    }

    fn grouping(value: Logical) -> Self {
        Self { expr: value, ty: ColumnType::Int4, fixed: true, after: |expr| expr, is_constant: true }
    }
}

/// A call over these columns.
pub(super) fn call(call: &Aggregate, columns: &[Field]) -> Result<Call> {
    let arguments = call.arguments.iter().map(|argument| scalar(argument, columns)).collect::<Result<Vec<_>>>()?;
    let filter = call.filter.as_ref().map(|filter| condition(filter, columns).map(Box::new)).transpose()?;
    let mut made = named(&call.function, arguments)?;
    if let Logical::AggregateFunction(function) = &mut made.expr {
        function.params.distinct = call.distinct && !is_idempotent(&call.function);
        function.params.filter = filter;
    }
    Ok(made)
}

/// Whether it is the same of distinct values.
fn is_idempotent(function: &str) -> bool {
    matches!(function, "min" | "max" | "bool_and" | "bool_or" | "every")
}

fn named(function: &str, mut arguments: Vec<Typed>) -> Result<Call> {
    let refused = || unsupported(format!("the aggregate function {function}"));
    if function == "count" {
        let arguments = if arguments.is_empty() { vec![lit(1i64)] } else { vec![argument(&mut arguments)?.key()] };
        return Ok(Call::plain(count_udaf(), arguments, ColumnType::Int8));
    }
    let udaf = match function {
        "min" => min_udaf(),
        "max" => max_udaf(),
        "bool_and" | "every" => bool_and_udaf(),
        "bool_or" => bool_or_udaf(),
        unnest::ANY => any_value_udaf(),
        _ => return Err(refused()),
    };
    let Typed { expr, ty, fixed } = argument(&mut arguments)?;
    let is_extreme = matches!(function, "min" | "max");
    match ty.compared() {
        // DataFusion's own forget NaN and the infinities.
        Some(Compared::Float) if is_extreme => {
            let call = Call::plain(udaf, vec![own::ordered(expr)], ty);
            Ok(Call { after: own::unordered, fixed, ..call })
        }
        None | Some(Compared::Bool) if is_extreme => Err(refused()),
        _ if is_extreme && ty == ColumnType::Uuid => Err(refused()),
        _ => Ok(Call { fixed, ..Call::plain(udaf, vec![expr], ty) }),
    }
}

fn argument(arguments: &mut Vec<Typed>) -> Result<Typed> {
    match (arguments.pop(), arguments.is_empty()) {
        (Some(argument), true) => Ok(argument),
        _ => Err(Error::internal("an aggregate of one argument")),
    }
}
