//! The order of a btree: by elements, then by length, as arrays are ordered.

use std::cmp::Ordering;

use super::error::Error;
use crate::pg::function::sql_functions;
use crate::pg::vector::VectorRef;

sql_functions! {
    fn vector_lt(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_lt())
    }

    fn vector_le(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_le())
    }

    fn vector_eq(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_eq())
    }

    fn vector_ne(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_ne())
    }

    fn vector_ge(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_ge())
    }

    fn vector_gt(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_gt())
    }

    fn vector_cmp(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<i32, Error> {
        Ok(compare(&a, &b) as i32)
    }
}

/// Elements are never NaN, so every pair has an order. Zero equals minus zero.
fn compare(a: &[f32], b: &[f32]) -> Ordering {
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}
