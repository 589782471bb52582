//! Texts as values of other types, as the types' input functions read them, where the text is plain: digits, a sign, a point,
//! an exponent; a date or timestamp as ISO 8601 has it, which no setting reads in another way. What else a text may mean
//! (hexadecimal numbers and underscores, words such as `infinity` and `tomorrow`, other orders of day and month) differs by
//! version and session, and is left to PostgreSQL.

use std::sync::Arc;

use arrow::array::{ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::kernel::{Answer, Kernel, Operands, apply, each, fault, finish, unexpected};
use super::typed::{Typed, of_kind};
use crate::fault::Fault;
use crate::types::{self, Kind};

/// What a text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Input(Kind);

/// A cast of a text, if the engine has it.
pub(super) fn input(text: Typed, to: Kind) -> Option<Typed> {
    let has = matches!(
        to,
        Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8 | Kind::Date | Kind::Timestamp
    );
    let ty = of_kind(to);
    has.then(|| Typed::new(apply(Input(to), vec![text.expr], ty.arrow()), ty))
}

/// Without what isspace() knows around it.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

/// As pg_strtoint32 and relatives read it, those of PostgreSQL 15: later ones read more.
fn integer<N: TryFrom<i64>>(text: &str, ty: &'static str) -> Answer<N> {
    let plain = trimmed(text);
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let may_be_more = digits.bytes().any(|byte| byte == b'_' || byte.is_ascii_alphabetic());
        let syntax = Fault::Syntax { ty, text: text.to_owned() };
        return Err(if may_be_more { Fault::Unplain } else { syntax });
    }
    let out = || Fault::TextRange { ty, text: text.to_owned() };
    let number: i64 = plain.parse().map_err(|_| out())?;
    N::try_from(number).map_err(|_| out())
}

/// Digits, at most one point among or beside them, and an exponent of digits.
fn is_plain_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let has_parts = !exponent.is_empty() && (!whole.is_empty() || !fraction.is_empty());
    has_parts && are_digits(whole) && are_digits(fraction) && are_digits(exponent)
}

/// Zeros and infinities that stand for something else are errors, in words that PostgreSQL has.
fn float(text: &str) -> Answer<f64> {
    let plain = trimmed(text);
    let number: f64 = plain.parse().ok().filter(|_| is_plain_number(plain)).ok_or(Fault::Unplain)?;
    if number.is_infinite() || (number == 0.0 && has_digits(plain)) { Err(Fault::Unplain) } else { Ok(number) }
}

/// The same of a real, which is rounded once.
fn real(text: &str) -> Answer<f32> {
    let plain = trimmed(text);
    let number: f32 = plain.parse().ok().filter(|_| is_plain_number(plain)).ok_or(Fault::Unplain)?;
    if number.is_infinite() || (number == 0.0 && has_digits(plain)) { Err(Fault::Unplain) } else { Ok(number) }
}

/// Whether a plain number is not zero.
fn has_digits(plain: &str) -> bool {
    plain.bytes().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e')).any(|byte| matches!(byte, b'1'..=b'9'))
}

fn date(text: &str) -> Answer<i32> {
    types::date(text.as_bytes()).ok_or(Fault::Unplain)
}

fn timestamp(text: &str) -> Answer<i64> {
    match types::timestamp(text.as_bytes()) {
        Some((micros, false)) => Ok(micros),
        _ => Err(Fault::Unplain),
    }
}

fn boolean(text: &str) -> Answer<bool> {
    match text {
        "true" | "t" => Ok(true),
        "false" | "f" => Ok(false),
        _ => Err(Fault::Unplain),
    }
}

impl Kernel for Input {
    fn name(&self) -> &'static str {
        match self.0 {
            Kind::Bool => "bool",
            Kind::Int2 => "int2",
            Kind::Int4 => "int4",
            Kind::Int8 => "int8",
            Kind::Float4 => "float4",
            Kind::Float8 => "float8",
            Kind::Date => "date",
            _ => "timestamp",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match self.0 {
            Kind::Int2 => read::<Int16Type>(self, arguments, result, |text| integer(text, "smallint")),
            Kind::Int4 => read::<Int32Type>(self, arguments, result, |text| integer(text, "integer")),
            Kind::Int8 => read::<Int64Type>(self, arguments, result, |text| integer(text, "bigint")),
            Kind::Float4 => read::<Float32Type>(self, arguments, result, real),
            Kind::Float8 => read::<Float64Type>(self, arguments, result, float),
            Kind::Date => read::<Date32Type>(self, arguments, result, date),
            Kind::Timestamp => read::<TimestampMicrosecondType>(self, arguments, result, timestamp),
            _ => {
                let operands = Operands::of(arguments)?;
                let texts = operands.all.first().and_then(|operand| operand.array.as_string_view_opt());
                let texts = texts.ok_or_else(|| unexpected(self, arguments))?;
                let mut bits = BooleanBufferBuilder::new(operands.rows);
                for row in 0..operands.rows {
                    bits.append(operands.is_valid(row) && boolean(texts.value(row)).map_err(fault)?);
                }
                operands.answer(Arc::new(BooleanArray::new(bits.finish(), operands.nulls.clone())))
            }
        }
    }
}

fn read<T: ArrowPrimitiveType>(
    kernel: &Input,
    arguments: &[ColumnarValue],
    result: &DataType,
    of: impl Fn(&str) -> Answer<T::Native>,
) -> EngineResult<ColumnarValue> {
    let operands = Operands::of(arguments)?;
    let texts = operands.all.first().and_then(|operand| operand.array.as_string_view_opt());
    let texts = texts.ok_or_else(|| unexpected(kernel, arguments))?;
    let values = each(&operands, |row| of(texts.value(row)))?;
    finish::<T>(&operands, values, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_left_to_postgresql() {
        for text in ["0x10", "1_000", "0b1", "1e3"] {
            assert_eq!(integer::<i32>(text, "integer"), Err(Fault::Unplain), "{text}");
        }
        for text in ["NaN", "inf", "-Infinity", "0x1p3", "1e400", "1e-400", "", ".", "1e", "1_0", "1 2"] {
            assert_eq!(float(text), Err(Fault::Unplain), "{text}");
        }
        assert_eq!(real("1e39"), Err(Fault::Unplain));
        for text in
            ["infinity", "today", "01/02/2024", "2024-1-2", "20240102", " 2024-01-02", "2024-01-02 BC", "0000-01-01"]
        {
            assert_eq!(date(text), Err(Fault::Unplain), "{text}");
        }
        for text in ["2024-01-02", "2024-01-02 24:00:00", "2024-01-02 03:04:05+00", "2024-01-02 03:04:05.1234567"] {
            assert_eq!(timestamp(text), Err(Fault::Unplain), "{text}");
        }
        for text in ["TRUE", "yes", "1", " t"] {
            assert_eq!(boolean(text), Err(Fault::Unplain), "{text}");
        }
    }
}
