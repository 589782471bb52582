//! Window functions.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::{lead_lag, nth_value, rank, row_number};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::utils::find_window_exprs;
use datafusion::logical_expr::{
    Cast, Expr as Logical, LogicalPlan, LogicalPlanBuilder, Projection, SortExpr, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition, lit,
};

use super::ir::{Aggregate, Bound, Frame, FrameUnit, SortKey, WindowCall};
use super::planner::{Planner, Relation, sort_keys};
use super::scalar::{Field, condition, key, scalar};
use super::{aggregate, aggregate::Taken, unsupported};
use crate::error::{Error, Result};
use crate::expr::functions::{Scale, Typed, Width};
use crate::expr::{Expr, Value};
use crate::types::{ColumnType, Compared};

/// Plans the calls of a window: the columns of the input, then one for each call.
pub(super) fn plan(planner: &mut Planner, input: Relation, calls: &[WindowCall]) -> Result<Relation> {
    let calls = calls.iter().map(|call| self::call(planner.width, call, &input.fields)).collect::<Result<Vec<_>>>()?;
    let taken = Taken::of(planner, calls, &|exprs| find_window_exprs(exprs.iter().copied()))?;
    let named = taken.calls.iter().map(|(call, name)| {
        let column = Column::new_unqualified(call.schema_name().to_string());
        Logical::Column(column).alias(name)
    });
    let named: Vec<_> = named.collect();
    let exprs = taken.calls.into_iter().map(|(call, _)| call);
    let plan = LogicalPlanBuilder::window_plan(input.plan, exprs).map_err(Error::internal)?;
    // The calls get names of their own, beside all that there was.
    let kept = input.fields.iter().flat_map(|field| match &field.scale {
        Scale::Each(scale) => vec![Logical::Column(field.column.clone()), (**scale).clone()],
        _ => vec![Logical::Column(field.column.clone())],
    });
    let mut exprs: Vec<Logical> = Vec::new();
    for expr in kept {
        if matches!(expr, Logical::Column(_)) && !exprs.contains(&expr) {
            exprs.push(expr);
        }
    }
    exprs.extend(named);
    let plan = Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(Error::internal)?;
    let columns = input.fields.iter().map(Typed::from).chain(taken.results).collect();
    planner.project(Relation { plan, fields: Vec::new() }, columns, false)
}

/// The plan with one more column: the number of each row of its partition, from 1.
pub(super) fn numbered(
    planner: &mut Planner,
    input: Relation,
    partition: Vec<Logical>,
    order: Vec<SortExpr>,
) -> Result<Relation> {
    let mut function = WindowFunction::new(row_number::row_number_udwf(), Vec::new());
    function.params.partition_by = partition;
    function.params.order_by = order;
    function.params.window_frame = whole();
    let expr = Logical::WindowFunction(Box::new(function));
    let plan = LogicalPlanBuilder::window_plan(input.plan, [expr]).map_err(Error::internal)?;
    planner.with_last(plan, input.fields, ColumnType::Int8)
}

/// An expression over calls of DataFusion's.
fn call(width: Width, call: &WindowCall, columns: &[Field]) -> Result<Typed> {
    let arguments =
        call.arguments.iter().map(|argument| scalar(width, argument, columns)).collect::<Result<Vec<_>>>()?;
    let partition = call.partition.iter().map(|partition| key(scalar(width, partition, columns)?));
    let order = sort_keys(width, &call.order, columns)?;
    let frame = frame(&call.frame, order.is_empty())?;
    let params = WindowFunctionParams {
        args: Vec::new(),
        partition_by: partition.collect::<Result<_>>()?,
        order_by: order,
        window_frame: frame,
        filter: call.filter.as_ref().map(|filter| condition(width, filter, columns).map(Box::new)).transpose()?,
        null_treatment: None,
        distinct: false,
    };
    let of = |fun: WindowFunctionDefinition, args: Vec<Logical>| {
        Logical::WindowFunction(Box::new(WindowFunction {
            fun,
            params: WindowFunctionParams { args, ..params.clone() },
        }))
    };
    Ok(match &call.function[..] {
        name @ ("row_number" | "rank" | "dense_rank") => {
            let function = match name {
                "row_number" => row_number::row_number_udwf(),
                "rank" => rank::rank_udwf(),
                _ => rank::dense_rank_udwf(),
            };
            // They are counted without a sign.
            let expr = Cast::new(Box::new(of(function.into(), Vec::new())), ColumnType::Int8.arrow());
            Typed::new(Logical::Cast(expr), ColumnType::Int8)
        }
        "percent_rank" => Typed::new(of(rank::percent_rank_udwf().into(), Vec::new()), ColumnType::Float8),
        name @ ("lag" | "lead") => {
            let value = first(&arguments)?;
            let function = if name == "lag" { lead_lag::lag_udwf() } else { lead_lag::lead_udwf() };
            let mut given = vec![value.expr.clone()];
            given.extend(shift(&call.arguments, &arguments)?);
            one_of(of(function.into(), given), value)
        }
        name @ ("first_value" | "last_value") => {
            let value = first(&arguments)?;
            let function =
                if name == "first_value" { nth_value::first_value_udwf() } else { nth_value::last_value_udwf() };
            one_of(of(function.into(), vec![value.expr.clone()]), value)
        }
        "nth_value" => {
            let value = first(&arguments)?;
            let Some(Expr::Constant(Value::Int(at @ 1..), _)) = call.arguments.get(1) else {
                return Err(unsupported("nth_value of a row that is no positive constant"));
            };
            one_of(of(nth_value::nth_value_udwf().into(), vec![value.expr.clone(), lit(*at)]), value)
        }
        _ => {
            let aggregate = Aggregate {
                function: call.function.clone(),
                arguments: call.arguments.iter().map(|argument| argument.only_where(call.filter.as_ref())).collect(),
                distinct: false,
                filter: None,
                order: Vec::new(),
            };
            if !call.frame.start.is_fixed() && !can_forget(&call.function, &arguments) {
                return Err(unsupported(format!("{} of rows that a frame leaves behind", call.function)));
            }
            let made = aggregate::call(width, &aggregate, columns)?;
            let windowed = |expr: Logical| {
                let windowed = expr.transform_down(|expr| {
                    Ok(match expr {
                        Logical::AggregateFunction(function) => {
                            let definition = WindowFunctionDefinition::AggregateUDF(function.func);
                            Transformed::new(of(definition, function.params.args), true, TreeNodeRecursion::Jump)
                        }
                        other => Transformed::no(other),
                    })
                });
                windowed.data().map_err(Error::internal)
            };
            let scale = match made.scale {
                Scale::Each(scale) => Scale::Each(Box::new(windowed(*scale)?)),
                other => other,
            };
            Typed { expr: windowed(made.expr)?, ty: made.ty, scale }
        }
    })
}

