//! Dense vectors, a byte for each element (the locally-adaptive quantisation of Aguerrebere et al., "Similarity search in the
//! blink of an eye with compressed indices", VLDB 2023, without its global mean: so it needs no training, and a vector that
//! is inserted into an empty index is as good as any).
//!
//! Element `i` of the vector is nearly `low + step * byte[i]`, with `low` and `step` of its own smallest and largest element.
//! Distances are of these approximate vectors and exact: sums of integers, put together in `f64`. So nothing is lost where
//! large numbers cancel out.
//!
//! ```text
//! word 0: low (f32)   1: step (f32)   2: error (f32)   3: sum of bytes   4: sum of their squares   5..: bytes, then zeros
//! ```
//!
//! `error` is at least the length (for L1 the taxicab length) of the vector minus its approximation.

use zerocopy::IntoBytes;

use super::Metric;
use crate::distance::bytes;

const HEADER: usize = 5;

/// Words of a code.
pub(super) fn words(dimensions: usize) -> usize {
    HEADER + dimensions.div_ceil(4)
}

/// Lengths whose squares `f32` can sum. Of other vectors an operator that sums squares says anything.
const SANE: std::ops::Range<f64> = 1e-18..1e18;

/// `norm` is that of the vector before it was normalised.
pub(super) fn encode(vector: &[f32], metric: Metric, norm: f64) -> Vec<u32> {
    let (low, high) = vector.iter().fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let step = ((f64::from(high) - f64::from(low)) / 255.0) as f32;
    let (base, width) = (f64::from(low), f64::from(step));
    let scale = if step > 0.0 { 1.0 / width } else { 0.0 };
    let mut code = vec![0u32; words(vector.len())];
    let (mut sum, mut squares, mut error) = (0u32, 0u32, 0.0);
    for (byte, x) in code[HEADER..].as_mut_bytes().iter_mut().zip(vector) {
        let x = f64::from(*x);
        *byte = ((x - base) * scale + 0.5) as u8; // saturates
        sum += u32::from(*byte);
        squares += u32::from(*byte) * u32::from(*byte);
        let rest = (x - (base + width * f64::from(*byte))).abs();
        error += if metric == Metric::L1 { rest } else { rest * rest };
    }
    if metric != Metric::L1 {
        error = f64::sqrt(error);
    }
    if metric == Metric::Cosine && !SANE.contains(&norm) {
        error = 4.0; // more than any cosine distance, so the bound says nothing
    }
    let rounded_up = (error * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE;
    code[..HEADER].copy_from_slice(&[low.to_bits(), step.to_bits(), rounded_up.to_bits(), sum, squares]);
    code
}

/// The approximate vector.
pub(super) fn decode(code: &[u32], out: &mut [f32]) {
    let (low, step) = (f64::from(f32::from_bits(code[0])), f64::from(f32::from_bits(code[1])));
    for (x, byte) in out.iter_mut().zip(code[HEADER..].as_bytes()) {
        *x = finite(low + step * f64::from(*byte)); // the last may lie a little beyond f32
    }
}

struct Parts<'a> {
    low: f64,
    step: f64,
    error: f64,
    sum: u32,
    squares: u32,
    bytes: &'a [u8],
}

#[inline(always)]
fn parts(code: &[u32], dimensions: usize) -> Parts<'_> {
    Parts {
        low: f64::from(f32::from_bits(code[0])),
        step: f64::from(f32::from_bits(code[1])),
        error: f64::from(f32::from_bits(code[2])),
        sum: code[3],
        squares: code[4],
        bytes: &code[HEADER..].as_bytes()[..dimensions],
    }
}

impl Parts<'_> {
    /// The square of the length.
    #[inline(always)]
    fn norm_squared(&self) -> f64 {
        let n = self.bytes.len() as f64;
        n * self.low * self.low
            + self.step * (2.0 * self.low * f64::from(self.sum) + self.step * f64::from(self.squares))
    }

    /// Half of what the terms of [`Self::norm_squared`] are in sum, at most, whatever cancels out; and together with that of
    /// another vector, of [`Self::inner_product`].
    #[inline(always)]
    fn size(&self) -> f64 {
        self.bytes.len() as f64 * self.low * self.low + self.step * self.step * f64::from(self.squares)
    }

    #[inline(always)]
    fn inner_product(&self, other: &Self) -> f64 {
        let n = self.bytes.len() as f64;
        let dot = bytes::dot(self.bytes, other.bytes, self.sum);
        n * self.low * other.low
            + self.low * other.step * f64::from(other.sum)
            + other.low * self.step * f64::from(self.sum)
            + self.step * other.step * f64::from(dot)
    }
}

#[inline]
pub(super) fn l2_squared(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    let (a, b) = (parts(a, dimensions), parts(b, dimensions));
    finite((a.norm_squared() + b.norm_squared() - 2.0 * a.inner_product(&b)).max(0.0))
}

