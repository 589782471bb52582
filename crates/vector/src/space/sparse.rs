//! Sparse vectors: the number of elements that are not zero, their places (ascending, from 0), and the elements.

use zerocopy::{FromBytes, IntoBytes};

use super::{finite, floats};
use crate::distance::sparse::{self, Sparse};

/// Elements that are not zero, at most: pgvector's limit for hnsw.
pub(super) const MAX_NON_ZERO: usize = 1000;

/// Words of a code of so many elements.
pub(super) fn words(non_zero: usize) -> usize {
    1 + 2 * non_zero
}

pub(super) fn encode(places: &[i32], values: &[f32]) -> Vec<u32> {
    let mut code = Vec::with_capacity(words(values.len()));
    code.push(values.len() as u32);
    code.extend(places.iter().map(|place| place.cast_unsigned()));
    code.extend(values.iter().map(|x| x.to_bits()));
    code
}

pub(super) fn l2_squared(_: usize, a: &[u32], b: &[u32]) -> f32 {
    sparse::l2_squared(decode(a), decode(b)).min(f32::MAX)
}

pub(super) fn l1(_: usize, a: &[u32], b: &[u32]) -> f32 {
    sparse::l1(decode(a), decode(b)).min(f32::MAX)
}

pub(super) fn negative_inner_product(_: usize, a: &[u32], b: &[u32]) -> f32 {
    finite(-sparse::inner_product(decode(a), decode(b)))
}

pub(super) fn is_sound(code: &[u32], dimensions: usize) -> bool {
    let vector = decode(code);
    code.len() == words(vector.values().len())
        && vector.indices().windows(2).all(|pair| pair[0] < pair[1])
        && vector.indices().iter().all(|place| usize::try_from(*place).is_ok_and(|place| place < dimensions))
        && vector.values().iter().all(|x| x.is_finite())
}

fn decode(code: &[u32]) -> Sparse<'_> {
    match code.split_first() {
        Some((count, rest)) if 2 * *count as usize <= rest.len() => {
            let (places, values) = rest.split_at(*count as usize);
            // Same size, same alignment: it cannot fail.
            Sparse::new(<[i32]>::ref_from_bytes(places.as_bytes()).unwrap_or(&[]), floats(values))
        }
        _ => Sparse::new(&[], &[]),
    }
}
