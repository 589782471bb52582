//! Constants among the whole numbers that a column holds: integers, days, microseconds, and the unscaled digits of a
//! numeric. A comparison becomes a range of those numbers, exactly, whatever digits the constant has.

use super::Value;
use crate::pushable::Op;
use crate::schema::{ColumnType, MAX_PRECISION};

/// Where a constant lies among the values that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
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
    /// The place of a value, if the column holds whole numbers and the value is one of its kind.
    pub(super) fn of(ty: &ColumnType, value: &Value) -> Option<Self> {
        use ColumnType::*;
        let number = match (ty, value) {
            (Int2 | Int4 | Int8, Value::Int(number)) => *number,
            (Date, Value::Date(days)) => i64::from(*days),
            (Time, Value::Time(micros))
            | (Timestamp, Value::Timestamp(micros))
            | (Timestamptz, Value::Timestamptz(micros)) => *micros,
            (Numeric(_, scale), Value::Numeric(text)) => return Self::parse(text, *scale),
            _ => return None,
        };
        Some(Self::At { floor: i128::from(number), exact: true })
    }

    /// A numeric as PostgreSQL prints it, in units of 10^-scale.
    fn parse(text: &str, scale: u8) -> Option<Self> {
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

/// The numbers from `low` to `high`, both included; none if `low` is above `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub low: i128,
    pub high: i128,
}

impl Range {
    pub(super) const ALL: Self = Self { low: i128::MIN, high: i128::MAX };
    pub(super) const NONE: Self = Self { low: i128::MAX, high: i128::MIN };

    /// The numbers x for which `x op place`, or with `true` those for which it is not; `None` for patterns.
    pub(super) fn of(op: Op, place: Place) -> Option<(Self, bool)> {
        let range = match (op, place) {
            (Op::Like | Op::NotLike, _) => return None,
            (Op::Eq | Op::NotEq, Place::At { floor, exact: true }) => Self { low: floor, high: floor },
            // Between two neighbours: equal to neither.
            (Op::Eq | Op::NotEq, _) => Self::NONE,
            (Op::Lt | Op::LtEq, Place::Above) | (Op::Gt | Op::GtEq, Place::Below) => Self::ALL,
            (Op::Lt | Op::LtEq, Place::Below) | (Op::Gt | Op::GtEq, Place::Above) => Self::NONE,
            (Op::Lt, Place::At { floor, exact: true }) => Self { high: floor - 1, ..Self::ALL },
            (Op::Lt | Op::LtEq, Place::At { floor, .. }) => Self { high: floor, ..Self::ALL },
            (Op::GtEq, Place::At { floor, exact: true }) => Self { low: floor, ..Self::ALL },
            (Op::Gt | Op::GtEq, Place::At { floor, .. }) => Self { low: floor + 1, ..Self::ALL },
        };
        Some((range, op == Op::NotEq))
    }

    pub(super) fn is_empty(self) -> bool {
        self.low > self.high
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numeric_constants_are_floored_at_the_scale() {
        let at = |text: &str| Place::parse(text, 2).unwrap();
        assert_eq!(at("1.005"), Place::At { floor: 100, exact: false });
        assert_eq!(at("-1.005"), Place::At { floor: -101, exact: false });
        assert_eq!(at("-1.50"), Place::At { floor: -150, exact: true });
        assert_eq!(at("1.0000"), Place::At { floor: 100, exact: true });
        assert_eq!(at("7"), Place::At { floor: 700, exact: true });
        assert_eq!(at("NaN"), Place::Above);
        assert_eq!(at("-Infinity"), Place::Below);
        assert_eq!(at(&format!("-1{}", "0".repeat(37))), Place::Below);
        assert_eq!(Place::parse("1e5", 2), None);
        assert_eq!(Place::parse("", 2), None);
    }

    #[test]
    fn a_comparison_with_what_lies_between_two_numbers_is_a_range_of_them() {
        let between = Place::At { floor: 7, exact: false };
        let range = |op| Range::of(op, between).unwrap();
        assert_eq!(range(Op::Eq), (Range::NONE, false));
        assert_eq!(range(Op::NotEq), (Range::NONE, true));
        assert_eq!(range(Op::Lt), (Range { high: 7, ..Range::ALL }, false));
        assert_eq!(range(Op::LtEq), range(Op::Lt));
        assert_eq!(range(Op::Gt), (Range { low: 8, ..Range::ALL }, false));
        assert_eq!(range(Op::GtEq), range(Op::Gt));
        let (below, _) = Range::of(Op::Lt, Place::At { floor: 7, exact: true }).unwrap();
        assert_eq!(below.high, 6);
    }
}
