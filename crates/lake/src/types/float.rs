//! `real`, `double precision`. No statistics are asked for them: NaN is in none.

use arrow::datatypes::{DataType, Float32Type, Float64Type};

use super::column::{ColumnType, Declared, Kind};
use super::family::{About, Compared, Family, Lookup};
use super::field::{Builder, Parsed, parsed};
use super::pack::{Packed, Packer};
use super::value::Value;

pub(super) enum Float {
    Float4,
    Float8,
}

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, _| {
        Some(Ok(match stored {
            DataType::Float16 | DataType::Float32 => ColumnType::Float4,
            DataType::Float64 => ColumnType::Float8,
            _ => return None,
        }))
    },
    parse: |text| {
        Some(match text {
            "real" | "float4" => ColumnType::Float4,
            "double precision" | "float8" => ColumnType::Float8,
            _ => return None,
        })
    },
    ..Lookup::NOTHING
};

fn finite(field: &[u8]) -> Option<f64> {
    parsed::<f64>(field).filter(|value| value.is_finite())
}

fn finite_real(field: &[u8]) -> Option<f32> {
    finite(field).map(|value| value as f32).filter(|value| value.is_finite())
}

impl Family for Float {
    fn about(&self) -> About {
        match self {
            Self::Float4 => About::new(Kind::Float4, "real", "float4", DataType::Float32),
            Self::Float8 => About::new(Kind::Float8, "double precision", "float8", DataType::Float64),
        }
    }

    fn widened(&self, declared: &Declared) -> Option<ColumnType> {
        match (self, declared) {
            (Self::Float4, Declared::Exactly(ColumnType::Float8)) => Some(ColumnType::Float8),
            _ => None,
        }
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        Some(match self {
            Self::Float4 => Box::new(Parsed::<Float32Type, _>::new(self.about().arrow, finite_real)),
            Self::Float8 => Box::new(Parsed::<Float64Type, _>::new(self.about().arrow, finite)),
        })
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        let arrow = self.about().arrow;
        Some(match self {
            // A real is the double precision that it equals.
            Self::Float4 => Packed::<Float32Type, _>::boxed(arrow, |value| value.as_float().map(|value| value as f32)),
            Self::Float8 => Packed::<Float64Type, _>::boxed(arrow, Value::as_float),
        })
    }

    fn compared(&self) -> Option<Compared> {
        Some(Compared::Float)
    }
}

/// Significant digits of a JSON number that is not an integer; also refuses what is no finite double.
pub(crate) fn number_digits(field: &[u8]) -> Option<usize> {
    let rest = field.strip_prefix(b"-").unwrap_or(field);
    let mantissa_end = rest.iter().position(|c| matches!(c, b'e' | b'E')).unwrap_or(rest.len());
    let (mantissa, exponent) = rest.split_at(mantissa_end);
    if let [_, exponent @ ..] = exponent {
        let digits = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
    }
    let point = mantissa.iter().position(|c| *c == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &b""[..]),
    };
    let whole_ok = match whole {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !whole_ok || (point.is_some() && fraction.is_empty()) || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if point.is_none() && exponent.is_empty() {
        return None; // an integer, or -0
    }
    let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    if !value.is_finite() || (value == 0.0 && mantissa.iter().any(|c| matches!(c, b'1'..=b'9'))) {
        return None;
    }
    let significant = whole.iter().chain(fraction).skip_while(|c| **c == b'0').count();
    Some(significant)
}
