//! AVX2 with FMA and F16C. Several accumulators hide the latency of a fused multiply-add and round less; the last elements
//! are read from a copy that is filled up with zeros. Conversion is what takes the time, so AVX-512 gains nothing.

use std::arch::x86_64::*;

use super::{CosineParts, HalfKernels, f16};

/// The set that this processor can run, if any. Only then it is ever handed out.
pub(super) fn available() -> Option<&'static HalfKernels> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    avx2.then_some(&AVX2)
}

static AVX2: HalfKernels = HalfKernels {
    name: "avx2+f16c",
    // SAFETY: for all five, this table is only reached through `available`, which has asked the processor for all three.
    l2_squared: |a, b| unsafe { l2_squared(a, b) },
    // SAFETY: as above.
    inner_product: |a, b| unsafe { inner_product(a, b) },
    // SAFETY: as above.
    l1: |a, b| unsafe { l1(a, b) },
    // SAFETY: as above.
    cosine: |a, b| unsafe { cosine(a, b) },
    // SAFETY: as above.
    norm_squared: |a| unsafe { norm_squared(a) },
};

/// The elements behind the last whole block of `N`, and zeros.
#[inline(always)]
fn padded<const N: usize>(rest: &[f16]) -> [f16; N] {
    let mut block = [f16::ZERO; N];
    block[..rest.len()].copy_from_slice(rest);
    block
}

#[target_feature(enable = "avx2,fma,f16c")]
fn l2_squared(a: &[f16], b: &[f16]) -> f32 {
    fold(a, b, |sum, x, y| {
        let difference = _mm256_sub_ps(x, y);
        _mm256_fmadd_ps(difference, difference, sum)
    })
}

#[target_feature(enable = "avx2,fma,f16c")]
fn inner_product(a: &[f16], b: &[f16]) -> f32 {
    fold(a, b, |sum, x, y| _mm256_fmadd_ps(x, y, sum))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn l1(a: &[f16], b: &[f16]) -> f32 {
    let sign = _mm256_set1_ps(-0.0);
    fold(a, b, |sum, x, y| _mm256_add_ps(sum, _mm256_andnot_ps(sign, _mm256_sub_ps(x, y))))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn cosine(a: &[f16], b: &[f16]) -> CosineParts {
    let common = a.len().min(b.len());
    let (a_blocks, a_rest) = a[..common].as_chunks::<8>();
    let (b_blocks, b_rest) = b[..common].as_chunks::<8>();
    let mut sums = [[_mm256_setzero_ps(); 3]; 2];
    let add = |[dot, a_squared, b_squared]: [__m256; 3], x: &[f16; 8], y: &[f16; 8]| {
        let (x, y) = (load(x), load(y));
        [_mm256_fmadd_ps(x, y, dot), _mm256_fmadd_ps(x, x, a_squared), _mm256_fmadd_ps(y, y, b_squared)]
    };
    let (a_pairs, a_last) = a_blocks.as_chunks::<2>();
    let (b_pairs, b_last) = b_blocks.as_chunks::<2>();
    for (x, y) in a_pairs.iter().zip(b_pairs) {
        sums = [add(sums[0], &x[0], &y[0]), add(sums[1], &x[1], &y[1])];
    }
    for (x, y) in a_last.iter().zip(b_last) {
        sums[0] = add(sums[0], x, y);
    }
    sums[1] = add(sums[1], &padded(a_rest), &padded(b_rest));
    let [dot, a_squared, b_squared] = [0, 1, 2].map(|term| sum(_mm256_add_ps(sums[0][term], sums[1][term])));
    CosineParts { dot, a_squared, b_squared }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn norm_squared(a: &[f16]) -> f64 {
    let (blocks, rest) = a.as_chunks::<8>();
    let mut sums = [_mm256_setzero_pd(); 2];
    let mut add = |x: &[f16; 8]| {
        let x = load(x);
        let (low, high) = (_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x)));
        sums = [_mm256_fmadd_pd(low, low, sums[0]), _mm256_fmadd_pd(high, high, sums[1])];
    };
    blocks.iter().for_each(&mut add);
    add(&padded(rest));
    let mut lanes = [0f64; 4];
    // SAFETY: four f64 into an array of four.
    unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), _mm256_add_pd(sums[0], sums[1])) };
    lanes.iter().sum()
}

/// Folds both slices, eight elements a step; missing elements count as zero in both.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn fold(a: &[f16], b: &[f16], step: impl Fn(__m256, __m256, __m256) -> __m256) -> f32 {
    let common = a.len().min(b.len());
    let (a_blocks, a_rest) = a[..common].as_chunks::<8>();
    let (b_blocks, b_rest) = b[..common].as_chunks::<8>();
    let (a_fours, a_blocks) = a_blocks.as_chunks::<4>();
    let (b_fours, b_blocks) = b_blocks.as_chunks::<4>();
    let mut sums = [_mm256_setzero_ps(); 4];
    for (x, y) in a_fours.iter().zip(b_fours) {
        for lane in 0..4 {
            sums[lane] = step(sums[lane], load(&x[lane]), load(&y[lane]));
        }
    }
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        sums[0] = step(sums[0], load(x), load(y));
    }
    if !a_rest.is_empty() {
        sums[1] = step(sums[1], load(&padded(a_rest)), load(&padded(b_rest)));
    }
    sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])))
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn load(values: &[f16; 8]) -> __m256 {
    // SAFETY: sixteen bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn sum(lanes: __m256) -> f32 {
    let halves = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps::<1>(pairs, pairs)))
}
