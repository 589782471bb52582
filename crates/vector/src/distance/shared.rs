//! The places that two sparse vectors share. A distance follows from what each vector has alone, which can be computed once,
//! and from the elements at the places that both have: mostly few.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

/// A sparse vector: its places, ascending, and the elements there. `places` may be longer than `values`: what follows is not
/// looked at, but may be read.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a, P> {
    places: &'a [P],
    values: &'a [f32],
}

impl<'a, P> Terms<'a, P> {
    /// As many terms as both slices have. Places that do not ascend give a wrong distance, nothing worse.
    #[inline]
    pub fn new(places: &'a [P], values: &'a [f32]) -> Self {
        let count = places.len().min(values.len());
        Self { places, values: &values[..count] }
    }

    /// The places that count.
    #[inline]
    pub fn places(&self) -> &'a [P] {
        &self.places[..self.values.len()]
    }

    /// The elements.
    #[inline]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }
}

/// A place of an element.
pub trait Place: Copy + Ord {
    /// Folds the elements at the places that two vectors share.
    fn fold(a: Terms<'_, Self>, b: Terms<'_, Self>, step: impl Fn(f64, f32, f32) -> f64) -> f64;
}

/// Small places, of which zero is none.
impl Place for u16 {
    #[inline]
    fn fold(a: Terms<'_, Self>, b: Terms<'_, Self>, step: impl Fn(f64, f32, f32) -> f64) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(sum) = x86::fold_u16(a, b, &step) {
            return sum;
        }
        merge(a, b, step)
    }
}

/// Places that are not negative.
impl Place for i32 {
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
pub fn inner_product<P: Place>(a: Terms<'_, P>, b: Terms<'_, P>) -> f64 {
    P::fold(a, b, |sum, x, y| sum + f64::from(x) * f64::from(y))
}

/// Sum of `|a| + |b| - |a - b|`: by how much the taxicab distance is less than that of vectors that share nothing.
#[inline]
pub fn l1<P: Place>(a: Terms<'_, P>, b: Terms<'_, P>) -> f64 {
    P::fold(a, b, |sum, x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        sum + (x.abs() + y.abs() - (x - y).abs())
    })
}

/// Place by place. Which one steps ahead is data, not a branch: it cannot be predicted.
fn merge<P: Place>(a: Terms<'_, P>, b: Terms<'_, P>, step: impl Fn(f64, f32, f32) -> f64) -> f64 {
    let (mut sum, mut at_a, mut at_b) = (0.0, 0, 0);
    while at_a < a.values.len() && at_b < b.values.len() {
        let (i, j) = (a.places[at_a], b.places[at_b]);
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

    /// Places, near to each other or far apart, with small whole numbers, of which every sum is exact.
    fn terms() -> impl Strategy<Value = BTreeMap<u16, i8>> {
        let place = prop_oneof![1u16..40, 1u16..400, 1u16..=u16::MAX];
        prop_oneof![
            prop::collection::btree_map(1u16..40, -9i8..=9, 0..40),
            prop::collection::btree_map(place, -9i8..=9, 0..300),
        ]
    }

    proptest! {
        #[test]
        fn what_vectors_share_is_found((a, b) in (terms(), terms()), rest in 0usize..20) {
            let shared = || a.iter().filter_map(|(place, x)| Some((f64::from(*x), f64::from(*b.get(place)?))));
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
            let large = |of: &[u16]| of.iter().map(|place| i32::from(*place) * 30_000 - 30_000).collect::<Vec<i32>>();
            let (p, q) = (large(&p), large(&q));
            let (s, t) = (Terms::new(&p, &x), Terms::new(&q, &y));
            prop_assert_eq!((inner_product(s, t), l1(s, t)), (dot, saved));
        }
    }
}
