//! `{1:0.5,7:-2}/1000`: the elements that are not zero with their positions, counted from 1, and the number of dimensions.

use super::super::text::{Reader, STRETCH};
use super::{TYPE, check_indices};
use crate::pg::datum::float::append_f32;
use crate::pg::datum::vector::{MAX_NON_ZERO, SparsevecRef, check_finite, check_sparse_dimensions};
use crate::pg::interrupt;
use crate::vector::types::error::Error;

/// A parsed literal.
pub struct Parsed {
    /// 1 to 1,000,000,000.
    pub dimensions: i32,
    /// From 0, ascending.
    pub indices: Vec<i32>,
    /// Finite, not zero.
    pub values: Vec<f32>,
}

/// Reads `{index:number,...}/dimensions` with any white space between. Indices may come in any order; zeros are left out;
/// NaN, infinities and numbers too near zero for `real` are refused, bad indices later, by [`Parsed::check`].
pub fn parse(text: &[u8]) -> Result<Parsed, Error> {
    let mut commas = 0;
    for stretch in text.chunks(STRETCH) {
        interrupt::check();
        commas += stretch.iter().filter(|byte| **byte == b',').count();
        if commas >= MAX_NON_ZERO {
            return Err(Error::TooManyElements);
        }
    }
    let mut reader = Reader::new(TYPE, text);
    if !reader.eat(b'{') {
        return Err(reader.syntax(Some("Vector contents must start with \"{\".")));
    }
    let mut elements = Vec::new();
    if !reader.eat(b'}') {
        loop {
            elements.extend(element(&mut reader)?);
            if reader.eat(b'}') {
                break;
            }
            if !reader.eat(b',') {
                return Err(reader.syntax(None));
            }
        }
    }
    if !reader.eat(b'/') {
        return Err(reader.syntax(Some("Unexpected end of input.")));
    }
    let dimensions = reader.integer()?.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    reader.end("Junk after closing.")?;
    check_sparse_dimensions(dimensions)?;
    elements.sort_unstable_by_key(|(index, _)| *index);
    let (indices, values): (Vec<i32>, Vec<f32>) = elements.into_iter().unzip();
    Ok(Parsed { dimensions, indices, values })
}

/// Reads one `index:number`; None for a zero, whose index is not checked.
fn element(reader: &mut Reader<'_>) -> Result<Option<(i32, f32)>, Error> {
    let position = reader.integer()?.clamp(i64::from(i32::MIN) + 1, i32::MAX.into()) as i32;
    if !reader.eat(b':') {
        return Err(reader.syntax(None));
    }
    let number = reader.number()?;
    if number.is_underflow() || number.value.is_infinite() && !number.is_infinity() {
        return Err(number.out_of_range(TYPE));
    }
    check_finite(TYPE, std::iter::once(number.value))?;
    Ok((number.value != 0.0).then_some((position - 1, number.value)))
}

impl Parsed {
    /// Checks the indices, after everything else.
    pub fn check(&self) -> Result<(), Error> {
        check_indices(&self.indices, self.dimensions)
    }
}

/// Writes what [`parse`] reads back as the same vector.
pub fn format(vector: &SparsevecRef<'_>) -> Vec<u8> {
    let parts = vector.parts();
    let mut text = Vec::with_capacity(parts.values().len() * 16 + 16);
    text.push(b'{');
    for (position, (index, value)) in parts.indices().iter().zip(parts.values()).enumerate() {
        if position > 0 {
            text.push(b',');
        }
        text.extend((i64::from(*index) + 1).to_string().into_bytes());
        text.push(b':');
        append_f32(&mut text, *value);
    }
    text.extend(format!("}}/{}", vector.dimensions()).into_bytes());
    text
}
