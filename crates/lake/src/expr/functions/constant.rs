//! Values as expressions.

use arrow::datatypes::{DataType, IntervalMonthDayNano, i256};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::super::ir::Type;
use super::typed::{Typed, of_kind, unsupported};
use crate::error::Result;
use crate::types::{ColumnType, Kind, MAX_DIGITS, Value, number};

/// A constant, or a parameter that was bound. A numeric has the precision and scale of its digits.
pub(crate) fn constant(value: &Value, ty: Type) -> Result<Typed> {
    let Type::One(kind) = ty else { return Err(unsupported("a constant array")) };
    let ty = match value {
        Value::Numeric(text) if kind == Kind::Numeric => numeric(text)?,
        _ => of_kind(kind),
    };
    let scalar = match value {
        Value::Null => ScalarValue::try_from(&ty.arrow()).ok(),
        Value::Int(value) => number(&ty.arrow(), i128::from(*value)),
        Value::Float(bits) => float(f64::from_bits(*bits), kind),
        Value::Numeric(text) => digits(text).and_then(|digits| decimal(digits, &ty.arrow())),
        Value::Interval(months, days, micros) => interval(*months, *days, *micros),
        Value::Bool(_) | Value::Text(_) | Value::Bytes(_) => ty.scalar(value),
        Value::List(_) | Value::Above | Value::Below | Value::Late(_) => None,
    };
    let scalar = scalar.ok_or_else(|| unsupported(format!("a constant of type {ty}")))?;
    Ok(Typed::new(Expr::Literal(scalar, None), ty))
}

/// Arrow counts nanoseconds: what is longer than 292 years of microseconds alone is none.
fn interval(months: i32, days: i32, micros: i64) -> Option<ScalarValue> {
    let nanos = micros.checked_mul(1_000)?;
    Some(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos))))
}

/// Of NaN there is one.
fn float(value: f64, kind: Kind) -> Option<ScalarValue> {
    let value = if value.is_nan() { f64::NAN } else { value };
    match kind {
        Kind::Float4 => Some(ScalarValue::Float32(Some(value as f32))),
        Kind::Float8 => Some(ScalarValue::Float64(Some(value))),
        _ => None,
    }
}

/// The type of a numeric as PostgreSQL prints it.
fn numeric(text: &str) -> Result<ColumnType> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let precision = whole.trim_start_matches('0').len() + fraction.len();
    match (u8::try_from(precision.max(1)), u8::try_from(fraction.len())) {
        (Ok(precision), Ok(scale)) if precision <= MAX_DIGITS && digits(text).is_some() => {
            Ok(ColumnType::numeric(precision, scale))
        }
        _ => Err(unsupported(format!("the numeric {text}"))),
    }
}

/// All digits of a numeric as a whole number; `None` of NaN and Infinity, and beyond 256 bits.
fn digits(text: &str) -> Option<i256> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut value = i256::ZERO;
    for digit in unsigned.bytes().filter(|byte| *byte != b'.') {
        let digit = digit.is_ascii_digit().then(|| i256::from_i128(i128::from(digit - b'0')))?;
        value = value.checked_mul(i256::from_i128(10))?.checked_add(digit)?;
    }
    Some(if unsigned.len() < text.len() { -value } else { value })
}

/// A decimal of a type that has the digits.
pub(super) fn decimal(unscaled: i256, ty: &DataType) -> Option<ScalarValue> {
    match ty {
        DataType::Decimal128(p, s) => Some(ScalarValue::Decimal128(Some(unscaled.to_i128()?), *p, *s)),
        DataType::Decimal256(p, s) => Some(ScalarValue::Decimal256(Some(unscaled), *p, *s)),
        _ => None,
    }
}
