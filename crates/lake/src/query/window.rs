//! Window functions.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::{lead_lag, nth_value, rank, row_number};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Cast, Expr as Logical, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, WindowUDF, lit,
};

use super::ir::{Aggregate, Bound, Frame, FrameUnit, WindowCall};
use super::plan::{Planner, Relation, sort_keys};
use super::scalar::{Field, Typed, condition, scalar};
use super::{aggregate, constant, unsupported};
use crate::error::{Error, Result};
use crate::expr::{Expr, Value};
use crate::types::ColumnType;

/// Plans the calls of a window: the columns of the input, then one for each call.
pub(super) fn plan(planner: &mut Planner<'_>, input: Relation, calls: &[WindowCall]) -> Result<Relation> {
    let calls = calls.iter().map(|call| self::call(call, &input.fields)).collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<Typed> = input.fields.iter().map(Typed::from).collect();
    let mut exprs: Vec<Logical> = Vec::new();
    for call in calls {
        let column = Logical::Column(Column::new_unqualified(call.expr.schema_name().to_string()));
        if !exprs.contains(&call.expr) {
            exprs.push(call.expr);
        }
        columns.push(Typed { expr: (call.after)(column).alias(planner.name()), ty: call.ty, fixed: call.fixed });
    }
    let plan = LogicalPlanBuilder::window_plan(input.plan, exprs).map_err(Error::internal)?;
    planner.project(Relation { plan, fields: Vec::new() }, columns, false)
}

/// The plan with one more column: the number of each row of its partition, from 1.
pub(super) fn numbered(
    planner: &mut Planner<'_>,
    input: Relation,
    partition: Vec<Logical>,
    order: Vec<SortExpr>,
) -> Result<(LogicalPlan, Field)> {
    let mut function = WindowFunction::new(row_number::row_number_udwf(), Vec::new());
    function.params.partition_by = partition;
    function.params.order_by = order;
    function.params.window_frame = whole();
    let expr = Logical::WindowFunction(Box::new(function));
    let column = Logical::Column(Column::new_unqualified(expr.schema_name().to_string()));
    let plan = LogicalPlanBuilder::window_plan(input.plan, [expr]).map_err(Error::internal)?;
    let mut columns: Vec<Typed> = input.fields.iter().map(Typed::from).collect();
    columns.push(Typed { expr: column.alias(planner.name()), ty: ColumnType::Int8, fixed: true });
    let mut relation = planner.project(Relation { plan, fields: Vec::new() }, columns, false)?;
    let number = relation.fields.pop().ok_or_else(|| Error::internal("rows without numbers"))?;
    Ok((relation.plan, number))
}

struct Call {
    expr: Logical,
    ty: ColumnType,
    fixed: bool,
    after: fn(Logical) -> Logical,
}

fn call(call: &WindowCall, columns: &[Field]) -> Result<Call> {
    let arguments = call.arguments.iter().map(|argument| scalar(argument, columns)).collect::<Result<Vec<_>>>()?;
    let partition =
        call.partition.iter().map(|key| scalar(key, columns).map(Typed::key)).collect::<Result<Vec<_>>>()?;
    let order = sort_keys(&call.order, columns)?;
    let frame = frame(&call.frame, order.is_empty())?;
    let (definition, arguments, ty, fixed, after) = match &call.function[..] {
        name @ ("row_number" | "rank" | "dense_rank") => {
            let function = match name {
                "row_number" => row_number::row_number_udwf(),
                "rank" => rank::rank_udwf(),
                _ => rank::dense_rank_udwf(),
            };
            // They are counted without a sign.
            let after = |expr| Logical::Cast(Cast::new(Box::new(expr), ColumnType::Int8.arrow()));
            (function.into(), Vec::new(), ColumnType::Int8, true, after as fn(Logical) -> Logical)
        }
        "percent_rank" => own(rank::percent_rank_udwf(), Vec::new(), ColumnType::Float8, true),
        name @ ("lag" | "lead") => {
            let (value, others) = first(&arguments)?;
            let function = if name == "lag" { lead_lag::lag_udwf() } else { lead_lag::lead_udwf() };
            let mut given = vec![value.expr.clone()];
            given.extend(shift(&call.arguments, others, &value.ty)?);
            own(function, given, value.ty.clone(), value.fixed)
        }
        name @ ("first_value" | "last_value") => {
            let (value, _) = first(&arguments)?;
            let function =
                if name == "first_value" { nth_value::first_value_udwf() } else { nth_value::last_value_udwf() };
            own(function, vec![value.expr.clone()], value.ty.clone(), value.fixed)
        }
        "nth_value" => {
            let (value, _) = first(&arguments)?;
            let Some(Expr::Constant(Value::Int(at @ 1..), _)) = call.arguments.get(1) else {
                return Err(unsupported("nth_value of a row that is no positive constant"));
            };
            let given = vec![value.expr.clone(), lit(*at)];
            own(nth_value::nth_value_udwf(), given, value.ty.clone(), value.fixed)
        }
        _ => {
            let of = Aggregate {
                function: call.function.clone(),
                arguments: call.arguments.clone(),
                distinct: false,
                filter: None,
                order: Vec::new(),
            };
            let made = aggregate::call(&of, columns)?;
            let Logical::AggregateFunction(function) = made.expr else {
                return Err(unsupported(format!("the window function {}", call.function)));
            };
            let definition = WindowFunctionDefinition::AggregateUDF(function.func);
            (definition, function.params.args, made.ty, made.fixed, made.after)
        }
    };
    let mut function = WindowFunction::new(definition, arguments);
    function.params.partition_by = partition;
    function.params.order_by = order;
    function.params.window_frame = frame;
    function.params.filter = call.filter.as_ref().map(|filter| condition(filter, columns).map(Box::new)).transpose()?;
    Ok(Call { expr: Logical::WindowFunction(Box::new(function)), ty, fixed, after })
}

