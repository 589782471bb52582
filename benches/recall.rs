//! The bar that hnsw_rs sets, which draws at random: `cargo test --release -p lagoon-benches -- --nocapture`.
#![allow(clippy::unwrap_used)]

mod clustered;

use clustered::clustered;
use hnsw_rs::prelude::{DistL2, Hnsw};
use lagoon_vector::hnsw::build::{Builder, Memory};
use lagoon_vector::hnsw::scan::{Iterative, Limits, Scan};
use lagoon_vector::mem::MemPages;
use lagoon_vector::page::Tid;
use lagoon_vector::space::{Element, Value};
use lagoon_vector::store::Values;
use lagoon_vector::{Coder, Metric, Result, Space, distance};

const DIMENSIONS: usize = 32;
const ROWS: usize = 5_000;
const QUERIES: usize = 100;
const M: usize = 16;
const EF_CONSTRUCTION: usize = 64;
const EF: usize = 40;
const K: usize = 10;

/// Not much worse than hnsw_rs with the same parameters.
#[test]
fn recall_is_at_least_that_of_hnsw_rs() {
    let mut rows = clustered(ROWS + QUERIES, DIMENSIONS);
    let queries = rows.split_off(ROWS);
    let theirs = Hnsw::<f32, DistL2>::new(M, ROWS, 16, EF_CONSTRUCTION, DistL2);
    rows.iter().zip(1..).for_each(|(row, tid)| theirs.insert((row.as_slice(), tid)));
    let coder = Coder::plain(Space::new(Element::Dense, Metric::L2, DIMENSIONS));
    let pages = build(&coder, &rows);
    let (mut bar, mut ours) = (0, 0);
    for query in &queries {
        let truth = exact(&rows, query);
        let found = |tids: Vec<Tid>| truth.iter().filter(|tid| tids.contains(tid)).count();
        bar += found(theirs.search(query, K, EF).iter().map(|neighbour| neighbour.d_id as Tid).collect());
        ours += found(scan(&pages, &coder, query));
    }
    let share = |found: usize| found as f64 / (QUERIES * K) as f64;
    println!("recall {}, of hnsw_rs {}", share(ours), share(bar));
    assert!(share(ours) >= share(bar) - 0.01, "{ours} against {bar}");
}

fn build(coder: &Coder, rows: &[Vec<f32>]) -> MemPages {
    let memory = Memory::new(1 << 30, std::env::temp_dir().join("lagoon-bench-recall"));
    let mut builder = Builder::new(coder, M, EF_CONSTRUCTION, memory, 1);
    let job = builder.job();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| job.work());
        for (row, tid) in rows.iter().zip(1..) {
            builder.push(&coder.encode(Value::Dense(row)).unwrap().unwrap(), tid).unwrap();
        }
        builder.close().unwrap();
        worker.join().unwrap().unwrap();
    });
    let pages = MemPages::new();
    builder.flush(&pages).unwrap();
    pages
}

/// The nearest by looking at every row.
fn exact(rows: &[Vec<f32>], query: &[f32]) -> Vec<Tid> {
    let mut all: Vec<(f32, Tid)> =
        rows.iter().zip(1..).map(|(row, tid)| (distance::l2_squared(query, row), tid)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(K).map(|(_, tid)| tid).collect()
}

/// The nearest as the index finds them.
fn scan(pages: &MemPages, coder: &Coder, query: &[f32]) -> Vec<Tid> {
    let limits = Limits { ef: EF, iterative: Iterative::Off, max_elements: 0, max_memory: 0 };
    let mut scan = Scan::new(coder.clone(), coder.encode(Value::Dense(query)).unwrap().unwrap(), limits);
    std::iter::from_fn(|| scan.next(pages, &mut NoTable).unwrap().map(|hit| hit.tid)).take(K).collect()
}

/// Codes of so few dimensions are exact, so the table is not asked.
struct NoTable;

impl Values for NoTable {
    fn distance(&mut self, _: Tid) -> Result<Option<f64>> {
        Ok(None)
    }
}
