//! Column types, one file a family: what a Parquet column is in PostgreSQL, as which Arrow type the engine reads it, how
//! text becomes values of it, and what its statistics say.
//!
//! ```text
//! column  the types, and what a table declares
//! value   values of constants and parameters
//! stored  whole numbers of a file, against those that are delivered
//! field   from the fields of a text file to arrays
//! pack    from values to arrays
//! family  what a family answers
//! ```
//!
//! Families use these and not each other; this file knows the families, and asks them.
//!
//! A new type is a file here (or a variant in the file of its family), variants of [`ColumnType`] and [`Kind`], and its lines in
//! [`ColumnType::family`] and [`LOOKUPS`]. What PostgreSQL's own representation has to do with it is in `src/lake/types`.

mod boolean;
mod bytes;
mod column;
mod datetime;
mod family;
pub(crate) mod field;
mod float;
mod integer;
mod list;
mod numeric;
mod pack;
mod stored;
mod value;

use std::fmt;
use std::str::FromStr;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;

pub use column::{ColumnType, Declared, Kind, List, MAX_DIGITS, MAX_PRECISION, Numeric};
pub(crate) use family::{Compared, Convert};
pub(crate) use pack::Packer;
pub(crate) use stored::{Limits, Unit};
pub use value::Value;
pub(crate) use value::{Place, canonical};

use self::bytes::Bytes;
use crate::error::{Error, Result};
use datetime::Datetime;
use family::{Family, Lookup};
use field::Builder;
use float::Float;
use integer::Integer;
pub(crate) use {boolean::boolean, datetime::date, datetime::timestamp, float::number_digits, integer::integer_digits};

impl ColumnType {
    fn family(&self) -> &dyn Family {
        match self {
            Self::Bool => &boolean::Bool,
            Self::Int2 => &Integer::Int2,
            Self::Int4 => &Integer::Int4,
            Self::Int8 => &Integer::Int8,
            Self::Float4 => &Float::Float4,
            Self::Float8 => &Float::Float8,
            Self::Numeric(numeric) => numeric,
            Self::Text => &Bytes::Text,
            Self::Bytea => &Bytes::Bytea,
            Self::Date => &Datetime::Date,
            Self::Time => &Datetime::Time,
            Self::Timestamp => &Datetime::Timestamp,
            Self::Timestamptz => &Datetime::Timestamptz,
            Self::Interval => &Datetime::Interval,
            Self::Uuid => &Bytes::Uuid,
            Self::Array(list) => list,
        }
    }
}

/// What each family says of the types of others: of files, of users. Those of numbers that are delivered in another type
/// than they are stored in stand here, too.
const LOOKUPS: &[Lookup] =
    &[boolean::LOOKUP, integer::LOOKUP, float::LOOKUP, numeric::LOOKUP, bytes::LOOKUP, datetime::LOOKUP, list::LOOKUP];

fn first<T>(ask: impl Fn(&Lookup) -> Option<T>) -> Option<T> {
    LOOKUPS.iter().find_map(ask)
}

impl ColumnType {
    /// The type of a column that a file stores so, or the name of a type that has none. `is_uuid` is what Parquet says of
    /// the leaf.
    pub fn of_arrow(stored: &DataType, is_uuid: bool) -> std::result::Result<Self, String> {
        match stored {
            DataType::Dictionary(_, value) => Self::of_arrow(value, is_uuid),
            other => first(|lookup| (lookup.of_arrow)(other, is_uuid)).unwrap_or_else(|| Err(other.to_string())),
        }
    }

    /// Without its modifier; `None` for arrays.
    pub fn kind(&self) -> Option<Kind> {
        self.family().about().kind
    }

    /// Its name in pg_type, with its modifier: what may stand behind `pg_catalog.`, where the grammar's own names (`bigint`,
    /// `double precision`) do not fit.
    pub fn catalog_name(&self) -> String {
        self.family().about().catalog_name.to_owned() + &self.family().modifier()
    }

    /// The Arrow type that the engine delivers for it. Strings are views, timestamps microseconds, decimals 128 bits.
    pub fn arrow(&self) -> DataType {
        self.family().about().arrow
    }

    /// The Arrow type that ingest writes: plain strings, else what is read back.
    pub(crate) fn written(&self) -> DataType {
        self.family().written()
    }

