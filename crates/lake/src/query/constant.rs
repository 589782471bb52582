//! Constants of a tree as Arrow has them.

use std::str::FromStr;

use arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use super::unsupported;
use crate::error::{Error, Result};
use crate::expr::{Type, Value};
use crate::types::{self, ColumnType, Kind};

/// Digits of a Decimal256.
pub(super) const MOST_DIGITS: u8 = 76;

/// The type of a constant: that of its kind, of a numeric with its own digits.
pub(super) fn type_of(value: &Value, ty: Type) -> Result<ColumnType> {
    let kind = match ty {
        Type::One(kind) => kind,
        Type::Array { .. } => return Err(unsupported("an array")),
    };
    match value {
        Value::Numeric(text) => digits(text),
        _ => of_kind(kind),
    }
}

/// The type of a kind; of a numeric that of the fewest digits.
pub(super) fn of_kind(kind: Kind) -> Result<ColumnType> {
    Ok(match kind {
        Kind::Bool => ColumnType::Bool,
        Kind::Int2 => ColumnType::Int2,
        Kind::Int4 => ColumnType::Int4,
        Kind::Int8 => ColumnType::Int8,
        Kind::Float4 => ColumnType::Float4,
        Kind::Float8 => ColumnType::Float8,
        Kind::Numeric => ColumnType::numeric(1, 0),
        Kind::Text => ColumnType::Text,
        Kind::Bytea => ColumnType::Bytea,
        Kind::Date => ColumnType::Date,
        Kind::Time => ColumnType::Time,
        Kind::Timestamp => ColumnType::Timestamp,
        Kind::Timestamptz => ColumnType::Timestamptz,
        Kind::Uuid => ColumnType::Uuid,
    })
}

/// The fewest digits that hold a numeric with those that it shows.
fn digits(text: &str) -> Result<ColumnType> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let count = |digits: &str| digits.bytes().all(|c| c.is_ascii_digit()).then_some(digits.len());
    let (Some(whole), Some(scale)) = (count(whole.trim_start_matches('0')), count(fraction)) else {
        return Err(unsupported(format!("the number {text}")));
    };
    match (u8::try_from(whole + scale), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= MOST_DIGITS => Ok(ColumnType::numeric(precision.max(1), scale)),
        _ => Err(unsupported(format!("a number of more than {MOST_DIGITS} digits"))),
    }
}

/// A value of a type, exactly; `None` if it has no such value.
pub(super) fn literal(value: &Value, ty: &ColumnType) -> Result<Option<ScalarValue>> {
    let arrow = ty.arrow();
    Ok(match (value, ty) {
        (Value::Null, _) => Some(null(&arrow)?),
        (Value::Bool(value), ColumnType::Bool) => Some(ScalarValue::Boolean(Some(*value))),
        (Value::Int(value), _) => types::number(&arrow, i128::from(*value)),
        (Value::Float(bits), ColumnType::Float8) => Some(ScalarValue::Float64(Some(f64::from_bits(*bits)))),
        (Value::Float(bits), ColumnType::Float4) => {
            let value = f64::from_bits(*bits);
            let narrow = value as f32;
            (f64::from(narrow) == value || value.is_nan()).then_some(ScalarValue::Float32(Some(narrow)))
        }
        (Value::Numeric(text), ColumnType::Numeric(_)) => decimal(text, &arrow),
        (Value::Text(_) | Value::Bytes(_), _) => value.bytes().and_then(|bytes| types::bytes(&arrow, bytes)),
        _ => return Err(Error::internal(format!("{value:?} as {ty}"))),
    })
}

/// A value of a type that it has.
pub(super) fn exactly(value: &Value, ty: &ColumnType) -> Result<ScalarValue> {
    literal(value, ty)?.ok_or_else(|| Error::internal(format!("{value:?} as {ty}")))
}

pub(super) fn null(arrow: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from(arrow).map_err(Error::internal)
}

/// A number as a decimal, if that has all its digits.
fn decimal(text: &str, arrow: &DataType) -> Option<ScalarValue> {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = arrow else { return None };
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = usize::try_from(*scale).ok()?;
    let (kept, dropped) = fraction.split_at(fraction.len().min(scale));
    if dropped.bytes().any(|c| c != b'0') || !(whole.bytes().chain(kept.bytes())).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{kept:0<scale$}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(*precision) {
        return None;
    }
    let signed = format!("{}{}", if negative { "-" } else { "" }, if digits.is_empty() { "0" } else { digits });
    Some(match arrow {
        DataType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(signed.parse().ok()?), *precision, *scale)
        }
        _ => ScalarValue::Decimal256(Some(i256::from_str(&signed).ok()?), *precision, i8::try_from(scale).ok()?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_show() {
        assert_eq!(digits("0.05").unwrap(), ColumnType::numeric(2, 2));
        assert_eq!(digits("-120.50").unwrap(), ColumnType::numeric(5, 2));
        assert_eq!(digits("0").unwrap(), ColumnType::numeric(1, 0));
        assert!(digits("NaN").is_err() && digits(&"9".repeat(77)).is_err());
        let ty = ColumnType::numeric(5, 2).arrow();
        assert_eq!(decimal("-1.5", &ty), Some(ScalarValue::Decimal128(Some(-150), 5, 2)));
        assert_eq!(decimal("1.500", &ty), Some(ScalarValue::Decimal128(Some(150), 5, 2)));
        assert_eq!(decimal("1.505", &ty), None);
        assert_eq!(decimal("1000", &ty), None);
        assert_eq!(decimal("-0.00", &ty), Some(ScalarValue::Decimal128(Some(0), 5, 2)));
    }
}
