//! The elements of an array that is cast to a vector. An array may have hundreds of millions of them, so nothing is copied
//! before their number is checked.

use std::borrow::Cow;

use pgrx::pg_sys;

use super::error::Error;
use crate::pg::datum::array::{ArrayRef, each_numeric};
use crate::pg::interrupt;

/// Numbers between two checks for interrupts.
const STRETCH: usize = 1 << 16;

/// Numbers, which are converted to `real`: infinite if out of range, except that a numeric out of range raises 22003.
pub enum Numbers<'a> {
    Reals(Cow<'a, [f32]>),
    Doubles(&'a [f64]),
    Integers(&'a [i32]),
    Numerics(&'a ArrayRef<'a>),
}

impl<'a> Numbers<'a> {
    /// Of `integer[]`, `real[]`, `double precision[]` or `numeric[]`, of one dimension and without NULLs.
    pub fn of(array: &'a ArrayRef<'a>) -> Result<Self, Error> {
        if array.dimensions() > 1 {
            return Err(Error::NotOneDimensional);
        }
        if array.has_nulls() {
            return Err(Error::Null);
        }
        if let Some(values) = array.elements::<f32>() {
            Ok(Self::Reals(values.into()))
        } else if let Some(values) = array.elements::<f64>() {
            Ok(Self::Doubles(values))
        } else if let Some(values) = array.elements::<i32>() {
            Ok(Self::Integers(values))
        } else if array.element_type() == pg_sys::NUMERICOID {
            Ok(Self::Numerics(array))
        } else {
            Err(Error::ArrayType)
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Reals(values) => values.len(),
            Self::Doubles(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Numerics(array) => array.length(),
        }
    }

    /// Calls `f` with the index and the value of each, until it fails.
    pub fn each(&self, mut f: impl FnMut(usize, f32) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::Reals(values) => each(values, |x| x, f),
            Self::Doubles(values) => each(values, |x| x as f32, f),
            Self::Integers(values) => each(values, |x| x as f32, f),
            Self::Numerics(array) => each_numeric(array, |at, x| {
                if at.is_multiple_of(STRETCH) {
                    interrupt::check();
                }
                f(at, x)
            }),
        }
    }
}

fn each<T: Copy>(
    values: &[T],
    number: impl Fn(T) -> f32,
    mut f: impl FnMut(usize, f32) -> Result<(), Error>,
) -> Result<(), Error> {
    for (stretch, values) in values.chunks(STRETCH).enumerate() {
        interrupt::check();
        for (at, value) in values.iter().enumerate() {
            f(stretch * STRETCH + at, number(*value))?;
        }
    }
    Ok(())
}
