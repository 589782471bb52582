//! Criterion benchmarks of the engines: `cargo bench -p lagoon-benches`. What goes through SQL is in `benches/run`.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hnsw_rs::prelude::{DistL2, Distance, Hnsw};
use lagoon_vector::distance;
use lagoon_vector::hnsw::build::{Builder, Memory};
use lagoon_vector::space::{Element, Value};
use lagoon_vector::{Coder, Metric, Space};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMENSIONS: usize = 384;
const ROWS: usize = 5_000;
const M: usize = 16;
const EF_CONSTRUCTION: usize = 64;

/// Points around 100 centres: uniform ones of so many dimensions would all be equally far from each other.
fn clustered(rows: usize) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(1);
    let mut point =
        |spread: f32| -> Vec<f32> { (0..DIMENSIONS).map(|_| random.random_range(-spread..spread)).collect() };
    let centres: Vec<_> = (0..100).map(|_| point(1.0)).collect();
    let near = |(row, mut vector): (usize, Vec<f32>)| {
        vector.iter_mut().zip(&centres[row % centres.len()]).for_each(|(x, centre)| *x += centre);
        vector
    };
    (0..rows).map(|_| point(0.5)).enumerate().map(near).collect()
}

fn kernels(c: &mut Criterion) {
    let vectors = clustered(2);
    let (a, b) = (&vectors[0][..], &vectors[1][..]);
    let mut group = c.benchmark_group("l2_squared_384");
    group.throughput(Throughput::Elements(DIMENSIONS as u64));
    for set in distance::available() {
        group.bench_function(set.name, |bench| bench.iter(|| (set.l2_squared)(black_box(a), black_box(b))));
    }
    group.bench_function("hnsw_rs", |bench| bench.iter(|| DistL2.eval(black_box(a), black_box(b))));
    group.finish();
}

fn build(c: &mut Criterion) {
    let vectors = clustered(ROWS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = c.benchmark_group("build_5000");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function(BenchmarkId::new("lagoon", threads), |bench| bench.iter(|| lagoon_build(&vectors, threads)));
    // Its threads are rayon's: one for each processor.
    group.bench_function(BenchmarkId::new("hnsw_rs", threads), |bench| {
        bench.iter(|| {
            let graph = Hnsw::<f32, DistL2>::new(M, ROWS, 16, EF_CONSTRUCTION, DistL2);
            graph.parallel_insert(&vectors.iter().zip(0..).collect::<Vec<_>>());
            graph.get_nb_point()
        });
    });
    group.finish();
}

fn lagoon_build(vectors: &[Vec<f32>], threads: usize) -> u32 {
    let space = Space::new(Element::Dense, Metric::L2, DIMENSIONS);
    let memory = Memory::new(1 << 30, std::env::temp_dir().join("lagoon-bench"));
    let coder = Coder::plain(space);
    let mut builder = Builder::new(&coder, M, EF_CONSTRUCTION, memory, 1);
    let job = builder.job();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| job.work())).collect();
        for (vector, row) in vectors.iter().zip(1..) {
            builder.push(&coder.encode(Value::Dense(vector)).unwrap().unwrap(), row).unwrap();
        }
        builder.close().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap().unwrap());
    });
    job.done()
}

criterion_group!(benches, kernels, build);
criterion_main!(benches);
