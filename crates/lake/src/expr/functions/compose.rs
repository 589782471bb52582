//! Texts made of parts of others, as varlena.c and oracle_compat.c have them: `repeat`, `lpad`, `split_part` and relatives.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::kernel::{Answer, Kernel, Operands, apply, fault, unexpected};
use super::text::{MOST_BYTES, Strings, characters, integer, integers, left, reserve, texts};
use super::typed::Typed;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

/// How often a text is repeated, and to how many characters one is filled, at most: the values of a whole batch are in memory
/// at once.
const MOST: i32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Compose {
    Append,
    Reverse,
    Repeat,
    Lpad,
    Rpad,
    SplitPart,
    Translate,
    Ascii,
}

/// A function whose first argument is a text, or the sum of two bytea. Numbers that say how long the result is have to be
/// constants.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Option<Typed> {
    let (kernel, ty) = match function {
        Function::Append => (Compose::Append, ColumnType::Bytea),
        Function::Reverse => (Compose::Reverse, ColumnType::Text),
        Function::Repeat => (Compose::Repeat, ColumnType::Text),
        Function::Lpad => (Compose::Lpad, ColumnType::Text),
        Function::Rpad => (Compose::Rpad, ColumnType::Text),
        Function::SplitPart => (Compose::SplitPart, ColumnType::Text),
        Function::Translate => (Compose::Translate, ColumnType::Text),
        Function::Ascii => (Compose::Ascii, ColumnType::Int4),
        _ => return None,
    };
    if matches!(kernel, Compose::Repeat | Compose::Lpad | Compose::Rpad) {
        match &arguments.get(1)?.expr {
            Expr::Literal(ScalarValue::Int32(count), _) if count.is_none_or(|count| count <= MOST) => {}
            _ => return None,
        }
    }
    let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
    Some(Typed::new(apply(kernel, arguments, ty.arrow()), ty))
}

fn repeated(text: &str, count: i32, buffer: &mut String) -> Answer<()> {
    let count = usize::try_from(count).unwrap_or(0);
    reserve(buffer, text.len().saturating_mul(count))?;
    (0..count).for_each(|_| buffer.push_str(text));
    Ok(())
}

/// Characters of `fill`, again and again, which the text lacks to be so long; `None` of a text that is long enough, or with
/// nothing to fill.
fn filling(text: &str, length: i32, fill: &str, buffer: &mut String) -> Answer<Option<()>> {
    let missing = usize::try_from(length).unwrap_or(0).saturating_sub(characters(text.as_bytes()));
    if missing == 0 || fill.is_empty() {
        return Ok(None);
    }
    reserve(buffer, text.len() + missing * 4)?;
    buffer.extend(fill.chars().cycle().take(missing));
    Ok(Some(()))
}

/// The part of this number, from 1, or with a negative one from the end.
fn part<'a>(text: &'a str, separator: &str, number: i32) -> Answer<&'a str> {
    if number == 0 {
        return Err(Fault::FieldPosition);
    }
    if separator.is_empty() {
        return Ok(if number == 1 || number == -1 { text } else { "" });
    }
    let index = match usize::try_from(number) {
        Ok(number) => Some(number - 1),
        Err(_) => text.split(separator).count().checked_sub(number.unsigned_abs() as usize),
    };
    Ok(index.and_then(|index| text.split(separator).nth(index)).unwrap_or(""))
}

/// Each character of `from` becomes the one at the same place of `to`, or nothing if there is none.
fn translated(text: &str, from: &str, to: &str, buffer: &mut String) -> Answer<()> {
    // A character has four bytes at most.
    reserve(buffer, characters(text.as_bytes()).saturating_mul(4).min(MOST_BYTES))?;
    for c in text.chars() {
        match from.chars().position(|own| own == c) {
            Some(at) => buffer.extend(to.chars().nth(at)),
            None => buffer.push(c),
        }
    }
    Ok(())
}

impl Kernel for Compose {
    fn name(&self) -> &'static str {
        match self {
            Self::Append => "||",
            Self::Reverse => "reverse",
            Self::Repeat => "repeat",
            Self::Lpad => "lpad",
            Self::Rpad => "rpad",
            Self::SplitPart => "split_part",
            Self::Translate => "translate",
            Self::Ascii => "ascii",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], _: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let wrong = || unexpected(self, arguments);
        let [first, others @ ..] = &operands.all[..] else { return Err(wrong()) };
        let strings = Strings::of(first).ok_or_else(wrong)?;
        let one = |row: usize| strings.text(first.at(row));
        match (self, others) {
            (Self::Ascii, []) => {
                integers(&operands, |row| one(row).chars().next().map_or(0, |first| u32::from(first) as usize))
            }
            (Self::Reverse, []) => texts(&operands, |row, buffer| {
                reserve(buffer, one(row).len())?;
                buffer.extend(one(row).chars().rev());
                Ok(None)
            }),
            (Self::Repeat, [count]) => texts(&operands, |row, buffer| {
                repeated(one(row), integer(count, row), buffer)?;
                Ok(None)
            }),
            (Self::Append, [second]) => {
                let others = Strings::of(second).ok_or_else(wrong)?;
                let mut builder = BinaryViewBuilder::with_capacity(operands.rows);
                let mut buffer = Vec::new();
                for row in 0..operands.rows {
                    if !operands.is_valid(row) {
                        builder.append_null();
                        continue;
                    }
                    let (a, b) = (strings.bytes(first.at(row)), others.bytes(second.at(row)));
                    buffer.clear();
                    let is_too_long = a.len().saturating_add(b.len()) > MOST_BYTES;
                    if is_too_long || buffer.try_reserve(a.len() + b.len()).is_err() {
                        return Err(fault(Fault::Length));
                    }
                    buffer.extend_from_slice(a);
                    buffer.extend_from_slice(b);
                    builder.append_value(&buffer);
                }
                let array: ArrayRef = Arc::new(builder.finish());
                operands.answer(array)
            }
            (Self::Lpad | Self::Rpad, [length, fill]) => {
                let fills = Strings::of(fill).ok_or_else(wrong)?;
                texts(&operands, |row, buffer| {
                    let (text, length) = (one(row), integer(length, row).max(0));
                    if *self == Self::Rpad {
                        reserve(buffer, text.len())?;
                        buffer.push_str(text);
                    }
                    match filling(text, length, fills.text(fill.at(row)), buffer)? {
                        None => return Ok(Some(left(text, length))),
                        Some(()) if *self == Self::Lpad => buffer.push_str(text),
                        Some(()) => {}
                    }
                    Ok(None)
                })
            }
            (Self::SplitPart, [separator, number]) => {
                let separators = Strings::of(separator).ok_or_else(wrong)?;
                texts(&operands, |row, _| {
                    part(one(row), separators.text(separator.at(row)), integer(number, row)).map(Some)
                })
            }
            (Self::Translate, [from, to]) => {
                let (froms, tos) = (Strings::of(from).ok_or_else(wrong)?, Strings::of(to).ok_or_else(wrong)?);
                texts(&operands, |row, buffer| {
                    translated(one(row), froms.text(from.at(row)), tos.text(to.at(row)), buffer)?;
                    Ok(None)
                })
            }
            _ => Err(wrong()),
        }
    }
}
