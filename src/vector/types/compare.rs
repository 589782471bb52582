//! The order of a btree: by elements, then by length, as arrays are ordered.

use std::cmp::Ordering;

use lagoon_vector::distance::half::f16;

use super::error::Error;
use crate::pg::datum::vector::{DenseRef, Scalar};
use crate::pg::function::sql_symbols;

fn lt<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_lt())
}

fn le<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_le())
}

fn eq<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_eq())
}

fn ne<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_ne())
}

fn ge<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_ge())
}

fn gt<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<bool, Error> {
    Ok(compare(&a, &b).is_gt())
}

fn cmp<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<i32, Error> {
    Ok(compare(&a, &b) as i32)
}

/// Elements are never NaN, so every pair has an order. Zero equals minus zero.
fn compare<E: Scalar>(a: &[E], b: &[E]) -> Ordering {
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

sql_symbols! {
    vector_lt = lt::<f32>,
    halfvec_lt = lt::<f16>,
    vector_le = le::<f32>,
    halfvec_le = le::<f16>,
    vector_eq = eq::<f32>,
    halfvec_eq = eq::<f16>,
    vector_ne = ne::<f32>,
    halfvec_ne = ne::<f16>,
    vector_ge = ge::<f32>,
    halfvec_ge = ge::<f16>,
    vector_gt = gt::<f32>,
    halfvec_gt = gt::<f16>,
    vector_cmp = cmp::<f32>,
    halfvec_cmp = cmp::<f16>,
}
