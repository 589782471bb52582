//! Column types, one file a family: what a Parquet column is in PostgreSQL, as which Arrow type the engine reads it, how
//! text becomes values of it, and what its statistics say.
//!
//! A new type is a file here (or a variant in the file of its family) and its lines in this one: [`ColumnType`], [`Kind`],
//! [`ColumnType::family`] and [`LOOKUPS`]. What PostgreSQL's own representation has to do with it is in `src/lake/types`.

mod boolean;
mod bytes;
mod datetime;
pub(crate) mod field;
mod float;
mod integer;
mod list;
mod numeric;
mod stored;
mod value;

use std::fmt;
use std::str::FromStr;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use serde::{Deserialize, Serialize};

pub use list::List;
pub use numeric::{MAX_PRECISION, Numeric};
pub(crate) use stored::{Limits, Unit};
pub use value::Value;
pub(crate) use value::{Place, canonical};

use self::bytes::Bytes;
use crate::error::{Error, Result};
use datetime::Datetime;
use field::Builder;
use float::Float;
use integer::Integer;
pub(crate) use {boolean::boolean, datetime::date, datetime::timestamp, float::number_digits, integer::integer_digits};

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
    Uuid,
    Array(List),
}

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
    Uuid,
}

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
            Self::Uuid => &Bytes::Uuid,
            Self::Array(list) => list,
        }
    }
}

/// What each family says of the types of others: of files, of users. Those of numbers that are delivered in another type
/// than they are stored in stand here, too.
const LOOKUPS: &[Lookup] =
    &[boolean::LOOKUP, integer::LOOKUP, float::LOOKUP, numeric::LOOKUP, bytes::LOOKUP, datetime::LOOKUP, list::LOOKUP];

/// What the engine knows of a type. It is asked once a column or a constant, never once a row.
pub(crate) trait Family {
    fn about(&self) -> About;

    /// What follows the name in SQL: precision and scale, brackets.
    fn modifier(&self) -> String {
        String::new()
    }

    /// The Arrow type that ingest writes.
    fn written(&self) -> DataType {
        self.about().arrow
    }

    /// What a column of this type is read as for another one that was declared, if that loses nothing.
    fn widened(&self, _declared: &Declared) -> Option<ColumnType> {
        None
    }

    /// The type that holds all values of both.
    fn common(&self, _other: &ColumnType) -> Option<ColumnType> {
        None
    }

    /// What makes an array of the fields of a text file; `None` if such a column cannot be asked for.
    fn builder(&self) -> Option<Box<dyn Builder>> {
        None
    }

    /// How values are compared.
    fn compared(&self) -> Option<Compared>;

    /// Where a value lies among the whole numbers of a column that has such.
    fn place(&self, _value: &Value) -> Option<Place> {
        None
    }

    /// A value as Arrow has it, of a type that is compared as it is.
    fn scalar(&self, _value: &Value) -> Option<ScalarValue> {
        None
    }

    /// How the whole numbers that a file stores become those of this type; `None` if that is not known.
    fn unit(&self, _stored: &DataType) -> Option<Unit> {
        None
    }
}

/// What a type is, and what it is called.
pub(crate) struct About {
    /// `None` for what no rule takes.
    kind: Option<Kind>,
    /// In SQL, as PostgreSQL's `format_type` writes it.
    name: &'static str,
    /// In pg_type.
    catalog_name: &'static str,
    /// The Arrow type that the engine delivers. Strings are views, timestamps microseconds, decimals 128 bits.
    arrow: DataType,
}

impl About {
    fn new(kind: Kind, name: &'static str, catalog_name: &'static str, arrow: DataType) -> Self {
        Self { kind: Some(kind), name, catalog_name, arrow }
    }
}

/// How values of a type are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    Bool,
    /// Whole numbers of 64 bits.
    Whole,
    /// Whole numbers of 128 bits, with a scale.
    Wide(u8),
    Float,
    /// Byte by byte.
    Bytes,
}

/// From an array that a file stores to another Arrow type; the text is the column's name, for errors.
pub(crate) type Convert = fn(&ArrayRef, &DataType, &str) -> std::result::Result<ArrayRef, ArrowError>;

