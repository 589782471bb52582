//! Aggregate functions. The averages of exact numbers are quotients of a sum and a count, which others may ask for, too.
//!
//! ```text
//! fold     aggregates whose state is one value a group
//! total    sums, and what is least and greatest of floats
//! moments  averages, variances and standard deviations of floats
//! ```

mod fold;
mod moments;
mod total;

use std::sync::Arc;

use datafusion::functions_aggregate::{bit_and_or_xor, bool_and_or, count, min_max, string_agg};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, SortExpr, cast as native, lit, when};

use super::convert::{folded, integer_digits, widened};
use super::digits::{derived, is_narrow, whole, widest};
use super::float::canonical;
use super::quotient;
use super::scale::printed;
use super::typed::{Scale, Typed, Width, unsupported};
use crate::error::Result;
use crate::expr::rules;
use crate::types::{ColumnType, Numeric};

/// Digits of the number of rows that one query can have.
const ROWS: u8 = 18;

/// How an aggregate is called.
pub(super) struct Call {
    pub width: Width,
    pub distinct: bool,
    pub filter: Option<Expr>,
    /// The order of the rows, if they have one.
    pub order: Vec<SortExpr>,
}

/// The call of an aggregate by its name in pg_proc.
pub(super) fn aggregate(call: Call, name: &str, mut arguments: Vec<Typed>) -> Result<Typed> {
    let refused = |arguments: &[Typed]| {
        let types = arguments.iter().map(|argument| argument.ty.to_string()).collect::<Vec<_>>().join(", ");
        unsupported(format!("aggregate {name}({types})"))
    };
    let kinds = arguments.iter().map(Typed::kind).collect::<Option<Vec<_>>>();
    let listed = kinds.as_ref().and_then(|kinds| rules::find_aggregate(name, kinds));
    if listed.is_none() {
        return Err(refused(&arguments));
    }
    if name == "string_agg" {
        return joined(&call, &arguments)
            .ok_or_else(|| unsupported("string_agg that is not in the order of its texts"));
    }
    if arguments.len() > 1 {
        return Err(refused(&arguments));
    }
    let Some(value) = arguments.pop() else {
        return Ok(Typed::new(call.of(count::count_udaf(), lit(1i64)), ColumnType::Int8));
    };
    let is_float = matches!(value.ty, ColumnType::Float4 | ColumnType::Float8);
    match name {
        "count" => {
            let value = if call.distinct { canonical(value) } else { value };
            Ok(Typed::new(call.of(count::count_udaf(), value.expr), ColumnType::Int8))
        }
        "bool_and" | "every" => Ok(Typed::new(call.of(bool_and_or::bool_and_udaf(), value.expr), ColumnType::Bool)),
        "bool_or" => Ok(Typed::new(call.of(bool_and_or::bool_or_udaf(), value.expr), ColumnType::Bool)),
        "bit_and" | "bit_or" | "bit_xor" if name != "bit_xor" || !call.distinct => {
            let function = match name {
                "bit_and" => bit_and_or_xor::bit_and_udaf(),
                "bit_or" => bit_and_or_xor::bit_or_udaf(),
                _ => bit_and_or_xor::bit_xor_udaf(),
            };
            let ty = value.ty.clone();
            let expr =
                if name == "bit_xor" { call.of(function, value.expr) } else { call.of_all(function, value.expr) };
            Ok(Typed::new(expr, ty))
        }
        "min" | "max" => Ok(extreme(&call, name == "max", value)),
        "sum" if is_float && call.order.is_empty() && !call.distinct => {
            let ty = value.ty.clone();
            Ok(Typed::new(call.of(total::sum(ty.arrow(), false), value.expr), ty))
        }
        "sum" if !is_float => sum(&call, value),
        "avg" if !is_float => average(&call, value),
        // Of distinct values, too, the answer depends on their order.
        _ => match moments::moment(name) {
            Some(moment) if is_float && call.order.is_empty() && !call.distinct => {
                let value = widened(value, ColumnType::Float8);
                Ok(Typed::new(call.of(moment, value.expr), ColumnType::Float8))
            }
            _ => Err(refused(&[value])),
        },
    }
}

