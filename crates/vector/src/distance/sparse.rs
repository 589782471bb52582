//! Distances of sparse vectors: positions in ascending order and the elements there; all other elements are zero.

use super::CosineParts;

/// A sparse vector, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Sparse<'a> {
    indices: &'a [i32],
    values: &'a [f32],
}

impl<'a> Sparse<'a> {
    /// From positions in ascending order without duplicates, and as many elements. Unsorted ones give a wrong distance,
    /// nothing worse.
    #[inline]
    pub fn new(indices: &'a [i32], values: &'a [f32]) -> Self {
        let count = indices.len().min(values.len());
        Self { indices: &indices[..count], values: &values[..count] }
    }

    /// The positions of the elements, counted from 0.
    #[inline]
    pub fn indices(self) -> &'a [i32] {
        self.indices
    }

    /// The elements that are stored.
    #[inline]
    pub fn values(self) -> &'a [f32] {
        self.values
    }
}

/// Sum of `(a - b)^2`.
pub fn l2_squared(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y) * (x - y))
}

/// Sum of `|a - b|`.
pub fn l1(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y).abs())
}

/// Sum of `a * b`.
pub fn inner_product(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    merge(a, b, |sum, x, y| sum + x * y).0
}

/// The parts of a cosine.
pub fn cosine(a: Sparse<'_>, b: Sparse<'_>) -> CosineParts {
    CosineParts {
        dot: inner_product(a, b),
        a_squared: super::inner_product(a.values, a.values),
        b_squared: super::inner_product(b.values, b.values),
    }
}

/// The Euclidean length, without overflow.
pub fn norm(a: Sparse<'_>) -> f64 {
    super::norm(a.values)
}

/// Applies `step` at every position where either has an element.
#[inline(always)]
fn fold(a: Sparse<'_>, b: Sparse<'_>, step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let (sum, at_a, at_b) = merge(a, b, &step);
    let sum = a.values[at_a..].iter().fold(sum, |sum, x| step(sum, *x, 0.0));
    b.values[at_b..].iter().fold(sum, |sum, y| step(sum, 0.0, *y))
}

/// A merge of the sorted positions until one of both ends. Returns the result and how far each was read. It advances without a
/// branch, which the processor could not predict.
#[inline(always)]
fn merge(a: Sparse<'_>, b: Sparse<'_>, step: impl Fn(f32, f32, f32) -> f32) -> (f32, usize, usize) {
    let (mut sum, mut at_a, mut at_b) = (0.0, 0, 0);
    while at_a < a.indices.len() && at_b < b.indices.len() {
        let (i, j) = (a.indices[at_a], b.indices[at_b]);
        let x = if i <= j { a.values[at_a] } else { 0.0 };
        let y = if j <= i { b.values[at_b] } else { 0.0 };
        sum = step(sum, x, y);
        at_a += usize::from(i <= j);
        at_b += usize::from(j <= i);
    }
    (sum, at_a, at_b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small whole numbers, many of them zero: every sum is exact.
    fn dense() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let element = || prop_oneof![3 => Just(0.0f32), 1 => (-9i8..=9).prop_map(f32::from)];
        prop::collection::vec((element(), element()), 0..60).prop_map(|pairs| pairs.into_iter().unzip())
    }

    fn sparse(dense: &[f32]) -> (Vec<i32>, Vec<f32>) {
        (0..).zip(dense.iter().copied()).filter(|(_, x)| *x != 0.0).unzip()
    }

    proptest! {
        #[test]
        fn distances_are_those_of_the_dense_vectors((a, b) in dense()) {
            let (a_parts, b_parts) = (sparse(&a), sparse(&b));
            let (x, y) = (Sparse::new(&a_parts.0, &a_parts.1), Sparse::new(&b_parts.0, &b_parts.1));
            prop_assert_eq!(l2_squared(x, y), crate::distance::l2_squared(&a, &b));
            prop_assert_eq!(l1(x, y), crate::distance::l1(&a, &b));
            prop_assert_eq!(inner_product(x, y), crate::distance::inner_product(&a, &b));
            prop_assert_eq!(cosine(x, y), crate::distance::cosine(&a, &b));
            prop_assert_eq!(norm(x), crate::distance::norm(&a));
        }
    }

    #[test]
    fn a_vector_without_elements_is_zero() {
        let (none, one) = (Sparse::new(&[], &[]), Sparse::new(&[7], &[3.0]));
        assert_eq!((l2_squared(none, one), l1(one, none), inner_product(none, one)), (9.0, 3.0, 0.0));
        assert!(cosine(none, one).distance().is_nan());
    }
}
