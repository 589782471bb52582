//! Distance kernels over `f16`: elements are widened to `f32` as they are read, sums are those of the kernels over `f32`.
//!
//! Chosen once per process as there: AVX-512F, else AVX2 with FMA and F16C, else portable code.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

pub use ::half::f16;

use super::CosineParts;

/// A distance or product of two vectors of `f16`.
pub type HalfKernel = fn(&[f16], &[f16]) -> f32;

/// The kernels of one instruction set. Each reads as many elements as the shorter slice has.
#[derive(Debug)]
pub struct HalfKernels {
    /// `avx512f`, `avx2+f16c` or `scalar`.
    pub name: &'static str,
    /// Sum of `(a - b)^2`.
    pub l2_squared: HalfKernel,
    /// Sum of `a * b`.
    pub inner_product: HalfKernel,
    /// Sum of `|a - b|`.
    pub l1: HalfKernel,
    /// The three sums that a cosine needs, in one pass.
    pub cosine: fn(&[f16], &[f16]) -> CosineParts,
    /// Sum of `a * a` in `f64`.
    pub norm_squared: fn(&[f16]) -> f64,
}

/// The kernels for this processor.
#[inline]
pub fn kernels() -> &'static HalfKernels {
    static CHOSEN: OnceLock<&'static HalfKernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().next().unwrap_or(&SCALAR))
}

/// Every set that this processor can run, fastest first; the last one is the portable one.
pub fn available() -> impl Iterator<Item = &'static HalfKernels> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    sets.extend(x86::available());
    sets.push(&SCALAR);
    sets.into_iter()
}

static SCALAR: HalfKernels = HalfKernels {
    name: "scalar",
    l2_squared: |a, b| fold(a, b, |sum, x, y| sum + (x - y) * (x - y)),
    inner_product,
    l1: |a, b| fold(a, b, |sum, x, y| sum + (x - y).abs()),
    cosine: |a, b| {
        let common = a.len().min(b.len());
        let (a, b) = (&a[..common], &b[..common]);
        CosineParts { dot: inner_product(a, b), a_squared: inner_product(a, a), b_squared: inner_product(b, b) }
    },
    norm_squared: |a| a.iter().map(|x| x.to_f64() * x.to_f64()).sum(),
};

fn inner_product(a: &[f16], b: &[f16]) -> f32 {
    fold(a, b, |sum, x, y| sum + x * y)
}

/// Several lanes, because one sum after the other would wait for each addition and round more.
#[inline(always)]
fn fold(a: &[f16], b: &[f16], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    for (x, y) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum = step(*sum, x.to_f32(), y.to_f32());
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests;
