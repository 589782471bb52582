//! Values of constants and parameters, as they are compared.

use serde::{Deserialize, Serialize};

use super::column::MAX_PRECISION;

/// A value of a constant or parameter. Its type stands beside it: types that are compared alike have one representation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Bool(bool),
    /// An integer; a date in days since 1970-01-01; a time in microseconds since midnight; a timestamp in microseconds since
    /// 1970-01-01, UTC if it has a zone. Infinities of dates are the ends of the range of 32 bits, which are no dates.
    Int(i64),
    /// A timestamp that 64 bits do not count from 1970, although they do from 2000: in microseconds since 2000-01-01.
    Late(i64),
    /// Greater than all that a column can hold: infinity of timestamps. A file may hold the greatest number of 64 bits, so
    /// that cannot stand for it.
    Above,
    /// Less than all that a column can hold.
    Below,
    /// Months, days and microseconds of an interval.
    Interval(i32, i32, i64),
    /// The bits of a double precision, so that NaN survives JSON. A real is the double precision that it equals.
    Float(u64),
    /// As PostgreSQL prints it: digits, `NaN`, `Infinity`, `-Infinity`.
    Numeric(String),
    Text(String),
    /// bytea and uuid.
    Bytes(Vec<u8>),
    /// The elements of an array, for IN.
    List(Vec<Value>),
}

impl Value {
    /// A floating-point number.
    pub fn float(number: f64) -> Self {
        Self::Float(number.to_bits())
    }

    /// What is compared of a text, bytea or uuid.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

/// The bits of a float, with one NaN and one zero.
pub(crate) fn canonical(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// Where a constant lies among the whole numbers that a column can hold: integers, days, microseconds, and the unscaled
/// digits of a numeric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beyond what 38 digits hold: NaN and Infinity too, which PostgreSQL sorts above all numbers.
    Above,
    Below,
    /// The largest number that is not above the constant, and whether it is the constant.
    At {
        floor: i128,
        exact: bool,
    },
}

impl Place {
    /// Of a whole number.
    pub(super) fn of_int(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::At { floor: i128::from(*number), exact: true }),
            Value::Above | Value::Late(_) => Some(Self::Above),
            Value::Below => Some(Self::Below),
            _ => None,
        }
    }

    /// Of a numeric as PostgreSQL prints it, in units of 10^-scale.
    pub(super) fn of_numeric(text: &str, scale: u8) -> Option<Self> {
        match text {
            "NaN" | "Infinity" => return Some(Self::Above),
            "-Infinity" => return Some(Self::Below),
            _ => {}
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let kept = fraction.len().min(usize::from(scale));
        let (kept, dropped) = fraction.split_at_checked(kept)?;
        let padding = usize::from(scale) - kept.len();
        let mut unscaled: i128 = 0;
        let out = if negative { Self::Below } else { Self::Above };
        for digit in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
            if !digit.is_ascii_digit() {
                return None;
            }
            unscaled = match unscaled.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0'))) {
                Some(value) if value < 10i128.pow(u32::from(MAX_PRECISION)) => value,
                _ => return Some(out),
            };
        }
        let exact = dropped.bytes().all(|digit| digit == b'0');
        let floor = match (negative, exact) {
            (false, _) => unscaled,
            (true, true) => -unscaled,
            (true, false) => -unscaled - 1,
        };
        Some(Self::At { floor, exact })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numeric_constants_are_floored_at_the_scale() {
        let at = |text: &str| Place::of_numeric(text, 2).unwrap();
        assert_eq!(at("1.005"), Place::At { floor: 100, exact: false });
        assert_eq!(at("-1.005"), Place::At { floor: -101, exact: false });
        assert_eq!(at("-1.50"), Place::At { floor: -150, exact: true });
        assert_eq!(at("1.0000"), Place::At { floor: 100, exact: true });
        assert_eq!(at("7"), Place::At { floor: 700, exact: true });
        assert_eq!(at("NaN"), Place::Above);
        assert_eq!(at("-Infinity"), Place::Below);
        assert_eq!(at(&format!("-1{}", "0".repeat(37))), Place::Below);
        assert_eq!(Place::of_numeric("1e5", 2), None);
        assert_eq!(Place::of_numeric("", 2), None);
    }
}
