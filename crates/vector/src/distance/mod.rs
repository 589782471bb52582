//! Distance kernels over `f32`, in SIMD where the processor has it.
//!
//! Which set is used is decided once per process, on first use: AVX-512F, else AVX2 with FMA, else NEON, else portable code.
//! Every kernel takes slices of any length and alignment and reads as many elements as the shorter one has; the caller
//! checks that both have the same number of dimensions. Sums are `f32` in several accumulators, so results of two sets
//! differ by rounding only: by less than `1e-6` of the sum of the absolute terms for 2000 dimensions. A sum beyond the range
//! of `f32` is infinite.

pub mod bit;
pub mod bytes;
pub mod half;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod neon;
#[allow(unsafe_code)]
mod prefetch;
mod scalar;
pub mod shared;
pub mod sparse;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

use std::sync::OnceLock;

pub use prefetch::{prefetch, prefetch_at};

/// A distance or product of two vectors.
pub type Kernel = fn(&[f32], &[f32]) -> f32;

/// The kernels of one instruction set.
#[derive(Debug)]
pub struct Kernels {
    /// `avx512f`, `avx2+fma`, `neon` or `scalar`.
    pub name: &'static str,
    /// Sum of `(a - b)^2`.
    pub l2_squared: Kernel,
    /// Sum of `a * b`.
    pub inner_product: Kernel,
    /// Sum of `|a - b|`.
    pub l1: Kernel,
    /// The three sums that a cosine needs, in one pass.
    pub cosine: fn(&[f32], &[f32]) -> CosineParts,
    /// Sum of `a * a` in `f64`, which no vector of finite elements overflows.
    pub norm_squared: fn(&[f32]) -> f64,
}

/// The sums from which the cosine of two vectors is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineParts {
    /// Sum of `a * b`.
    pub dot: f32,
    /// Sum of `a * a`.
    pub a_squared: f32,
    /// Sum of `b * b`.
    pub b_squared: f32,
}

impl CosineParts {
    /// The cosine, within -1..=1. NaN when a vector is zero or a sum is infinite.
    #[inline]
    pub fn similarity(self) -> f64 {
        // One root of the product loses less than the product of two roots: parallel vectors give 1 exactly.
        let cosine = f64::from(self.dot) / (f64::from(self.a_squared) * f64::from(self.b_squared)).sqrt();
        cosine.clamp(-1.0, 1.0)
    }

    /// One minus the cosine, within 0..=2. NaN as for [`Self::similarity`].
    #[inline]
    pub fn distance(self) -> f64 {
        1.0 - self.similarity()
    }
}

/// The kernels for this processor. Take them once per scan or build: each call is then one indirect jump.
#[inline]
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().next().unwrap_or(&scalar::KERNELS))
}

/// Every set that this processor can run, fastest first; the last one is the portable one. For tests and benchmarks.
pub fn available() -> impl Iterator<Item = &'static Kernels> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    sets.extend(x86::available());
    #[cfg(target_arch = "aarch64")]
    sets.extend(neon::available());
    sets.push(&scalar::KERNELS);
    sets.into_iter()
}

/// Sum of `(a - b)^2`.
#[inline]
pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    (kernels().l2_squared)(a, b)
}

/// Sum of `a * b`.
#[inline]
pub fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    (kernels().inner_product)(a, b)
}

/// Sum of `|a - b|`.
#[inline]
pub fn l1(a: &[f32], b: &[f32]) -> f32 {
    (kernels().l1)(a, b)
}

/// The parts of a cosine.
#[inline]
pub fn cosine(a: &[f32], b: &[f32]) -> CosineParts {
    (kernels().cosine)(a, b)
}

/// The Euclidean length, without overflow.
#[inline]
pub fn norm(a: &[f32]) -> f64 {
    (kernels().norm_squared)(a).sqrt()
}

#[cfg(test)]
mod tests;
