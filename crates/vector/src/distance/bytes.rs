//! Kernels over bytes, which [quantised](crate::space) vectors consist of.
//!
//! As for `f32`, the set is chosen once per process: AVX-512 with VNNI, else AVX2, else what the compiler makes of plain loops
//! (NEON on aarch64). [`dot`](ByteKernels::dot) and [`dot_fine`](ByteKernels::dot_fine) are exact, so every set gives the same result.
//!
//! An element of one byte is an `i8`. One of two bytes is an `i16` above -32,768; of such a vector the high bytes lie
//! first, then the low ones, so that the same instructions serve both.

use std::sync::OnceLock;

/// The kernels of one instruction set. Both slices have the same length, of at most 65,536 elements of one byte or 32,768 of
/// two.
#[derive(Debug)]
pub struct ByteKernels {
    /// `avx512vnni`, `avx2` or `portable`.
    pub name: &'static str,
    /// Sum of `a * b` over elements of one byte.
    pub dot: fn(&[u8], &[u8]) -> i32,
    /// Sum of `a * b` over elements of two bytes.
    pub dot_fine: fn(&[u8], &[u8]) -> i64,
    /// Sum of `|(a * step_a + offset) - b * step_b|` over elements of one byte.
    pub l1: fn(&[u8], &[u8], f32, f32, f32) -> f32,
    /// As `l1`, over elements of two bytes.
    pub l1_fine: fn(&[u8], &[u8], f32, f32, f32) -> f32,
}

/// The kernels for this processor.
#[inline]
pub fn kernels() -> &'static ByteKernels {
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

static PORTABLE: ByteKernels =
    ByteKernels { name: "portable", dot: plain_dot, dot_fine: plain_dot_fine, l1: plain_l1, l1_fine: plain_l1_fine };

/// High and low bytes of elements of two.
#[inline(always)]
fn planes(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len() / 2)
}

#[inline(always)]
fn byte(x: u8) -> i32 {
    i32::from(x.cast_signed())
}

#[inline(always)]
fn fine(high: u8, low: u8) -> i32 {
    byte(high) * 256 + i32::from(low)
}

#[inline(always)]
fn plain_dot(a: &[u8], b: &[u8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| byte(*a) * byte(*b)).sum()
}

#[inline(always)]
fn plain_dot_fine(a: &[u8], b: &[u8]) -> i64 {
    let ((a_high, a_low), (b_high, b_low)) = (planes(a), planes(b));
    let (a, b) = (a_high.iter().zip(a_low), b_high.iter().zip(b_low));
    a.zip(b).map(|((h, l), (k, m))| i64::from(fine(*h, *l)) * i64::from(fine(*k, *m))).sum()
}

/// Terms that are added side by side.
const LANES: usize = 16;

