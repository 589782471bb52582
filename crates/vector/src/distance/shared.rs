//! Sums over the positions that two sparse vectors share. A distance follows from a sum over each vector, computed once when its
//! code is made, and from a sum over the shared positions, which are mostly few.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

/// A sparse vector: its positions, ascending, and the elements there. `positions` may be longer than `values`: the rest may be
/// loaded but does not count.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a, P> {
    positions: &'a [P],
    values: &'a [f32],
}

impl<'a, P> Terms<'a, P> {
    /// As many terms as both slices have. Positions that do not ascend give a wrong distance, nothing worse.
    #[inline]
    pub fn new(positions: &'a [P], values: &'a [f32]) -> Self {
        let count = positions.len().min(values.len());
        Self { positions, values: &values[..count] }
    }

    /// The positions that count.
    #[inline]
    pub fn positions(&self) -> &'a [P] {
        &self.positions[..self.values.len()]
    }

    /// The elements.
    #[inline]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }
}

/// A position of an element.
pub trait Position: Copy + Ord {
    /// Folds the elements at the positions that two vectors share.
    fn fold(a: Terms<'_, Self>, b: Terms<'_, Self>, step: impl Fn(f64, f32, f32) -> f64) -> f64;
}

/// Positions that are counted from 1; zero is padding.
impl Position for u16 {
    #[inline]
    fn fold(a: Terms<'_, Self>, b: Terms<'_, Self>, step: impl Fn(f64, f32, f32) -> f64) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(sum) = x86::fold_u16(a, b, &step) {
            return sum;
        }
        merge(a, b, step)
    }
}

/// Positions that are counted from 0.
impl Position for i32 {
    #[inline]
    fn fold(a: Terms<'_, Self>, b: Terms<'_, Self>, step: impl Fn(f64, f32, f32) -> f64) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(sum) = x86::fold_i32(a, b, &step) {
            return sum;
        }
        merge(a, b, step)
    }
}

/// Sum of `a * b`. In `f64`, which no product of `f32` overflows.
#[inline]
pub fn inner_product<P: Position>(a: Terms<'_, P>, b: Terms<'_, P>) -> f64 {
    P::fold(a, b, |sum, x, y| sum + f64::from(x) * f64::from(y))
}

/// Sum of `|a| + |b| - |a - b|`: by how much the taxicab distance is less than that of vectors that share nothing.
#[inline]
pub fn l1<P: Position>(a: Terms<'_, P>, b: Terms<'_, P>) -> f64 {
    P::fold(a, b, |sum, x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        sum + (x.abs() + y.abs() - (x - y).abs())
    })
}

/// A merge of the sorted positions. It advances without a branch, which the processor could not predict.
fn merge<P: Position>(a: Terms<'_, P>, b: Terms<'_, P>, step: impl Fn(f64, f32, f32) -> f64) -> f64 {
    let (mut sum, mut at_a, mut at_b) = (0.0, 0, 0);
    while at_a < a.values.len() && at_b < b.values.len() {
        let (i, j) = (a.positions[at_a], b.positions[at_b]);
        if i == j {
            sum = step(sum, a.values[at_a], b.values[at_b]);
        }
        at_a += usize::from(i <= j);
        at_b += usize::from(j <= i);
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Positions, near to each other or far apart, with small whole numbers, of which every sum is exact.
    fn terms() -> impl Strategy<Value = BTreeMap<u16, i8>> {
        let position = prop_oneof![1u16..40, 1u16..400, 1u16..=u16::MAX];
        prop_oneof![
            prop::collection::btree_map(1u16..40, -9i8..=9, 0..40),
            prop::collection::btree_map(position, -9i8..=9, 0..300),
        ]
    }

    proptest! {
        #[test]
        fn what_vectors_share_is_found((a, b) in (terms(), terms()), rest in 0usize..20) {
            let shared = || a.iter().filter_map(|(position, x)| Some((f64::from(*x), f64::from(*b.get(position)?))));
            let dot: f64 = shared().map(|(x, y)| x * y).sum();
            let saved: f64 = shared().map(|(x, y)| x.abs() + y.abs() - (x - y).abs()).sum();
            let values = |of: &BTreeMap<u16, i8>| of.values().copied().map(f32::from).collect::<Vec<f32>>();
            let (x, y) = (values(&a), values(&b));
            let small = |of: &BTreeMap<u16, i8>| {
                // What follows must not count, whatever it is.
                of.keys().copied().chain((1..).take(rest)).collect::<Vec<u16>>()
            };
            let (p, q) = (small(&a), small(&b));
            let (s, t) = (Terms::new(&p, &x), Terms::new(&q, &y));
            prop_assert_eq!((inner_product(s, t), l1(s, t)), (dot, saved));
            prop_assert_eq!(merge(s, t, |sum, x, y| sum + f64::from(x) * f64::from(y)), dot);
            let large = |of: &[u16]| of.iter().map(|position| i32::from(*position) * 30_000 - 30_000).collect::<Vec<i32>>();
            let (p, q) = (large(&p), large(&q));
            let (s, t) = (Terms::new(&p, &x), Terms::new(&q, &y));
            prop_assert_eq!((inner_product(s, t), l1(s, t)), (dot, saved));
        }
    }
}
