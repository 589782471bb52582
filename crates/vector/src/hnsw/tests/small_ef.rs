//! Scans that keep few candidates find as much as pgvector's own graph and walk do. One build says little: how many small clusters
//! no upper layer knows is chance, so builds of one pair draw the same levels and the mean of some pairs counts.

use super::kinds::{Asked, made_from};
use super::peer::Peer;
use super::*;
use crate::tests::kinds::{self, Kind};

/// Candidates of a scan, and so many rows are asked for.
const EF: [usize; 5] = [1, 5, 10, 20, 40];
const PAIRS: u64 = 5;
/// How much less may be found.
const COST: f64 = 0.01;
/// In clusters and not, with codes of every form.
const KINDS: [&str; 7] =
    ["sentences", "clusters", "uniform 32", "uniform 256", "common mean L2", "many scenes", "Student t"];

/// For each query how far its nearest rows are.
fn truth(kind: &Kind) -> Vec<Vec<f64>> {
    let nearest = |query: &Vec<f32>| {
        let mut all: Vec<f64> = (0..kind.rows.len()).map(|row| kind.distance(query, row)).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.truncate(EF[EF.len() - 1]);
        all
    };
    kind.queries.iter().map(nearest).collect()
}

/// Part of the `k` nearest that is among the first `k` of `found`; whatever is as near as the last is a hit.
fn recall(kind: &Kind, truth: &[Vec<f64>], k: usize, mut found: impl FnMut(&[f32]) -> Vec<Tid>) -> f64 {
    let mut hits = 0;
    for (query, truth) in kind.queries.iter().zip(truth) {
        let limit = truth[k - 1] + 1e-9 * truth[k - 1].abs();
        hits += found(query).into_iter().take(k).filter(|tid| kind.distance(query, *tid as usize - 1) <= limit).count();
    }
    hits as f64 / (k * kind.queries.len()) as f64
}

fn ours(kind: &Kind, store: &MemPages, query: &[f32], ef: usize) -> Vec<Tid> {
    let mut scan = scan(store, query, Limits { ef, iterative: Iterative::Off, max_elements: 0, max_memory: 0 });
    std::iter::from_fn(|| scan.next(store, &mut Asked(kind, query)).unwrap()).take(ef).map(|hit| hit.tid).collect()
}

fn shuffle(rows: &mut [Vec<f32>], seed: u64) {
    let mut random = Random::new(seed);
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.next() as usize % (i + 1));
    }
}

#[test]
fn few_candidates_find_as_much_as_in_a_graph_of_pgvectors() {
    let mut failures = Vec::new();
    let kinds = kinds::dense().into_iter().filter(|kind| KINDS.contains(&kind.name));
    for mut kind in kinds.chain([kinds::small_scenes()]) {
        let mut pairs = Vec::new();
        for seed in 1..=PAIRS {
            shuffle(&mut kind.rows, seed);
            let (truth, store) = (truth(&kind), made_from(&kind, kind.coder(), seed));
            let mut peer = Peer::new(kind.space.metric, 16, 64, seed);
            for (tid, row) in (1..).zip(&kind.rows) {
                peer.push(row, tid);
            }
            pairs.push(EF.map(|ef| {
                let theirs = recall(&kind, &truth, ef, |query| peer.nearest(query, ef));
                (recall(&kind, &truth, ef, |query| ours(&kind, &store, query, ef)), theirs)
            }));
        }
        for (at, ef) in EF.into_iter().enumerate() {
            let mean = |part: &dyn Fn(&(f64, f64)) -> f64| {
                pairs.iter().map(|pair| part(&pair[at])).sum::<f64>() / PAIRS as f64
            };
            let (got, theirs, cost) = (mean(&|pair| pair.0), mean(&|pair| pair.1), mean(&|pair| pair.1 - pair.0));
            let spread = mean(&|pair| (pair.1 - pair.0 - cost).powi(2)).sqrt();
            println!("{}, ef {ef}: {got:.4}, pgvector's {theirs:.4}, lost {cost:+.4} +- {spread:.4}", kind.name);
            if cost > COST {
                failures.push(format!("{}, ef {ef}: {got:.4}, pgvector's {theirs:.4}", kind.name));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