/// Whether the engine can take a row out of an aggregate again. Of floats it cannot, nor could it exactly.
fn can_forget(function: &str, arguments: &[Typed]) -> bool {
    let is_float = arguments.iter().any(|argument| argument.ty.compared() == Some(Compared::Float));
    function == "count" || (matches!(function, "sum" | "avg" | "min" | "max") && !is_float)
}

impl WindowCall {
    /// The place of a row in an order, over all rows.
    pub(super) fn ranking(function: &str, order: &[SortKey]) -> Self {
        Self {
            function: function.to_owned(),
            arguments: Vec::new(),
            filter: None,
            partition: Vec::new(),
            order: order.to_vec(),
            frame: Frame { unit: FrameUnit::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow },
        }
    }
}

impl Bound {
    /// Whether a frame that begins there begins with the same row for all rows of a partition.
    fn is_fixed(&self) -> bool {
        matches!(self, Self::UnboundedPreceding)
    }
}

/// One of the values that an argument has, or NULL.
fn one_of(expr: Logical, value: &Typed) -> Typed {
    let scale = if value.scale == Scale::Fixed { Scale::Fixed } else { Scale::Unknown };
    Typed { expr, ty: value.ty.clone(), scale }
}

fn first(arguments: &[Typed]) -> Result<&Typed> {
    arguments.first().ok_or_else(|| Error::internal("a window function without arguments"))
}

/// How far lag and lead look, and what they give where there is no row.
fn shift(given: &[Expr], arguments: &[Typed]) -> Result<Vec<Logical>> {
    let mut shift = Vec::new();
    match given.get(1) {
        None => return Ok(shift),
        Some(Expr::Constant(Value::Int(rows), _)) => shift.push(lit(*rows)),
        Some(_) => return Err(unsupported("lag and lead by what is no constant")),
    }
    match (given.get(2), arguments.get(2), arguments.first()) {
        (None, ..) | (Some(Expr::Constant(Value::Null, _)), ..) => {}
        (Some(Expr::Constant(..)), Some(default), Some(value)) if default.ty == value.ty => {
            shift.push(default.expr.clone());
        }
        _ => return Err(unsupported("a default of lag and lead that is no constant of the same type")),
    }
    Ok(shift)
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
    let is_open = |distance: &Expr| matches!(distance, Expr::Parameter(..));
    match (&frame.start, &frame.end) {
        (Bound::Preceding(start), Bound::Preceding(end)) | (Bound::Following(start), Bound::Following(end))
            if is_open(start) || is_open(end) =>
        {
            return Err(unsupported("a frame between two rows that are known only at execution"));
        }
        _ => {}
    }
    let bound = |bound: &Bound, before: bool| -> Result<WindowFrameBound> {
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
    let end = if starting { "starting" } else { "ending" };
    match rows {
        Expr::Constant(Value::Int(rows), _) => match u64::try_from(*rows) {
            Ok(rows) => Ok(ScalarValue::UInt64(Some(rows))),
            Err(_) => Err(Error::NegativeFrame { what: end }),
        },
        Expr::Constant(Value::Null, _) => Err(Error::NullFrame { what: end }),
        Expr::Parameter(..) => Ok(ScalarValue::UInt64(Some(1))),
        _ => Err(unsupported("a frame of what is no constant")),
    }
}
