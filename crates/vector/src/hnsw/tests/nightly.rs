//! Statistics over seeds, and a comparison with a peer that draws at random: too slow for a test of each change, or not the same
//! twice.
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

/// The bar: not much worse than hnsw_rs with the same parameters.
#[test]
#[ignore = "nightly"]
fn recall_is_at_least_that_of_hnsw_rs() {
    use hnsw_rs::prelude::{DistL2, Hnsw};
    // The rows of a scan come in the order of what their codes say.
    let meta = Meta::new(Space::new(Element::Dense, Metric::L2, 32), 16, 64);
    let vectors = clustered(5000, 32, 31);
    let rows = numbered(&vectors);
    let queries = clustered(100, 32, 32);
    let theirs = Hnsw::<f32, DistL2>::new(16, 5000, 16, 64, DistL2 {});
    for (i, vector) in vectors.iter().enumerate() {
        theirs.insert((vector.as_slice(), i + 1));
    }
    let mut found = 0;
    for query in &queries {
        let truth = exact(&rows, &meta.space, query, 10);
        let got: Vec<Tid> = theirs.search(query, 10, 40).iter().map(|n| n.d_id as Tid).collect();
        found += truth.iter().filter(|tid| got.contains(tid)).count();
    }
    let bar = found as f64 / 1000.0;
    let ours = super::recall::recall(&build(meta, &vectors, 1), &rows, &queries, 40);
    println!("{ours}, hnsw_rs {bar}");
    assert!(ours >= bar - 0.01, "{ours} against {bar}");
}
