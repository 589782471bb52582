//! Statistics over seeds: too slow for a test of each change. The comparison with hnsw_rs is in `benches/recall.rs`.
//!
//! `cargo engine -p lagoon-vector nightly -- --ignored --nocapture`

use super::kinds::made_from;
use super::peer::Peer;
use super::small_ef::{COST, EF, ours, recall, truth};
use super::*;
use crate::tests::kinds;

const PAIRS: u64 = 5;
/// In clusters and not, with codes of every form.
const KINDS: [&str; 7] =
    ["sentences", "clusters", "uniform 32", "uniform 256", "common mean L2", "many scenes", "Student t"];

fn shuffle(rows: &mut [Vec<f32>], seed: u64) {
    let mut random = Random::new(seed);
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.next() as usize % (i + 1));
    }
}

/// One build says little: how many small clusters no upper layer knows is chance, so builds of one pair draw the same levels and the
/// mean of some pairs counts.
#[test]
#[ignore = "nightly"]
fn few_candidates_find_as_much_as_in_graphs_of_pgvectors() {
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
