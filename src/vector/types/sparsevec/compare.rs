//! The order of a btree: that of the dense vectors.

use std::cmp::Ordering;

use crate::pg::datum::vector::SparsevecRef;
use crate::pg::function::sql_functions;
use crate::vector::types::error::Error;

sql_functions! {
    fn sparsevec_lt(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_lt())
    }

    fn sparsevec_le(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_le())
    }

    fn sparsevec_eq(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_eq())
    }

    fn sparsevec_ne(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_ne())
    }

    fn sparsevec_ge(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_ge())
    }

    fn sparsevec_gt(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<bool, Error> {
        Ok(compare(&a, &b).is_gt())
    }

    fn sparsevec_cmp(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<i32, Error> {
        Ok(compare(&a, &b) as i32)
    }
}

/// Compares by the first position at which the two differ, up to the shorter one's dimensions; then by the number of dimensions.
fn compare(a: &SparsevecRef<'_>, b: &SparsevecRef<'_>) -> Ordering {
    let common = a.dimensions().min(b.dimensions());
    let stored = |vector: &SparsevecRef<'_>, at: usize| {
        let (index, value) = (*vector.parts().indices().get(at)?, *vector.parts().values().get(at)?);
        (index < common).then_some((index, value))
    };
    let mut at = 0;
    while stored(a, at).is_some() && stored(a, at) == stored(b, at) {
        at += 1;
    }
    let (x, y) = match (stored(a, at), stored(b, at)) {
        (None, None) => return a.dimensions().cmp(&b.dimensions()),
        (Some((i, x)), Some((j, y))) if i == j => (x, y),
        (Some((i, x)), other) if other.is_none_or(|(j, _)| i < j) => (x, 0.0),
        (_, other) => (0.0, other.map_or(0.0, |(_, y)| y)),
    };
    x.partial_cmp(&y).unwrap_or(Ordering::Equal)
}
