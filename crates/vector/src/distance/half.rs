//! Distance kernels over `f16`: elements, which must be finite, are widened to `f32` as they are read, and sums are `f32`.
//!
//! Chosen once per process: AVX2 with FMA and F16C, else portable code.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

use std::sync::OnceLock;

pub use ::half::f16;

use super::CosineParts;

/// A distance or product of two vectors of `f16`.
pub type HalfKernel = fn(&[f16], &[f16]) -> f32;

/// The kernels of one instruction set. Each reads as many elements as the shorter slice has.
#[derive(Debug)]
pub struct HalfKernels {
    /// `avx2+f16c` or `scalar`.
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
    norm_squared: |a| {
        let squares = a.iter().map(|x| f64::from(widen(*x)).powi(2));
        squares.sum()
    },
};

fn inner_product(a: &[f16], b: &[f16]) -> f32 {
    fold(a, b, |sum, x, y| sum + x * y)
}

/// Several lanes, because one sum after the other would wait for each addition and round more.
#[inline(always)]
fn fold(a: &[f16], b: &[f16], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let common = a.len().min(b.len());
    let (a_blocks, a_rest) = a[..common].as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..common].as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] = step(sums[lane], widen(x[lane]), widen(y[lane]));
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (x, y)| step(sum, widen(*x), widen(*y)));
    sums.iter().sum::<f32>() + rest
}

/// A finite half as `f32`, exactly, without a branch, so that the compiler can do several at once. The exponent of a half is
/// that of an `f32` that is smaller by a factor of 2^112, also for subnormal ones.
#[inline(always)]
fn widen(half: f16) -> f32 {
    let bits = u32::from(half.to_bits());
    let magnitude = f32::from_bits((bits & 0x7FFF) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests;
