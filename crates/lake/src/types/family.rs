//! What a family of types answers: about its own, and about what others say.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Declared, Kind};
use super::field::Builder;
use super::pack::Packer;
use super::stored::{Limits, Unit};
use super::value::{Place, Value};

/// What the engine knows of a type. It is asked once a column or a constant, never once a row.
pub(super) trait Family {
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

    /// What makes an array of values; `None` for arrays.
    fn packer(&self) -> Option<Box<dyn Packer>>;

    /// How values are compared.
    fn compared(&self) -> Option<Compared>;

    /// Where a value of a kind lies among the whole numbers of a column that has such.
    fn place(&self, _value: &Value, _kind: Kind) -> Option<Place> {
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
pub(super) struct About {
    /// `None` for what no rule takes.
    pub kind: Option<Kind>,
    /// In SQL, as PostgreSQL's `format_type` writes it.
    pub name: &'static str,
    /// In pg_type.
    pub catalog_name: &'static str,
    /// The Arrow type that the engine delivers. Strings are views, timestamps microseconds, decimals 128 bits.
    pub arrow: DataType,
}

impl About {
    pub(super) fn new(kind: Kind, name: &'static str, catalog_name: &'static str, arrow: DataType) -> Self {
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
pub(crate) type Convert = fn(&ArrayRef, &DataType, &str) -> Result<ArrayRef, ArrowError>;

/// What a family finds in what others say. Each is asked until one knows.
pub(super) struct Lookup {
    /// The type of a column of a file. The flag is what Parquet says of the leaf: that it is a UUID.
    pub of_arrow: fn(&DataType, bool) -> Option<Result<ColumnType, String>>,
    /// The type of a spelling in lower case, as the option `types` of ingest may have it.
    pub parse: fn(&str) -> Option<ColumnType>,
    /// The whole numbers that an Arrow type can hold.
    pub limits: fn(&DataType) -> Option<Limits>,
    /// One of them.
    pub number: fn(&DataType, i128) -> Option<ScalarValue>,
    /// Bytes as a value of an Arrow type.
    pub bytes: fn(&DataType, &[u8]) -> Option<ScalarValue>,
    /// How one Arrow type becomes another where Arrow's own cast is not right.
    pub convert: fn(&DataType, &DataType) -> Option<Convert>,
}

impl Lookup {
    pub(super) const NOTHING: Self = Self {
        of_arrow: |_, _| None,
        parse: |_| None,
        limits: |_| None,
        number: |_, _| None,
        bytes: |_, _| None,
        convert: |_, _| None,
    };
}
