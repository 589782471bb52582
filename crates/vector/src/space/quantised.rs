//! Codes of dense vectors with a byte or two for each element: scalar quantisation with a scale for each vector, as in the
//! locally-adaptive quantisation of Aguerrebere et al., "Similarity search in the blink of an eye with compressed indices",
//! VLDB 2023. A [`Coder`](super::Coder) has centred and rotated the vectors.
//!
//! What is quantised is the *residual*: the value minus the centre, rotated. Its element `i` is approximately
//! `middle + step * number[i]`. `step` is chosen so that the element of the largest magnitude becomes the largest number.
//! `middle` is 0 except for L1, whose residuals are not rotated and may all lie on one side of 0. Except for L1, the distance of two
//! approximations comes from sums of integers that are combined in `f64`, so cancellation costs no precision.
//!
//! ```text
//! word 0: step (f32)
//!      1: error (f32): upper bound of the L2 norm (for L1, the L1 norm) of residual minus approximation; never 0
//!      2: hash of the value, so that only equal values have equal codes; in a list's centre for inner product, its length (f32)
//!      3: sum of the squares of the numbers: one word for numbers of one byte, two for those of two, low word first;
//!         for L1 a word with middle (f32) instead
//!  then: for inner product: the inner product of the centre and the exact residual (f32)
//!  then: the numbers, then zeros up to a whole word. One byte each (i8), or two (i16): all high bytes, then all low ones
//! ```

use std::marker::PhantomData;

use zerocopy::IntoBytes;

use super::Metric;
use crate::distance::bytes::{self, ByteKernels};

/// The encoding of quantised numbers in one [form](super::Form).
pub(super) trait Numbers {
    /// Bytes of a number.
    const BYTES: usize;
    /// The largest number; the smallest is its negative.
    const LARGEST: i32;

    /// Writes number `i` of `count`.
    fn put(bytes: &mut [u8], i: usize, count: usize, number: i32);
    /// Reads number `i` of `count`.
    fn get(bytes: &[u8], i: usize, count: usize) -> i32;
    fn dot(kernels: &ByteKernels, a: &[u8], b: &[u8]) -> i64;
    fn l1(kernels: &ByteKernels, a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32;
}

/// The numbers of [`Form::Quantised`](super::Form::Quantised).
pub(super) struct Bytes;

impl Numbers for Bytes {
    const BYTES: usize = 1;
    const LARGEST: i32 = 127;

    #[inline(always)]
    fn put(bytes: &mut [u8], i: usize, _: usize, number: i32) {
        bytes[i] = number as u8;
    }

    #[inline(always)]
    fn get(bytes: &[u8], i: usize, _: usize) -> i32 {
        i32::from(bytes[i].cast_signed())
    }

    #[inline(always)]
    fn dot(kernels: &ByteKernels, a: &[u8], b: &[u8]) -> i64 {
        i64::from((kernels.dot)(a, b))
    }

    #[inline(always)]
    fn l1(kernels: &ByteKernels, a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        (kernels.l1)(a, b, step_a, step_b, offset)
    }
}

/// The numbers of [`Form::Fine`](super::Form::Fine).
pub(super) struct Pairs;

impl Numbers for Pairs {
    const BYTES: usize = 2;
    const LARGEST: i32 = 32_767;

    #[inline(always)]
    fn put(bytes: &mut [u8], i: usize, count: usize, number: i32) {
        bytes[i] = (number >> 8) as u8;
        bytes[count + i] = number as u8;
    }

    #[inline(always)]
    fn get(bytes: &[u8], i: usize, count: usize) -> i32 {
        i32::from(bytes[i].cast_signed()) * 256 + i32::from(bytes[count + i])
    }

    #[inline(always)]
    fn dot(kernels: &ByteKernels, a: &[u8], b: &[u8]) -> i64 {
        (kernels.dot_fine)(a, b)
    }

