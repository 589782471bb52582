//! `smallint`, `integer`, `bigint`. Unsigned integers of a file become the next wider type; those of 64 bits are numerics.

use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Declared, Kind};
use super::family::{About, Compared, Family, Lookup};
use super::field::{Builder, Parsed, parsed};
use super::pack::{Packed, Packer, whole};
use super::stored::{Limits, Unit};
use super::value::{Place, Value};

#[derive(Clone, Copy)]
pub(super) enum Integer {
    Int2,
    Int4,
    Int8,
}

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, _| {
        Some(Ok(match stored {
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => ColumnType::Int2,
            DataType::Int32 | DataType::UInt16 => ColumnType::Int4,
            DataType::Int64 | DataType::UInt32 => ColumnType::Int8,
            _ => return None,
        }))
    },
    parse: |text| {
        Some(match text {
            "smallint" | "int2" => ColumnType::Int2,
            "integer" | "int" | "int4" => ColumnType::Int4,
            "bigint" | "int8" => ColumnType::Int8,
            _ => return None,
        })
    },
    limits: |stored| {
        Some(match stored {
            DataType::Int8 => Limits::signed(8),
            DataType::Int16 => Limits::signed(16),
            DataType::Int32 => Limits::signed(32),
            DataType::Int64 => Limits::signed(64),
            DataType::UInt8 => Limits::unsigned(8),
            DataType::UInt16 => Limits::unsigned(16),
            DataType::UInt32 => Limits::unsigned(32),
            DataType::UInt64 => Limits::unsigned(64),
            _ => return None,
        })
    },
    number: |stored, number| {
        Some(match stored {
            DataType::Int8 => ScalarValue::Int8(Some(number.try_into().ok()?)),
            DataType::Int16 => ScalarValue::Int16(Some(number.try_into().ok()?)),
            DataType::Int32 => ScalarValue::Int32(Some(number.try_into().ok()?)),
            DataType::Int64 => ScalarValue::Int64(Some(number.try_into().ok()?)),
            DataType::UInt8 => ScalarValue::UInt8(Some(number.try_into().ok()?)),
            DataType::UInt16 => ScalarValue::UInt16(Some(number.try_into().ok()?)),
            DataType::UInt32 => ScalarValue::UInt32(Some(number.try_into().ok()?)),
            DataType::UInt64 => ScalarValue::UInt64(Some(number.try_into().ok()?)),
            _ => return None,
        })
    },
    ..Lookup::NOTHING
};

impl Integer {
    /// Decimal digits of the largest value.
    fn digits(self) -> u8 {
        match self {
            Self::Int2 => 5,
            Self::Int4 => 10,
            Self::Int8 => 19,
        }
    }
}

impl Family for Integer {
    fn about(&self) -> About {
        match self {
            Self::Int2 => About::new(Kind::Int2, "smallint", "int2", DataType::Int16),
            Self::Int4 => About::new(Kind::Int4, "integer", "int4", DataType::Int32),
            Self::Int8 => About::new(Kind::Int8, "bigint", "int8", DataType::Int64),
        }
    }

    fn widened(&self, declared: &Declared) -> Option<ColumnType> {
        match (self, declared) {
            (_, Declared::AnyNumeric) => Some(ColumnType::numeric(self.digits(), 0)),
            (_, Declared::Exactly(ColumnType::Numeric(wanted))) if wanted.whole_digits() >= self.digits() => {
                Some(ColumnType::Numeric(*wanted))
            }
            (Self::Int2, Declared::Exactly(wanted @ (ColumnType::Int4 | ColumnType::Int8)))
            | (Self::Int4, Declared::Exactly(wanted @ ColumnType::Int8)) => Some(wanted.clone()),
            _ => None,
        }
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        Some(match self {
            Self::Int2 => Box::new(Parsed::<Int16Type, _>::new(self.about().arrow, parsed::<i16>)),
            Self::Int4 => Box::new(Parsed::<Int32Type, _>::new(self.about().arrow, parsed::<i32>)),
            Self::Int8 => Box::new(Parsed::<Int64Type, _>::new(self.about().arrow, parsed::<i64>)),
        })
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        let arrow = self.about().arrow;
        Some(match self {
            Self::Int2 => Packed::<Int16Type, _>::boxed(arrow, whole::<i16>),
            Self::Int4 => Packed::<Int32Type, _>::boxed(arrow, whole::<i32>),
            Self::Int8 => Packed::<Int64Type, _>::boxed(arrow, whole::<i64>),
        })
    }

    fn compared(&self) -> Option<Compared> {
        Some(Compared::Whole)
    }

    fn place(&self, value: &Value, _: Kind) -> Option<Place> {
        Place::of_int(value)
    }

    fn unit(&self, stored: &DataType) -> Option<Unit> {
        // Those of 64 bits without sign are no integers in PostgreSQL.
        (stored.is_integer() && stored != &DataType::UInt64).then_some(Unit::Times(1))
    }
}

/// Digits of `-?(0|[1-9][0-9]*)`, but not of `-0`.
pub(crate) fn integer_digits(field: &[u8]) -> Option<usize> {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    let canonical = match digits {
        [b'0'] => digits.len() == field.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    canonical.then_some(digits.len())
}