#[inline(always)]
fn plain_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
    let term = |a: u8, b: u8| (byte(a) as f32 * step_a + offset - byte(b) as f32 * step_b).abs();
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            sums[i] += term(a[i], b[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn plain_l1_fine(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
    let term =
        |a: (u8, u8), b: (u8, u8)| (fine(a.0, a.1) as f32 * step_a + offset - fine(b.0, b.1) as f32 * step_b).abs();
    let ((a_high, a_low), (b_high, b_low)) = (planes(a), planes(b));
    let ((ah, ah_rest), (al, al_rest)) = (a_high.as_chunks::<LANES>(), a_low.as_chunks::<LANES>());
    let ((bh, bh_rest), (bl, bl_rest)) = (b_high.as_chunks::<LANES>(), b_low.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for ((ah, al), (bh, bl)) in ah.iter().zip(al).zip(bh.iter().zip(bl)) {
        for i in 0..LANES {
            sums[i] += term((ah[i], al[i]), (bh[i], bl[i]));
        }
    }
    let rest = ah_rest.iter().zip(al_rest).zip(bh_rest.iter().zip(bl_rest));
    let rest: f32 = rest.map(|((ah, al), (bh, bl))| term((*ah, *al), (*bh, *bl))).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::*;

    use super::{ByteKernels, planes};

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
        dot: |a, b| unsafe { vnni_dot(a, b) },
        // SAFETY: as above.
        dot_fine: |a, b| unsafe { vnni_dot_fine(a, b) },
        // SAFETY: as above.
        l1: |a, b, step_a, step_b, offset| unsafe { avx512_l1(a, b, step_a, step_b, offset) },
        // SAFETY: as above.
        l1_fine: |a, b, step_a, step_b, offset| unsafe { avx512_l1_fine(a, b, step_a, step_b, offset) },
    };

    static AVX2: ByteKernels = ByteKernels {
        name: "avx2",
        // SAFETY: this table is only reached through `available`, which has asked the processor.
        dot: |a, b| unsafe { avx2_dot(a, b) },
        // SAFETY: as above.
        dot_fine: |a, b| unsafe { avx2_dot_fine(a, b) },
        // SAFETY: as above.
        l1: |a, b, step_a, step_b, offset| unsafe { avx2_l1(a, b, step_a, step_b, offset) },
        // SAFETY: as above.
        l1_fine: |a, b, step_a, step_b, offset| unsafe { avx2_l1_fine(a, b, step_a, step_b, offset) },
    };

    /// Up to 64 bytes from `at` on, then zeros.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn load(bytes: &[u8], at: usize) -> __m512i {
        let mask = u64::MAX.checked_shr(64 - bytes.len().saturating_sub(at).min(64) as u32).unwrap_or(0);
        // SAFETY: the mask leaves out what is beyond the end.
        unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().wrapping_add(at).cast()) }
    }

    /// `vpdpbusd` multiplies unsigned by signed bytes: it gets `a + 128`, and 128 times the sum of `b` is taken off again.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn vnni_dot(a: &[u8], b: &[u8]) -> i32 {
        let length = a.len().min(b.len());
        let (a, b) = (&a[..length], &b[..length]);
        let flip = _mm512_set1_epi8(i8::MIN);
        let (mut sum, mut excess) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        let mut at = 0;
        while at + 64 <= length {
            // SAFETY: 64 bytes from `at` on are within both.
            let (x, y) = unsafe {
                (_mm512_loadu_si512(a.as_ptr().add(at).cast()), _mm512_loadu_si512(b.as_ptr().add(at).cast()))
            };
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, flip), y);
            excess = _mm512_dpbusd_epi32(excess, flip, y);
            at += 64;
        }
        if at < length {
            let (x, y) = (load(a, at), load(b, at));
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, flip), y);
            excess = _mm512_dpbusd_epi32(excess, flip, y);
        }
        _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess))
    }

    /// With `h` the signed high and `l` the unsigned low bytes, the product of two elements is
    /// `65536 h h' + 256 (h l' + l h') + l l'`. What is not unsigned by signed is made so as in [`vnni_dot`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn vnni_dot_fine(a: &[u8], b: &[u8]) -> i64 {
        let length = a.len().min(b.len()) / 2;
        let ((a_high, a_low), (b_high, b_low)) = (planes(a), planes(b));
        let (a_high, a_low, b_high, b_low) = (&a_high[..length], &a_low[..length], &b_high[..length], &b_low[..length]);
        let flip = _mm512_set1_epi8(i8::MIN);
        let ones = _mm512_set1_epi8(1);
        let zero = _mm512_setzero_si512();
        let (mut high, mut high_excess, mut cross, mut low, mut low_sum) = (zero, zero, zero, zero, zero);
        let mut add = |h: __m512i, l: __m512i, k: __m512i, m: __m512i| {
            high = _mm512_dpbusd_epi32(high, _mm512_xor_si512(h, flip), k);
            high_excess = _mm512_dpbusd_epi32(high_excess, flip, k);
            cross = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(cross, l, k), m, h);
            low = _mm512_dpbusd_epi32(low, l, _mm512_xor_si512(m, flip));
            low_sum = _mm512_dpbusd_epi32(low_sum, l, ones);
        };
        let mut at = 0;
        while at + 64 <= length {
            // SAFETY: 64 bytes from `at` on are within each of the four.
            unsafe {
                add(
                    _mm512_loadu_si512(a_high.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(a_low.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(b_high.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(b_low.as_ptr().add(at).cast()),
                );
            }
            at += 64;
        }
        if at < length {
            add(load(a_high, at), load(a_low, at), load(b_high, at), load(b_low, at));
        }
        let high = i64::from(_mm512_reduce_add_epi32(_mm512_sub_epi32(high, high_excess)));
        let low = i64::from(_mm512_reduce_add_epi32(low)) + 128 * i64::from(_mm512_reduce_add_epi32(low_sum));
        65536 * high + 256 * i64::from(_mm512_reduce_add_epi32(cross)) + low
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_dot(a: &[u8], b: &[u8]) -> i32 {
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
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), _mm256_cvtepi8_epi16(y)));
            }
            at += 32;
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
        _mm_cvtsi128_si32(sum) + super::plain_dot(&a[at..length], &b[at..length])
    }

    /// Interleaved, the bytes are `i16`, whose products in pairs fit an `i32`; their sums do not.
    #[target_feature(enable = "avx2,fma")]
    fn avx2_dot_fine(a: &[u8], b: &[u8]) -> i64 {
        let length = a.len().min(b.len()) / 2;
        let ((a_high, a_low), (b_high, b_low)) = (planes(a), planes(b));
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut at = 0;
        while at + 32 <= length {
            // SAFETY: 32 bytes from `at` on are within each of the four.
            let (h, l, k, m) = unsafe {
                (
                    _mm256_loadu_si256(a_high.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(a_low.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(b_high.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(b_low.as_ptr().add(at).cast()),
                )
            };
            for products in [
                _mm256_madd_epi16(_mm256_unpacklo_epi8(l, h), _mm256_unpacklo_epi8(m, k)),
                _mm256_madd_epi16(_mm256_unpackhi_epi8(l, h), _mm256_unpackhi_epi8(m, k)),
            ] {
                sums[0] = _mm256_add_epi64(sums[0], _mm256_cvtepi32_epi64(_mm256_castsi256_si128(products)));
                sums[1] = _mm256_add_epi64(sums[1], _mm256_cvtepi32_epi64(_mm256_extracti128_si256::<1>(products)));
            }
            at += 32;
        }
        let sum = _mm256_add_epi64(sums[0], sums[1]);
        let sum = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_cvtsi128_si64(sum) + _mm_extract_epi64::<1>(sum);
        let rest =
            |at: usize| i64::from(super::fine(a_high[at], a_low[at])) * i64::from(super::fine(b_high[at], b_low[at]));
        sum + (at..length).map(rest).sum::<i64>()
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1(a, b, step_a, step_b, offset)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512_l1_fine(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1_fine(a, b, step_a, step_b, offset)
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_l1(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1(a, b, step_a, step_b, offset)
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_l1_fine(a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        super::plain_l1_fine(a, b, step_a, step_b, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_gives_the_same() {
        let bytes: Vec<u8> = (0..8000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let sets: Vec<_> = available().collect();
        for length in [0, 1, 15, 16, 31, 33, 63, 64, 65, 127, 128, 384, 1000, 2000] {
            let (a, b) = (&bytes[..length], &bytes[2000..2000 + length]);
            let numbers = |bytes: &[u8]| bytes.iter().map(|x| i64::from(x.cast_signed())).collect::<Vec<_>>();
            let dot = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i64>();
            let l1 = |a: &[i64], b: &[i64]| {
                let term = |a: i64, b: i64| (a as f64 * 0.5 + 3.0 - b as f64 * 0.25).abs();
                a.iter().zip(b).map(|(a, b)| term(*a, *b)).sum::<f64>()
            };
            let (x, y) = (numbers(a), numbers(b));
            let (fine_a, fine_b) = (&bytes[..2 * length], &bytes[4000..4000 + 2 * length]);
            let fines = |bytes: &[u8]| {
                let pairs = bytes[..length].iter().zip(&bytes[length..]);
                pairs.map(|(high, low)| i64::from(i16::from_be_bytes([*high, *low]))).collect::<Vec<_>>()
            };
            let (u, v) = (fines(fine_a), fines(fine_b));
            for set in &sets {
                assert_eq!(i64::from((set.dot)(a, b)), dot(&x, &y), "{} {length}", set.name);
                assert_eq!((set.dot_fine)(fine_a, fine_b), dot(&u, &v), "{} {length}", set.name);
                let near = |measured: f32, exact: f64| (f64::from(measured) - exact).abs() <= 1e-5 * exact;
                assert!(near((set.l1)(a, b, 0.5, 0.25, 3.0), l1(&x, &y)), "{} {length}", set.name);
                assert!(near((set.l1_fine)(fine_a, fine_b, 0.5, 0.25, 3.0), l1(&u, &v)), "{} {length}", set.name);
            }
        }
        let most = 32_768;
        for (high, low) in [(0x7Fu8, 0xFFu8), (0x80, 0x01), (0x00, 0xFF), (0xFF, 0x00)] {
            let all = [[high; 32_768], [low; 32_768]].concat();
            let (one, other) = (i64::from(high.cast_signed()), i64::from(i16::from_be_bytes([high, low])));
            for set in &sets {
                assert_eq!(i64::from((set.dot)(&all[..most], &all[..most])), one * one * most as i64, "{}", set.name);
                assert_eq!((set.dot_fine)(&all, &all), other * other * most as i64, "{}", set.name);
            }
        }
    }
}
