//! Codes that are too coarse for values are noticed, by a build and by inserts.

use super::*;
use crate::hnsw::vacuum::vacuum;

const DIMENSIONS: usize = 64;

fn coder(form: Form, metric: Metric) -> Coder {
    Coder::plain(Space { form, metric, dimensions: DIMENSIONS })
}

/// Noise around a point, `spread` wide in each dimension.
fn noise(count: usize, point: f32, spread: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    let vector = |random: &mut Random| random.vector(DIMENSIONS).iter().map(|x| point + spread * x).collect();
    (0..count).map(|_| vector(&mut random)).collect()
}

/// One element is ten thousand times as large as the others, so that a byte for each says nothing of those.
fn mixed(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = noise(count, 0.0, 1.0, seed);
    vectors.iter_mut().for_each(|vector| vector[5] *= 10_000.0);
    vectors
}

fn is_fine_enough(coder: &Coder, vectors: &[Vec<f32>]) -> bool {
    let mut builder = Builder::new(coder, 16, 64, memory(1 << 30), 42);
    for (tid, vector) in (1..).zip(vectors) {
        builder.push(&encoded(coder, vector), tid).unwrap();
    }
    builder.close().unwrap();
    while builder.work_here(&|| Ok(())).unwrap() {}
    builder.fits(&|| Ok(())).unwrap()
}

#[test]
fn a_build_says_whether_its_codes_are_fine_enough() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
        let (usual, nasty) = (noise(1500, 0.0, 1.0, 1), mixed(1500, 2));
        assert!(is_fine_enough(&coder(Form::Quantised, metric), &usual), "{metric:?}");
        assert!(!is_fine_enough(&coder(Form::Quantised, metric), &nasty), "{metric:?}");
        assert!(is_fine_enough(&coder(Form::Floats, metric), &nasty), "{metric:?}");
    }
}

#[test]
fn finer_codes_are_found_until_a_build_fits() {
    let nasty = mixed(1500, 2);
    let mut coder = Coder::new(coder(Form::Quantised, Metric::L2).space, Some(vec![0.0; DIMENSIONS].into()));
    while !is_fine_enough(&coder, &nasty) {
        coder = coder.finer().unwrap();
    }
    assert!(coder.space.form != Form::Quantised);
    // Full precision has no use for a centre, and is the end.
    while let Some(finer) = coder.finer() {
        coder = finer;
    }
    assert_eq!((coder.space.form, coder.centre()), (Form::Floats, None));
}

/// A value far away, from which all others are equally far, is no reason for finer codes, however many rows have it.
#[test]
fn a_build_does_not_ask_rows_that_were_merged() {
    let mut vectors = noise(280, 0.0, 1.0, 3);
    vectors.extend(vec![vec![1e4; DIMENSIONS]; 20]);
    assert!(is_fine_enough(&coder(Form::Quantised, Metric::L2), &vectors));
    vectors.truncate(280);
    vectors.extend(noise(20, 1e4, 1.0, 4));
    assert!(!is_fine_enough(&coder(Form::Quantised, Metric::L2), &vectors));
}

fn misfits(store: &MemPages) -> u32 {
    Meta::read(&store.read(0).unwrap()).unwrap().misfits
}

#[test]
fn inserts_that_codes_are_too_coarse_for_are_counted() {
    for metric in [Metric::L2, Metric::Cosine] {
        let coder = coder(Form::Quantised, metric);
        let store = build_coded(memory(1 << 30), &coder, 16, 64, &noise(800, 0.0, 1.0, 1), 1);
        for (tid, vector) in (1001..).zip(noise(200, 0.0, 1.1, 2)) {
            add(&store, &vector, tid).unwrap();
        }
        assert!(misfits(&store) <= 2, "{metric:?}: {} of the usual kind", misfits(&store));
        let report = verified(&store);
        assert!(!report.misfits.are_many());
        // Far away and close together. The first ones have the others for neighbours.
        for (tid, vector) in (2001..).zip(noise(150, 1e4, 1e-1, 3)) {
            add(&store, &vector, tid).unwrap();
        }
        let count = misfits(&store);
        assert!((100..=160).contains(&count), "{metric:?}: {count}");
        let report = verified(&store);
        assert!(report.misfits.are_many() && report.misfits.count == count);
        let codes = report.checks.iter().find(|check| check.name == "codes").unwrap();
        assert_eq!(codes.detail, format!("8 bits, too coarse for {count} of 1150 values: REINDEX"));
        vacuum(&store, |tid| tid > 2000).unwrap();
        assert_eq!(misfits(&store), count);
    }
}

#[test]
fn misfits_of_inserts_at_once_are_all_counted() {
    let coder = coder(Form::Quantised, Metric::L2);
    let store = build_coded(memory(1 << 30), &coder, 8, 32, &noise(200, 1e4, 1e-1, 1), 1);
    let vectors = noise(200, 1e4, 1e-1, 2);
    std::thread::scope(|scope| {
        for (part, vectors) in vectors.chunks(50).enumerate() {
            let store = &store;
            scope.spawn(move || {
                for (tid, vector) in (1000 * (part as Tid + 1)..).zip(vectors) {
                    add(store, vector, tid).unwrap();
                }
            });
        }
    });
    assert_eq!(misfits(&store), 200);
}