impl Call {
    fn of(&self, function: Arc<AggregateUDF>, argument: Expr) -> Expr {
        let filter = self.filter.clone().map(Box::new);
        Expr::AggregateFunction(AggregateFunction::new_udf(
            function,
            vec![argument],
            self.distinct,
            filter,
            Vec::new(),
            None,
        ))
    }

    /// The same of all values: what is asked is the same of those that are distinct.
    fn of_all(&self, function: Arc<AggregateUDF>, argument: Expr) -> Expr {
        Call { width: self.width, distinct: false, filter: self.filter.clone(), order: Vec::new() }
            .of(function, argument)
    }
}

/// Texts with a constant between them. Their order has to be one of the texts themselves, at last: then rows that are equal to
/// it are the same text.
fn joined(call: &Call, arguments: &[Typed]) -> Option<Typed> {
    let [text, Typed { expr: delimiter @ Expr::Literal(constant, _), .. }] = arguments else { return None };
    if call.distinct || constant.is_null() || !call.order.iter().any(|key| key.expr == text.expr) {
        return None;
    }
    let arguments = vec![text.expr.clone(), delimiter.clone()];
    let (filter, order) = (call.filter.clone().map(Box::new), call.order.clone());
    let joined = AggregateFunction::new_udf(string_agg::string_agg_udaf(), arguments, false, filter, order, None);
    let ty = ColumnType::Text;
    Some(Typed::new(native(Expr::AggregateFunction(joined), ty.arrow()), ty))
}

/// PostgreSQL keeps the value that comes first of those that are equal; only zeros of floats show which one that is, and
/// numerics of several scales.
fn extreme(call: &Call, is_max: bool, value: Typed) -> Typed {
    let function = match value.ty {
        ColumnType::Float4 | ColumnType::Float8 => total::extreme(value.ty.arrow(), is_max),
        _ if is_max => min_max::max_udaf(),
        _ => min_max::min_udaf(),
    };
    let scale = if value.scale == Scale::Fixed { Scale::Fixed } else { Scale::Unknown };
    Typed { expr: call.of_all(function, value.expr), ty: value.ty, scale }
}

fn sum(call: &Call, value: Typed) -> Result<Typed> {
    let (own, scale) = match &value.ty {
        ColumnType::Int2 | ColumnType::Int4 => {
            let ty = ColumnType::Int8;
            return Ok(Typed::new(call.of(total::sum(ty.arrow(), false), value.expr), ty));
        }
        ColumnType::Numeric(own) => (*own, sum_scale(call, &value)),
        ty => (Numeric { precision: integer_digits(ty).unwrap_or(19), scale: 0 }, Scale::Fixed),
    };
    let (numeric, checked) = derived(call.width, whole(own) + u16::from(ROWS), own.scale.into(), is_narrow(own))?;
    let ty = ColumnType::Numeric(numeric);
    let argument = if is_narrow(numeric) { value.expr } else { widest(value) };
    Ok(Typed { expr: call.of(total::sum(ty.arrow(), checked), argument), ty, scale })
}

/// The largest scale of the values that are summed up.
fn sum_scale(call: &Call, value: &Typed) -> Scale {
    if value.scale == Scale::Fixed {
        return Scale::Fixed;
    }
    let known = printed(value).and_then(|scale| when(value.expr.clone().is_not_null(), scale).end().ok());
    known.map_or(Scale::Unknown, |scale| Scale::Each(Box::new(call.of_all(min_max::max_udaf(), scale))))
}

/// Their sum as a numeric, divided by their number.
fn average(call: &Call, value: Typed) -> Result<Typed> {
    let own = match &value.ty {
        ColumnType::Numeric(own) => *own,
        ty => Numeric { precision: integer_digits(ty).unwrap_or(19), scale: 0 },
    };
    let number = Typed::new(call.of(count::count_udaf(), value.expr.clone()), ColumnType::Int8);
    let rows = Numeric { precision: ROWS, scale: 0 };
    let arrow = ColumnType::Numeric(rows).arrow();
    let number = Typed::new(folded(number.expr, &arrow), ColumnType::Numeric(rows));
    let mut sum = sum(call, value)?;
    if sum.ty == ColumnType::Int8 {
        sum = widened(sum, ColumnType::numeric(19, 0));
    }
    let Some(total) = sum.numeric() else { return Err(unsupported("an average")) };
    // No average is beyond all values.
    quotient::quotient_of_count(sum, number, (total, rows), whole(own))
}
