//! From fields to Arrow arrays, one builder for each column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;

use super::infer;
use crate::error::{Error, Result};
use crate::schema::{Column, ColumnType};
use crate::source::Location;

/// Why a field did not become a value.
pub(super) enum Problem {
    Value(String),
    Text(&'static str),
}

impl Problem {
    pub(super) fn at(self, source: &Location, row: u64, column: &Column) -> Error {
        let (path, name) = (source.to_string(), column.name.clone());
        match self {
            Self::Text(message) => Error::CsvText { path, row, column: name, message: message.to_owned() },
            Self::Value(value) => {
                let ty = column.ty.as_ref().map_or_else(Clone::clone, ToString::to_string);
                Error::CsvValue { path, row, column: name, ty, value }
            }
        }
    }
}

pub(super) enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Numeric(Decimal128Builder, u8, u8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Timestamptz(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Builder {
    pub(super) fn new(ty: &ColumnType) -> Self {
        match ty {
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Int2 => Self::Int2(Int16Builder::new()),
            ColumnType::Int4 => Self::Int4(Int32Builder::new()),
            ColumnType::Int8 => Self::Int8(Int64Builder::new()),
            ColumnType::Float4 => Self::Float4(Float32Builder::new()),
            ColumnType::Float8 => Self::Float8(Float64Builder::new()),
            ColumnType::Numeric(precision, scale) => {
                let data_type = DataType::Decimal128(*precision, *scale as i8);
                Self::Numeric(Decimal128Builder::new().with_data_type(data_type), *precision, *scale)
            }
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            ColumnType::Timestamptz => Self::Timestamptz(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            // The other types cannot be asked for: ColumnType::from_str does not know them.
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a field, or NULL.
    pub(super) fn push(&mut self, field: Option<&[u8]>) -> std::result::Result<(), Problem> {
        let refused = |field: &[u8]| {
            let shown = String::from_utf8_lossy(&field[..field.len().min(400)]);
            Problem::Value(shown.chars().take(100).collect())
        };
        fn parsed<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
            let plain = !field.starts_with(b"+");
            std::str::from_utf8(field).ok().filter(|_| plain).and_then(|text| text.parse().ok())
        }
        fn finite(field: &[u8]) -> Option<f64> {
            parsed::<f64>(field).filter(|value| value.is_finite())
        }
        macro_rules! append {
            ($builder:expr, $parse:expr) => {
                match field {
                    None => $builder.append_null(),
                    Some(field) => {
                        let value = ($parse)(field).ok_or_else(|| refused(field))?;
                        $builder.append_value(value);
                    }
                }
            };
        }
        match self {
            Self::Bool(builder) => append!(builder, infer::boolean),
            Self::Int2(builder) => append!(builder, parsed::<i16>),
            Self::Int4(builder) => append!(builder, parsed::<i32>),
            Self::Int8(builder) => append!(builder, parsed::<i64>),
            Self::Float4(builder) => {
                append!(builder, |field| finite(field).map(|value| value as f32).filter(|value| value.is_finite()))
            }
            Self::Float8(builder) => append!(builder, finite),
            Self::Numeric(builder, precision, scale) => append!(builder, |field| decimal(field, *precision, *scale)),
            Self::Date(builder) => append!(builder, infer::date),
            Self::Timestamp(builder) => {
                append!(builder, |field| infer::timestamp(field).filter(|(_, zone)| !zone).map(|(micros, _)| micros))
            }
            Self::Timestamptz(builder) => {
                append!(builder, |field| infer::timestamp(field).filter(|(_, zone)| *zone).map(|(micros, _)| micros))
            }
            Self::Text(builder) => match field {
                None => builder.append_null(),
                Some(field) => {
                    let text = std::str::from_utf8(field).map_err(|_| Problem::Text("it is not UTF-8"))?;
                    if text.contains('\0') {
                        return Err(Problem::Text("it holds a zero byte"));
                    }
                    builder.append_value(text);
                }
            },
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int2(builder) => Arc::new(builder.finish()),
            Self::Int4(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Float4(builder) => Arc::new(builder.finish()),
            Self::Float8(builder) => Arc::new(builder.finish()),
            Self::Numeric(builder, ..) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) | Self::Timestamptz(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        })
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
