//! Every set that this processor can run, against sums in `f64`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::{CosineParts, Kernel, Kernels, available, kernels};

/// The exact sum of `term` over the pairs, and the sum of its absolute values, to which rounding errors are proportional.
fn reference(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let terms = a.iter().zip(b).map(|(x, y)| term(f64::from(*x), f64::from(*y)));
    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
}

#[track_caller]
fn assert_near(what: &str, got: f64, (want, size): (f64, f64)) {
    assert!((got - want).abs() <= size * 1e-6 + 1e-30, "{what}: got {got}, want {want}");
}

fn check(set: &Kernels, a: &[f32], b: &[f32]) {
    let (l2, ip) = (|x: f64, y: f64| (x - y) * (x - y), |x: f64, y: f64| x * y);
    let name = |kernel: &str| format!("{} {kernel} of {} and {} elements", set.name, a.len(), b.len());
    assert_near(&name("l2_squared"), (set.l2_squared)(a, b).into(), reference(a, b, l2));
    assert_near(&name("inner_product"), (set.inner_product)(a, b).into(), reference(a, b, ip));
    assert_near(&name("l1"), (set.l1)(a, b).into(), reference(a, b, |x, y| (x - y).abs()));
    assert_near(&name("norm_squared"), (set.norm_squared)(a), reference(a, a, ip));
    let parts = (set.cosine)(a, b);
    let common = a.len().min(b.len());
    assert_near(&name("cosine dot"), parts.dot.into(), reference(a, b, ip));
    assert_near(&name("cosine a"), parts.a_squared.into(), reference(&a[..common], &a[..common], ip));
    assert_near(&name("cosine b"), parts.b_squared.into(), reference(&b[..common], &b[..common], ip));
}

/// Values without structure, the same in every run.
fn noise(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 4.0 - 2.0
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn every_length_up_to_three_rounds_of_the_widest_loop_is_summed() {
    for set in available() {
        for length in (0..=3 * 64 + 1).chain([384, 768, 1024, 1536, 1999, 2000, 16_000]) {
            check(set, &noise(length, 7), &noise(length, 1234));
        }
    }
}

#[test]
fn slices_need_no_alignment_and_the_shorter_one_counts() {
    let (a, b) = (noise(300, 3), noise(300, 99));
    for set in available() {
        for start in 0..9 {
            check(set, &a[start..], &b[start * 2..]);
            check(set, &a[..start], &b);
        }
    }
}

/// A masked tail must not see what lies behind the slice.
#[test]
fn elements_behind_the_end_do_not_count() {
    for set in available() {
        for length in 0..70 {
            let mut a = noise(length, 5);
            let mut b = noise(length, 6);
            let alone = (set.l2_squared)(&a, &b);
            a.extend([f32::NAN; 64]);
            b.extend([f32::INFINITY; 64]);
            assert_eq!((set.l2_squared)(&a[..length], &b[..length]), alone);
            assert_eq!((set.l2_squared)(&a, &b[..length]), alone);
            assert!((set.norm_squared)(&a[..length]).is_finite());
            assert!((set.cosine)(&a[..length], &b).dot.is_finite());
        }
    }
}

#[test]
fn sums_out_of_range_are_infinite_and_norms_are_not() {
    for set in available() {
        for length in [1, 8, 9, 32, 33, 64, 100] {
            let (high, low) = (vec![3e38f32; length], vec![-3e38f32; length]);
            let infinite = |kernel: Kernel| kernel(&high, &low).is_infinite();
            assert!(infinite(set.l2_squared) && infinite(set.inner_product) && infinite(set.l1), "{}", set.name);
            assert!((set.cosine)(&high, &low).similarity().is_nan());
            assert_near("norm_squared", (set.norm_squared)(&high), reference(&high, &high, |x, y| x * y));
        }
    }
}

#[test]
fn cosine_of_parallel_vectors_is_exact_and_of_a_zero_vector_is_nan() {
    for set in available() {
        let parts = |a: &[f32], b: &[f32]| (set.cosine)(a, b);
        assert_eq!(parts(&[1.0, 2.0], &[2.0, 4.0]).distance(), 0.0);
        assert_eq!(parts(&[1.0, 1.0], &[-1.1, -1.1]).distance(), 2.0);
        assert_eq!(parts(&[1.0, 0.0], &[0.0, 2.0]).distance(), 1.0);
        assert!(parts(&[1.0, 2.0], &[0.0, 0.0]).distance().is_nan());
    }
    let beyond = CosineParts { dot: 1.000_001, a_squared: 1.0, b_squared: 1.0 };
    assert_eq!(beyond.similarity(), 1.0);
}

#[test]
fn the_choice_is_the_fastest_available_set() {
    assert_eq!(kernels().name, available().next().unwrap().name);
    assert_eq!(available().last().unwrap().name, "scalar");
    #[cfg(target_arch = "x86_64")]
    assert_eq!(available().any(|set| set.name == "avx2+fma"), is_x86_feature_detected!("avx2"));
}

proptest! {
    #[test]
    fn any_values_agree_with_f64(pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..200)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        available().for_each(|set| check(set, &a, &b));
    }

    #[test]
    fn distances_are_symmetric_and_zero_to_oneself(pairs in prop::collection::vec((-1e15f32..1e15, -1e15f32..1e15), 1..100)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        for set in available() {
            for kernel in [set.l2_squared, set.l1, set.inner_product] {
                prop_assert_eq!(kernel(&a, &b), kernel(&b, &a));
            }
            prop_assert_eq!((set.l2_squared)(&a, &a), 0.0);
            prop_assert_eq!((set.l1)(&a, &a), 0.0);
        }
    }
}
