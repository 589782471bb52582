//! Sparse vectors: the number of elements that are not zero, their places, and the elements.
//!
//! ```text
//! count u32 | own f64 | places, ascending | elements f32
//! ```
//!
//! `own` is the sum of squares, for L1 of amounts: how far the vector of zeros is. Up to [`NARROW`] dimensions a place is
//! half a word, counted from 1; else a word, counted from 0.

use zerocopy::{FromBytes, IntoBytes};

use super::{Metric, Space, finite, floats};
use crate::distance::shared::{self, Place, Terms};

/// Elements that are not zero, at most: pgvector's limit for hnsw.
pub(super) const MAX_NON_ZERO: usize = 1000;
/// Dimensions up to which a place is a `u16` that is neither zero nor the largest one, which a place beyond becomes.
const NARROW: usize = u16::MAX as usize - 1;

/// Where the places begin.
const PLACES: usize = 3;

/// Where the elements of a code of so many begin.
#[inline]
fn values_at(dimensions: usize, non_zero: usize) -> usize {
    PLACES + if dimensions <= NARROW { non_zero.div_ceil(2) } else { non_zero }
}

/// Words of a code of so many elements.
#[inline]
pub(super) fn words(space: &Space, non_zero: usize) -> usize {
    values_at(space.dimensions, non_zero) + non_zero
}

/// `places` are counted from 0.
pub(super) fn encode(space: &Space, places: &[i32], values: &[f32]) -> Vec<u32> {
    let mut code = Vec::with_capacity(words(space, values.len()));
    code.push(values.len() as u32);
    let own: [u32; 2] = zerocopy::transmute!(own(space.metric, values));
    code.extend_from_slice(&own);
    if space.dimensions <= NARROW {
        let narrow = |place: Option<&i32>| place.map_or(0, |place| u16::try_from(*place + 1).unwrap_or(u16::MAX));
        code.extend(
            places.chunks(2).map(|pair| -> u32 { zerocopy::transmute!([narrow(pair.first()), narrow(pair.get(1))]) }),
        );
    } else {
        code.extend(places.iter().map(|place| place.cast_unsigned()));
    }
    code.extend(values.iter().map(|x| x.to_bits()));
    code
}

fn own(metric: Metric, values: &[f32]) -> f64 {
    let values = values.iter().map(|x| f64::from(*x));
    match metric {
        Metric::L1 => values.map(f64::abs).sum(),
        _ => values.map(|x| x * x).sum(),
    }
}

/// A code, taken apart.
#[derive(Clone, Copy)]
struct Parts<'a, P> {
    own: f64,
    terms: Terms<'a, P>,
}

impl<'a, P: FromBytes + zerocopy::Immutable> Parts<'a, P> {
    /// What is no code becomes a vector of zeros.
    #[inline]
    fn new(dimensions: usize, code: &'a [u32]) -> Self {
        let count = code.first().map_or(0, |count| *count as usize);
        let values = values_at(dimensions, count);
        let (Some(places), Some(elements)) = (code.get(PLACES..), code.get(values..values + count)) else {
            return Self { own: 0.0, terms: Terms::new(&[], &[]) };
        };
        let own = zerocopy::transmute!([code[1], code[2]]);
        // A place is not larger than a word, and no more aligned: it cannot fail.
        Self { own, terms: Terms::new(<[P]>::ref_from_bytes(places.as_bytes()).unwrap_or(&[]), floats(elements)) }
    }
}

/// The distance of a metric by its function of the codes taken apart, for places of both kinds.
macro_rules! distance {
    ($name:ident, |$a:ident, $b:ident| $distance:expr) => {
        pub(super) fn $name(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
            fn of<P: Place + FromBytes + zerocopy::Immutable>(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
                let ($a, $b) = (Parts::<P>::new(dimensions, a), Parts::<P>::new(dimensions, b));
                finite($distance as f32)
            }
            if dimensions <= NARROW { of::<u16>(dimensions, a, b) } else { of::<i32>(dimensions, a, b) }
        }
    };
}

// In `f64`, squares of `f32` are exact: what cancels out loses no more than a sum of squares of differences in `f32` would.
distance!(l2_squared, |a, b| (a.own + b.own - 2.0 * shared::inner_product(a.terms, b.terms)).max(0.0));
distance!(l1, |a, b| (a.own + b.own - shared::l1(a.terms, b.terms)).max(0.0));
distance!(negative_inner_product, |a, b| -shared::inner_product(a.terms, b.terms));

pub(super) fn is_sound(space: &Space, code: &[u32]) -> bool {
    let count = code.first().map_or(0, |count| *count as usize);
    if count > MAX_NON_ZERO || code.len() != words(space, count) {
        return false;
    }
    let (narrow, wide) = (Parts::<u16>::new(space.dimensions, code), Parts::<i32>::new(space.dimensions, code));
    let places: Vec<i64> = if space.dimensions <= NARROW {
        narrow.terms.places().iter().map(|place| i64::from(*place) - 1).collect()
    } else {
        wide.terms.places().iter().map(|place| i64::from(*place)).collect()
    };
    let values = narrow.terms.values();
    places.windows(2).all(|pair| pair[0] < pair[1])
        && places.iter().all(|place| (0..space.dimensions as i64).contains(place))
        && values.iter().all(|x| x.is_finite())
        && narrow.own == own(space.metric, values)
}
