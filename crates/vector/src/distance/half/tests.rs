//! Every set that this processor can run, against sums in `f64`.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{HalfKernel, HalfKernels, available, f16, kernels, widen};

fn halves(values: &[f32]) -> Vec<f16> {
    values.iter().map(|x| f16::from_f32(*x)).collect()
}

/// Values without structure, the same in every run.
fn noise(length: usize, seed: u32) -> Vec<f16> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f16::from_f32(state as f32 / u32::MAX as f32 * 4.0 - 2.0)
    };
    (0..length).map(|_| next()).collect()
}

fn check(set: &HalfKernels, a: &[f16], b: &[f16]) {
    let near = |kernel: &str, got: f64, term: &dyn Fn(f64, f64) -> f64| {
        let terms = a.iter().zip(b).map(|(x, y)| term(x.to_f64(), y.to_f64()));
        let (want, size) = terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
        assert!(
            (got - want).abs() <= size * f64::max(1e-6, a.len() as f64 * 2e-10),
            "{} {kernel} of {}: got {got}, want {want}",
            set.name,
            a.len()
        );
    };
    near("l2_squared", (set.l2_squared)(a, b).into(), &|x, y| (x - y) * (x - y));
    near("inner_product", (set.inner_product)(a, b).into(), &|x, y| x * y);
    near("l1", (set.l1)(a, b).into(), &|x, y| (x - y).abs());
    let parts = (set.cosine)(a, b);
    near("cosine dot", parts.dot.into(), &|x, y| x * y);
    near("cosine a", parts.a_squared.into(), &|x, _| x * x);
    near("cosine b", parts.b_squared.into(), &|_, y| y * y);
    let exact: f64 = a.iter().map(|x| x.to_f64() * x.to_f64()).sum();
    assert!(((set.norm_squared)(a) - exact).abs() <= exact * 1e-14, "{} norm_squared of {}", set.name, a.len());
}

#[test]
fn every_finite_half_is_widened_exactly() {
    for half in (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite()) {
        assert_eq!(widen(half).to_bits(), half.to_f32().to_bits());
    }
}

#[test]
fn every_length_is_summed() {
    for set in available() {
        for length in (0..=2 * 64 + 17).chain([384, 768, 1536, 4000, 16_000]) {
            check(set, &noise(length, 7), &noise(length, 1234));
        }
    }
}

#[test]
fn slices_need_no_alignment_and_the_shorter_one_counts() {
    let (a, b) = (noise(300, 3), noise(300, 99));
    for set in available() {
        for start in 0..17 {
            check(set, &a[start..], &b[start..]);
            let kernels: [HalfKernel; 3] = [set.l2_squared, set.inner_product, set.l1];
            assert!(kernels.iter().all(|kernel| kernel(&a[..start], &b) == kernel(&a[..start], &b[..start])));
            assert_eq!((set.cosine)(&a[..start], &b), (set.cosine)(&a[..start], &b[..start]));
        }
    }
}

#[test]
fn the_largest_elements_do_not_overflow() {
    for set in available() {
        check(set, &[f16::MAX; 16_000], &[f16::MIN; 16_000]);
    }
}

#[test]
fn cosine_of_parallel_vectors_is_exact_and_of_a_zero_vector_is_nan() {
    for set in available() {
        let cosine = |a: &[f32], b: &[f32]| (set.cosine)(&halves(a), &halves(b)).distance();
        assert_eq!(cosine(&[1.0, 2.0], &[2.0, 4.0]), 0.0);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 1.0);
        assert!(cosine(&[1.0, 2.0], &[0.0, 0.0]).is_nan());
    }
}

#[test]
fn the_choice_is_the_fastest_available_set() {
    assert_eq!(kernels().name, available().next().unwrap().name);
    assert_eq!(available().last().unwrap().name, "scalar");
}

proptest! {
    #[test]
    fn any_values_agree_with_f64(pairs in prop::collection::vec((-6e4f32..6e4, -1f32..1.0), 0..200)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        available().for_each(|set| check(set, &halves(&a), &halves(&b)));
    }
}
