//! Kinds of data on which a byte for each element of a vector says next to nothing: the lists of learnt codes against those of
//! the vectors themselves, and against looking at every row.

use super::*;
use crate::distance::{cosine, inner_product, l2_squared};
use crate::space::{Form, learn};

const LIMIT: usize = 10;
const LISTS: u32 = 50;

struct Kind {
    name: &'static str,
    metric: Metric,
    rows: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
    /// Recall with so many lists, at least.
    bars: [(usize, f64); 2],
}

/// Rows and queries of the same kind.
fn kind(name: &'static str, metric: Metric, bars: [f64; 2], mut rows: Vec<Vec<f32>>) -> Kind {
    let queries = rows.split_off(rows.len() - 200);
    Kind { name, metric, rows, queries, bars: [(2, bars[0]), (10, bars[1])] }
}

fn kinds() -> Vec<Kind> {
    let clusters = |dimensions| clustered(10_200, dimensions, 5);
    let each = |dimensions, f: &dyn Fn(usize, f32) -> f32| -> Vec<Vec<f32>> {
        let vectors = clusters(dimensions).into_iter();
        vectors.map(|vector| vector.into_iter().enumerate().map(|(i, x)| f(i, x)).collect()).collect()
    };
    let near = |i: usize, x: f32| 1.0 + (i % 7) as f32 + 0.01 * x;
    let large = |i: usize, x: f32| if i == 3 { 3000.0 * x } else { x };
    let constant = |i: usize, x: f32| if i == 3 { 3000.0 } else { x };
    let mut random = Random::new(23);
    let lengths: Vec<Vec<f32>> = (clusters(64).into_iter())
        .map(|vector| {
            let by = 10f32.powf(3.0 * random.float());
            vector.into_iter().map(|x| by * x).collect()
        })
        .collect();
    let few = clustered(9, 64, 7);
    let mut duplicates = clusters(64);
    for (i, vector) in duplicates.iter_mut().enumerate().take(10_000) {
        if i % 10 > 0 {
            vector.clone_from(&few[i % 9]);
        }
    }
    vec![
        kind("clusters", Metric::L2, [0.98, 0.99], clusters(64)),
        kind("common mean", Metric::L2, [0.98, 0.99], each(64, &near)),
        kind("common mean", Metric::Cosine, [0.98, 0.99], each(256, &near)),
        kind("one large feature", Metric::L2, [0.98, 0.99], each(64, &large)),
        kind("one constant feature", Metric::L2, [0.97, 0.99], each(64, &constant)),
        kind("six magnitudes", Metric::InnerProduct, [0.55, 0.81], lengths),
        kind("duplicates", Metric::L2, [0.62, 0.86], duplicates),
    ]
}

/// What the operator says.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::InnerProduct => -f64::from(inner_product(a, b)),
        Metric::Cosine => cosine(a, b).distance(),
        _ => f64::from(l2_squared(a, b)),
    }
}

/// How many of the nearest rows are in the lists that a scan reads.
fn recall(kind: &Kind, coder: &Coder) -> Vec<f64> {
    let store = build_with(coder.clone(), LISTS, &kind.rows, 0);
    verified(&store);
    let of = |(probes, _): (usize, f64)| {
        let mut found = 0;
        for query in &kind.queries {
            let mut all: Vec<f64> = kind.rows.iter().map(|row| distance(kind.metric, row, query)).collect();
            let (_, farthest, _) = all.select_nth_unstable_by(LIMIT - 1, f64::total_cmp);
            let read = nearest(&store, query, probes).into_iter().map(|tid| &kind.rows[tid as usize - 1]);
            found += read.filter(|row| distance(kind.metric, row, query) <= *farthest).take(LIMIT).count();
        }
        found as f64 / (LIMIT * kind.queries.len()) as f64
    };
    kind.bars.map(of).into()
}

#[test]
fn lists_of_codes_are_as_good_as_lists_of_vectors() {
    let (mut lost, mut count) = (0.0, 0.0);
    for kind in kinds() {
        let dimensions = kind.rows[0].len();
        let space = Space::new(Element::Dense, kind.metric, dimensions);
        let learnt = learn(Element::Dense, kind.metric, dimensions, &kind.rows.concat(), &|| Ok(())).unwrap();
        let (ours, exact) = (recall(&kind, &learnt), recall(&kind, &Coder::plain(space.with_form(Form::Floats))));
        for ((ours, exact), (probes, bar)) in ours.iter().zip(&exact).zip(kind.bars) {
            let Kind { name, metric, .. } = kind;
            assert!(*ours >= bar, "{name}, {metric:?}, {probes} lists: {ours}");
            // Other codes are clustered in another way, which by chance is a better or a worse one.
            assert!(*ours >= exact - 0.03, "{name}, {metric:?}, {probes} lists: {ours}, of vectors {exact}");
            (lost, count) = (lost + exact - ours, count + 1.0);
        }
    }
    assert!(lost <= 0.005 * count, "{lost} in {count} figures");
}
