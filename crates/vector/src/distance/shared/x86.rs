//! Intersection of sorted positions: two blocks of eight are compared all with all at once, then the one with the smaller last
//! position is replaced by its next (compare Schlegel, Willhalm, Lehner: "Fast sorted-set intersection using SIMD
//! instructions", ADMS 2011).

use std::arch::x86_64::*;

use super::Terms;

/// Positions of a block.
const BLOCK: usize = 8;

/// How far to advance in each vector: by a block where its last position is not greater than the other's.
#[inline(always)]
fn done<P: Ord + Copy>(a: &[P], b: &[P], i: usize, j: usize) -> (usize, usize) {
    let (last_a, last_b) = (a[(i + BLOCK).min(a.len()) - 1], b[(j + BLOCK).min(b.len()) - 1]);
    (BLOCK * usize::from(last_a <= last_b), BLOCK * usize::from(last_b <= last_a))
}

/// Applies `step` to the pairs of elements whose bits are set: positions ascend, so the n-th bits of both masks belong together.
#[inline(always)]
fn pairs(
    (mut of_a, x): (u32, &[f32]),
    (mut of_b, y): (u32, &[f32]),
    mut sum: f64,
    step: &impl Fn(f64, f32, f32) -> f64,
) -> f64 {
    while of_a != 0 && of_b != 0 {
        sum = step(sum, x[of_a.trailing_zeros() as usize], y[of_b.trailing_zeros() as usize]);
        of_a &= of_a - 1;
        of_b &= of_b - 1;
    }
    sum
}

/// [`super::Position::fold`], if the processor can.
#[inline]
pub fn fold_u16(a: Terms<'_, u16>, b: Terms<'_, u16>, step: &impl Fn(f64, f32, f32) -> f64) -> Option<f64> {
    // SAFETY: the processor was asked.
    is_x86_feature_detected!("sse4.2").then(|| unsafe { narrow(a, b, step) })
}

/// [`super::Position::fold`], if the processor can.
#[inline]
pub fn fold_i32(a: Terms<'_, i32>, b: Terms<'_, i32>, step: &impl Fn(f64, f32, f32) -> f64) -> Option<f64> {
    // SAFETY: the processor was asked.
    is_x86_feature_detected!("avx2").then(|| unsafe { wide(a, b, step) })
}

#[target_feature(enable = "sse4.2")]
fn narrow(a: Terms<'_, u16>, b: Terms<'_, u16>, step: &impl Fn(f64, f32, f32) -> f64) -> f64 {
    const ANY: i32 = _SIDD_UWORD_OPS | _SIDD_CMP_EQUAL_ANY | _SIDD_BIT_MASK;
    let (p, q) = (a.positions(), b.positions());
    let (mut sum, mut i, mut j) = (0.0, 0, 0);
    while i < p.len() && j < q.len() {
        let (block_a, block_b) = (load_u16(a, i), load_u16(b, j));
        // A zero ends a block, so what was not loaded is equal to nothing.
        let of_b = _mm_cvtsi128_si32(_mm_cmpistrm::<ANY>(block_a, block_b)).cast_unsigned();
        if of_b != 0 {
            let of_a = _mm_cvtsi128_si32(_mm_cmpistrm::<ANY>(block_b, block_a)).cast_unsigned();
            sum = pairs((of_a, &a.values[i..]), (of_b, &b.values[j..]), sum, step);
        }
        let (step_a, step_b) = done(p, q, i, j);
        i += step_a;
        j += step_b;
    }
    sum
}

/// A block of positions, zero where there are no more.
#[target_feature(enable = "sse4.2")]
#[inline]
fn load_u16(terms: Terms<'_, u16>, at: usize) -> __m128i {
    let left = terms.values.len() - at;
    if let Some(block) = terms.positions[at..].first_chunk::<BLOCK>() {
        // SAFETY: eight positions.
        let block = unsafe { _mm_loadu_si128(block.as_ptr().cast()) };
        let lanes = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm_and_si128(block, _mm_cmpgt_epi16(_mm_set1_epi16(left.min(BLOCK) as i16), lanes));
    }
    let mut block = [0; BLOCK];
    block[..left].copy_from_slice(&terms.positions[at..at + left]);
    // SAFETY: eight positions.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn wide(a: Terms<'_, i32>, b: Terms<'_, i32>, step: &impl Fn(f64, f32, f32) -> f64) -> f64 {
    let (p, q) = (a.positions(), b.positions());
    let (mut sum, mut i, mut j) = (0.0, 0, 0);
    while i < p.len() && j < q.len() {
        let (block_a, mut block_b) = (load_i32(p, i, -1), load_i32(q, j, -2));
        let next = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
        let whole_b = block_b;
        let mut equal = _mm256_cmpeq_epi32(block_a, block_b);
        for _ in 1..BLOCK {
            block_b = _mm256_permutevar8x32_epi32(block_b, next);
            equal = _mm256_or_si256(equal, _mm256_cmpeq_epi32(block_a, block_b));
        }
        let mut of_a = bits(equal);
        while of_a != 0 {
            let at = i + of_a.trailing_zeros() as usize;
            let of_b = bits(_mm256_cmpeq_epi32(_mm256_set1_epi32(p[at]), whole_b));
            sum = pairs((1, &a.values[at..]), (of_b, &b.values[j..]), sum, step);
            of_a &= of_a - 1;
        }
        let (step_a, step_b) = done(p, q, i, j);
        i += step_a;
        j += step_b;
    }
    sum
}

#[target_feature(enable = "avx2")]
#[inline]
fn bits(lanes: __m256i) -> u32 {
    _mm256_movemask_ps(_mm256_castsi256_ps(lanes)).cast_unsigned()
}

/// A block of positions, `none` where there are no more.
#[target_feature(enable = "avx2")]
#[inline]
fn load_i32(positions: &[i32], at: usize, none: i32) -> __m256i {
    if let Some(block) = positions[at..].first_chunk::<BLOCK>() {
        // SAFETY: eight positions.
        return unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
    }
    let mut block = [none; BLOCK];
    block[..positions.len() - at].copy_from_slice(&positions[at..]);
    // SAFETY: eight positions.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}
