//! Portable kernels. The lanes let the compiler use whatever vectors the baseline of the target has.

use super::{CosineParts, Kernels};

/// Portable code, for every processor.
pub(super) static KERNELS: Kernels = Kernels { name: "scalar", l2_squared, inner_product, l1, cosine, norm_squared };

const LANES: usize = 16;

fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y) * (x - y))
}

fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + x * y)
}

fn l1(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y).abs())
}

fn cosine(a: &[f32], b: &[f32]) -> CosineParts {
    let common = a.len().min(b.len());
    let (a, b) = (&a[..common], &b[..common]);
    CosineParts { dot: inner_product(a, b), a_squared: inner_product(a, a), b_squared: inner_product(b, b) }
}

fn norm_squared(a: &[f32]) -> f64 {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0f64; LANES];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
}

#[inline(always)]
fn fold(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let common = a.len().min(b.len());
    let (a_chunks, a_rest) = a[..common].as_chunks::<LANES>();
    let (b_chunks, b_rest) = b[..common].as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = step(sums[lane], x[lane], y[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (x, y)| step(sum, *x, *y));
    sums.iter().sum::<f32>() + rest
}
