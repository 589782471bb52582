//! Functions that make a vector out of vectors. Elements are computed in `f32` and rounded to the type once.

use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::Datum;

use super::error::Error;
use super::same_dimensions;
use crate::pg::datum::vector::{DenseRef, Scalar, VectorError, alloc, check_dimensions, to_datum};
use crate::pg::function::sql_symbols;

fn add<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<Datum, Error> {
    elementwise(&a, &b, |x, y| Ok(x + y))
}

fn subtract<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<Datum, Error> {
    elementwise(&a, &b, |x, y| Ok(x - y))
}

fn multiply<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<Datum, Error> {
    elementwise(&a, &b, |x, y| {
        let vanishes = E::from_f32(x * y).to_f32() == 0.0 && x != 0.0 && y != 0.0;
        if vanishes { Err(Error::Underflow) } else { Ok(x * y) }
    })
}

fn concat<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<Datum, Error> {
    check_dimensions::<E>(a.len() + b.len())?;
    let (datum, elements) = alloc::<E>(a.len() + b.len());
    elements[..a.len()].copy_from_slice(&a);
    elements[a.len()..].copy_from_slice(&b);
    Ok(datum)
}

/// The vector divided by its length; a zero vector stays as it is.
fn normalize<E: Scalar>(vector: DenseRef<'_, E>) -> Result<Datum, Error> {
    let norm = E::norm(&vector);
    let (datum, elements) = alloc::<E>(vector.len());
    if norm > 0.0 {
        for (element, x) in elements.iter_mut().zip(vector.iter()) {
            *element = finite((f64::from(x.to_f32()) / norm) as f32)?;
        }
    }
    Ok(datum)
}

/// Elements `start..start + count`, counted from 1 and cut at both ends, as `substring` does.
fn subvector<E: Scalar>(vector: DenseRef<'_, E>, start: i32, count: i32) -> Result<Datum, Error> {
    let length = vector.len() as i64;
    let end = (i64::from(start) + i64::from(count) - 1).clamp(0, length) as usize;
    let start = (i64::from(start) - 1).clamp(0, length) as usize;
    match vector.get(start..end) {
        Some(part) if !part.is_empty() => Ok(to_datum(part)),
        _ => Err(VectorError::Empty(E::TYPE).into()),
    }
}

fn elementwise<E: Scalar>(
    a: &DenseRef<'_, E>,
    b: &DenseRef<'_, E>,
    operation: impl Fn(f32, f32) -> Result<f32, Error>,
) -> Result<Datum, Error> {
    same_dimensions(a, b)?;
    let (datum, elements) = alloc::<E>(a.len());
    for ((element, x), y) in elements.iter_mut().zip(a.iter()).zip(b.iter()) {
        *element = finite(operation(x.to_f32(), y.to_f32())?)?;
    }
    Ok(datum)
}

/// The nearest element; an error out of range.
fn finite<E: Scalar>(value: f32) -> Result<E, Error> {
    let element = E::from_f32(value);
    if element.to_f32().is_infinite() { Err(Error::Overflow) } else { Ok(element) }
}

sql_symbols! {
    vector_add = add::<f32>,
    halfvec_add = add::<f16>,
    vector_sub = subtract::<f32>,
    halfvec_sub = subtract::<f16>,
    vector_mul = multiply::<f32>,
    halfvec_mul = multiply::<f16>,
    vector_concat = concat::<f32>,
    halfvec_concat = concat::<f16>,
    l2_normalize = normalize::<f32>,
    halfvec_l2_normalize = normalize::<f16>,
    subvector = subvector::<f32>,
    halfvec_subvector = subvector::<f16>,
}