    #[inline(always)]
    fn l1(kernels: &ByteKernels, a: &[u8], b: &[u8], step_a: f32, step_b: f32, offset: f32) -> f32 {
        (kernels.l1_fine)(a, b, step_a, step_b, offset)
    }
}

const STEP: usize = 0;
const ERROR: usize = 1;
const HASH: usize = 2;
const SQUARES: usize = 3;
const MIDDLE: usize = 3;

/// Words before the numbers.
#[inline(always)]
const fn header<N: Numbers>(metric: Metric) -> usize {
    match metric {
        Metric::L1 => MIDDLE + 1,
        Metric::InnerProduct => SQUARES + N::BYTES + 1,
        _ => SQUARES + N::BYTES,
    }
}

/// Words of a code.
pub(super) fn words<N: Numbers>(metric: Metric, dimensions: usize) -> usize {
    header::<N>(metric) + (N::BYTES * dimensions).div_ceil(4)
}

/// What a code is made of.
pub(super) struct Residual<'a> {
    /// The elements, divided by `unit`; ten thousand times any of them is finite.
    pub elements: &'a [f32],
    /// The unit of `elements`, a power of two.
    pub unit: f64,
    /// Upper bound of the L2 norm (for L1, the L1 norm) of the rounding errors of `elements`, in the same unit.
    pub error: f64,
    /// Hash of the value.
    pub hash: u32,
    /// The inner product with the centre.
    pub with_centre: f32,
}

/// The code of a residual.
pub(super) fn encode<N: Numbers>(residual: &Residual<'_>, metric: Metric) -> Vec<u32> {
    let Residual { elements, unit, .. } = *residual;
    let count = elements.len();
    let lanes = |start: f32, choose: fn(f32, f32) -> f32| {
        let (blocks, rest) = elements.as_chunks::<16>();
        let mut most = [start; 16];
        for block in blocks {
            most.iter_mut().zip(block).for_each(|(most, x)| *most = choose(*most, *x));
        }
        most.iter().chain(rest).fold(start, |most, x| choose(most, *x))
    };
    let (low, high) =
        (lanes(f32::MAX, |a, b| if b < a { b } else { a }), lanes(f32::MIN, |a, b| if b > a { b } else { a }));
    let largest = f64::from(N::LARGEST);
    let (step, middle) = match metric {
        Metric::L1 => {
            // A multiple of the step, so that zero is a number.
            let step = (f64::from(high) - f64::from(low)) / (2.0 * largest - 1.0);
            let middle = (f64::from(high) + f64::from(low)) / 2.0;
            if step > 0.0 { (step, step * (middle / step).round()) } else { (0.0, middle) }
        }
        _ => (f64::from(high.max(-low)) / largest, 0.0),
    };
    let (stored_step, stored_middle) = ((step * unit) as f32, (middle * unit) as f32);
    // The numbers are computed with the stored step, which is rounded; one that is too small for its inverse counts as zero.
    let (step, middle) = (f64::from(stored_step) / unit, f64::from(stored_middle) / unit);
    let scale = if step > 0.0 { (1.0 / step) as f32 } else { 0.0 };
    let scale = if scale.is_finite() { scale } else { 0.0 };
    let header = header::<N>(metric);
    let mut code = vec![0u32; words::<N>(metric, count)];
    let numbers = &mut code[header..].as_mut_bytes()[..N::BYTES * count];
    let (limit, shift) = (N::LARGEST as f32, middle as f32);
    let mut rests = [0.0; 8];
    for (i, x) in elements.iter().enumerate() {
        let number = nearest(((*x - shift) * scale).clamp(-limit, limit));
        N::put(numbers, i, count, number);
        let rest = (f64::from(*x) - (middle + step * f64::from(number))).abs();
        rests[i % 8] += if metric == Metric::L1 { rest } else { rest * rest };
    }
    let squares = N::dot(bytes::kernels(), numbers, numbers).cast_unsigned();
    let mut error: f64 = rests.iter().sum();
    if metric != Metric::L1 {
        error = error.sqrt();
    }
    let error = ((error + residual.error) * unit * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE;
    code[STEP] = stored_step.to_bits();
    code[ERROR] = error.to_bits();
    code[HASH] = residual.hash;
    match metric {
        Metric::L1 => code[MIDDLE] = stored_middle.to_bits(),
        _ => {
            code[SQUARES] = squares as u32;
            if N::BYTES == 2 {
                code[SQUARES + 1] = (squares >> 32) as u32;
            }
        }
    }
    if metric == Metric::InnerProduct {
        code[header - 1] = residual.with_centre.to_bits();
    }
    code
}

/// Rounds a number up to 2^22 to the nearest integer: the sum has no bits left for a fraction. The compiler vectorises this.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    const ANCHOR: f32 = 12_582_912.0; // 1.5 * 2^23
    (x + ANCHOR).to_bits().wrapping_sub(ANCHOR.to_bits()).cast_signed()
}

