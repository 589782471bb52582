//! Casts between `sparsevec`, the dense types and arrays, and to a number of dimensions.

use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::Datum;

use super::super::{check_modifier, numbers::Numbers, to_element};
use super::{TYPE, check_count};
use crate::pg::datum::array::ArrayRef;
use crate::pg::datum::vector::{
    DenseRef, Scalar, SparsevecRef, VectorError, alloc, alloc_sparse, check_dimensions, check_finite,
    check_sparse_dimensions,
};
use crate::pg::function::{sql_functions, sql_symbols};
use crate::vector::types::error::Error;

sql_functions! {
    /// `sparsevec` to `sparsevec(n)`.
    fn sparsevec(vector: SparsevecRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
        check_modifier(modifier, vector.dimensions() as usize)?;
        Ok(vector.into_datum())
    }

    /// Of `integer[]`, `real[]`, `double precision[]` or `numeric[]`.
    fn array_to_sparsevec(array: ArrayRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
        let numbers = Numbers::of(&array)?;
        check_sparse_dimensions(numbers.len() as i32)?;
        of_numbers(&numbers, modifier)
    }
}

fn of_dense<E: Scalar>(vector: DenseRef<'_, E>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
    let numbers: Vec<f32> = vector.iter().map(|x| x.to_f32()).collect();
    of_numbers(&Numbers::Reals(numbers.into()), modifier)
}

/// Stores those that are not zero.
fn of_numbers(numbers: &Numbers<'_>, modifier: i32) -> Result<Datum, Error> {
    check_modifier(modifier, numbers.len())?;
    let dimensions = numbers.len() as i32;
    let mut count = 0;
    numbers.each(|_, x| {
        count += i32::from(x != 0.0);
        check_count(count, dimensions).map(|_| ())
    })?;
    let (datum, indices, values) = alloc_sparse(dimensions, check_count(count, dimensions)?);
    let mut places = indices.iter_mut().zip(values.iter_mut());
    numbers.each(|at, x| {
        if x != 0.0
            && let Some((index, value)) = places.next()
        {
            (*index, *value) = (at as i32, x);
        }
        Ok(())
    })?;
    check_finite(TYPE, values.iter().copied())?;
    Ok(datum)
}

fn to_dense<E: Scalar>(vector: SparsevecRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
    let dimensions = vector.dimensions() as usize;
    check_dimensions::<E>(dimensions)?;
    check_modifier(modifier, dimensions)?;
    let (datum, elements) = alloc::<E>(dimensions);
    let parts = vector.parts();
    for (index, value) in parts.indices().iter().zip(parts.values()) {
        let slot = elements.get_mut(*index as usize).ok_or(VectorError::Damaged(TYPE))?;
        *slot = to_element(*value)?;
    }
    Ok(datum)
}

sql_symbols! {
    vector_to_sparsevec = of_dense::<f32>,
    halfvec_to_sparsevec = of_dense::<f16>,
    sparsevec_to_vector = to_dense::<f32>,
    sparsevec_to_halfvec = to_dense::<f16>,
}
