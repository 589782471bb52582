//! Distances of bit strings, packed eight to a byte. Unused bits of the last byte must be zero on both sides.
//!
//! Chosen once per process: AVX-512 VPOPCNTDQ, else POPCNT, else portable code. The loops are the same; the compiler turns
//! `count_ones` into what the instruction set has.

use std::sync::OnceLock;

/// The kernels of one instruction set. Each reads as many bytes as the shorter slice has.
#[derive(Debug)]
pub struct BitKernels {
    /// `avx512vpopcntdq`, `popcnt` or `scalar`.
    pub name: &'static str,
    /// The number of bits that differ.
    pub hamming: fn(&[u8], &[u8]) -> u64,
    /// What a Jaccard distance needs, in one pass.
    pub jaccard: fn(&[u8], &[u8]) -> JaccardParts,
}

/// How many bits are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JaccardParts {
    /// In both.
    pub common: u64,
    /// In the first.
    pub a: u64,
    /// In the second.
    pub b: u64,
}

impl std::ops::AddAssign for JaccardParts {
    fn add_assign(&mut self, other: Self) {
        self.common += other.common;
        self.a += other.a;
        self.b += other.b;
    }
}

impl JaccardParts {
    /// One minus the share of the bits set in either that are set in both, 0..=1. One when no bit is set in both.
    #[inline]
    pub fn distance(self) -> f64 {
        if self.common == 0 {
            return 1.0;
        }
        1.0 - self.common as f64 / (self.a + self.b - self.common) as f64
    }
}

/// The kernels for this processor.
#[inline]
pub fn kernels() -> &'static BitKernels {
    static CHOSEN: OnceLock<&'static BitKernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().next().unwrap_or(&SCALAR))
}

/// Every set that this processor can run, fastest first; the last one is the portable one.
pub fn available() -> impl Iterator<Item = &'static BitKernels> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    sets.extend(x86::available());
    sets.push(&SCALAR);
    sets.into_iter()
}

static SCALAR: BitKernels = BitKernels { name: "scalar", hamming, jaccard };

#[inline(always)]
fn hamming(a: &[u8], b: &[u8]) -> u64 {
    fold(a, b, 0, |sum, x, y| sum + u64::from((x ^ y).count_ones()))
}

#[inline(always)]
fn jaccard(a: &[u8], b: &[u8]) -> JaccardParts {
    let [common, a, b] = fold(a, b, [0; 3], |[common, a, b], x, y| {
        [common + u64::from((x & y).count_ones()), a + u64::from(x.count_ones()), b + u64::from(y.count_ones())]
    });
    JaccardParts { common, a, b }
}

/// Folds both slices, eight bytes a step; missing bytes count as zero.
#[inline(always)]
fn fold<T>(a: &[u8], b: &[u8], start: T, step: impl Fn(T, u64, u64) -> T) -> T {
    let common = a.len().min(b.len());
    let (a_words, a_rest) = a[..common].as_chunks::<8>();
    let (b_words, b_rest) = b[..common].as_chunks::<8>();
    let mut sum = start;
    for (x, y) in a_words.iter().zip(b_words) {
        sum = step(sum, u64::from_ne_bytes(*x), u64::from_ne_bytes(*y));
    }
    let (mut x, mut y) = ([0; 8], [0; 8]);
    x[..a_rest.len()].copy_from_slice(a_rest);
    y[..b_rest.len()].copy_from_slice(b_rest);
    step(sum, u64::from_ne_bytes(x), u64::from_ne_bytes(y))
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use super::{BitKernels, JaccardParts};

    /// The sets that this processor can run, fastest first. Only they are ever handed out.
    pub fn available() -> impl Iterator<Item = &'static BitKernels> {
        let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq");
        let popcnt = is_x86_feature_detected!("popcnt");
        avx512.then_some(&AVX512).into_iter().chain(popcnt.then_some(&POPCNT))
    }

    static AVX512: BitKernels = BitKernels {
        name: "avx512vpopcntdq",
        // SAFETY: for both, this table is only reached through `available`, which has asked the processor.
        hamming: |a, b| unsafe { avx512_hamming(a, b) },
        // SAFETY: as above.
        jaccard: |a, b| unsafe { avx512_jaccard(a, b) },
    };

    static POPCNT: BitKernels = BitKernels {
        name: "popcnt",
        // SAFETY: for both, this table is only reached through `available`, which has asked the processor.
        hamming: |a, b| unsafe { popcnt_hamming(a, b) },
        // SAFETY: as above.
        jaccard: |a, b| unsafe { popcnt_jaccard(a, b) },
    };

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    fn avx512_hamming(a: &[u8], b: &[u8]) -> u64 {
        super::hamming(a, b)
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    fn avx512_jaccard(a: &[u8], b: &[u8]) -> JaccardParts {
        super::jaccard(a, b)
    }

    #[target_feature(enable = "popcnt")]
    fn popcnt_hamming(a: &[u8], b: &[u8]) -> u64 {
        super::hamming(a, b)
    }

    #[target_feature(enable = "popcnt")]
    fn popcnt_jaccard(a: &[u8], b: &[u8]) -> JaccardParts {
        super::jaccard(a, b)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_counted_one_by_one(pairs in prop::collection::vec((any::<u8>(), any::<u8>()), 0..300)) {
            let (a, b): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
            let bits = |byte: fn((u8, u8)) -> u8| {
                pairs.iter().map(|pair| (0..8).filter(|bit| byte(*pair) >> bit & 1 == 1).count() as u64).sum::<u64>()
            };
            for set in available() {
                prop_assert_eq!((set.hamming)(&a, &b), bits(|(x, y)| x ^ y), "{}", set.name);
                let expected = JaccardParts { common: bits(|(x, y)| x & y), a: bits(|(x, _)| x), b: bits(|(_, y)| y) };
                prop_assert_eq!((set.jaccard)(&a, &b), expected, "{}", set.name);
            }
        }
    }

    #[test]
    fn the_shorter_slice_counts() {
        for set in available() {
            assert_eq!((set.hamming)(&[0xFF; 100], &[0; 9]), 72);
            assert_eq!((set.hamming)(&[], &[0xFF]), 0);
        }
    }

    #[test]
    fn jaccard_is_the_share_that_is_not_common() {
        let distance = |a: u8, b: u8| (kernels().jaccard)(&[a], &[b]).distance();
        assert_eq!(distance(0b1111, 0b1110), 0.25);
        assert_eq!(distance(0b1111, 0b1111), 0.0);
        assert_eq!(distance(0b1100, 0b0011), 1.0);
        assert_eq!(distance(0, 0), 1.0);
    }

    #[test]
    fn the_choice_is_the_fastest_available_set() {
        assert_eq!(kernels().name, available().next().unwrap().name);
        assert_eq!(available().last().unwrap().name, "scalar");
    }
}
