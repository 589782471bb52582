//! Distances, products and norms: nothing is allocated unless an argument is toasted.

use lagoon_hnsw::distance;

use super::error::Error;
use super::same_dimensions;
use crate::pg::function::sql_functions;
use crate::pg::vector::VectorRef;

sql_functions! {
    /// Operator `<->`.
    fn l2_distance(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(distance::l2_squared(&a, &b)).sqrt())
    }

    /// What an hnsw index orders by instead of [`l2_distance`]: no root.
    fn vector_l2_squared_distance(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(distance::l2_squared(&a, &b)))
    }

    fn inner_product(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(distance::inner_product(&a, &b)))
    }

    /// Operator `<#>`: negative, because an index returns the smallest first.
    fn vector_negative_inner_product(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(-f64::from(distance::inner_product(&a, &b)))
    }

    /// Operator `<=>`. NaN when a vector is zero.
    fn cosine_distance(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(distance::cosine(&a, &b).distance())
    }

    /// The angle between unit vectors as a share of a half turn, 0..=1.
    fn vector_spherical_distance(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        let cosine = f64::from(distance::inner_product(&a, &b)).clamp(-1.0, 1.0);
        Ok(cosine.acos() / std::f64::consts::PI)
    }

    /// Operator `<+>`.
    fn l1_distance(a: VectorRef<'_>, b: VectorRef<'_>) -> Result<f64, Error> {
        same_dimensions(&a, &b)?;
        Ok(f64::from(distance::l1(&a, &b)))
    }

    fn vector_dims(vector: VectorRef<'_>) -> Result<i32, Error> {
        Ok(vector.len() as i32)
    }

    fn vector_norm(vector: VectorRef<'_>) -> Result<f64, Error> {
        Ok(distance::norm(&vector))
    }
}
