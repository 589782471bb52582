//! From values to Arrow arrays: what the families share.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::value::Value;

/// Makes the array of a column, a value at a time.
pub(crate) trait Packer: Send {
    /// Appends a value; false if it is none that a column of this type can hold, as infinity is of dates.
    fn push(&mut self, value: &Value) -> bool;

    /// What was appended; the packer is empty then.
    fn finish(&mut self) -> ArrayRef;
}

/// A column of numbers, which a function makes of values, each alone.
pub(super) struct Packed<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    number: F,
}

impl<T: ArrowPrimitiveType, F: Fn(&Value) -> Option<T::Native> + Send + 'static> Packed<T, F> {
    /// `data_type` is one of `T`: with the precision, the scale or the time zone.
    pub(super) fn boxed(data_type: DataType, number: F) -> Box<dyn Packer> {
        Box::new(Self { builder: PrimitiveBuilder::new().with_data_type(data_type), number })
    }
}

impl<T: ArrowPrimitiveType, F: Fn(&Value) -> Option<T::Native> + Send> Packer for Packed<T, F> {
    fn push(&mut self, value: &Value) -> bool {
        if value == &Value::Null {
            self.builder.append_null();
            return true;
        }
        let number = (self.number)(value);
        if let Some(number) = number {
            self.builder.append_value(number);
        }
        number.is_some()
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// A whole number as one of fewer bits; `None` if it does not fit.
pub(super) fn whole<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    match value {
        Value::Int(number) => T::try_from(*number).ok(),
        _ => None,
    }
}
