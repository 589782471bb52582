//! Lists for an inner product are as long as their rows, also those that come later.

use super::*;

/// Of ten rows a thousand times as long as all others one is the next to any query, nearly.
#[test]
fn longer_rows_that_come_later_are_found() {
    for (dimensions, common) in [(8, 0.0), (64, 0.0), (64, 5.0)] {
        let vectors = |count: usize, by: f32, seed: u64| -> Vec<Vec<f32>> {
            let vectors = clustered(count, dimensions, seed).into_iter();
            vectors.map(|vector| vector.into_iter().map(|x| by * x + common).collect()).collect()
        };
        let rows = vectors(5000, 1.0, 3);
        let space = Space::new(Element::Dense, Metric::InnerProduct, dimensions);
        let coder = crate::space::learn(Element::Dense, space.metric, dimensions, &rows.concat(), &|| Ok(())).unwrap();
        let store = build_with(coder, 50, &rows, 0);
        let mut all: BTreeMap<Tid, Vec<f32>> = (1..).zip(rows).collect();
        for (tid, vector) in (10_001..).zip(vectors(10, 1000.0, 4)) {
            add(&store, &vector, tid).unwrap();
            all.insert(tid, vector);
        }
        verified(&store);
        let queries = vectors(100, 1.0, 5);
        let found = |query: &&Vec<f32>| {
            let product = |tid: &Tid| operator(Metric::InnerProduct, &all[tid], query);
            let best = all.keys().map(product).fold(f64::INFINITY, f64::min);
            nearest(&store, query, 5).iter().any(|tid| product(tid) <= best)
        };
        let count = queries.iter().filter(found).count();
        assert!(count >= 70, "{dimensions} dimensions, {common} in common: {count} of 100");
    }
}

/// A length that is noted is no reason to write again.
#[test]
fn lists_are_lengthened_now_and_then() {
    let store = build(meta(8, 1, Metric::InnerProduct), &clustered(1000, 8, 3), 0);
    let length = || crate::ivf::lists::Lists::open(&store).unwrap().head(0).unwrap().length;
    add(&store, &[0.1; 8], 2001).unwrap();
    assert_eq!(length(), 0.0);
    let long: Vec<f32> = clustered(1, 8, 3)[0].iter().map(|x| 100.0 * x).collect();
    let along = |by: f32| long.iter().map(|x| by * x).collect::<Vec<f32>>();
    let mut lengths = Vec::new();
    for by in [1.0, 1.1, 0.5, 2.0] {
        add(&store, &along(by), 3000).unwrap();
        lengths.push(length());
    }
    assert!(lengths[0] > 0.0 && lengths[1] == lengths[0] && lengths[2] == lengths[0] && lengths[3] == 2.0 * lengths[0]);
}
