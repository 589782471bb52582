//! NEON, which every 64-bit ARM processor has. Four accumulators hide the latency of a fused multiply-add.

use std::arch::aarch64::*;

use super::{CosineParts, Kernels};

/// The one set of 64-bit ARM, if the processor admits to it.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(&NEON).into_iter()
}

static NEON: Kernels = Kernels {
    name: "neon",
    // SAFETY: for all five, this table is only reached through `available`, which has asked the processor for NEON.
    l2_squared: |a, b| unsafe { l2_squared(a, b) },
    // SAFETY: as above.
    inner_product: |a, b| unsafe { inner_product(a, b) },
    // SAFETY: as above.
    l1: |a, b| unsafe { l1(a, b) },
    // SAFETY: as above.
    cosine: |a, b| unsafe { cosine(a, b) },
    // SAFETY: as above.
    norm_squared: |a| unsafe { norm_squared(a) },
};

#[target_feature(enable = "neon")]
fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| {
        let difference = vsubq_f32(x, y);
        vfmaq_f32(sum, difference, difference)
    })
}

#[target_feature(enable = "neon")]
fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| vfmaq_f32(sum, x, y))
}

#[target_feature(enable = "neon")]
fn l1(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| vaddq_f32(sum, vabdq_f32(x, y)))
}

#[target_feature(enable = "neon")]
fn cosine(a: &[f32], b: &[f32]) -> CosineParts {
    let length = a.len().min(b.len());
    let mut dot = [vdupq_n_f32(0.0); 2];
    let mut a_squared = [vdupq_n_f32(0.0); 2];
    let mut b_squared = [vdupq_n_f32(0.0); 2];
    let mut at = 0;
    while at < length {
        for lane in 0..2 {
            let (x, y) = (load(a, at, length), load(b, at, length));
            dot[lane] = vfmaq_f32(dot[lane], x, y);
            a_squared[lane] = vfmaq_f32(a_squared[lane], x, x);
            b_squared[lane] = vfmaq_f32(b_squared[lane], y, y);
            at += 4;
        }
    }
    CosineParts {
        dot: vaddvq_f32(vaddq_f32(dot[0], dot[1])),
        a_squared: vaddvq_f32(vaddq_f32(a_squared[0], a_squared[1])),
        b_squared: vaddvq_f32(vaddq_f32(b_squared[0], b_squared[1])),
    }
}

#[target_feature(enable = "neon")]
fn norm_squared(a: &[f32]) -> f64 {
    let mut sums = [vdupq_n_f64(0.0); 2];
    for at in (0..a.len()).step_by(4) {
        let x = load(a, at, a.len());
        let (low, high) = (vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x));
        sums = [vfmaq_f64(sums[0], low, low), vfmaq_f64(sums[1], high, high)];
    }
    vaddvq_f64(vaddq_f64(sums[0], sums[1]))
}

/// Folds both slices, four elements a step; missing elements count as zero in both.
#[target_feature(enable = "neon")]
#[inline]
fn fold(a: &[f32], b: &[f32], step: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t) -> f32 {
    let length = a.len().min(b.len());
    let (a_start, b_start) = (a.as_ptr(), b.as_ptr());
    let mut sums = [vdupq_n_f32(0.0); 4];
    let mut at = 0;
    while at + 16 <= length {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: at + 4 * lane + 4 <= at + 16 <= length of both.
            let (x, y) = unsafe { (vld1q_f32(a_start.add(at + 4 * lane)), vld1q_f32(b_start.add(at + 4 * lane))) };
            *sum = step(*sum, x, y);
        }
        at += 16;
    }
    while at < length {
        sums[0] = step(sums[0], load(a, at, length), load(b, at, length));
        at += 4;
    }
    vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])))
}

/// Elements `at..at + 4` of `values`, zero from `length` on, which is at most the length of `values`.
#[target_feature(enable = "neon")]
#[inline]
fn load(values: &[f32], at: usize, length: usize) -> float32x4_t {
    debug_assert!(length <= values.len());
    let mut padded = [0f32; 4];
    if at + 4 <= length {
        // SAFETY: at + 4 <= length <= values.len().
        return unsafe { vld1q_f32(values.as_ptr().add(at)) };
    }
    for (slot, value) in padded.iter_mut().zip(&values[at.min(length)..length]) {
        *slot = *value;
    }
    // SAFETY: four elements of a local array.
    unsafe { vld1q_f32(padded.as_ptr()) }
}