/// The approximate residual; for inner product, followed by the inner product with the centre.
pub(super) fn decode<N: Numbers>(metric: Metric, code: &[u32], out: &mut [f32]) {
    let count = out.len() - usize::from(metric == Metric::InnerProduct);
    let parts = parts::<N>(metric, code, count);
    for (i, x) in out[..count].iter_mut().enumerate() {
        *x = finite(parts.middle + parts.step * f64::from(N::get(parts.bytes, i, count))); // may lie a little beyond f32
    }
    if metric == Metric::InnerProduct {
        out[count] = parts.with_centre as f32;
    }
}

struct Parts<'a, N> {
    step: f64,
    error: f64,
    /// Sum of the squares of the numbers; 0 for L1.
    squares: f64,
    /// 0 except for L1.
    middle: f64,
    /// 0 except for inner product.
    with_centre: f64,
    bytes: &'a [u8],
    numbers: PhantomData<N>,
}

#[inline(always)]
fn parts<N: Numbers>(metric: Metric, code: &[u32], dimensions: usize) -> Parts<'_, N> {
    let header = header::<N>(metric);
    let float = |word: u32| f64::from(f32::from_bits(word));
    let (squares, middle) = match metric {
        Metric::L1 => (0.0, float(code[MIDDLE])),
        _ if N::BYTES == 2 => ((u64::from(code[SQUARES + 1]) << 32 | u64::from(code[SQUARES])) as f64, 0.0),
        _ => (f64::from(code[SQUARES]), 0.0),
    };
    Parts {
        step: float(code[STEP]),
        error: float(code[ERROR]),
        squares,
        middle,
        with_centre: if metric == Metric::InnerProduct { float(code[header - 1]) } else { 0.0 },
        bytes: &code[header..].as_bytes()[..N::BYTES * dimensions],
        numbers: PhantomData,
    }
}

impl<N: Numbers> Parts<'_, N> {
    /// The square of the length of the approximation.
    #[inline(always)]
    fn norm_squared(&self) -> f64 {
        self.step * self.step * self.squares
    }

    /// The inner product of the approximations.
    #[inline(always)]
    fn inner_product(&self, other: &Self) -> f64 {
        self.step * other.step * N::dot(bytes::kernels(), self.bytes, other.bytes) as f64
    }

    /// The square of the distance of the approximations, at least 0, exact up to a few roundings in `f64`.
    #[inline(always)]
    fn l2_squared(&self, other: &Self) -> f64 {
        (self.norm_squared() + other.norm_squared() - 2.0 * self.inner_product(other)).max(0.0)
    }

    #[inline(always)]
    fn l1(&self, other: &Self) -> f64 {
        // Scales the terms where they would overflow or underflow f32.
        let largest = f64::from(N::LARGEST) * (self.step + other.step) + (self.middle - other.middle).abs();
        let unit = if (1e-30..1e30).contains(&largest) || largest == 0.0 { 1.0 } else { largest };
        let offset = ((self.middle - other.middle) / unit) as f32;
        let (a, b) = ((self.step / unit) as f32, (other.step / unit) as f32);
        f64::from(N::l1(bytes::kernels(), self.bytes, other.bytes, a, b, offset)) * unit
    }

    /// An upper bound of the elements' magnitudes.
    fn largest(&self) -> f64 {
        self.middle.abs() + f64::from(N::LARGEST) * self.step
    }
}

/// The square of the Euclidean distance. For codes of any metric but L1.
#[inline]
pub(super) fn l2_squared<N: Numbers>(metric: Metric, dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    finite(parts::<N>(metric, a, dimensions).l2_squared(&parts(metric, b, dimensions)))
}

/// The negative inner product of the values plus the square of the centre's length, which is the same for all.
#[inline]
pub(super) fn negative_inner_product<N: Numbers>(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    let metric = Metric::InnerProduct;
    let (a, b) = (parts::<N>(metric, a, dimensions), parts(metric, b, dimensions));
    finite(-(a.with_centre + b.with_centre + a.inner_product(&b)))
}

