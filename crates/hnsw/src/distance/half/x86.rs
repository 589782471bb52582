//! AVX-512F, and AVX2 with FMA and F16C. Four accumulators hide the latency of a fused multiply-add; the last elements are
//! read from a copy that is filled up with zeros.

use std::arch::x86_64::*;

use super::{CosineParts, HalfKernels, f16};

/// The sets that this processor can run, fastest first. Only they are ever handed out.
pub(super) fn available() -> impl Iterator<Item = &'static HalfKernels> {
    let avx512 = is_x86_feature_detected!("avx512f").then_some(&AVX512);
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    avx512.into_iter().chain(avx2.then_some(&AVX2))
}

static AVX512: HalfKernels = HalfKernels {
    name: "avx512f",
    // SAFETY: for all five, this table is only reached through `available`, which has asked the processor for AVX-512F.
    l2_squared: |a, b| unsafe { avx512::l2_squared(a, b) },
    // SAFETY: as above.
    inner_product: |a, b| unsafe { avx512::inner_product(a, b) },
    // SAFETY: as above.
    l1: |a, b| unsafe { avx512::l1(a, b) },
    // SAFETY: as above.
    cosine: |a, b| unsafe { avx512::cosine(a, b) },
    // SAFETY: as above.
    norm_squared: |a| unsafe { avx512::norm_squared(a) },
};

static AVX2: HalfKernels = HalfKernels {
    name: "avx2+f16c",
    // SAFETY: for all five, this table is only reached through `available`, which has asked the processor for all three.
    l2_squared: |a, b| unsafe { avx2::l2_squared(a, b) },
    // SAFETY: as above.
    inner_product: |a, b| unsafe { avx2::inner_product(a, b) },
    // SAFETY: as above.
    l1: |a, b| unsafe { avx2::l1(a, b) },
    // SAFETY: as above.
    cosine: |a, b| unsafe { avx2::cosine(a, b) },
    // SAFETY: as above.
    norm_squared: |a| unsafe { avx2::norm_squared(a) },
};

/// The elements behind the last whole block of `N`, and zeros.
#[inline(always)]
fn padded<const N: usize>(rest: &[f16]) -> [f16; N] {
    let mut block = [f16::ZERO; N];
    block[..rest.len()].copy_from_slice(rest);
    block
}

mod avx2 {
    use super::*;

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn l2_squared(a: &[f16], b: &[f16]) -> f32 {
        fold(a, b, |sum, x, y| {
            let difference = _mm256_sub_ps(x, y);
            _mm256_fmadd_ps(difference, difference, sum)
        })
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn inner_product(a: &[f16], b: &[f16]) -> f32 {
        fold(a, b, |sum, x, y| _mm256_fmadd_ps(x, y, sum))
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn l1(a: &[f16], b: &[f16]) -> f32 {
        let sign = _mm256_set1_ps(-0.0);
        fold(a, b, |sum, x, y| _mm256_add_ps(sum, _mm256_andnot_ps(sign, _mm256_sub_ps(x, y))))
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn cosine(a: &[f16], b: &[f16]) -> CosineParts {
        let common = a.len().min(b.len());
        let (a_blocks, a_rest) = a[..common].as_chunks::<8>();
        let (b_blocks, b_rest) = b[..common].as_chunks::<8>();
        let mut sums = [_mm256_setzero_ps(); 3];
        let mut add = |x: &[f16; 8], y: &[f16; 8]| {
            let (x, y) = (load(x), load(y));
            sums[0] = _mm256_fmadd_ps(x, y, sums[0]);
            sums[1] = _mm256_fmadd_ps(x, x, sums[1]);
            sums[2] = _mm256_fmadd_ps(y, y, sums[2]);
        };
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            add(x, y);
        }
        add(&padded(a_rest), &padded(b_rest));
        CosineParts { dot: sum(sums[0]), a_squared: sum(sums[1]), b_squared: sum(sums[2]) }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn norm_squared(a: &[f16]) -> f64 {
        let (blocks, rest) = a.as_chunks::<8>();
        let mut sums = [_mm256_setzero_pd(); 2];
        let mut add = |x: &[f16; 8]| {
            let x = load(x);
            let (low, high) =
                (_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x)));
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
}

mod avx512 {
    use super::*;

    #[target_feature(enable = "avx512f")]
    pub fn l2_squared(a: &[f16], b: &[f16]) -> f32 {
        fold(a, b, |sum, x, y| {
            let difference = _mm512_sub_ps(x, y);
            _mm512_fmadd_ps(difference, difference, sum)
        })
    }

    #[target_feature(enable = "avx512f")]
    pub fn inner_product(a: &[f16], b: &[f16]) -> f32 {
        fold(a, b, |sum, x, y| _mm512_fmadd_ps(x, y, sum))
    }

    #[target_feature(enable = "avx512f")]
    pub fn l1(a: &[f16], b: &[f16]) -> f32 {
        fold(a, b, |sum, x, y| _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(x, y))))
    }

    #[target_feature(enable = "avx512f")]
    pub fn cosine(a: &[f16], b: &[f16]) -> CosineParts {
        let common = a.len().min(b.len());
        let (a_blocks, a_rest) = a[..common].as_chunks::<16>();
        let (b_blocks, b_rest) = b[..common].as_chunks::<16>();
        let mut sums = [_mm512_setzero_ps(); 3];
        let mut add = |x: &[f16; 16], y: &[f16; 16]| {
            let (x, y) = (load(x), load(y));
            sums[0] = _mm512_fmadd_ps(x, y, sums[0]);
            sums[1] = _mm512_fmadd_ps(x, x, sums[1]);
            sums[2] = _mm512_fmadd_ps(y, y, sums[2]);
        };
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            add(x, y);
        }
        add(&padded(a_rest), &padded(b_rest));
        let [dot, a_squared, b_squared] = sums;
        CosineParts {
            dot: _mm512_reduce_add_ps(dot),
            a_squared: _mm512_reduce_add_ps(a_squared),
            b_squared: _mm512_reduce_add_ps(b_squared),
        }
    }

    #[target_feature(enable = "avx512f")]
    pub fn norm_squared(a: &[f16]) -> f64 {
        let (blocks, rest) = a.as_chunks::<16>();
        let mut sums = [_mm512_setzero_pd(); 2];
        let mut add = |x: &[f16; 16]| {
            let x = load(x);
            let low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
            let high = _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x))));
            sums = [_mm512_fmadd_pd(low, low, sums[0]), _mm512_fmadd_pd(high, high, sums[1])];
        };
        blocks.iter().for_each(&mut add);
        add(&padded(rest));
        _mm512_reduce_add_pd(_mm512_add_pd(sums[0], sums[1]))
    }

    /// Folds both slices, sixteen elements a step; missing elements count as zero in both.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn fold(a: &[f16], b: &[f16], step: impl Fn(__m512, __m512, __m512) -> __m512) -> f32 {
        let common = a.len().min(b.len());
        let (a_blocks, a_rest) = a[..common].as_chunks::<16>();
        let (b_blocks, b_rest) = b[..common].as_chunks::<16>();
        let (a_fours, a_blocks) = a_blocks.as_chunks::<4>();
        let (b_fours, b_blocks) = b_blocks.as_chunks::<4>();
        let mut sums = [_mm512_setzero_ps(); 4];
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
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn load(values: &[f16; 16]) -> __m512 {
        // SAFETY: thirty-two bytes.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
    }
}
