//! Expressions of the engine with the type that they have in PostgreSQL.

use datafusion::logical_expr::Expr;

use crate::error::Error;
use crate::types::{ColumnType, Kind, Numeric};

/// An expression of the engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Typed {
    /// Its values are of the Arrow type [`ColumnType::arrow`] of `ty`.
    pub expr: Expr,
    /// Of a numeric: precision is a bound for the digits of all values, scale holds all of them exactly.
    pub ty: ColumnType,
    pub scale: Scale,
}

/// How many digits behind the point PostgreSQL prints of the values of a numeric. Of other types it is [`Scale::Fixed`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scale {
    /// As many as the scale of the type says, of every value.
    Fixed,
    /// As many as this integer says, over the same columns. Such values are compared and computed with as they are, and
    /// delivered only together with it.
    Each(Box<Expr>),
    /// Nobody knows: the values cannot be delivered.
    Unknown,
}

/// How wide numerics are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Types of more than 38 digits are tried as 38 digits. A value that has more is the error [`crate::Fault::TooWide`], and the query
    /// has to begin again with [`Width::Wide`].
    Fast,
    /// Types of more than 38 digits have 256 bits, and those of more than 76 are refused.
    Wide,
}

impl Typed {
    pub(crate) fn new(expr: Expr, ty: ColumnType) -> Self {
        Self { expr, ty, scale: Scale::Fixed }
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.ty.kind()
    }

    /// Precision and scale of a numeric.
    pub(crate) fn numeric(&self) -> Option<Numeric> {
        match self.ty {
            ColumnType::Numeric(numeric) => Some(numeric),
            _ => None,
        }
    }
}

/// What the engine does not compute exactly as PostgreSQL does.
pub(super) fn unsupported(reason: impl Into<String>) -> Error {
    Error::NotSupported { message: reason.into(), hint: None }
}

/// The type of a kind. Of numerics that of a single digit, which only NULL is sure to have.
pub(super) fn of_kind(kind: Kind) -> ColumnType {
    match kind {
        Kind::Bool => ColumnType::Bool,
        Kind::Int2 => ColumnType::Int2,
        Kind::Int4 => ColumnType::Int4,
        Kind::Int8 => ColumnType::Int8,
        Kind::Float4 => ColumnType::Float4,
        Kind::Float8 => ColumnType::Float8,
        Kind::Numeric => ColumnType::numeric(1, 0),
        Kind::Text => ColumnType::Text,
        Kind::Bytea => ColumnType::Bytea,
        Kind::Date => ColumnType::Date,
        Kind::Time => ColumnType::Time,
        Kind::Timestamp => ColumnType::Timestamp,
        Kind::Timestamptz => ColumnType::Timestamptz,
        Kind::Interval => ColumnType::Interval,
        Kind::Uuid => ColumnType::Uuid,
    }
}
