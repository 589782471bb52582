//! What a column is: the type in PostgreSQL, and what a table declares. All families know these.

use serde::{Deserialize, Serialize};

/// Digits of a Decimal128.
pub const MAX_PRECISION: u8 = 38;

/// Digits of a Decimal256.
pub const MAX_DIGITS: u8 = 76;

/// The PostgreSQL types that a Parquet column can be, one for each representation that the engine delivers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric(Numeric),
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    /// No column has it, but what is computed.
    Interval,
    Uuid,
    Array(List),
}

/// Precision and scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Numeric {
    /// Digits, 1 to 38 of a column, 1 to 76 of what is computed.
    pub precision: u8,
    /// Those behind the point, 0 to all.
    pub scale: u8,
}

/// The type of the elements, which is no array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct List(pub Box<ColumnType>);

/// A PostgreSQL type without its modifier, as rules know it. Arrays are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
}

/// What a foreign table says that a column is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Declared {
    /// A type with a counterpart.
    Exactly(ColumnType),
    /// `numeric` without precision: whatever the files have.
    AnyNumeric,
    /// A type whose values are made from text by its input function (varchar(n), json, enums, ...).
    FromText,
}

impl ColumnType {
    /// A numeric of this precision (1 to 76) and scale (0 to the precision).
    pub fn numeric(precision: u8, scale: u8) -> Self {
        Self::Numeric(Numeric { precision, scale })
    }

    /// A one-dimensional array of a scalar type.
    pub fn array(item: ColumnType) -> Self {
        Self::Array(List(Box::new(item)))
    }
}

impl Numeric {
    /// Digits before the point.
    pub(super) fn whole_digits(self) -> u8 {
        self.precision - self.scale
    }
}