    /// Whether a column of this type in a file may be read as `declared`, and as what exactly. The rules: equal types;
    /// a wider integer, float or numeric; an integer as a numeric that holds all its values; bytea as text, if it is UTF-8.
    pub fn read_as(&self, declared: &Declared) -> Option<ColumnType> {
        match declared {
            Declared::Exactly(wanted) if wanted == self => Some(wanted.clone()),
            _ => self.family().widened(declared),
        }
    }

    /// The type that holds the values of both.
    pub(crate) fn widest(self, other: Self) -> Option<Self> {
        if self == other { Some(self) } else { self.family().common(&other) }
    }

    /// What makes an array of this type of the fields of a text file. Types that cannot be asked for there are text.
    pub(crate) fn builder(&self) -> Box<dyn Builder> {
        self.family().builder().unwrap_or_else(|| field::text())
    }

    /// What makes an array of this type of values; `None` for arrays, and numerics that no column holds.
    pub(crate) fn packer(&self) -> Option<Box<dyn Packer>> {
        self.family().packer()
    }

    pub(crate) fn compared(&self) -> Option<Compared> {
        self.family().compared()
    }

    /// Where a value of a kind that is compared with this type lies among its whole numbers.
    pub(crate) fn place(&self, value: &Value, kind: Kind) -> Option<Place> {
        self.family().place(value, kind)
    }

    pub(crate) fn scalar(&self, value: &Value) -> Option<ScalarValue> {
        self.family().scalar(value)
    }

    pub(crate) fn unit(&self, stored: &DataType) -> Option<Unit> {
        self.family().unit(stored)
    }
}

/// The whole numbers that an Arrow type can hold, if it holds such.
pub(crate) fn limits(stored: &DataType) -> Option<Limits> {
    first(|lookup| (lookup.limits)(stored))
}

/// A whole number as a value of an Arrow type that holds such.
pub(crate) fn number(stored: &DataType, number: i128) -> Option<ScalarValue> {
    first(|lookup| (lookup.number)(stored, number))
}

/// Bytes as a value of an Arrow type that holds such.
pub(crate) fn bytes(stored: &DataType, bytes: &[u8]) -> Option<ScalarValue> {
    match stored {
        DataType::Dictionary(_, value) => self::bytes(value, bytes),
        other => first(|lookup| (lookup.bytes)(other, bytes)),
    }
}

/// How arrays of one Arrow type become another; `None` where Arrow's own cast is right.
pub(crate) fn conversion(from: &DataType, to: &DataType) -> Option<Convert> {
    match (from, to) {
        (DataType::Dictionary(_, value), _) => conversion(value, to).map(|_| of_dictionary as Convert),
        (from, DataType::List(item)) => {
            conversion(list::items(from)?.data_type(), item.data_type()).map(|_| of_list as Convert)
        }
        _ => first(|lookup| (lookup.convert)(from, to)),
    }
}

fn of_dictionary(array: &ArrayRef, to: &DataType, column: &str) -> std::result::Result<ArrayRef, ArrowError> {
    let DataType::Dictionary(_, value) = array.data_type() else {
        return Err(ArrowError::CastError(format!("{} is no dictionary", array.data_type())));
    };
    converted(&cast(array, value)?, to, column)
}

fn of_list(array: &ArrayRef, to: &DataType, column: &str) -> std::result::Result<ArrayRef, ArrowError> {
    list::convert(array, to, |items, to| converted(items, to, column))
}

/// An array of a file in a type that a table delivers.
pub(crate) fn converted(array: &ArrayRef, to: &DataType, column: &str) -> std::result::Result<ArrayRef, ArrowError> {
    match conversion(array.data_type(), to) {
        Some(convert) => convert(array, to, column),
        None => cast(array, to),
    }
}

/// The type in SQL, as PostgreSQL's `format_type` writes it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family().about().name)?;
        f.write_str(&self.family().modifier())
    }
}

/// From the usual spellings of SQL; used for the `types` option of ingest.
impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        first(|lookup| (lookup.parse)(&lower)).ok_or_else(|| Error::BadValue {
            what: "option \"types\"".to_owned(),
            message: format!("\"{text}\" is not a type that a CSV column can have"),
            hint: Some(
                "Use boolean, smallint, integer, bigint, real, double precision, numeric(p,s), text, date, timestamp or \
                 timestamptz."
                    .to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests;
