//! Functions that make a vector out of vectors.

use lagoon_hnsw::distance;
use pgrx::pg_sys::Datum;

use super::error::Error;
use super::same_dimensions;
use crate::pg::function::sql_functions;
use crate::pg::vector::{VectorError, VectorRef, alloc, check_dimensions, to_datum};

sql_functions! {
    fn vector_add(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<Datum, Error> {
        elementwise(&a, &b, |x, y| x + y)
    }

    fn vector_sub(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<Datum, Error> {
        elementwise(&a, &b, |x, y| x - y)
    }

    fn vector_mul(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<Datum, Error> {
        let product = elementwise(&a, &b, |x, y| x * y)?;
        let vanishes = |(x, y): (&f32, &f32)| x * y == 0.0 && *x != 0.0 && *y != 0.0;
        if a.iter().zip(b.iter()).any(vanishes) { Err(Error::Underflow) } else { Ok(product) }
    }

    fn vector_concat(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<Datum, Error> {
        check_dimensions(a.len() + b.len())?;
        let (datum, elements) = alloc(a.len() + b.len());
        elements[..a.len()].copy_from_slice(&a);
        elements[a.len()..].copy_from_slice(&b);
        Ok(datum)
    }

    /// The vector divided by its length; a zero vector stays as it is.
    fn l2_normalize(vector: VectorRef<'_>) -> Result<Datum, Error> {
        let norm = distance::norm(&vector);
        let (datum, elements) = alloc(vector.len());
        if norm > 0.0 {
            for (element, x) in elements.iter_mut().zip(vector.iter()) {
                *element = (f64::from(*x) / norm) as f32;
            }
            refuse_infinite(elements)?;
        }
        Ok(datum)
    }

    /// Elements `start..start + count`, counted from 1 and cut at both ends, as `substring` does.
    fn subvector(vector: VectorRef<'_>, start: i32, count: i32) -> Result<Datum, Error> {
        let length = vector.len() as i64;
        let end = (i64::from(start) + i64::from(count) - 1).clamp(0, length) as usize;
        let start = (i64::from(start) - 1).clamp(0, length) as usize;
        match vector.get(start..end) {
            Some(part) if !part.is_empty() => Ok(to_datum(part)),
            _ => Err(VectorError::Empty("vector").into()),
        }
    }
}

fn elementwise(a: &[f32], b: &[f32], operation: impl Fn(f32, f32) -> f32) -> Result<Datum, Error> {
    same_dimensions(a, b)?;
    let (datum, elements) = alloc(a.len());
    for ((element, x), y) in elements.iter_mut().zip(a).zip(b) {
        *element = operation(*x, *y);
    }
    refuse_infinite(elements)?;
    Ok(datum)
}

fn refuse_infinite(elements: &[f32]) -> Result<(), Error> {
    if elements.iter().any(|element| element.is_infinite()) { Err(Error::Overflow) } else { Ok(()) }
}
