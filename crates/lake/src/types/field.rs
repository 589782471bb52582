//! From the fields of a text file to Arrow arrays: what the families share.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveBuilder, StringBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

/// Bytes of a field, and characters of them, that an error shows.
const SHOWN_BYTES: usize = 400;
const SHOWN_CHARACTERS: usize = 100;

/// Why a field did not become a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is none of the type; this is its beginning.
    Value(String),
    Text(&'static str),
}

/// Makes the array of a column.
pub(crate) trait Builder {
    /// Appends a field, or NULL.
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Problem>;

    /// What was appended; the builder is empty then.
    fn finish(&mut self) -> ArrayRef;
}

/// A column whose fields a function reads, each alone.
pub(super) struct Parsed<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    parse: F,
}

impl<T: ArrowPrimitiveType, F: Fn(&[u8]) -> Option<T::Native>> Parsed<T, F> {
    /// `data_type` is one of `T`: with the precision, the scale or the time zone.
    pub(super) fn new(data_type: DataType, parse: F) -> Self {
        Self { builder: PrimitiveBuilder::new().with_data_type(data_type), parse }
    }
}

impl<T: ArrowPrimitiveType, F: Fn(&[u8]) -> Option<T::Native>> Builder for Parsed<T, F> {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Problem> {
        match field {
            None => self.builder.append_null(),
            Some(field) => self.builder.append_value((self.parse)(field).ok_or_else(|| refused(field))?),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// A column of texts.
pub(super) fn text() -> Box<dyn Builder> {
    Box::new(Texts::default())
}

#[derive(Default)]
struct Texts(StringBuilder);

impl Builder for Texts {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Problem> {
        match field {
            None => self.0.append_null(),
            Some(field) => {
                let text = std::str::from_utf8(field).map_err(|_| Problem::Text("it is not UTF-8"))?;
                if text.contains('\0') {
                    return Err(Problem::Text("it holds a zero byte"));
                }
                self.0.append_value(text);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// That a field is no value of the type.
pub(super) fn refused(field: &[u8]) -> Problem {
    let shown = String::from_utf8_lossy(&field[..field.len().min(SHOWN_BYTES)]);
    Problem::Value(shown.chars().take(SHOWN_CHARACTERS).collect())
}

/// A number as Rust reads it, without a plus.
pub(super) fn parsed<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    let plain = !field.starts_with(b"+");
    std::str::from_utf8(field).ok().filter(|_| plain).and_then(|text| text.parse().ok())
}
