//! A fixed rotation, after which no element of a vector says more than the others: so one step serves all of them.
//!
//! Rounds of random signs and a fast Walsh-Hadamard transform of the first or the last elements, as many as a power of two
//! allows; where that is not all of them, both halves are mixed between the rounds (a step of Kac's walk). This is how the
//! library of RaBitQ (Gao et al., SIGMOD 2024 and 2025) rotates. The signs come from a fixed seed, so there is nothing to
//! keep; what they are is a part of the format of an index.

use crate::random::Random;

/// Rounds: a vector of a single element is flat after two, and none that people make is a row of all of them.
const ROUNDS: usize = 3;
/// Signs of one round, after which they begin anew.
const SIGNS: usize = 16_384;
/// Elements that fit a few registers, within which the first stages of a transform run.
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
        flip(vector, flips);
        let start = if round % 2 == 0 { 0 } else { rest };
        transform(&mut vector[start..start + part]);
        if rest > 0 {
            mix(vector);
        }
    }
}

/// By which part of its length a rotated vector may be wrong, at most: every stage rounds.
pub(super) fn rounding(dimensions: usize) -> f64 {
    let stages = ROUNDS * (dimensions.ilog2() as usize + 3);
    stages as f64 * f64::from(f32::EPSILON) / 2.0
}

fn flip(vector: &mut [f32], flips: &[u16]) {
    let sign = |x: &mut f32, flips: u32, i: usize| {
        let flip = if flips & (1 << i) != 0 { 1 << 31 } else { 0 };
        *x = f32::from_bits(x.to_bits() ^ flip);
    };
    let mut flips = flips.iter().cycle().map(|flips| u32::from(*flips));
    let (blocks, rest) = vector.as_chunks_mut::<BLOCK>();
    for (block, flips) in blocks.iter_mut().zip(&mut flips) {
        block.iter_mut().enumerate().for_each(|(i, x)| sign(x, flips, i));
    }
    let flips = flips.next().unwrap_or(0);
    rest.iter_mut().enumerate().for_each(|(i, x)| sign(x, flips, i));
}

/// The Walsh-Hadamard transform of a power of two of elements, 32 or more, which keeps lengths.
fn transform(vector: &mut [f32]) {
    let scale = (vector.len() as f32).sqrt().recip();
    let (blocks, _) = vector.as_chunks_mut::<BLOCK>();
    for block in blocks.iter_mut() {
        for width in [1, 2, 4, 8] {
            let mut next = [0.0; BLOCK];
            for i in 0..BLOCK {
                let (x, y) = (block[i & !width], block[i | width]);
                next[i] = if i & width == 0 { x + y } else { x - y };
            }
            *block = next;
        }
        block.iter_mut().for_each(|x| *x *= scale);
    }
    let mut width = BLOCK;
    while width < vector.len() {
        for pair in vector.chunks_exact_mut(2 * width) {
            let (left, right) = pair.split_at_mut(width);
            for (x, y) in left.iter_mut().zip(right) {
                (*x, *y) = (*x + *y, *x - *y);
            }
        }
        width *= 2;
    }
}

/// Turns the halves into each other; the middle one of an odd number of elements stays.
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
            for at in [0, 1, length / 3, length / 2, length - 1] {
                let mut single = vec![0.0; length];
                single[at] = 1.0;
                let flat = rotated(&single);
                let most = flat.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                let usual = (length as f32).sqrt().recip();
                assert!(most < 5.0 * usual, "{length}, {at}: {} times the usual", most / usual);
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
        println!("{:?} {:?}", golden(32), golden(100));
    }

    #[test]
    #[ignore = "prints figures"]
    fn rotation_figures() {
        for length in [128, 384, 768, 1536] {
            let mut vector = Random::new(1).vector(length);
            let start = std::time::Instant::now();
            for _ in 0..10_000 {
                rotate(std::hint::black_box(&mut vector));
            }
            println!("{length}: {:.3} us", start.elapsed().as_secs_f64() * 100.0);
        }
    }
}
