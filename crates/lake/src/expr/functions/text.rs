//! Functions on text and bytea that do not depend on a collation, and `upper` and `lower` of ASCII, which is all of them under
//! the collation C. As varlena.c and oracle_compat.c have them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int32Array, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int32Type, Int64Type, i256};
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::digits::numeric_text;
use super::kernel::{Answer, Kernel, Operand, Operands, apply, fault, unexpected};
use super::like::is_like;
use super::typed::{Scale, Typed};
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

/// Bytes of the largest value of PostgreSQL (MaxAllocSize less a header).
pub(super) const MOST_BYTES: usize = 0x3fff_ffff - 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Text {
    Append,
    Length,
    OctetLength,
    Substring,
    Left,
    Right,
    Upper,
    Lower,
    Position,
    StartsWith,
    Btrim,
    Ltrim,
    Rtrim,
    Replace,
    Like,
    NotLike,
    Ilike,
    NotIlike,
}

/// As the output function of its type writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Output;

/// A cast to text of a boolean, an integer, or a numeric that is printed as its type says.
pub(super) fn output(value: Typed) -> Option<Typed> {
    let is_plain = match value.ty {
        ColumnType::Bool | ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 => true,
        ColumnType::Numeric(_) => value.scale == Scale::Fixed,
        _ => false,
    };
    is_plain.then(|| Typed::new(apply(Output, vec![value.expr], ColumnType::Text.arrow()), ColumnType::Text))
}

/// A function whose first argument is a text or bytea.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Option<Typed> {
    let (kernel, ty) = match function {
        Function::Append => (Text::Append, ColumnType::Text),
        Function::Length => (Text::Length, ColumnType::Int4),
        Function::OctetLength => (Text::OctetLength, ColumnType::Int4),
        Function::Substring => (Text::Substring, ColumnType::Text),
        Function::Left => (Text::Left, ColumnType::Text),
        Function::Right => (Text::Right, ColumnType::Text),
        Function::Upper => (Text::Upper, ColumnType::Text),
        Function::Lower => (Text::Lower, ColumnType::Text),
        Function::Position => (Text::Position, ColumnType::Int4),
        Function::StartsWith => (Text::StartsWith, ColumnType::Bool),
        Function::Btrim => (Text::Btrim, ColumnType::Text),
        Function::Ltrim => (Text::Ltrim, ColumnType::Text),
        Function::Rtrim => (Text::Rtrim, ColumnType::Text),
        Function::Replace => (Text::Replace, ColumnType::Text),
        Function::Like => (Text::Like, ColumnType::Bool),
        Function::NotLike => (Text::NotLike, ColumnType::Bool),
        Function::Ilike => (Text::Ilike, ColumnType::Bool),
        Function::NotIlike => (Text::NotIlike, ColumnType::Bool),
        _ => return None,
    };
    let arguments: Vec<Expr> = arguments.into_iter().map(|argument| argument.expr).collect();
    // DataFusion's own, which a scan takes over; it knows no pattern that is an error.
    if let (Text::Like | Text::NotLike, [text, pattern @ Expr::Literal(ScalarValue::Utf8View(Some(plain)), _)]) =
        (kernel, &arguments[..])
        && !plain.contains('\\')
    {
        let (text, pattern) = (Box::new(text.clone()), Box::new(pattern.clone()));
        let like = Expr::Like(Like::new(kernel == Text::NotLike, text, pattern, None, false));
        return Some(Typed::new(like, ty));
    }
    Some(Typed::new(apply(kernel, arguments, ty.arrow()), ty))
}

/// Bytes of an argument's value in a row.
pub(super) enum Strings<'a> {
    Text(&'a arrow::array::StringViewArray),
    Bytes(&'a arrow::array::BinaryViewArray),
}

impl<'a> Strings<'a> {
    pub(super) fn of(operand: &'a Operand) -> Option<Self> {
        match operand.array.data_type() {
            DataType::Utf8View => Some(Self::Text(operand.array.as_string_view())),
            DataType::BinaryView => Some(Self::Bytes(operand.array.as_binary_view())),
            _ => None,
        }
    }

    pub(super) fn bytes(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Text(array) => array.value(row).as_bytes(),
            Self::Bytes(array) => array.value(row),
        }
    }

    pub(super) fn text(&self, row: usize) -> &'a str {
        match self {
            Self::Text(array) => array.value(row),
            Self::Bytes(_) => "",
        }
    }
}

/// Characters of UTF-8.
pub(super) fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count()
}

