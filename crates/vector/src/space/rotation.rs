//! A fixed random rotation, which spreads the length of a vector evenly over its elements, so that one quantisation step fits
//! all of them.
//!
//! It consists of rounds of random sign flips and a fast Walsh-Hadamard transform. The transform needs a power of two of
//! elements: if there are more, rounds transform the first and the last ones in turn, and halfway both halves of the vector are
//! mixed (a step of Kac's walk). The library of RaBitQ (Gao et al., SIGMOD 2024 and 2025) does the same but mixes after each
//! round, which moves elements that one transform has left out to where the next one leaves them out again. The signs come from
//! a fixed seed and are not stored; they are part of the on-disk format.

use crate::random::Random;

/// Two for each end. After them, a vector with a single non-zero element is as flat as one of random elements.
const ROUNDS: usize = 4;
/// Number of signs of a round; longer vectors repeat them.
const SIGNS: usize = 16_384;
/// Number of elements that fit into a few registers, in which the first stages of a transform run.
const BLOCK: usize = 16;

/// A bit for each sign.
static FLIPS: [[u16; SIGNS / BLOCK]; ROUNDS] = flips();

const fn flips() -> [[u16; SIGNS / BLOCK]; ROUNDS] {
    let mut random = Random(0x1A60_0000);
    let mut all = [[0; SIGNS / BLOCK]; ROUNDS];
    let mut i = 0;
    while i < ROUNDS * SIGNS / BLOCK {
        all[i % ROUNDS][i / ROUNDS] = (random.next() >> 48) as u16;
        i += 1;
    }
    all
}

/// Rotates a vector of 32 elements or more.
pub(super) fn rotate(vector: &mut [f32]) {
    let part = 1 << vector.len().ilog2();
    let rest = vector.len() - part;
    for (round, flips) in FLIPS.iter().enumerate() {
        let start = if round % 2 == 0 { 0 } else { rest };
        let part = &mut vector[start..start + part];
        flip(part, flips);
        transform(part);
        if rest > 0 && round == 1 {
            mix(vector);
        }
    }
}

/// Upper bound of the relative rounding error of a rotated vector: every stage rounds.
pub(super) fn rounding(dimensions: usize) -> f64 {
    let stages = ROUNDS * (dimensions.ilog2() as usize + 3) + 3;
    stages as f64 * f64::from(f32::EPSILON) / 2.0
}

fn flip(vector: &mut [f32], flips: &[u16; SIGNS / BLOCK]) {
    let (blocks, _) = vector.as_chunks_mut::<BLOCK>();
    for (block, flips) in blocks.iter_mut().zip(flips.iter().cycle()) {
        flip_block(block, *flips);
    }
}

#[inline(always)]
fn flip_block(block: &mut [f32; BLOCK], flips: u16) {
    let flips = u32::from(flips);
    for (i, x) in block.iter_mut().enumerate() {
        let sign = if flips & (1 << i) != 0 { 1 << 31 } else { 0 };
        *x = f32::from_bits(x.to_bits() ^ sign);
    }
}

/// The Walsh-Hadamard transform, normalised to keep lengths. The number of elements is a power of two, 32 or more.
fn transform(vector: &mut [f32]) {
    let scale = (vector.len() as f32).sqrt().recip();
    let (blocks, _) = vector.as_chunks_mut::<BLOCK>();
    for block in blocks {
        stage::<1>(block);
        stage::<2>(block);
        stage::<4>(block);
        stage::<8>(block);
        block.iter_mut().for_each(|x| *x *= scale);
    }
    let mut width = BLOCK;
    if (vector.len() / BLOCK).ilog2() % 2 == 1 {
        for pair in vector.chunks_exact_mut(2 * width) {
            let (left, right) = pair.split_at_mut(width);
            for (x, y) in left.iter_mut().zip(right) {
                (*x, *y) = (*x + *y, *x - *y);
            }
        }
        width *= 2;
    }
    // Two stages at a time halve the loads and stores.
    while width < vector.len() {
        for four in vector.chunks_exact_mut(4 * width) {
            let (left, right) = four.split_at_mut(2 * width);
            let ((a, b), (c, d)) = (left.split_at_mut(width), right.split_at_mut(width));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (x, y, z, w) = (*a + *b, *a - *b, *c + *d, *c - *d);
                (*a, *b, *c, *d) = (x + z, y + w, x - z, y - w);
            }
        }
        width *= 4;
    }
}

/// Sums and differences of elements that are `WIDTH` apart. `WIDTH` is a constant so that the block stays in registers.
#[inline(always)]
fn stage<const WIDTH: usize>(block: &mut [f32; BLOCK]) {
    let old = *block;
    for (i, x) in block.iter_mut().enumerate() {
        let (left, right) = (old[i & !WIDTH], old[i | WIDTH]);
        *x = if i & WIDTH == 0 { left + right } else { left - right };
    }
}

/// Rotates both halves of the vector into each other by 45 degrees. The middle one of an odd number of elements stays.
fn mix(vector: &mut [f32]) {
    let half = vector.len() / 2;
    let start = vector.len() - half;
    let (left, right) = vector.split_at_mut(start);
    for (x, y) in left[..half].iter_mut().zip(right) {
        let scale = std::f32::consts::FRAC_1_SQRT_2;
        (*x, *y) = ((*x + *y) * scale, (*x - *y) * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;

    const LENGTHS: [usize; 12] = [32, 33, 47, 63, 64, 100, 128, 384, 768, 1999, 4000, 16_000];

    fn rotated(vector: &[f32]) -> Vec<f32> {
        let mut vector = vector.to_vec();
        rotate(&mut vector);
        vector
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn lengths_and_angles_are_kept() {
        let mut random = Random::new(3);
        for length in LENGTHS {
            let (a, b) = (random.vector(length), random.vector(length));
            let (x, y) = (rotated(&a), rotated(&b));
            let size = dot(&a, &a);
            assert!((dot(&x, &x) - size).abs() < 2.0 * rounding(length) * size, "{length}");
            assert!((dot(&x, &y) - dot(&a, &b)).abs() < 2.0 * rounding(length) * size, "{length}");
            assert!(rounding(length) < 5e-6);
        }
    }

    #[test]
    fn a_single_element_becomes_flat() {
        for length in LENGTHS {
            for at in (0..length).step_by(length / 32) {
                let mut single = vec![0.0; length];
                single[at] = 1.0;
                let most = rotated(&single).iter().fold(0.0f32, |most, x| most.max(x.abs()));
                let usual = (length as f32).sqrt().recip();
                assert!(most < 5.5 * usual, "{length}, {at}: {} times the usual", most / usual);
            }
        }
    }

    /// An index that is written by one version is read by the next.
    #[test]
    fn a_rotation_stays_what_it_is() {
        let golden = |length: usize| {
            let vector: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let vector = rotated(&vector);
            [vector[0], vector[1], vector[length / 2], vector[length - 1]]
        };
        assert_eq!(golden(32), [0.37499905, -19.5, -28.0, 13.625002]);
        assert_eq!(golden(100), [-33.609665, -5.049183, 3.8089828, -19.801754]);
    }
}
