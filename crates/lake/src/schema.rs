//! Column types: what a Parquet column is in PostgreSQL, and which Arrow type the engine reads it as.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::trust::Trust;

/// Digits of a Decimal128.
pub const MAX_PRECISION: u8 = 38;

/// The PostgreSQL types that a Parquet column can be, one for each representation that the engine delivers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Precision 1 to 38, scale 0 to precision.
    Numeric(u8, u8),
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    /// One dimension of a scalar type.
    Array(Box<ColumnType>),
}

impl ColumnType {
    /// The Arrow type that the engine delivers for it. Strings are views, timestamps microseconds, decimals 128 bits.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric(precision, scale) => DataType::Decimal128(*precision, *scale as i8),
            Self::Text => DataType::Utf8View,
            Self::Bytea => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Array(item) => DataType::List(Arc::new(Field::new_list_field(item.arrow(), true))),
        }
    }

    /// Whether a column of this type in a file may be read as `declared`, and as what exactly. The rules: equal types;
    /// a wider integer, float or numeric; an integer as a numeric that holds all its values; bytea as text, if it is UTF-8.
    pub fn read_as(&self, declared: &Declared) -> Option<ColumnType> {
        use ColumnType::*;
        let digits = match self {
            Int2 => 5,
            Int4 => 10,
            Int8 => 19,
            _ => 0,
        };
        match (self, declared) {
            (own, Declared::Exactly(wanted)) if own == wanted => Some(wanted.clone()),
            (Int2, Declared::Exactly(wanted @ (Int4 | Int8))) => Some(wanted.clone()),
            (Int4, Declared::Exactly(Int8)) => Some(Int8),
            (Float4, Declared::Exactly(Float8)) => Some(Float8),
            (Bytea, Declared::Exactly(Text)) => Some(Text),
            (Int2 | Int4 | Int8, Declared::AnyNumeric) => Some(Numeric(digits, 0)),
            (Int2 | Int4 | Int8, Declared::Exactly(wanted @ Numeric(p, s))) if p - s >= digits => Some(wanted.clone()),
            (Numeric(p, s), Declared::AnyNumeric) => Some(Numeric(*p, *s)),
            (Numeric(p, s), Declared::Exactly(wanted @ Numeric(wp, ws))) if ws >= s && wp - ws >= p - s => {
                Some(wanted.clone())
            }
            (Array(item), Declared::Exactly(Array(wanted))) => {
                let item = item.read_as(&Declared::Exactly((**wanted).clone()))?;
                Some(Array(Box::new(item)))
            }
            (Text, Declared::FromText) => Some(Text),
            _ => None,
        }
    }
}

/// The type in SQL, as PostgreSQL's `format_type` writes it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(precision, scale) => return write!(f, "numeric({precision},{scale})"),
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::Timestamptz => "timestamp with time zone",
            Self::Uuid => "uuid",
            Self::Array(item) => return write!(f, "{item}[]"),
        })
    }
}