/// Where the character of this index, from 0, begins; the end if there are fewer.
pub(super) fn offset(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

pub(super) fn integer(operand: &Operand, row: usize) -> i32 {
    operand.array.as_primitive::<Int32Type>().value(operand.at(row))
}

/// `length` is how many characters from `start`, which is 1 for the first one and may lie before it.
fn substring(text: &str, start: i32, length: Option<i32>) -> Answer<&str> {
    let first = start.max(1);
    let begin = offset(text, first as usize - 1);
    let rest = &text[begin..];
    let Some(length) = length else { return Ok(rest) };
    if length < 0 {
        return Err(Fault::NegativeLength);
    }
    match start.checked_add(length) {
        None => Ok(rest),
        Some(end) => Ok(&rest[..offset(rest, (i64::from(end) - i64::from(first)).max(0) as usize)]),
    }
}

/// The first so many characters, or all but the last ones.
pub(super) fn left(text: &str, count: i32) -> &str {
    &text[..offset(text, counted(text, count))]
}

/// The last so many characters, or all but the first ones.
fn right(text: &str, count: i32) -> &str {
    let all = characters(text.as_bytes());
    let skipped = if count < 0 { count.unsigned_abs() as usize } else { all.saturating_sub(count as usize) };
    &text[offset(text, skipped)..]
}

fn counted(text: &str, count: i32) -> usize {
    if count < 0 { characters(text.as_bytes()).saturating_sub(count.unsigned_abs() as usize) } else { count as usize }
}

/// The index of the first occurrence, in characters from 1; 0 if there is none.
fn position(text: &str, wanted: &str) -> i32 {
    match text.find(wanted) {
        Some(at) => characters(&text.as_bytes()[..at]) as i32 + 1,
        None => 0,
    }
}

fn trimmed<'a>(text: &'a str, set: &str, kernel: Text) -> &'a str {
    let is_in = |c: char| set.contains(c);
    match kernel {
        Text::Ltrim => text.trim_start_matches(is_in),
        Text::Rtrim => text.trim_end_matches(is_in),
        _ => text.trim_matches(is_in),
    }
}

/// A text for each row that is not NULL, which `write` appends to an empty buffer or returns as it is.
pub(super) fn texts<'a>(
    operands: &Operands,
    write: impl Fn(usize, &mut String) -> Answer<Option<&'a str>>,
) -> EngineResult<ColumnarValue> {
    let mut builder = StringViewBuilder::with_capacity(operands.rows);
    let mut buffer = String::new();
    for row in 0..operands.rows {
        if !operands.is_valid(row) {
            builder.append_null();
            continue;
        }
        buffer.clear();
        match write(row, &mut buffer).map_err(fault)? {
            Some(text) => builder.append_value(text),
            None => builder.append_value(&buffer),
        }
    }
    let array: ArrayRef = Arc::new(builder.finish());
    operands.answer(array)
}

pub(super) fn integers(operands: &Operands, f: impl Fn(usize) -> usize) -> EngineResult<ColumnarValue> {
    let value = |row| if operands.is_valid(row) { f(row) as i32 } else { 0 };
    let values: Vec<i32> = (0..operands.rows).map(value).collect();
    operands.answer(Arc::new(Int32Array::new(values.into(), operands.nulls.clone())))
}

fn booleans(operands: &Operands, f: impl Fn(usize) -> Answer<bool>) -> EngineResult<ColumnarValue> {
    let mut bits = BooleanBufferBuilder::new(operands.rows);
    for row in 0..operands.rows {
        bits.append(operands.is_valid(row) && f(row).map_err(fault)?);
    }
    operands.answer(Arc::new(BooleanArray::new(bits.finish(), operands.nulls.clone())))
}

/// Room for so many bytes more.
pub(super) fn reserve(buffer: &mut String, bytes: usize) -> Answer<()> {
    if buffer.len().saturating_add(bytes) > MOST_BYTES {
        return Err(Fault::Length);
    }
    buffer.try_reserve(bytes).map_err(|_| Fault::Length)
}

fn replaced(text: &str, from: &str, to: &str, buffer: &mut String) -> Answer<()> {
    let mut last = 0;
    for (at, _) in text.match_indices(from) {
        reserve(buffer, at - last + to.len())?;
        buffer.push_str(&text[last..at]);
        buffer.push_str(to);
        last = at + from.len();
    }
    reserve(buffer, text.len() - last)?;
    buffer.push_str(&text[last..]);
    Ok(())
}

