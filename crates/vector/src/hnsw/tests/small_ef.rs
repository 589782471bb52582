//! Scans that keep few candidates.

use super::kinds::{Asked, made_from};
use super::*;
use crate::tests::kinds::{self, Kind};

/// Candidates of a scan, which is asked for so many rows.
pub const EF: [usize; 5] = [1, 5, 10, 20, 40];
/// How much less than in graphs of pgvector's may be found in the mean.
pub const COST: f64 = 0.01;

/// For each query how far its nearest rows are.
pub fn truth(kind: &Kind) -> Vec<Vec<f64>> {
    let nearest = |query: &Vec<f32>| {
        let mut all: Vec<f64> = (0..kind.rows.len()).map(|row| kind.distance(query, row)).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.truncate(EF[EF.len() - 1]);
        all
    };
    kind.queries.iter().map(nearest).collect()
}

/// Part of the `k` nearest that is among the first `k` of `found`; whatever is as near as the last is a hit.
pub fn recall(kind: &Kind, truth: &[Vec<f64>], k: usize, mut found: impl FnMut(&[f32]) -> Vec<Tid>) -> f64 {
    let mut hits = 0;
    for (query, truth) in kind.queries.iter().zip(truth) {
        let limit = truth[k - 1] + 1e-9 * truth[k - 1].abs();
        hits += found(query).into_iter().take(k).filter(|tid| kind.distance(query, *tid as usize - 1) <= limit).count();
    }
    hits as f64 / (k * kind.queries.len()) as f64
}

pub fn ours(kind: &Kind, store: &MemPages, query: &[f32], ef: usize) -> Vec<Tid> {
    let mut scan = scan(store, query, Limits { ef, iterative: Iterative::Off, max_elements: 0, max_memory: 0 });
    std::iter::from_fn(|| scan.next(store, &mut Asked(kind, query)).unwrap()).take(ef).map(|hit| hit.tid).collect()
}

/// Mean recall of five graphs made as pgvector makes them, for each number of candidates: from [`nightly`](super::nightly).
const PGVECTOR: [(&str, [f64; 5]); 6] = [
    ("sentences", [0.5740, 0.8472, 0.9296, 0.9700, 0.9941]),
    ("clusters", [0.8880, 0.9772, 0.9926, 1.0000, 1.0000]),
    ("uniform 32", [0.4420, 0.7800, 0.8734, 0.9452, 0.9864]),
    ("uniform 256", [0.1840, 0.4464, 0.5720, 0.7165, 0.8569]),
    ("common mean L2", [0.9080, 0.9868, 0.9974, 0.9999, 1.0000]),
    ("many scenes", [0.9800, 0.9960, 0.9960, 0.9960, 0.9998]),
];
/// How much less one build may find: at few candidates it differs by some hundredths from the next one.
const ONE_BUILD: f64 = 0.05;

#[test]
fn few_candidates_find_as_much_as_in_graphs_of_pgvectors() {
    for kind in kinds::dense() {
        let Some((_, theirs)) = PGVECTOR.iter().find(|(name, _)| *name == kind.name) else { continue };
        let (truth, store) = (truth(&kind), made_from(&kind, kind.coder(), 1));
        for (ef, theirs) in EF.into_iter().zip(theirs) {
            let got = recall(&kind, &truth, ef, |query| ours(&kind, &store, query, ef));
            println!("{}, ef {ef}: {got:.4}, pgvector's {theirs}", kind.name);
            assert!(got >= theirs - ONE_BUILD, "{}, ef {ef}: {got:.4}, pgvector's {theirs}", kind.name);
        }
    }
}