type Definition = (WindowFunctionDefinition, Vec<Logical>, ColumnType, bool, fn(Logical) -> Logical);

fn own(function: Arc<WindowUDF>, arguments: Vec<Logical>, ty: ColumnType, fixed: bool) -> Definition {
    (function.into(), arguments, ty, fixed, |expr| expr)
}

fn first(arguments: &[Typed]) -> Result<(&Typed, &[Typed])> {
    arguments.split_first().ok_or_else(|| Error::internal("a window function without arguments"))
}

/// How far lag and lead look, and what they give where there is no row.
fn shift(given: &[Expr], others: &[Typed], ty: &ColumnType) -> Result<Vec<Logical>> {
    let mut arguments = Vec::new();
    match given.get(1) {
        None => return Ok(arguments),
        Some(Expr::Constant(Value::Int(rows), _)) => arguments.push(lit(*rows)),
        Some(_) => return Err(unsupported("lag and lead by what is no constant")),
    }
    match (given.get(2), others.get(1)) {
        (None, _) => {}
        (Some(Expr::Constant(value, _)), Some(typed)) if typed.ty == *ty || *value == Value::Null => {
            arguments.push(lit(constant::exactly(value, ty)?));
        }
        _ => return Err(unsupported("a default of lag and lead that is no constant of the same type")),
    }
    Ok(arguments)
}

fn whole() -> WindowFrame {
    let bounds = (
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(ScalarValue::UInt64(None)),
    );
    WindowFrame::new_bounds(WindowFrameUnits::Rows, bounds.0, bounds.1)
}

fn frame(frame: &Frame, unordered: bool) -> Result<WindowFrame> {
    let units = match frame.unit {
        FrameUnit::Rows => WindowFrameUnits::Rows,
        FrameUnit::Range => WindowFrameUnits::Range,
        FrameUnit::Groups => WindowFrameUnits::Groups,
    };
    if unordered && frame.unit != FrameUnit::Rows {
        // All rows are peers, so the current row is all of them.
        let is_plain = |bound: &Bound| !matches!(bound, Bound::Preceding(_) | Bound::Following(_));
        if is_plain(&frame.start) && is_plain(&frame.end) {
            return Ok(whole());
        }
        return Err(unsupported("a frame of groups without an order"));
    }
    let bound = |bound: &Bound, before: bool| {
        Ok(match bound {
            Bound::UnboundedPreceding => WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
            Bound::UnboundedFollowing => WindowFrameBound::Following(ScalarValue::UInt64(None)),
            Bound::CurrentRow => WindowFrameBound::CurrentRow,
            Bound::Preceding(rows) => WindowFrameBound::Preceding(distance(rows, frame.unit, before)?),
            Bound::Following(rows) => WindowFrameBound::Following(distance(rows, frame.unit, before)?),
        })
    };
    Ok(WindowFrame::new_bounds(units, bound(&frame.start, true)?, bound(&frame.end, false)?))
}

fn distance(rows: &Expr, unit: FrameUnit, starting: bool) -> Result<ScalarValue> {
    if unit == FrameUnit::Range {
        return Err(unsupported("a frame of a range of values"));
    }
    match rows {
        Expr::Constant(Value::Int(rows), _) => match u64::try_from(*rows) {
            Ok(rows) => Ok(ScalarValue::UInt64(Some(rows))),
            Err(_) => Err(Error::NegativeFrame { what: if starting { "starting" } else { "ending" } }),
        },
        Expr::Parameter(..) => Ok(ScalarValue::UInt64(Some(1))),
        _ => Err(unsupported("a frame of what is no constant")),
    }
}
