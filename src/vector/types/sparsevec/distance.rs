//! Distances, products and norms.

use lagoon_vector::distance::sparse;
use pgrx::pg_sys::Datum;

use super::same_dimensions;
use crate::pg::datum::vector::{SparsevecRef, alloc_sparse};
use crate::pg::function::sql_functions;
use crate::vector::types::error::Error;

sql_functions! {
    /// Operator `<->`.
    fn sparsevec_l2_distance(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        sparsevec_l2_squared_distance(a, b).map(f64::sqrt)
    }

    fn sparsevec_l2_squared_distance(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(sparse::l2_squared(a.parts(), b.parts())))
    }

    fn sparsevec_inner_product(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(sparse::inner_product(a.parts(), b.parts())))
    }

    /// Operator `<#>`.
    fn sparsevec_negative_inner_product(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        sparsevec_inner_product(a, b).map(|product| -product)
    }

    /// Operator `<=>`. NaN when a vector is zero.
    fn sparsevec_cosine_distance(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(sparse::cosine(a.parts(), b.parts()).distance())
    }

    /// Operator `<+>`.
    fn sparsevec_l1_distance(a: SparsevecRef<'_>, b: SparsevecRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(sparse::l1(a.parts(), b.parts())))
    }

    fn sparsevec_l2_norm(vector: SparsevecRef<'_>) -> Result<f64, Error> {
        Ok(sparse::norm(vector.parts()))
    }

    /// The vector divided by its length. Elements that become zero are no longer stored.
    fn sparsevec_l2_normalize(vector: SparsevecRef<'_>) -> Result<Datum, Error> {
        let parts = vector.parts();
        let norm = sparse::norm(parts);
        let scaled = |value: &f32| (f64::from(*value) / norm) as f32;
        if parts.values().iter().any(|value| scaled(value).is_infinite()) {
            return Err(Error::Overflow);
        }
        let stored = || parts.indices().iter().zip(parts.values()).filter(|(_, value)| scaled(value) != 0.0);
        let (datum, indices, values) = alloc_sparse(vector.dimensions(), stored().count());
        for ((index, value), (i, x)) in indices.iter_mut().zip(values).zip(stored()) {
            (*index, *value) = (*i, scaled(x));
        }
        Ok(datum)
    }
}
