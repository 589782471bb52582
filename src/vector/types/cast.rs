//! Casts between `vector`, `halfvec` and arrays, and to a number of dimensions. The third argument of a cast, whether it is
//! explicit, has no effect: a vector is never truncated or padded.

use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::Datum;

use super::error::Error;
use super::numbers::Numbers;
use super::{check_modifier, to_element};
use crate::pg::datum::array::ArrayRef;
use crate::pg::datum::vector::{DenseRef, Scalar, alloc, check_dimensions, check_elements};
use crate::pg::function::sql_symbols;

/// `vector` to `vector(n)`.
fn sized<E: Scalar>(value: DenseRef<'_, E>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
    check_modifier(modifier, value.len())?;
    Ok(value.into_datum())
}

/// Of `integer[]`, `real[]`, `double precision[]` or `numeric[]`.
fn of_array<E: Scalar>(array: ArrayRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
    let numbers = Numbers::of(&array)?;
    check_dimensions::<E>(numbers.len())?;
    check_modifier(modifier, numbers.len())?;
    let (datum, elements) = alloc::<E>(numbers.len());
    numbers.each(|at, value| {
        elements[at] = to_element(value)?;
        Ok(())
    })?;
    check_elements(elements)?;
    Ok(datum)
}

/// To `real[]`, exactly.
fn to_array<E: Scalar>(vector: DenseRef<'_, E>, _modifier: i32, _explicit: bool) -> Result<Vec<f32>, Error> {
    Ok(vector.iter().map(|x| x.to_f32()).collect())
}

/// Between the two types. An element that the narrower one cannot hold is an error.
fn convert<Source: Scalar, Target: Scalar>(
    vector: DenseRef<'_, Source>,
    modifier: i32,
    _explicit: bool,
) -> Result<Datum, Error> {
    check_modifier(modifier, vector.len())?;
    let (datum, elements) = alloc::<Target>(vector.len());
    for (element, x) in elements.iter_mut().zip(vector.iter()) {
        *element = to_element(x.to_f32())?;
    }
    Ok(datum)
}

sql_symbols! {
    vector = sized::<f32>,
    halfvec = sized::<f16>,
    array_to_vector = of_array::<f32>,
    array_to_halfvec = of_array::<f16>,
    vector_to_float4 = to_array::<f32>,
    halfvec_to_float4 = to_array::<f16>,
    vector_to_halfvec = convert::<f32, f16>,
    halfvec_to_vector = convert::<f16, f32>,
}
