//! `[1,2.5,-3e-05]`: vectors as text.

use super::error::Error;
use crate::pg::float::append_f32;
use crate::pg::vector::{MAX_DIMENSIONS, VectorError, check_elements};

/// Reads `[number,...]` with any white space around numbers and brackets. Numbers are read as `real` is: rounded once, too
/// small ones to zero; NaN, infinities and more than [`MAX_DIMENSIONS`] elements are refused.
pub fn parse(text: &[u8]) -> Result<Vec<f32>, Error> {
    Reader { text, rest: text }.vector()
}

/// Writes the shortest text that reads back as the same elements.
pub fn format(values: &[f32]) -> Vec<u8> {
    let mut text = Vec::with_capacity(values.len() * 12 + 2);
    for (position, value) in values.iter().enumerate() {
        text.push(if position == 0 { b'[' } else { b',' });
        append_f32(&mut text, *value);
    }
    text.push(b']');
    text
}

struct Reader<'a> {
    text: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn vector(mut self) -> Result<Vec<f32>, Error> {
        if !self.eat(b'[') {
            return Err(self.syntax(Some("Vector contents must start with \"[\".")));
        }
        if self.eat(b']') {
            return Err(VectorError::Empty("vector").into());
        }
        let mut values = Vec::new();
        loop {
            if values.len() == MAX_DIMENSIONS {
                return Err(VectorError::TooLong("vector").into());
            }
            values.push(self.number()?);
            if self.eat(b']') {
                break;
            }
            if !self.eat(b',') {
                return Err(self.syntax(None));
            }
        }
        self.skip_space();
        if !self.rest.is_empty() {
            return Err(self.syntax(Some("Junk after closing right brace.")));
        }
        Ok(values)
    }

    /// One number, up to the next comma, bracket or white space.
    fn number(&mut self) -> Result<f32, Error> {
        self.skip_space();
        let ends = |byte: &u8| matches!(byte, b',' | b']') || is_space(*byte);
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(length);
        let Some((token, value)) = std::str::from_utf8(token).ok().and_then(|t| Some((t, t.parse::<f32>().ok()?)))
        else {
            return Err(self.syntax(None));
        };
        self.rest = rest;
        if value.is_infinite() && token.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(Error::OutOfRange(token.to_owned()));
        }
        check_elements(&[value])?;
        Ok(value)
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    fn skip_space(&mut self) {
        let length = self.rest.iter().position(|byte| !is_space(*byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[length..];
    }

    fn syntax(&self, detail: Option<&'static str>) -> Error {
        Error::Syntax { text: String::from_utf8_lossy(self.text).into_owned(), detail }
    }
}

/// As scanner_isspace() of PostgreSQL's parser, whatever the locale, with the vertical tab.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
