//! `[1,2.5,-3e-05]`: dense vectors as text, and the reader for sparse ones too.

use super::error::Error;
use crate::pg::datum::float::{append_f32, read_f32};
use crate::pg::datum::vector::{MAX_DIMENSIONS, Scalar, VectorError, check_elements};
use crate::pg::interrupt;

/// Maximum bytes of a number: reading longer ones would take too long.
const LONGEST: usize = 1 << 16;
/// Maximum bytes of a literal in an error message.
const SHOWN: usize = 1000;
/// Bytes that are read between two checks for interrupts.
pub const STRETCH: usize = 1 << 20;

/// Reads `[number,...]` with any white space around numbers and brackets. Numbers are read as `real` is: rounded once, too
/// small ones to zero; NaN, infinities and more than [`MAX_DIMENSIONS`] elements are refused.
pub fn parse<E: Scalar>(text: &[u8]) -> Result<Vec<E>, Error> {
    let mut reader = Reader::new(E::TYPE, text);
    if !reader.eat(b'[') {
        return Err(reader.syntax(Some("Vector contents must start with \"[\".")));
    }
    if reader.eat(b']') {
        return Err(VectorError::Empty(E::TYPE).into());
    }
    let mut values = Vec::new();
    loop {
        if values.len() == MAX_DIMENSIONS {
            return Err(VectorError::TooLong(E::TYPE, MAX_DIMENSIONS).into());
        }
        let number = reader.number()?;
        let element = E::from_f32(number.value);
        if element.to_f32().is_infinite() && !number.is_infinity() {
            return Err(number.out_of_range(E::TYPE));
        }
        check_elements(&[element])?;
        values.push(element);
        if reader.eat(b']') {
            break;
        }
        if !reader.eat(b',') {
            return Err(reader.syntax(None));
        }
    }
    reader.end("Junk after closing right brace.")?;
    Ok(values)
}

/// Writes the shortest text that reads back as the same elements.
pub fn format<E: Scalar>(values: &[E]) -> Vec<u8> {
    let mut text = Vec::with_capacity(values.len() * 12 + 2);
    for (position, value) in values.iter().enumerate() {
        text.push(if position == 0 { b'[' } else { b',' });
        append_f32(&mut text, value.to_f32());
    }
    text.push(b']');
    text
}

/// Reads a literal from left to right.
pub struct Reader<'a> {
    type_name: &'static str,
    text: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `text`.
    pub fn new(type_name: &'static str, text: &'a [u8]) -> Self {
        Self { type_name, text, rest: text }
    }

    /// One number, up to the next mark or white space; none that is longer than [`LONGEST`].
    pub fn number(&mut self) -> Result<Number<'a>, Error> {
        self.skip_space();
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'/' | b':') || is_space(*byte);
        let start = &self.rest[..self.rest.len().min(LONGEST + 1)];
        let length = start.iter().position(ends).unwrap_or(start.len());
        if length > LONGEST {
            return Err(self.syntax(None));
        }
        let (value, length) = read_f32(&self.rest[..length]);
        if length == 0 {
            return Err(self.syntax(None));
        }
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Number { value, text })
    }

    /// One integer; beyond 64 bits the nearest one. None that is longer than [`LONGEST`].
    pub fn integer(&mut self) -> Result<i64, Error> {
        self.skip_space();
        let sign = usize::from(matches!(self.rest, [b'+' | b'-', ..]));
        let digits = self.rest[sign..].iter().take(LONGEST).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits == LONGEST {
            return Err(self.syntax(None));
        }
        let (text, rest) = self.rest.split_at(sign + digits);
        self.rest = rest;
        let negative = text[0] == b'-';
        let value = text[sign..].iter().fold(0i64, |value, digit| {
            let digit = i64::from(digit - b'0');
            value.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
        });
        Ok(value)
    }

    /// Skips white space, and then `byte` if it follows. Returns whether it did.
    pub fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// Checks that only white space is left.
    pub fn end(&mut self, detail: &'static str) -> Result<(), Error> {
        self.skip_space();
        if self.rest.is_empty() { Ok(()) } else { Err(self.syntax(Some(detail))) }
    }

    /// The error of an invalid literal.
    pub fn syntax(&self, detail: Option<&'static str>) -> Error {
        Error::Syntax { type_name: self.type_name, text: shown(self.text), detail }
    }

    fn skip_space(&mut self) {
        loop {
            let start = &self.rest[..self.rest.len().min(STRETCH)];
            let length = start.iter().position(|byte| !is_space(*byte)).unwrap_or(start.len());
            self.rest = &self.rest[length..];
            if length < STRETCH {
                return;
            }
            interrupt::check();
        }
    }
}

/// A number and how it was written.
pub struct Number<'a> {
    /// As `real`.
    pub value: f32,
    text: &'a [u8],
}

impl Number<'_> {
    /// Whether it was written as an infinity, not as a number out of range.
    pub fn is_infinity(&self) -> bool {
        self.value.is_infinite() && !self.text.iter().any(u8::is_ascii_digit)
    }

    /// Whether it was written as something else than zero, but is too near zero for `real`.
    pub fn is_underflow(&self) -> bool {
        let is_hex = self.text.iter().any(|byte| matches!(byte, b'x' | b'X'));
        let exponent = if is_hex { b'p' } else { b'e' };
        let mut mantissa = self.text.iter().take_while(|byte| byte.to_ascii_lowercase() != exponent);
        self.value == 0.0 && mantissa.any(|byte| *byte != b'0' && byte.is_ascii_hexdigit())
    }

    /// The error of a number that the type cannot hold.
    pub fn out_of_range(&self, type_name: &'static str) -> Error {
        Error::OutOfRange(type_name, shown(self.text))
    }
}

/// The beginning of a text, for an error.
fn shown(text: &[u8]) -> String {
    match text.get(..SHOWN) {
        Some(start) if start.len() < text.len() => {
            format!("{}...", String::from_utf8_lossy(start).trim_end_matches(char::REPLACEMENT_CHARACTER))
        }
        _ => String::from_utf8_lossy(text).into_owned(),
    }
}

/// As scanner_isspace() of PostgreSQL's parser, whatever the locale, with the vertical tab.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
