//! AVX2 with FMA, and AVX-512F. Four accumulators hide the latency of a fused multiply-add; tails are masked loads.

use std::arch::x86_64::*;

use super::{CosineParts, Kernels};

/// The sets that this processor can run, fastest first. Only they are ever handed out.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    let avx512 = is_x86_feature_detected!("avx512f").then_some(&AVX512);
    let avx2 = (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&AVX2);
    avx512.into_iter().chain(avx2)
}

static AVX512: Kernels = Kernels {
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

static AVX2: Kernels = Kernels {
    name: "avx2+fma",
    // SAFETY: for all five, this table is only reached through `available`, which has asked the processor for AVX2 and FMA.
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

mod avx2 {
    use super::*;

    #[target_feature(enable = "avx2,fma")]
    pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |sum, x, y| {
            let difference = _mm256_sub_ps(x, y);
            _mm256_fmadd_ps(difference, difference, sum)
        })
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn inner_product(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |sum, x, y| _mm256_fmadd_ps(x, y, sum))
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn l1(a: &[f32], b: &[f32]) -> f32 {
        let sign = _mm256_set1_ps(-0.0);
        fold(a, b, |sum, x, y| _mm256_add_ps(sum, _mm256_andnot_ps(sign, _mm256_sub_ps(x, y))))
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn cosine(a: &[f32], b: &[f32]) -> CosineParts {
        let length = a.len().min(b.len());
        let mut dot = [_mm256_setzero_ps(); 2];
        let mut a_squared = [_mm256_setzero_ps(); 2];
        let mut b_squared = [_mm256_setzero_ps(); 2];
        let mut at = 0;
        while at < length {
            for lane in 0..2 {
                let (x, y) = (load(a, at, length), load(b, at, length));
                dot[lane] = _mm256_fmadd_ps(x, y, dot[lane]);
                a_squared[lane] = _mm256_fmadd_ps(x, x, a_squared[lane]);
                b_squared[lane] = _mm256_fmadd_ps(y, y, b_squared[lane]);
                at += 8;
            }
        }
        CosineParts {
            dot: sum(_mm256_add_ps(dot[0], dot[1])),
            a_squared: sum(_mm256_add_ps(a_squared[0], a_squared[1])),
            b_squared: sum(_mm256_add_ps(b_squared[0], b_squared[1])),
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn norm_squared(a: &[f32]) -> f64 {
        let (chunks, rest) = a.as_chunks::<8>();
        let mut sums = [_mm256_setzero_pd(); 2];
        for chunk in chunks {
            // SAFETY: eight elements, read in two halves.
            let (low, high) = unsafe { (_mm_loadu_ps(chunk.as_ptr()), _mm_loadu_ps(chunk.as_ptr().add(4))) };
            let (low, high) = (_mm256_cvtps_pd(low), _mm256_cvtps_pd(high));
            sums = [_mm256_fmadd_pd(low, low, sums[0]), _mm256_fmadd_pd(high, high, sums[1])];
        }
        let mut lanes = [0f64; 4];
        // SAFETY: four f64 into an array of four.
        unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), _mm256_add_pd(sums[0], sums[1])) };
        lanes.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
    }

    /// Folds both slices, eight elements a step; missing elements count as zero in both.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn fold(a: &[f32], b: &[f32], step: impl Fn(__m256, __m256, __m256) -> __m256) -> f32 {
        let length = a.len().min(b.len());
        let (a_start, b_start) = (a.as_ptr(), b.as_ptr());
        let mut sums = [_mm256_setzero_ps(); 4];
        let mut at = 0;
        while at + 32 <= length {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: at + 8 * lane + 8 <= at + 32 <= length of both.
                let (x, y) = unsafe {
                    (_mm256_loadu_ps(a_start.add(at + 8 * lane)), _mm256_loadu_ps(b_start.add(at + 8 * lane)))
                };
                *sum = step(*sum, x, y);
            }
            at += 32;
        }
        while at < length {
            sums[0] = step(sums[0], load(a, at, length), load(b, at, length));
            at += 8;
        }
        sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])))
    }

    /// Elements `at..at + 8` of `values`, zero from `length` on, which is at most the length of `values`.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn load(values: &[f32], at: usize, length: usize) -> __m256 {
        debug_assert!(length <= values.len());
        let left = length.saturating_sub(at);
        if left >= 8 {
            // SAFETY: at + 8 <= length <= values.len().
            return unsafe { _mm256_loadu_ps(values.as_ptr().add(at)) };
        }
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left as i32), lanes);
        // SAFETY: a masked load touches only the lanes below `left`, all of them before `length`.
        unsafe { _mm256_maskload_ps(values.as_ptr().wrapping_add(at), mask) }
    }

    #[target_feature(enable = "avx2,fma")]
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
    pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |sum, x, y| {
            let difference = _mm512_sub_ps(x, y);
            _mm512_fmadd_ps(difference, difference, sum)
        })
    }

    #[target_feature(enable = "avx512f")]
    pub fn inner_product(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |sum, x, y| _mm512_fmadd_ps(x, y, sum))
    }

    #[target_feature(enable = "avx512f")]
    pub fn l1(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |sum, x, y| _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(x, y))))
    }

    #[target_feature(enable = "avx512f")]
    pub fn cosine(a: &[f32], b: &[f32]) -> CosineParts {
        let length = a.len().min(b.len());
        let mut dot = [_mm512_setzero_ps(); 2];
        let mut a_squared = [_mm512_setzero_ps(); 2];
        let mut b_squared = [_mm512_setzero_ps(); 2];
        let mut at = 0;
        while at < length {
            for lane in 0..2 {
                let (x, y) = (load(a, at, length), load(b, at, length));
                dot[lane] = _mm512_fmadd_ps(x, y, dot[lane]);
                a_squared[lane] = _mm512_fmadd_ps(x, x, a_squared[lane]);
                b_squared[lane] = _mm512_fmadd_ps(y, y, b_squared[lane]);
                at += 16;
            }
        }
        CosineParts {
            dot: _mm512_reduce_add_ps(_mm512_add_ps(dot[0], dot[1])),
            a_squared: _mm512_reduce_add_ps(_mm512_add_ps(a_squared[0], a_squared[1])),
            b_squared: _mm512_reduce_add_ps(_mm512_add_ps(b_squared[0], b_squared[1])),
        }
    }

    #[target_feature(enable = "avx512f")]
    pub fn norm_squared(a: &[f32]) -> f64 {
        let (chunks, rest) = a.as_chunks::<16>();
        let mut sums = [_mm512_setzero_pd(); 2];
        for chunk in chunks {
            // SAFETY: sixteen elements, read in two halves.
            let (low, high) = unsafe { (_mm256_loadu_ps(chunk.as_ptr()), _mm256_loadu_ps(chunk.as_ptr().add(8))) };
            let (low, high) = (_mm512_cvtps_pd(low), _mm512_cvtps_pd(high));
            sums = [_mm512_fmadd_pd(low, low, sums[0]), _mm512_fmadd_pd(high, high, sums[1])];
        }
        let whole = _mm512_reduce_add_pd(_mm512_add_pd(sums[0], sums[1]));
        whole + rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
    }

    /// Folds both slices, sixteen elements a step; missing elements count as zero in both.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn fold(a: &[f32], b: &[f32], step: impl Fn(__m512, __m512, __m512) -> __m512) -> f32 {
        let length = a.len().min(b.len());
        let (a_start, b_start) = (a.as_ptr(), b.as_ptr());
        let mut sums = [_mm512_setzero_ps(); 4];
        let mut at = 0;
        while at + 64 <= length {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: at + 16 * lane + 16 <= at + 64 <= length of both.
                let (x, y) = unsafe {
                    (_mm512_loadu_ps(a_start.add(at + 16 * lane)), _mm512_loadu_ps(b_start.add(at + 16 * lane)))
                };
                *sum = step(*sum, x, y);
            }
            at += 64;
        }
        while at < length {
            sums[0] = step(sums[0], load(a, at, length), load(b, at, length));
            at += 16;
        }
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
    }

    /// Elements `at..at + 16` of `values`, zero from `length` on, which is at most the length of `values`.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn load(values: &[f32], at: usize, length: usize) -> __m512 {
        debug_assert!(length <= values.len());
        let left = length.saturating_sub(at).min(16) as u32;
        let mask = ((1u32 << left) - 1) as __mmask16;
        // SAFETY: a masked load touches only the lanes below `left`, all of them before `length`.
        unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr().wrapping_add(at)) }
    }
}