/// From the usual spellings of SQL; used for the `types` option of ingest.
impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let unknown = || {
            Error::BadValue {
            what: "option \"types\"".to_owned(),
            message: format!("\"{text}\" is not a type that a CSV column can have"),
            hint: Some(
                "Use boolean, smallint, integer, bigint, real, double precision, numeric(p,s), text, date, timestamp or \
                 timestamptz."
                    .to_owned(),
            ),
        }
        };
        Ok(match lower.as_str() {
            "boolean" | "bool" => Self::Bool,
            "smallint" | "int2" => Self::Int2,
            "integer" | "int" | "int4" => Self::Int4,
            "bigint" | "int8" => Self::Int8,
            "real" | "float4" => Self::Float4,
            "double precision" | "float8" => Self::Float8,
            "text" => Self::Text,
            "date" => Self::Date,
            "timestamp" | "timestamp without time zone" => Self::Timestamp,
            "timestamptz" | "timestamp with time zone" => Self::Timestamptz,
            other => {
                let arguments =
                    other.strip_prefix("numeric(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(unknown)?;
                let mut numbers = arguments.split(',').map(|part| part.trim().parse::<u8>());
                let (precision, scale) = (numbers.next(), numbers.next().unwrap_or(Ok(0)));
                match (precision, scale, numbers.next()) {
                    (Some(Ok(p)), Ok(s), None) if (1..=MAX_PRECISION).contains(&p) && s <= p => Self::Numeric(p, s),
                    _ => return Err(unknown()),
                }
            }
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

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// Its PostgreSQL type, or the name of a type that has none.
    pub ty: std::result::Result<ColumnType, String>,
    pub nullable: bool,
    /// What of its statistics is right.
    pub trust: Trust,
}

/// PostgreSQL's NAMEDATALEN - 1: a longer name would be cut and could meet another.
const LONGEST_NAME: usize = 63;
/// Columns that every table has.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// Whether a table can have a column of this name.
pub fn check_name(file: &dyn std::fmt::Display, name: &str) -> Result<()> {
    let message = match name {
        "" => "it is empty",
        _ if name.len() > LONGEST_NAME => "it is longer than 63 bytes",
        _ if name.contains('\0') => "it holds a zero byte",
        _ if SYSTEM_COLUMNS.contains(&name) => "it is the name of a system column",
        _ => return Ok(()),
    };
    let column = name.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect();
    Err(Error::ColumnName { path: file.to_string(), column, message })
}

/// The top-level columns of a file.
pub fn columns(metadata: &ParquetMetaData) -> std::result::Result<Vec<Column>, ParquetError> {
    let file = metadata.file_metadata();
    let descriptor = file.schema_descr();
    let schema = arrow_schema(metadata)?;
    let roots = descriptor.root_schema().get_fields();
    let mut leaves = vec![Vec::new(); roots.len()];
    for leaf in 0..descriptor.num_columns() {
        if let Some(leaves) = leaves.get_mut(descriptor.get_column_root_idx(leaf)) {
            leaves.push(leaf);
        }
    }
    let column = |(i, field): (usize, &Arc<Field>)| {
        let leaf = match leaves.get(i).map(Vec::as_slice) {
            Some([leaf]) => Some(*leaf),
            _ => None,
        };
        let logical = leaf.map(|leaf| descriptor.column(leaf)).and_then(|leaf| leaf.logical_type_ref().cloned());
        let is_primitive = roots.get(i).is_some_and(|root| root.is_primitive());
        Column {
            name: field.name().clone(),
            ty: column_type(field.data_type(), logical == Some(LogicalType::Uuid)),
            nullable: field.is_nullable(),
            trust: leaf.filter(|_| is_primitive).map(|leaf| Trust::of(metadata, leaf)).unwrap_or_default(),
        }
    };
    Ok(schema.fields().iter().enumerate().map(column).collect())
}

/// The schema in Arrow's types, of which the file may hold a copy: the arrow crate ends at types there that it does not
/// know, such as integers of 128 bits.
fn arrow_schema(metadata: &ParquetMetaData) -> std::result::Result<Schema, ParquetError> {
    let file = metadata.file_metadata();
    let convert = || parquet::arrow::parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    std::panic::catch_unwind(AssertUnwindSafe(convert))
        .unwrap_or_else(|_| Err(ParquetError::NYI("an Arrow schema with types that are not supported".to_owned())))
}

/// The PostgreSQL type of an Arrow type, or its name if there is none. `is_uuid` is what Parquet says of the leaf.
fn column_type(ty: &DataType, is_uuid: bool) -> std::result::Result<ColumnType, String> {
    use ColumnType::*;
    Ok(match ty {
        DataType::Boolean => Bool,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Int2,
        DataType::Int32 | DataType::UInt16 => Int4,
        DataType::Int64 | DataType::UInt32 => Int8,
        DataType::UInt64 => Numeric(20, 0),
        DataType::Float16 | DataType::Float32 => Float4,
        DataType::Float64 => Float8,
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s)
            if (1..=MAX_PRECISION).contains(p) && (0..=*p as i8).contains(s) =>
        {
            Numeric(*p, *s as u8)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Text,
        DataType::FixedSizeBinary(16) if is_uuid => Uuid,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Bytea,
        DataType::Date32 | DataType::Date64 => Date,
        DataType::Time32(_) | DataType::Time64(_) => Time,
        DataType::Timestamp(_, zone) => {
            if zone.is_some() {
                Timestamptz
            } else {
                Timestamp
            }
        }
        DataType::Dictionary(_, value) => return column_type(value, is_uuid),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            match column_type(item.data_type(), is_uuid) {
                Ok(Array(_)) | Err(_) => return Err(ty.to_string()),
                Ok(item) => Array(Box::new(item)),
            }
        }
        DataType::Null => Text,
        other => return Err(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_are_those_of_format_type() {
        assert_eq!(ColumnType::Numeric(10, 2).to_string(), "numeric(10,2)");
        assert_eq!(ColumnType::Array(Box::new(ColumnType::Int8)).to_string(), "bigint[]");
        for name in ["boolean", "bigint", "double precision", "numeric(38,38)", "timestamp with time zone"] {
            assert_eq!(name.parse::<ColumnType>().unwrap().to_string(), name);
        }
        for name in ["numeric", "numeric(39,0)", "numeric(2,3)", "money", "", "numeric(1,1,1)"] {
            assert!(name.parse::<ColumnType>().is_err(), "{name}");
        }
    }

    #[test]
    fn reading_never_narrows() {
        use ColumnType::*;
        let ok = |from: ColumnType, to: ColumnType| from.read_as(&Declared::Exactly(to)).is_some();
        assert!(ok(Int2, Int8) && ok(Int4, Int8) && ok(Float4, Float8) && ok(Int8, Numeric(19, 0)) && ok(Bytea, Text));
        assert!(ok(Numeric(10, 2), Numeric(12, 4)) && !ok(Numeric(10, 2), Numeric(10, 4)));
        assert!(!ok(Int8, Int4) && !ok(Float8, Float4) && !ok(Int8, Float8) && !ok(Int8, Numeric(18, 0)));
        assert!(
            !ok(Timestamp, Timestamptz) && !ok(Text, Bytea) && !ok(Text, Int4) && !ok(Numeric(10, 2), Numeric(10, 1))
        );
        assert_eq!(Numeric(7, 3).read_as(&Declared::AnyNumeric), Some(Numeric(7, 3)));
    }

    #[test]
    fn unsigned_integers_become_wider() {
        assert_eq!(column_type(&DataType::UInt32, false), Ok(ColumnType::Int8));
        assert_eq!(column_type(&DataType::UInt64, false), Ok(ColumnType::Numeric(20, 0)));
        assert!(column_type(&DataType::Duration(TimeUnit::Second), false).is_err());
    }
}
