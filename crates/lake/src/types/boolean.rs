//! `boolean`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Kind};
use super::family::{About, Compared, Family, Lookup};
use super::field::{Builder, Problem, refused};
use super::pack::Packer;
use super::value::Value;

pub(super) struct Bool;

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, _| (stored == &DataType::Boolean).then_some(Ok(ColumnType::Bool)),
    parse: |text| matches!(text, "boolean" | "bool").then_some(ColumnType::Bool),
    ..Lookup::NOTHING
};

impl Family for Bool {
    fn about(&self) -> About {
        About::new(Kind::Bool, "boolean", "bool", DataType::Boolean)
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        Some(Box::new(Bools::default()))
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        Some(Box::new(Bools::default()))
    }

    fn compared(&self) -> Option<Compared> {
        Some(Compared::Bool)
    }

    fn scalar(&self, value: &Value) -> Option<ScalarValue> {
        match value {
            Value::Bool(value) => Some(ScalarValue::Boolean(Some(*value))),
            _ => None,
        }
    }
}

/// `true`, `True`, `TRUE` and their opposites.
pub(crate) fn boolean(field: &[u8]) -> Option<bool> {
    match field {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// A column of booleans, which Arrow packs.
#[derive(Default)]
struct Bools(BooleanBuilder);

impl Builder for Bools {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Problem> {
        match field {
            None => self.0.append_null(),
            Some(field) => self.0.append_value(boolean(field).ok_or_else(|| refused(field))?),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

impl Packer for Bools {
    fn push(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => self.0.append_null(),
            Value::Bool(value) => self.0.append_value(*value),
            _ => return false,
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}
