//! Row triggers: a row is passed to the guest and back in its buffer. [`crate::abi::row`] and `guest/ABI.md` have the layout.

use wasmtime::ValRaw;

use crate::abi::row::{DIRTY, ERROR, HEADER, MODIFIED, NULL, SKIP, SLOT, UNCHANGED};
use crate::abi::{COLUMNS_SUFFIX, MAX_COLUMNS, Type, Value, unpack};
use crate::instance::{Export, Instance};
use crate::text::{NAME, printable};
use crate::{Error, Result};

/// The statement that fires the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    Insert = 1,
    Update = 2,
    Delete = 3,
}

/// The version of the row that a column is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowVersion {
    /// NEW; for DELETE, OLD.
    Row,
    /// OLD; NULL for INSERT.
    Old,
}

/// A column that a trigger needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub version: RowVersion,
    pub name: String,
    pub kind: Type,
}

/// The result of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowAnswer {
    Unchanged,
    Skip,
    /// [`Instance::changed`] has the columns.
    Modified,
}

impl Instance {
    /// The columns that a trigger has declared; `None` if it declares none and takes all columns of the table.
    pub fn columns(&mut self, trigger: &str) -> Result<Option<Vec<Column>>> {
        let Ok(export) = self.export(&format!("{trigger}{COLUMNS_SUFFIX}")) else { return Ok(None) };
        let mut raw = [ValRaw::i64(0); 2];
        self.enter(&export.func(), &mut raw)?;
        let (address, length) = unpack(raw[0].get_i64());
        if length as usize > MAX_COLUMNS {
            return Err(Error::AbiViolation(format!("a list of columns has {length} bytes, more than {MAX_COLUMNS}")));
        }
        let list = String::from_utf8_lossy(self.text(address, length)?).into_owned();
        list.lines().filter(|line| !line.is_empty()).map(parse_column).collect::<Result<_>>().map(Some)
    }

    /// Calls a trigger with a row. Each of `values` has its type in `kinds`; None is a type that guests do not know.
    pub fn row(
        &mut self,
        export: &Export,
        operation: Operation,
        kinds: &[Option<Type>],
        values: &[Value<'_>],
    ) -> Result<RowAnswer> {
        let fixed = HEADER + SLOT * kinds.len();
        let texts = values.iter().map(|v| if let Value::Text(t) = v { t.len() } else { 0 }).sum::<usize>();
        let total = fixed + texts;
        let address = self.reserve(total)?;
        let start = address as usize;
        let Some(memory) = self.memory else { return Err(outside()) };
        let data = memory.data_mut(&mut self.store).get_mut(start..start + total).ok_or_else(outside)?;
        let (fixed_part, text_part) = data.split_at_mut_checked(fixed).ok_or_else(outside)?;
        let (header, slots) = fixed_part.split_at_mut_checked(HEADER).ok_or_else(outside)?;
        write_header(header, operation, kinds.len(), total);
        let mut text_at = 0;
        for ((slot, kind), value) in slots.chunks_exact_mut(SLOT).zip(kinds).zip(values) {
            let (flags, length, bits) = match *value {
                Value::Null => (NULL, 0, 0),
                Value::Bool(v) => (0, 0, u64::from(v)),
                Value::Int2(v) => (0, 0, v as i64 as u64),
                Value::Int4(v) => (0, 0, v as i64 as u64),
                Value::Int8(v) => (0, 0, v as u64),
                Value::Float4(v) => (0, 0, u64::from(v.to_bits())),
                Value::Float8(v) => (0, 0, v.to_bits()),
                Value::Text(text) => {
                    let target = text_part.get_mut(text_at..text_at + text.len()).ok_or_else(outside)?;
                    target.copy_from_slice(text);
                    let here = start + fixed + text_at;
                    text_at += text.len();
                    (0, text.len() as u32, here as u64)
                }
            };
            write_slot(slot, kind.map_or(0, |k| k as u8), flags, length, bits);
        }
        let mut raw = [ValRaw::u32(address)];
        self.enter(&export.func(), &mut raw)?;
        match raw[0].get_i32() {
            UNCHANGED => Ok(RowAnswer::Unchanged),
            SKIP => Ok(RowAnswer::Skip),
            MODIFIED => Ok(RowAnswer::Modified),
            ERROR => Err(Error::AbiViolation("a trigger returned an error code without an error".to_owned())),
            other => Err(Error::AbiViolation(format!("a trigger returned the unknown code {other}"))),
        }
    }

    /// Slot `i` of the last row, if the guest has set it.
    pub fn changed(&self, i: usize, kind: Type) -> Result<Option<Value<'_>>> {
        let base = self.buffer_address() as usize + HEADER + SLOT * i;
        let Some(slot) = self.data().get(base..base + SLOT) else { return Err(outside()) };
        let (flags, length) = (slot[1], u32_at(slot, 4));
        if flags & DIRTY == 0 {
            return Ok(None);
        }
        if flags & NULL != 0 {
            return Ok(Some(Value::Null));
        }
        if slot[0] != kind as u8 {
            return Err(Error::AbiViolation(format!("a trigger changed the type of column {} in the buffer", i + 1)));
        }
        let bits = u64::from(u32_at(slot, 8)) | u64::from(u32_at(slot, 12)) << 32;
        let value = bits as i64;
        Ok(Some(match kind {
            Type::Bool => Value::Bool(bits != 0),
            Type::Int2 => Value::Int2(i16::try_from(value).map_err(|_| out_of_range(value, "smallint"))?),
            Type::Int4 => Value::Int4(i32::try_from(value).map_err(|_| out_of_range(value, "integer"))?),
            Type::Int8 => Value::Int8(value),
            Type::Float4 => Value::Float4(f32::from_bits(bits as u32)),
            Type::Float8 => Value::Float8(f64::from_bits(bits)),
            Type::Text => {
                let address = u32::try_from(bits).map_err(|_| outside())?;
                Value::Text(self.text(address, length)?)
            }
        }))
    }
}

