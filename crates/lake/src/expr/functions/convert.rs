//! What brings values to one type that has room for them.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast as native, lit};

use super::datetime;
use super::typed::{Scale, Typed, unsupported};
use crate::error::Result;
use crate::types::{ColumnType, MAX_DIGITS};

/// The same values in one type, for comparisons, CASE, COALESCE and set operations. Numbers become the wider ones and dates
/// timestamps, which is how they are compared; PostgreSQL has cast all other types to one where it asks for that. The scales of numerics are those from before.
pub(crate) fn common(values: Vec<Typed>) -> Result<Vec<Typed>> {
    let mut types = values.iter().map(|value| value.ty.clone());
    let Some(first) = types.next() else { return Ok(values) };
    let ty = types.try_fold(first, |a, b| wider(&a, &b).ok_or_else(|| unsupported(format!("{a} beside {b}"))))?;
    Ok(values.into_iter().map(|value| widened(value, ty.clone())).collect())
}

fn wider(a: &ColumnType, b: &ColumnType) -> Option<ColumnType> {
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (ColumnType::Numeric(a), ColumnType::Numeric(b)) => {
            let scale = a.scale.max(b.scale);
            let precision = (a.precision - a.scale).max(b.precision - b.scale) + scale;
            (precision <= MAX_DIGITS).then(|| ColumnType::numeric(precision, scale))
        }
        (
            ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8,
            ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8,
        ) => Some(if integer_digits(a) > integer_digits(b) { a.clone() } else { b.clone() }),
        (ColumnType::Float4 | ColumnType::Float8, ColumnType::Float4 | ColumnType::Float8) => Some(ColumnType::Float8),
        (ColumnType::Date, ColumnType::Timestamp) | (ColumnType::Timestamp, ColumnType::Date) => {
            Some(ColumnType::Timestamp)
        }
        _ => None,
    }
}

/// The value in a type that holds all values of its own: never an error, and PostgreSQL prints the same. Constants stay such.
pub(super) fn widened(value: Typed, ty: ColumnType) -> Typed {
    if value.ty == ty {
        return value;
    }
    if value.ty == ColumnType::Date {
        return datetime::compared(value);
    }
    let scale = match (value.scale, &value.ty, &ty) {
        (Scale::Fixed, ColumnType::Numeric(own), ColumnType::Numeric(wanted)) if own.scale != wanted.scale => {
            Scale::Each(Box::new(lit(i32::from(own.scale))))
        }
        (scale, ..) => scale,
    };
    Typed { expr: folded(value.expr, &ty.arrow()), ty, scale }
}

/// The same values in an Arrow type that holds them. A constant stays one.
pub(super) fn folded(expr: Expr, to: &DataType) -> Expr {
    match expr {
        Expr::Literal(scalar, metadata) => match scalar.cast_to(to) {
            Ok(cast) => Expr::Literal(cast, metadata),
            Err(_) => native(Expr::Literal(scalar, metadata), to.clone()),
        },
        expr => native(expr, to.clone()),
    }
}

/// Decimal digits of the largest value of an integer type.
pub(super) fn integer_digits(ty: &ColumnType) -> Option<u8> {
    match ty {
        ColumnType::Int2 => Some(5),
        ColumnType::Int4 => Some(10),
        ColumnType::Int8 => Some(19),
        _ => None,
    }
}
