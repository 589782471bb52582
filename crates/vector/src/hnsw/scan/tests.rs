//! Strict order beyond the `ef` nearest: how much of it is lost, beside other rules.

use std::collections::BTreeMap;

use super::*;
use crate::hnsw::tests::{Random, Table, build_coded, clustered, memory, numbered, operator};
use crate::mem::MemPages;
use crate::page::Tid;
use crate::space::{Element, Form, learn};
use crate::{Metric, Space};

/// Makes so many vectors from a seed.
type Make = fn(usize, u64) -> Vec<Vec<f32>>;

const DIMENSIONS: usize = 64;
const EF: usize = 40;

/// Vectors that differ little beside what they have in common.
fn alike(spread: f32, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let base = Random::new(1).vector(DIMENSIONS);
    let mut random = Random::new(seed);
    (0..count).map(|_| base.iter().map(|x| x + spread * random.float()).collect()).collect()
}

/// Of few directions that matter and a little of all, as embeddings.
fn low_rank(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(2);
    let directions: Vec<Vec<f32>> = (0..16).map(|_| random.vector(DIMENSIONS)).collect();
    let mut random = Random::new(seed);
    let vector = |random: &mut Random| {
        let mut vector: Vec<f32> = random.vector(DIMENSIONS).iter().map(|x| 0.5 * x).collect();
        for direction in &directions {
            let by = random.float();
            vector.iter_mut().zip(direction).for_each(|(x, d)| *x += by * d);
        }
        vector
    };
    (0..count).map(|_| vector(&mut random)).collect()
}

struct Data {
    rows: BTreeMap<Tid, Vec<f32>>,
    queries: Vec<Vec<f32>>,
}

/// Codes of vectors as they are, or of bytes without a centre.
fn plain(form: Form) -> Coder {
    Coder::plain(Space { form, metric: Metric::L2, dimensions: DIMENSIONS })
}

/// The codes that an index learns.
fn learned(vectors: &[Vec<f32>]) -> Coder {
    learn(Element::Dense, Metric::L2, DIMENSIONS, &vectors[50..].concat(), &|| Ok(())).unwrap()
}

/// An index over all but the first 50 vectors, which are the queries.
fn made(vectors: &[Vec<f32>], coder: &Coder) -> (MemPages, Data) {
    let (queries, vectors) = vectors.split_at(50);
    let store = build_coded(memory(1 << 32), coder, 16, 64, vectors, 1);
    (store, Data { rows: numbered(vectors), queries: queries.to_vec() })
}

/// What the first rows of scans are.
struct Outcome {
    /// Part of the nearest rows that is among them.
    recall: f64,
    /// Elements that a scan measured.
    measured: usize,
}

/// Of scans that read so many rows.
fn outcome(store: &MemPages, data: &Data, count: usize, iterative: Iterative, held: Option<usize>) -> Outcome {
    let (mut hits, mut measured) = (0, 0);
    for query in &data.queries {
        let limits = Limits { ef: EF, iterative, max_elements: usize::MAX, max_memory: usize::MAX };
        let mut scan = crate::hnsw::tests::scan(store, query, limits);
        scan.hold = held.unwrap_or(scan.hold);
        let mut table = Table::new(&data.rows, Metric::L2, query);
        let mut distances: Vec<f64> = data.rows.values().map(|vector| operator(Metric::L2, vector, query)).collect();
        let (_, last, _) = distances.select_nth_unstable_by(count - 1, f64::total_cmp);
        let found = std::iter::from_fn(|| scan.next(store, &mut table).unwrap()).take(count);
        hits += found.filter(|hit| hit.distance <= *last).count();
        measured += scan.walk.as_ref().map_or(0, |walk| walk.scratch.visited().len());
    }
    let queries = data.queries.len();
    Outcome { recall: hits as f64 / (count * queries) as f64, measured: measured / queries }
}

#[test]
fn nothing_is_held_back_of_the_nearest() {
    let (store, data) = made(&clustered(3050, DIMENSIONS, 5), &plain(Form::Quantised));
    let measured = |count: usize, iterative| outcome(&store, &data, count, iterative, None).measured;
    for count in [1, 10, EF] {
        assert_eq!(measured(count, Iterative::Strict), measured(count, Iterative::Relaxed), "{count} rows");
    }
    // One more row is one walk more, as in relaxed order, but for rows that come too late.
    assert_eq!(measured(EF + 1, Iterative::Strict), measured(EF + 1, Iterative::Relaxed));
}

#[test]
fn holding_back_loses_less_and_no_more_than_pgvectors_rule() {
    for vectors in [alike(0.02, 3050, 3), clustered(3050, DIMENSIONS, 3), low_rank(3050, 3)] {
        let (store, data) = made(&vectors, &learned(&vectors));
        let (floats, _) = made(&vectors, &plain(Form::Floats));
        let recall = |store, iterative, held| outcome(store, &data, 5 * EF, iterative, held).recall;
        let relaxed = recall(&store, Iterative::Relaxed, None);
        let [strict, without] = [None, Some(0)].map(|held| recall(&store, Iterative::Strict, held));
        // Batches of `ef` by exact distances, of which every row that comes too late is dropped.
        let theirs = recall(&floats, Iterative::Strict, Some(0));
        println!("{strict}, nothing held back {without}, pgvector's rule {theirs}, relaxed {relaxed}");
        assert!(strict > theirs - 0.01, "{strict}, pgvector's rule {theirs}");
        assert!(relaxed - strict <= 0.8 * (relaxed - without), "{strict}, {without} and {relaxed}");
    }
}

/// `cargo engine -p lagoon-vector figures_of_strict_order -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn figures_of_strict_order() {
    let kinds: [(&str, Make); 5] = [
        ("near-duplicates", |count, seed| alike(0.02, count, seed)),
        ("nearer duplicates", |count, seed| alike(0.004, count, seed)),
        ("clusters", |count, seed| clustered(count, DIMENSIONS, seed)),
        ("uniform", |count, seed| alike(1.0, count, seed)),
        ("low rank", low_rank),
    ];
    for (name, kind) in kinds {
        for seed in 11..14 {
            let vectors = kind(10_050, seed);
            let (store, data) = made(&vectors, &learned(&vectors));
            let (bytes, _) = made(&vectors, &plain(Form::Quantised));
            let (floats, _) = made(&vectors, &plain(Form::Floats));
            for count in [EF, 50, 200] {
                let mut line = format!("{name}, seed {seed}, recall@{count}:");
                let mut add = |what: &str, store: &MemPages, iterative: Iterative, held: Option<usize>| {
                    let outcome = outcome(store, &data, count, iterative, held);
                    line += &format!(" {what} {:.3} ({})", outcome.recall, outcome.measured);
                };
                add("relaxed", &store, Iterative::Relaxed, None);
                for held in [0, EF / 4, EF / 2, EF] {
                    add(&format!("held {held}"), &store, Iterative::Strict, Some(held));
                }
                add("| floats, relaxed", &floats, Iterative::Relaxed, None);
                add("pgvector's rule", &floats, Iterative::Strict, Some(0));
                add("| bytes, relaxed", &bytes, Iterative::Relaxed, None);
                for held in [0, EF / 2] {
                    add(&format!("held {held}"), &bytes, Iterative::Strict, Some(held));
                }
                println!("{line}");
            }
        }
    }
}
