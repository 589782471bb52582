//! Distances, products and norms: nothing is allocated unless an argument is toasted.

use lagoon_vector::distance::half::f16;

use super::error::Error;
use super::same_dimensions;
use crate::pg::datum::vector::{DenseRef, Scalar};
use crate::pg::function::sql_symbols;

/// Operator `<->`.
fn l2<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    l2_squared(a, b).map(f64::sqrt)
}

/// The square of [`l2`], for operator classes.
fn l2_squared<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    same_dimensions(&a, &b)?;
    Ok(f64::from(E::l2_squared(&a, &b)))
}

fn inner_product<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    same_dimensions(&a, &b)?;
    Ok(f64::from(E::inner_product(&a, &b)))
}

/// Operator `<#>`: negative, because an index returns the smallest first.
fn negative_inner_product<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    inner_product(a, b).map(|product| -product)
}

/// Operator `<=>`. NaN when a vector is zero.
fn cosine<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    same_dimensions(&a, &b)?;
    Ok(E::cosine(&a, &b).distance())
}

/// The angle between unit vectors as a share of a half turn, 0..=1.
fn spherical<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    Ok(inner_product(a, b)?.clamp(-1.0, 1.0).acos() / std::f64::consts::PI)
}

/// Operator `<+>`.
fn l1<E: Scalar>(a: DenseRef<'_, E>, b: DenseRef<'_, E>) -> Result<f64, Error> {
    same_dimensions(&a, &b)?;
    Ok(f64::from(E::l1(&a, &b)))
}

fn dimensions<E: Scalar>(vector: DenseRef<'_, E>) -> Result<i32, Error> {
    Ok(vector.len() as i32)
}

fn norm<E: Scalar>(vector: DenseRef<'_, E>) -> Result<f64, Error> {
    Ok(E::norm(&vector))
}

sql_symbols! {
    l2_distance = l2::<f32>,
    halfvec_l2_distance = l2::<f16>,
    vector_l2_squared_distance = l2_squared::<f32>,
    halfvec_l2_squared_distance = l2_squared::<f16>,
    inner_product = inner_product::<f32>,
    halfvec_inner_product = inner_product::<f16>,
    vector_negative_inner_product = negative_inner_product::<f32>,
    halfvec_negative_inner_product = negative_inner_product::<f16>,
    cosine_distance = cosine::<f32>,
    halfvec_cosine_distance = cosine::<f16>,
    vector_spherical_distance = spherical::<f32>,
    halfvec_spherical_distance = spherical::<f16>,
    l1_distance = l1::<f32>,
    halfvec_l1_distance = l1::<f16>,
    vector_dims = dimensions::<f32>,
    halfvec_vector_dims = dimensions::<f16>,
    vector_norm = norm::<f32>,
    halfvec_l2_norm = norm::<f16>,
}