impl Kernel for Text {
    fn name(&self) -> &'static str {
        match self {
            Self::Append => "||",
            Self::Length => "length",
            Self::OctetLength => "octet_length",
            Self::Substring => "substr",
            Self::Left => "left",
            Self::Right => "right",
            Self::Upper => "upper",
            Self::Lower => "lower",
            Self::Position => "strpos",
            Self::StartsWith => "starts_with",
            Self::Btrim => "btrim",
            Self::Ltrim => "ltrim",
            Self::Rtrim => "rtrim",
            Self::Replace => "replace",
            Self::Like => "~~",
            Self::NotLike => "!~~",
            Self::Ilike => "~~*",
            Self::NotIlike => "!~~*",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], _: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let all = &operands.all[..];
        let wrong = || unexpected(self, arguments);
        let [first, others @ ..] = all else { return Err(wrong()) };
        let strings = Strings::of(first).ok_or_else(wrong)?;
        let one = |row: usize| strings.text(first.at(row));
        match (self, others) {
            (Self::Length, []) => match strings {
                Strings::Text(_) => integers(&operands, |row| characters(strings.bytes(first.at(row)))),
                Strings::Bytes(_) => integers(&operands, |row| strings.bytes(first.at(row)).len()),
            },
            (Self::OctetLength, []) => integers(&operands, |row| strings.bytes(first.at(row)).len()),
            (Self::Upper | Self::Lower, []) => texts(&operands, |row, buffer| {
                buffer.push_str(one(row));
                if *self == Self::Upper {
                    buffer.make_ascii_uppercase()
                } else {
                    buffer.make_ascii_lowercase()
                }
                Ok(None)
            }),
            (Self::Btrim | Self::Ltrim | Self::Rtrim, []) => {
                texts(&operands, |row, _| Ok(Some(trimmed(one(row), " ", *self))))
            }
            (Self::Substring, [start]) => {
                texts(&operands, |row, _| substring(one(row), integer(start, row), None).map(Some))
            }
            (Self::Substring, [start, length]) => texts(&operands, |row, _| {
                substring(one(row), integer(start, row), Some(integer(length, row))).map(Some)
            }),
            (Self::Left, [count]) => texts(&operands, |row, _| Ok(Some(left(one(row), integer(count, row))))),
            (Self::Right, [count]) => texts(&operands, |row, _| Ok(Some(right(one(row), integer(count, row))))),
            (_, [second, third @ ..]) => {
                let others = Strings::of(second).ok_or_else(wrong)?;
                let two = |row: usize| others.text(second.at(row));
                match (self, third) {
                    (Self::Append, []) => texts(&operands, |row, buffer| {
                        reserve(buffer, one(row).len() + two(row).len())?;
                        buffer.push_str(one(row));
                        buffer.push_str(two(row));
                        Ok(None)
                    }),
                    (Self::Position, []) => integers(&operands, |row| position(one(row), two(row)) as usize),
                    (Self::StartsWith, []) => booleans(&operands, |row| Ok(one(row).starts_with(two(row)))),
                    (Self::Btrim | Self::Ltrim | Self::Rtrim, []) => {
                        texts(&operands, |row, _| Ok(Some(trimmed(one(row), two(row), *self))))
                    }
                    (Self::Like, []) => booleans(&operands, |row| is_like(one(row).as_bytes(), two(row).as_bytes())),
                    (Self::NotLike, []) => {
                        booleans(&operands, |row| Ok(!is_like(one(row).as_bytes(), two(row).as_bytes())?))
                    }
                    // PostgreSQL brings both to lower case first, escapes and all.
                    (Self::Ilike | Self::NotIlike, []) => booleans(&operands, |row| {
                        let (text, pattern) = (one(row).to_ascii_lowercase(), two(row).to_ascii_lowercase());
                        Ok(is_like(text.as_bytes(), pattern.as_bytes())? == (*self == Self::Ilike))
                    }),
                    (Self::Replace, [third]) => {
                        let last = Strings::of(third).ok_or_else(wrong)?;
                        texts(&operands, |row, buffer| {
                            let (text, from) = (one(row), two(row));
                            if from.is_empty() || text.is_empty() {
                                return Ok(Some(text));
                            }
                            replaced(text, from, last.text(third.at(row)), buffer)?;
                            Ok(None)
                        })
                    }
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }
}

impl Kernel for Output {
    fn name(&self) -> &'static str {
        "text"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], _: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let [operand] = &operands.all[..] else { return Err(unexpected(self, arguments)) };
        if let Some(array) = operand.array.as_boolean_opt() {
            let text = |row| if array.value(operand.at(row)) { "true" } else { "false" };
            return texts(&operands, |row, _| Ok(Some(text(row))));
        }
        let (whole, scale) = match operand.array.data_type() {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => (None, scale.unsigned_abs().into()),
            _ => (Some(cast(&operand.array, &DataType::Int64)?), 0),
        };
        texts(&operands, |row, buffer| {
            let row = operand.at(row);
            let digits = match (&whole, operand.array.data_type()) {
                (Some(array), _) => array.as_primitive::<Int64Type>().value(row).to_string(),
                (None, DataType::Decimal128(..)) => {
                    numeric_text(i256::from_i128(operand.array.as_primitive::<Decimal128Type>().value(row)), scale)
                }
                _ => numeric_text(operand.array.as_primitive::<Decimal256Type>().value(row), scale),
            };
            buffer.push_str(&digits);
            Ok(None)
        })
    }
}