#[inline]
pub(super) fn negative_inner_product(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    finite(-parts(a, dimensions).inner_product(&parts(b, dimensions)))
}

pub(super) fn l1(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    let (a, b) = (parts(a, dimensions), parts(b, dimensions));
    // Smaller numbers where the f32 terms of the sum would overflow.
    let largest = 255.0 * (a.step + b.step) + (a.low - b.low).abs();
    let unit = if largest > 1e30 { largest } else { 1.0 };
    let offset = (a.low - b.low) / unit;
    let sum = bytes::l1(a.bytes, b.bytes, (a.step / unit) as f32, (b.step / unit) as f32, offset as f32);
    finite(f64::from(sum) * unit)
}

/// Of what is larger than `f32` only that it is large matters; and nothing here makes a NaN.
#[inline]
fn finite(x: f64) -> f32 {
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// At most what the operator says of the two vectors.
pub(super) fn bound(metric: Metric, dimensions: usize, a: &[u32], b: &[u32]) -> f64 {
    Query::new(metric, dimensions, a).bound(b)
}

/// One of two vectors, and what of a bound follows from it alone.
pub(super) struct Query<'a> {
    metric: Metric,
    dimensions: usize,
    code: &'a [u32],
    parts: Parts<'a>,
    norm_squared: f64,
    size: f64,
    /// At least the length of the vector.
    norm: f64,
    /// An f32 sum of n terms in eight or more accumulators, and the rounding of each term.
    rounding: f64,
    /// Smaller differences have no square, smaller factors no product.
    underflow: f64,
}

impl<'a> Query<'a> {
    pub fn new(metric: Metric, dimensions: usize, code: &'a [u32]) -> Self {
        let parts = parts(code, dimensions);
        let norm_squared = parts.norm_squared();
        let n = dimensions as f64;
        Self {
            metric,
            dimensions,
            code,
            norm: norm_squared.max(0.0).sqrt() + parts.error,
            norm_squared,
            size: parts.size(),
            parts,
            rounding: (n / 8.0 + 16.0) * f64::from(f32::EPSILON),
            underflow: if metric == Metric::L2 { n.sqrt() * 2e-19 } else { n * 2e-38 },
        }
    }

    /// The distance of the two approximations less both errors, less what the `f32` sums of the operator may be wrong by.
    #[inline]
    pub fn bound(&self, code: &[u32]) -> f64 {
        let (x, y) = (&self.parts, parts(code, self.dimensions));
        let (x_norm, rounding) = (self.norm, self.rounding);
        let y_norm = |y: &Parts<'_>| y.norm_squared().max(0.0).sqrt() + y.error;
        match self.metric {
            Metric::L2 => {
                let y_squared = y.norm_squared();
                let squared = self.norm_squared + y_squared - 2.0 * x.inner_product(&y);
                // The terms cancel out in f64: the sum is wrong by 3e-15 of their size at most, which may be thousands of times
                // the length (of a vector of zeros but for a single element, `low` is that element).
                let distance = (squared - 1e-14 * (self.size + y.size())).max(0.0).sqrt();
                ((distance - x.error - y.error) * (1.0 - rounding) - self.underflow).max(0.0)
            }
            Metric::L1 => {
                let distance = f64::from(l1(self.dimensions, self.code, code));
                let slack = 4.0 * f64::from(f32::EPSILON) * self.dimensions as f64 * (largest(x) + largest(&y));
                ((distance - x.error - y.error) * (1.0 - 2.0 * rounding) - slack).max(0.0)
            }
            Metric::Cosine => {
                // Lengths are 1 but for f32 rounding; the operator divides by them.
                1.0 - (x.inner_product(&y) + x_norm * y.error + y_norm(&y) * x.error + 2.0 * rounding)
            }
            Metric::InnerProduct | Metric::Hamming | Metric::Jaccard => {
                let y_norm = y_norm(&y);
                if x_norm * y_norm > f64::from(f32::MAX) / 4.0 {
                    return f64::NEG_INFINITY; // as the sum of the operator may be
                }
                let errors = x_norm * y.error + y_norm * x.error + rounding * x_norm * y_norm;
                -(x.inner_product(&y) + errors + self.underflow)
            }
        }
    }
}

fn largest(parts: &Parts<'_>) -> f64 {
    parts.low.abs().max((parts.low + 255.0 * parts.step).abs())
}

pub(super) fn is_sound(code: &[u32], dimensions: usize) -> bool {
    let parts = parts(code, dimensions);
    let sum = parts.bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let squares = parts.bytes.iter().map(|byte| u32::from(*byte) * u32::from(*byte)).sum::<u32>();
    [parts.low, parts.step].iter().all(|x| x.is_finite())
        && parts.step >= 0.0
        && parts.error > 0.0 // may be infinite, and is for long vectors of huge elements
        && (sum, squares) == (parts.sum, parts.squares)
}