/// A hash of the code's header, which nearly always differs if the codes do.
#[inline]
pub(super) fn fingerprint<N: Numbers>(metric: Metric, code: &[u32]) -> u64 {
    code[..header::<N>(metric)]
        .iter()
        .fold(0, |mixed: u64, word| (mixed ^ u64::from(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
}

/// Stores the length of a list's centre, in the place of the hash.
pub(super) fn set_length(code: &mut [u32], length: f32) {
    code[HASH] = length.to_bits();
}

/// The length that [`set_length`] has stored.
#[inline]
pub(super) fn length(code: &[u32]) -> f64 {
    f64::from(f32::from_bits(code[HASH]))
}

pub(super) fn l1<N: Numbers>(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
    finite(parts::<N>(Metric::L1, a, dimensions).l1(&parts(Metric::L1, b, dimensions)))
}

/// Clamps a distance to the range of `f32`: only the order of distances matters. It is never NaN.
#[inline]
fn finite(x: f64) -> f32 {
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// The code of a query, with the terms of the bounds that depend on it alone.
pub(super) struct Query<'a, N> {
    metric: Metric,
    dimensions: usize,
    parts: Parts<'a, N>,
    /// The length of the centre.
    centre: f64,
    /// An upper bound of the length of the exact residual.
    norm: f64,
    /// The largest relative rounding error of the operator, which sums n terms as `f32` in eight or more accumulators.
    rounding: f64,
    /// An upper bound of the standard deviation of that error: roundings go up and down.
    usual_rounding: f64,
    /// The largest error of the operator by terms that underflow `f32`.
    underflow: f64,
    /// The share of the square of an error that lies in any one direction.
    along: f64,
}

impl<'a, N: Numbers> Query<'a, N> {
    /// `centre` is the length of the centre.
    pub fn new(metric: Metric, dimensions: usize, code: &'a [u32], centre: f64) -> Self {
        let parts = parts(metric, code, dimensions);
        let n = dimensions as f64;
        Self {
            metric,
            dimensions,
            norm: norm(&parts),
            parts,
            centre,
            rounding: (n / 8.0 + 16.0) * f64::from(f32::EPSILON),
            usual_rounding: (n / 8.0 + 16.0).sqrt() / 2.0 * f64::from(f32::EPSILON),
            underflow: if metric == Metric::L2 { n.sqrt() * 2e-19 } else { n * 2e-38 },
            along: 1.0 / n,
        }
    }

    /// Lower and upper bound of the operator's result: the distance of the approximations, minus and plus the error by
    /// quantisation and the rounding of the operator's `f32` sums. Each error counts with its maximum or with this number
    /// of standard deviations, whichever is smaller.
    ///
    /// Residuals are rotated, so quantisation errors have a random direction: if both together have length e, their standard
    /// deviation in any one direction is e / sqrt(n). On average they make the square of a distance too large, by e² if elements
    /// differ by whole steps and by at most 1.5 e² (if by half a step), and an inner product too small by at most e² / 4.
    #[inline(always)]
    pub fn bounds(&self, code: &[u32], deviations: f64) -> (f64, f64) {
        let (x, y) = (&self.parts, parts::<N>(self.metric, code, self.dimensions));
        let rounding = self.rounding.min(deviations * self.usual_rounding);
        let (error, errors) = (x.error + y.error, x.error * x.error + y.error * y.error);
        // The error by cancellation in f64 is below 1e-14 of the terms.
        let euclidean = || {
            let (square, slack) = (x.l2_squared(&y), 1e-14 * (x.norm_squared() + y.norm_squared()));
            let (low, high) = ((square - slack).max(0.0), square + slack);
            let variance = self.along * errors * (4.0 * low + 9.0 * errors);
            let margin = deviations * variance.sqrt();
            let (least, most) = (low - 1.5 * errors - margin, high + margin);
            ((low.sqrt() - error).max(least.max(0.0).sqrt()), (high.sqrt() + error).min(most.sqrt()))
        };
        let (least, most) = match self.metric {
            Metric::L2 => {
                let (least, most) = euclidean();
                ((least * (1.0 - rounding) - self.underflow).max(0.0), most * (1.0 + rounding) + self.underflow)
            }
            Metric::L1 => {
                let slack = 4.0 * f64::from(f32::EPSILON) * self.dimensions as f64 * (x.largest() + y.largest());
                let distance = x.l1(&y);
                let (least, most) = (distance - error, distance + error);
                ((least * (1.0 - 2.0 * rounding) - slack).max(0.0), most * (1.0 + 2.0 * rounding) + slack)
            }
            // The operator's result for such a vector is arbitrary.
            Metric::Cosine if error >= 2.0 => (0.0, f64::INFINITY),
            Metric::Cosine => {
                // Lengths are 1 up to f32 rounding; the operator divides by them. For vectors of length 1 the cosine distance is
                // half the square of the Euclidean distance.
                let (least, most) = euclidean();
                let slack = 2.0 * f64::from(f32::EPSILON);
                let (least, most) = ((least - slack).max(0.0), most + slack);
                ((least * least / 2.0 - 2.0 * rounding).max(0.0), most * most / 2.0 + 2.0 * rounding)
            }
            Metric::InnerProduct | Metric::Hamming | Metric::Jaccard => {
                let y_norm = norm(&y);
                let size = (self.norm + self.centre) * (y_norm + self.centre);
                if size > f64::from(f32::MAX) / 4.0 {
                    return (f64::NEG_INFINITY, f64::INFINITY); // the operator's sum may overflow
                }
                let (of_y, of_x) = (self.norm * y.error, y_norm * x.error);
                let variance = self.along * (of_y * of_y + of_x * of_x);
                let wrong = (of_y + of_x).min(0.25 * errors + deviations * variance.sqrt());
                // The inner products with the centre are exact up to their rounding to f32.
                let of_centre = f64::from(f32::EPSILON) * (x.with_centre.abs() + y.with_centre.abs());
                let product = self.centre * self.centre + x.with_centre + y.with_centre + x.inner_product(&y);
                let slack = wrong + of_centre + rounding * size + self.underflow;
                (-(product + slack), -(product - slack))
            }
        };
        (least, if most < LARGE { most } else { f64::INFINITY })
    }
}

/// The operator's sum may overflow for larger distances.
const LARGE: f64 = 1e18;

fn norm<N: Numbers>(parts: &Parts<'_, N>) -> f64 {
    parts.norm_squared().sqrt() + parts.error
}

/// The standard deviation of the distance of two codes by their quantisation errors, which have random directions.
pub(super) fn noise<N: Numbers>(metric: Metric, dimensions: usize, a: &[u32], b: &[u32], distance: f32) -> f64 {
    let (a, b) = (parts::<N>(metric, a, dimensions), parts::<N>(metric, b, dimensions));
    spread(metric, dimensions, (a.error, a.norm_squared().sqrt()), (b.error, b.norm_squared().sqrt()), distance)
}

/// [`noise`] of a code against one with the same relative error.
pub(super) fn own_noise<N: Numbers>(metric: Metric, dimensions: usize, code: &[u32], distance: f32) -> f64 {
    let own = parts::<N>(metric, code, dimensions);
    let length = own.norm_squared().sqrt();
    // By inner product a much longer vector may be near: it is at least as long as this product needs.
    let other = match metric {
        Metric::InnerProduct if length > 0.0 => {
            let product = f64::from(-distance) - 2.0 * own.with_centre;
            length.max(product.abs() / length)
        }
        _ => length,
    };
    let ratio = if length > 0.0 { other / length } else { 1.0 };
    spread(metric, dimensions, (own.error, length), (own.error * ratio, other), distance)
}

fn spread(metric: Metric, dimensions: usize, a: (f64, f64), b: (f64, f64), distance: f32) -> f64 {
    let root = (dimensions as f64).sqrt();
    let sigma = a.0.hypot(b.0) / root;
    match metric {
        // The deviation of the distance is sigma, here propagated to its square; the square of the errors varies, too.
        Metric::L2 | Metric::Cosine => 2.0 * f64::from(distance.max(0.0)).sqrt() * sigma + root * sigma * sigma,
        // The root mean square of uniformly distributed errors is 2 / sqrt(3) times their mean.
        Metric::L1 => 2.0 / 3f64.sqrt() * sigma,
        _ => (a.0 * b.1).hypot(b.0 * a.1) / root,
    }
}

pub(super) fn is_sound<N: Numbers>(metric: Metric, code: &[u32], dimensions: usize) -> bool {
    let parts = parts::<N>(metric, code, dimensions);
    let squares = match metric {
        Metric::L1 => 0,
        _ => N::dot(bytes::kernels(), parts.bytes, parts.bytes),
    };
    [parts.step, parts.middle, parts.with_centre].iter().all(|x| x.is_finite())
        && parts.step >= 0.0
        && parts.error > 0.0 // may be infinite, and is for long vectors of huge elements
        && parts.squares == squares as f64
}

pub(super) fn error(code: &[u32]) -> f32 {
    f32::from_bits(code[ERROR])
}
