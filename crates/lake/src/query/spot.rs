//! Where a constant lies among the values of a type, so that it can be compared as one of them.

use arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use crate::types::{self, ColumnType, Kind, MAX_PRECISION, Numeric, Place, Value};

/// The place of a constant among the values that a type can have.
#[derive(Debug, PartialEq)]
pub(super) enum Spot {
    /// Above all of them.
    Above,
    /// Below all of them.
    Below,
    /// At a value, or between it and the next one.
    At { floor: ScalarValue, exact: bool },
}

/// The place among the values of a type that are counted in whole units, if a constant of that kind is compared with them as
/// it is.
pub(super) fn place(ty: &ColumnType, value: &Value, kind: Kind) -> Option<Spot> {
    match value {
        Value::Above => return Some(Spot::Above),
        Value::Below => return Some(Spot::Below),
        _ => {}
    }
    let integers = [Kind::Int2, Kind::Int4, Kind::Int8];
    let own = ty.kind()?;
    let both = |kinds: &[Kind]| kinds.contains(&own) && kinds.contains(&kind);
    if own != kind && !both(&integers) && !both(&[Kind::Date, Kind::Timestamp]) {
        return None;
    }
    if let (ColumnType::Numeric(numeric), Value::Numeric(text)) = (ty, value)
        && numeric.precision > MAX_PRECISION
    {
        return wide(*numeric, text);
    }
    Some(among(ty, ty.place(value, kind)?))
}

fn among(ty: &ColumnType, place: Place) -> Spot {
    match place {
        Place::Above => Spot::Above,
        Place::Below => Spot::Below,
        Place::At { floor, exact } => match number(ty, floor) {
            Some(floor) => Spot::At { floor, exact },
            None if floor > 0 => Spot::Above,
            None => Spot::Below,
        },
    }
}

/// A whole number as a value of a type, if it has it.
fn number(ty: &ColumnType, number: i128) -> Option<ScalarValue> {
    match ty.arrow() {
        DataType::Decimal128(precision, _) if number.unsigned_abs() >= 10u128.pow(u32::from(precision)) => None,
        arrow => types::number(&arrow, number),
    }
}

/// A numeric as PostgreSQL prints it, among those of more than 38 digits.
fn wide(numeric: Numeric, text: &str) -> Option<Spot> {
    match text {
        "NaN" | "Infinity" => return Some(Spot::Above),
        "-Infinity" => return Some(Spot::Below),
        _ => {}
    }
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let scale = usize::from(numeric.scale);
    let (kept, dropped) = fraction.split_at_checked(fraction.len().min(scale))?;
    if !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{kept:0<scale$}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(numeric.precision) {
        return Some(if is_negative { Spot::Below } else { Spot::Above });
    }
    let magnitude = if digits.is_empty() { i256::ZERO } else { i256::from_string(digits)? };
    let exact = dropped.bytes().all(|digit| digit == b'0');
    let floor = match (is_negative, exact) {
        (false, _) => magnitude,
        (true, true) => magnitude.wrapping_neg(),
        (true, false) => magnitude.wrapping_neg().wrapping_sub(i256::ONE),
    };
    let floor = ScalarValue::Decimal256(Some(floor), numeric.precision, i8::try_from(numeric.scale).ok()?);
    Some(Spot::At { floor, exact })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn constants_are_floored_among_numerics_of_any_width() {
        for precision in [20, 60] {
            let ty = ColumnType::numeric(precision, 2);
            let at = |text: &str| place(&ty, &Value::Numeric(text.to_owned()), Kind::Numeric).unwrap();
            let found = |text: &str| match at(text) {
                Spot::At { floor: ScalarValue::Decimal128(Some(floor), 20, 2), exact } => (floor.to_string(), exact),
                Spot::At { floor: ScalarValue::Decimal256(Some(floor), 60, 2), exact } => (floor.to_string(), exact),
                other => panic!("{text} is {other:?}"),
            };
            assert_eq!(found("1.005"), ("100".to_owned(), false));
            assert_eq!(found("-1.005"), ("-101".to_owned(), false));
            assert_eq!(found("-0.001"), ("-1".to_owned(), false));
            assert_eq!(found("12.5000"), ("1250".to_owned(), true));
            assert_eq!(found("0"), ("0".to_owned(), true));
            assert_eq!(at("NaN"), Spot::Above);
            assert_eq!(at("-Infinity"), Spot::Below);
            assert_eq!(at(&format!("1{}", "0".repeat(58))), Spot::Above);
            assert_eq!(at(&format!("-1{}", "0".repeat(58))), Spot::Below);
        }
        let date = |time| place(&ColumnType::Date, &Value::Int(time), Kind::Timestamp);
        let at = |floor, exact| Some(Spot::At { floor: ScalarValue::Date32(Some(floor)), exact });
        assert_eq!((date(2 * DAY), date(2 * DAY + 1), date(-1)), (at(2, true), at(2, false), at(-1, false)));
        let midnight = place(&ColumnType::Timestamp, &Value::Int(-3), Kind::Date);
        let floor = ScalarValue::TimestampMicrosecond(Some(-3 * DAY), None);
        assert_eq!(midnight, Some(Spot::At { floor, exact: true }));
        assert_eq!(place(&ColumnType::Timestamp, &Value::Int(i64::from(i32::MAX) - 1), Kind::Date), Some(Spot::Above));
        assert_eq!(place(&ColumnType::Int2, &Value::Int(1 << 20), Kind::Int8), Some(Spot::Above));
        assert_eq!(place(&ColumnType::Text, &Value::Int(1), Kind::Int8), None);
    }
}