/// What a family finds in what others say. Each is asked until one knows.
struct Lookup {
    /// The type of a column of a file. The flag is what Parquet says of the leaf: that it is a UUID.
    of_arrow: fn(&DataType, bool) -> Option<std::result::Result<ColumnType, String>>,
    /// The type of a spelling in lower case, as the option `types` of ingest may have it.
    parse: fn(&str) -> Option<ColumnType>,
    /// The whole numbers that an Arrow type can hold.
    limits: fn(&DataType) -> Option<Limits>,
    /// One of them.
    number: fn(&DataType, i128) -> Option<ScalarValue>,
    /// Bytes as a value of an Arrow type.
    bytes: fn(&DataType, &[u8]) -> Option<ScalarValue>,
    /// How one Arrow type becomes another where Arrow's own cast is not right.
    convert: fn(&DataType, &DataType) -> Option<Convert>,
}

impl Lookup {
    const NOTHING: Self = Self {
        of_arrow: |_, _| None,
        parse: |_| None,
        limits: |_| None,
        number: |_, _| None,
        bytes: |_, _| None,
        convert: |_, _| None,
    };

    fn first<T>(ask: impl Fn(&Self) -> Option<T>) -> Option<T> {
        LOOKUPS.iter().find_map(ask)
    }
}

impl ColumnType {
    /// A numeric of this precision (1 to 38) and scale (0 to the precision).
    pub fn numeric(precision: u8, scale: u8) -> Self {
        Self::Numeric(Numeric { precision, scale })
    }

    /// A one-dimensional array of a scalar type.
    pub fn array(item: ColumnType) -> Self {
        Self::Array(List(Box::new(item)))
    }

    /// The type of a column that a file stores so, or the name of a type that has none. `is_uuid` is what Parquet says of
    /// the leaf.
    pub fn of_arrow(stored: &DataType, is_uuid: bool) -> std::result::Result<Self, String> {
        match stored {
            DataType::Dictionary(_, value) => Self::of_arrow(value, is_uuid),
            other => {
                Lookup::first(|lookup| (lookup.of_arrow)(other, is_uuid)).unwrap_or_else(|| Err(other.to_string()))
            }
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

    pub(crate) fn compared(&self) -> Option<Compared> {
        self.family().compared()
    }

    pub(crate) fn place(&self, value: &Value) -> Option<Place> {
        self.family().place(value)
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
    Lookup::first(|lookup| (lookup.limits)(stored))
}

/// A whole number as a value of an Arrow type that holds such.
pub(crate) fn number(stored: &DataType, number: i128) -> Option<ScalarValue> {
    Lookup::first(|lookup| (lookup.number)(stored, number))
}

/// Bytes as a value of an Arrow type that holds such.
pub(crate) fn bytes(stored: &DataType, bytes: &[u8]) -> Option<ScalarValue> {
    match stored {
        DataType::Dictionary(_, value) => self::bytes(value, bytes),
        other => Lookup::first(|lookup| (lookup.bytes)(other, bytes)),
    }
}

/// How arrays of one Arrow type become another; `None` where Arrow's own cast is right.
pub(crate) fn conversion(from: &DataType, to: &DataType) -> Option<Convert> {
    match from {
        DataType::Dictionary(_, value) => conversion(value, to).map(|_| decoded as Convert),
        other => Lookup::first(|lookup| (lookup.convert)(other, to)),
    }
}

fn decoded(array: &ArrayRef, to: &DataType, column: &str) -> std::result::Result<ArrayRef, ArrowError> {
    let DataType::Dictionary(_, value) = array.data_type() else {
        return Err(ArrowError::CastError(format!("{} is no dictionary", array.data_type())));
    };
    let values = cast(array, value)?;
    match conversion(values.data_type(), to) {
        Some(convert) => convert(&values, to, column),
        None => cast(&values, to),
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
        Lookup::first(|lookup| (lookup.parse)(&lower)).ok_or_else(|| Error::BadValue {
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

#[cfg(test)]
mod tests;
