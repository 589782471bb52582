//! `text`, `bytea`, `uuid`: what is compared byte by byte.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Declared, Kind};
use super::family::{About, Compared, Family, Lookup};
use super::field::{self, Builder};
use super::pack::Packer;
use super::value::Value;

/// Bytes of a UUID.
const UUID_BYTES: i32 = 16;

#[derive(Clone, Copy)]
pub(super) enum Bytes {
    Text,
    Bytea,
    Uuid,
}

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, is_uuid| {
        Some(Ok(match stored {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => ColumnType::Text,
            DataType::FixedSizeBinary(UUID_BYTES) if is_uuid => ColumnType::Uuid,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                ColumnType::Bytea
            }
            _ => return None,
        }))
    },
    parse: |text| (text == "text").then_some(ColumnType::Text),
    bytes: |stored, bytes| {
        let text = || std::str::from_utf8(bytes).ok().map(str::to_owned);
        Some(match stored {
            DataType::Utf8 => ScalarValue::Utf8(Some(text()?)),
            DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some(text()?)),
            DataType::Utf8View => ScalarValue::Utf8View(Some(text()?)),
            DataType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
            DataType::LargeBinary => ScalarValue::LargeBinary(Some(bytes.to_vec())),
            DataType::BinaryView => ScalarValue::BinaryView(Some(bytes.to_vec())),
            DataType::FixedSizeBinary(width) if usize::try_from(*width) == Ok(bytes.len()) => {
                ScalarValue::FixedSizeBinary(*width, Some(bytes.to_vec()))
            }
            _ => return None,
        })
    },
    ..Lookup::NOTHING
};

impl Family for Bytes {
    fn about(&self) -> About {
        match self {
            Self::Text => About::new(Kind::Text, "text", "text", DataType::Utf8View),
            Self::Bytea => About::new(Kind::Bytea, "bytea", "bytea", DataType::BinaryView),
            Self::Uuid => About::new(Kind::Uuid, "uuid", "uuid", DataType::FixedSizeBinary(UUID_BYTES)),
        }
    }

    fn written(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Bytea | Self::Uuid => self.about().arrow,
        }
    }

    fn widened(&self, declared: &Declared) -> Option<ColumnType> {
        match (self, declared) {
            (Self::Bytea, Declared::Exactly(ColumnType::Text)) | (Self::Text, Declared::FromText) => {
                Some(ColumnType::Text)
            }
            _ => None,
        }
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        match self {
            Self::Text => Some(field::text()),
            Self::Bytea | Self::Uuid => None,
        }
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        Some(match self {
            Self::Text => Box::new(Texts::default()),
            Self::Bytea => Box::new(Byteas::default()),
            Self::Uuid => Box::new(Uuids(FixedSizeBinaryBuilder::new(UUID_BYTES))),
        })
    }

    fn compared(&self) -> Option<Compared> {
        Some(Compared::Bytes)
    }

    fn scalar(&self, value: &Value) -> Option<ScalarValue> {
        match (self, value) {
            (Self::Text, Value::Text(_)) | (Self::Bytea | Self::Uuid, Value::Bytes(_)) => {
                (LOOKUP.bytes)(&self.about().arrow, value.bytes()?)
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Texts(StringViewBuilder);

impl Packer for Texts {
    fn push(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => self.0.append_null(),
            Value::Text(text) => self.0.append_value(text),
            _ => return false,
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

#[derive(Default)]
struct Byteas(BinaryViewBuilder);

impl Packer for Byteas {
    fn push(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => self.0.append_null(),
            Value::Bytes(bytes) => self.0.append_value(bytes),
            _ => return false,
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

struct Uuids(FixedSizeBinaryBuilder);

impl Packer for Uuids {
    fn push(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => {
                self.0.append_null();
                true
            }
            // What has another length is not appended.
            Value::Bytes(bytes) => self.0.append_value(bytes).is_ok(),
            _ => false,
        }
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}
