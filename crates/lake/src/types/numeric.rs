//! `numeric(p,s)`: decimals, and the unsigned integers of 64 bits that a file stores. Columns have at most 38 digits; what a
//! query computes of them has up to 76, and 256 bits beyond 38.

use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Declared, Kind, MAX_PRECISION, Numeric};
use super::family::{About, Compared, Family, Lookup};
use super::field::{Builder, Parsed};
use super::pack::{Packed, Packer};
use super::stored::{Limits, Unit};
use super::value::{Place, Value};

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, _| match stored {
        DataType::UInt64 => Some(Ok(ColumnType::numeric(20, 0))),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s)
            if (1..=MAX_PRECISION).contains(p) && (0..=*p as i8).contains(s) =>
        {
            Some(Ok(ColumnType::numeric(*p, *s as u8)))
        }
        _ => None,
    },
    parse: |text| {
        let arguments = text.strip_prefix("numeric(")?.strip_suffix(')')?;
        let mut numbers = arguments.split(',').map(|part| part.trim().parse::<u8>());
        let (precision, scale) = (numbers.next()?.ok()?, numbers.next().unwrap_or(Ok(0)).ok()?);
        let fits = numbers.next().is_none() && (1..=MAX_PRECISION).contains(&precision) && scale <= precision;
        fits.then(|| ColumnType::numeric(precision, scale))
    },
    limits: |stored| match stored {
        DataType::Decimal128(precision, _) => {
            let greatest = 10i128.checked_pow(u32::from(*precision))? - 1;
            Some(Limits { least: -greatest, greatest })
        }
        _ => None,
    },
    number: |stored, number| match stored {
        DataType::Decimal128(precision, scale) => Some(ScalarValue::Decimal128(Some(number), *precision, *scale)),
        _ => None,
    },
    ..Lookup::NOTHING
};

impl Family for Numeric {
    fn about(&self) -> About {
        let (precision, scale) = (self.precision, self.scale as i8);
        let arrow = if precision > MAX_PRECISION { DataType::Decimal256 } else { DataType::Decimal128 };
        About::new(Kind::Numeric, "numeric", "numeric", arrow(precision, scale))
    }

    fn modifier(&self) -> String {
        format!("({},{})", self.precision, self.scale)
    }

    fn widened(&self, declared: &Declared) -> Option<ColumnType> {
        match declared {
            Declared::AnyNumeric => Some(ColumnType::Numeric(*self)),
            Declared::Exactly(ColumnType::Numeric(wanted)) => {
                let fits = wanted.scale >= self.scale && wanted.whole_digits() >= self.whole_digits();
                fits.then_some(ColumnType::Numeric(*wanted))
            }
            _ => None,
        }
    }

    fn common(&self, other: &ColumnType) -> Option<ColumnType> {
        let ColumnType::Numeric(other) = other else { return None };
        let scale = self.scale.max(other.scale);
        let precision = self.whole_digits().max(other.whole_digits()) + scale;
        (precision <= MAX_PRECISION).then(|| ColumnType::numeric(precision, scale))
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        let Self { precision, scale } = *self;
        Some(Box::new(Parsed::<Decimal128Type, _>::new(self.about().arrow, move |field| {
            decimal(field, precision, scale)
        })))
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        let Self { precision, scale } = *self;
        // Columns have no more than 38 digits.
        (precision <= MAX_PRECISION).then(|| {
            Packed::<Decimal128Type, _>::boxed(self.about().arrow, move |value| match value {
                Value::Numeric(text) => decimal(text.as_bytes(), precision, scale),
                _ => None,
            })
        })
    }

    fn compared(&self) -> Option<Compared> {
        (self.precision <= MAX_PRECISION).then_some(Compared::Wide(self.scale))
    }

    fn place(&self, value: &Value, _: Kind) -> Option<Place> {
        match value {
            Value::Numeric(text) => Place::of_numeric(text, self.scale),
            _ => None,
        }
    }

    fn unit(&self, stored: &DataType) -> Option<Unit> {
        let power = |digits: u8| 10i128.checked_pow(u32::from(digits)).map(Unit::Times);
        match stored {
            DataType::Decimal128(_, own) => power(self.scale.checked_sub(u8::try_from(*own).ok()?)?),
            stored if stored.is_integer() => power(self.scale),
            _ => None,
        }
    }
}

/// `-?digits[.digits]` at a scale, without rounding.
fn decimal(field: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    let at = digits.iter().position(|c| *c == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..at], digits.get(at + 1..).unwrap_or_default());
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::from(scale);
    let (kept, dropped) = fraction.split_at(fraction.len().min(scale));
    if dropped.iter().any(|c| *c != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for c in whole.iter().chain(kept).chain(std::iter::repeat_n(&b'0', scale - kept.len())) {
        if !c.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(c - b'0'))?;
    }
    let limit = 10i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if field.starts_with(b"-") { -value } else { value })
}