/// Parses `name:type` or `old.name:type`.
fn parse_column(line: &str) -> Result<Column> {
    let wrong = || Error::AbiViolation(format!("\"{}\" does not declare a column", printable(line, NAME)));
    let (name, kind) = line.rsplit_once(':').ok_or_else(wrong)?;
    let kind = Type::from_name(kind).ok_or_else(wrong)?;
    let (version, name) = match name.strip_prefix("old.") {
        Some(name) => (RowVersion::Old, name),
        None => (RowVersion::Row, name),
    };
    let is_name = !name.is_empty() && name.len() <= NAME && !name.contains(char::is_control);
    if is_name { Ok(Column { version, name: name.to_owned(), kind }) } else { Err(wrong()) }
}

fn write_header(header: &mut [u8], operation: Operation, columns: usize, total: usize) {
    let words = [operation as u32, columns as u32, total as u32, 0];
    for (target, word) in header.chunks_exact_mut(4).zip(words) {
        target.copy_from_slice(&word.to_le_bytes());
    }
}

fn write_slot(slot: &mut [u8], kind: u8, flags: u8, length: u32, bits: u64) {
    let word = u128::from(kind) | u128::from(flags) << 8 | u128::from(length) << 32 | u128::from(bits) << 64;
    slot.copy_from_slice(&word.to_le_bytes());
}

fn u32_at(slot: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&slot[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

fn outside() -> Error {
    Error::AbiViolation("the row buffer is outside of the guest's memory".to_owned())
}

fn out_of_range(value: i64, type_name: &'static str) -> Error {
    Error::OutOfRange { value, type_name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn golden_slot() {
        let mut slot = [0; SLOT];
        write_slot(&mut slot, Type::Text as u8, DIRTY, 5, 0x0102_0304);
        assert_eq!(slot, [7, 2, 0, 0, 5, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn column_lists() {
        let column = parse_column("old.a:b:text").unwrap();
        assert_eq!((column.version, column.name.as_str(), column.kind), (RowVersion::Old, "a:b", Type::Text));
        for bad in ["", "name", "name:bytea", ":text", "na\u{1b}me:text", &format!("{}:text", "x".repeat(NAME + 1))] {
            assert!(parse_column(bad).is_err(), "{bad}");
        }
    }
}
