//! Sparse vectors: the number of elements that are not zero, their places (ascending, from 0), and the elements.

use super::floats;

/// Elements that are not zero, at most: pgvector's limit for hnsw.
pub(super) const MAX_NON_ZERO: usize = 1000;

/// Words of a code of so many elements.
pub(super) fn words(non_zero: usize) -> usize {
    1 + 2 * non_zero
}

pub(super) fn encode(places: &[u32], values: &[f32]) -> Vec<u32> {
    let mut code = Vec::with_capacity(words(values.len()));
    code.push(values.len() as u32);
    code.extend_from_slice(places);
    code.extend(values.iter().map(|x| x.to_bits()));
    code
}

pub(super) fn l2_squared(_: usize, a: &[u32], b: &[u32]) -> f32 {
    merge(a, b, |x, y| (x - y) * (x - y))
}

pub(super) fn l1(_: usize, a: &[u32], b: &[u32]) -> f32 {
    merge(a, b, |x, y| (x - y).abs())
}

pub(super) fn negative_inner_product(_: usize, a: &[u32], b: &[u32]) -> f32 {
    -merge(a, b, |x, y| x * y)
}

pub(super) fn is_sound(code: &[u32], dimensions: usize) -> bool {
    let (places, values) = parts(code);
    code.len() == words(values.len())
        && places.windows(2).all(|pair| pair[0] < pair[1])
        && places.last().is_none_or(|last| (*last as usize) < dimensions)
        && values.iter().all(|x| x.is_finite())
}

fn parts(code: &[u32]) -> (&[u32], &[f32]) {
    match code.split_first() {
        Some((count, rest)) if 2 * *count as usize <= rest.len() => {
            let (places, values) = rest.split_at(*count as usize);
            (places, floats(&values[..places.len()]))
        }
        _ => (&[], &[]),
    }
}

/// The sum of `term` over all places where one of the two is not zero.
fn merge(a: &[u32], b: &[u32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let ((a_places, a_values), (b_places, b_values)) = (parts(a), parts(b));
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a_places.len() && j < b_places.len() {
        let (here, there) = (a_places[i], b_places[j]);
        let x = if here <= there { a_values[i] } else { 0.0 };
        let y = if there <= here { b_values[j] } else { 0.0 };
        sum += term(x, y);
        i += usize::from(here <= there);
        j += usize::from(there <= here);
    }
    sum += a_values[i..].iter().map(|x| term(*x, 0.0)).sum::<f32>();
    sum += b_values[j..].iter().map(|y| term(0.0, *y)).sum::<f32>();
    sum
}
