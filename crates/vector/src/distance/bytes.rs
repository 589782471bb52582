//! Kernels over bytes, which [quantised](crate::space) vectors consist of.
//!
//! As for `f32`, the set is chosen once per process: AVX-512 with VNNI, else AVX2, else what the compiler makes of plain loops
//! (NEON on aarch64). [`dot`] is exact, so every set gives the same result.

use std::sync::OnceLock;

/// The kernels of one instruction set. Both slices have the same length, at most 65,536.
#[derive(Debug)]
pub struct ByteKernels {
    /// `avx512vnni`, `avx2` or `portable`.
    pub name: &'static str,
    /// Sum of `a * b`; the third argument is the sum of `a`.
    pub dot: fn(&[u8], &[u8], u32) -> u32,
    /// Sum of `|(a * step_a + offset) - b * step_b|`.
    pub l1: fn(&[u8], &[u8], f32, f32, f32) -> f32,
}

/// Sum of `a * b`. `a_sum` is the sum of `a`, which the caller has anyway and some instruction sets want.
#[inline]
pub fn dot(a: &[u8], b: &[u8], a_sum: u32) -> u32 {
    (chosen().dot)(a, b, a_sum)
}

/// Sum of `|(a * step_a + offset) - b * step_b|`.
#[inline]
pub fn l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
    (chosen().l1)(a, b, step_a, step_b, offset)
}

#[inline]
fn chosen() -> &'static ByteKernels {
    static CHOSEN: OnceLock<&'static ByteKernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().next().unwrap_or(&PORTABLE))
}

/// Every set that this processor can run, fastest first; the last one is the portable one.
pub fn available() -> impl Iterator<Item = &'static ByteKernels> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    sets.extend(x86::available());
    sets.push(&PORTABLE);
    sets.into_iter()
}

static PORTABLE: ByteKernels = ByteKernels { name: "portable", dot: |a, b, _| plain_dot(a, b), l1: plain_l1 };

#[inline(always)]
fn plain_dot(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(*a) * u32::from(*b)).sum()
}

/// Sixteen sums, so that they can be added side by side.
#[inline(always)]
fn plain_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
    let term = |a: u8, b: u8| (f32::from(a) * step_a + offset - f32::from(b) * step_b).abs();
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..16 {
            sums[i] += term(a[i], b[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::*;

    use super::ByteKernels;

    pub fn available() -> impl Iterator<Item = &'static ByteKernels> {
        let vnni = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        vnni.then_some(&VNNI).into_iter().chain(avx2.then_some(&AVX2))
    }

    static VNNI: ByteKernels = ByteKernels {
        name: "avx512vnni",
        // SAFETY: this table is only reached through `available`, which has asked the processor.
        dot: |a, b, a_sum| unsafe { vnni_dot(a, b, a_sum) },
        // SAFETY: as above.
        l1: |a, b, step_a, step_b, offset| unsafe { avx512_l1(a, b, step_a, step_b, offset) },
    };

    static AVX2: ByteKernels = ByteKernels {
        name: "avx2",
        // SAFETY: this table is only reached through `available`, which has asked the processor.
        dot: |a, b, _| unsafe { avx2_dot(a, b) },
        // SAFETY: as above.
        l1: |a, b, step_a, step_b, offset| unsafe { avx2_l1(a, b, step_a, step_b, offset) },
    };

    /// `vpdpbusd` multiplies unsigned by signed bytes: it gets `b - 128`, and 128 times the sum of `a` is added again.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn vnni_dot(a: &[u8], b: &[u8], a_sum: u32) -> u32 {
        let length = a.len().min(b.len());
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [_mm512_setzero_si512(); 2];
        let mut at = 0;
        while at + 128 <= length {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 64 bytes from `at + 64 * i` on are within both.
                let (x, y) = unsafe {
                    (
                        _mm512_loadu_si512(a.as_ptr().add(at + 64 * i).cast()),
                        _mm512_loadu_si512(b.as_ptr().add(at + 64 * i).cast()),
                    )
                };
                *sum = _mm512_dpbusd_epi32(*sum, x, _mm512_xor_si512(y, flip));
            }
            at += 128;
        }
        while at < length {
            let mask = u64::MAX >> (64 - (length - at).min(64));
            // SAFETY: the mask leaves out what is beyond the end.
            let (x, y) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at).cast()),
                    _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at).cast()),
                )
            };
            sums[0] = _mm512_dpbusd_epi32(sums[0], x, _mm512_xor_si512(y, flip));
            at += 64;
        }
        let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
        (sum as u32).wrapping_add(a_sum.wrapping_mul(128))
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_dot(a: &[u8], b: &[u8]) -> u32 {
        let length = a.len().min(b.len());
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut at = 0;
        while at + 32 <= length {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 bytes from `at + 16 * i` on are within both.
                let (x, y) = unsafe {
                    (
                        _mm_loadu_si128(a.as_ptr().add(at + 16 * i).cast()),
                        _mm_loadu_si128(b.as_ptr().add(at + 16 * i).cast()),
                    )
                };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(x), _mm256_cvtepu8_epi16(y)));
            }
            at += 32;
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
        (_mm_cvtsi128_si32(sum) as u32).wrapping_add(super::plain_dot(&a[at..length], &b[at..length]))
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1(a, b, step_a, step_b, offset)
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1(a, b, step_a, step_b, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_gives_the_same() {
        let bytes: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let sets: Vec<_> = available().collect();
        for length in [0, 1, 15, 16, 31, 33, 63, 64, 65, 127, 128, 384, 1000, 2000] {
            let (a, b) = (&bytes[..length], &bytes[2000..2000 + length]);
            let a_sum = a.iter().map(|byte| u32::from(*byte)).sum();
            let expected: u32 = a.iter().zip(b).map(|(a, b)| u32::from(*a) * u32::from(*b)).sum();
            let steps = |a: u8, b: u8| (f64::from(a) * 0.5 + 3.0 - f64::from(b) * 0.25).abs();
            let l1: f64 = a.iter().zip(b).map(|(a, b)| steps(*a, *b)).sum();
            for set in &sets {
                assert_eq!((set.dot)(a, b, a_sum), expected, "{} {length}", set.name);
                assert!((f64::from((set.l1)(a, b, 0.5, 0.25, 3.0)) - l1).abs() <= 1e-5 * l1, "{} {length}", set.name);
            }
        }
        let all = [255; 16_000];
        for set in &sets {
            assert_eq!((set.dot)(&all, &all, 255 * 16_000), 255 * 255 * 16_000, "{}", set.name);
        }
    }
}
