//! What the graph promises, over pages in memory.

mod cancel;
mod codes;
mod concurrent;
mod crash;
mod duplicates;
mod info;
mod kinds;
mod nightly;
mod order;
mod peer;
mod property;
mod recall;
mod scan;
mod small_ef;
mod sparse;
mod values;

use std::collections::BTreeMap;

use crate::hnsw::build::{Builder, Memory, write_empty};
use crate::hnsw::coder;
use crate::hnsw::format::Meta;
use crate::hnsw::insert::insert;
use crate::hnsw::scan::{Iterative, Limits, Scan};
use crate::hnsw::verify::{Report, verify};
use crate::mem::MemPages;
use crate::page::Tid;
use crate::space::{Element, Form, Value};
use crate::store::PageStore;
pub use crate::tests::{
    NoTable, Random, Table, Watched, clustered, clustered_within, code, encoded, memory, numbered, operator,
};
use crate::{Coder, Metric, Result, Space, distance};

/// Dense vectors of any number of dimensions.
pub fn meta(dimensions: usize, m: usize, ef_construction: usize, metric: Metric) -> Meta {
    Meta::new(crate::tests::dense(metric, dimensions), m, ef_construction)
}

pub fn empty(meta: &Meta) -> MemPages {
    let store = MemPages::new();
    write_empty(meta, &store).unwrap();
    store
}

/// Builds in memory with as many threads; rows are numbered from 1.
pub fn build(meta: Meta, vectors: &[Vec<f32>], threads: usize) -> MemPages {
    build_within(memory(1 << 32), meta, vectors, threads)
}

pub fn build_within(memory: Memory, meta: Meta, vectors: &[Vec<f32>], threads: usize) -> MemPages {
    build_coded(memory, &Coder::plain(meta.space), meta.m, meta.ef_construction, vectors, threads)
}

/// With codes that have learnt.
pub fn build_coded(
    memory: Memory,
    coder: &Coder,
    m: usize,
    ef_construction: usize,
    vectors: &[Vec<f32>],
    threads: usize,
) -> MemPages {
    let store = MemPages::new();
    let mut builder = Builder::new(coder, m, ef_construction, memory, 42);
    let job = builder.job();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| job.work().unwrap());
        }
        for (i, vector) in vectors.iter().enumerate() {
            builder.push(&encoded(coder, vector), i as Tid + 1).unwrap();
        }
        builder.close().unwrap();
    });
    builder.flush(&store).unwrap();
    store
}

fn space(store: &MemPages) -> Space {
    coder(store).unwrap().space
}

pub fn add(store: &MemPages, vector: &[f32], tid: Tid) -> Result<()> {
    insert(store, &encoded(&coder(store)?, vector), tid, tid.wrapping_mul(0xD134_2543_DE82_EF95))
}

/// In the order of bounds.
pub fn nearest(store: &MemPages, query: &[f32], ef: usize) -> Vec<Tid> {
    let limits = Limits { ef, iterative: Iterative::Off, max_elements: 0, max_memory: 0 };
    rows(store, query, limits).collect()
}

/// A scan of an index.
pub fn scan(store: &MemPages, query: &[f32], limits: Limits) -> Scan {
    let coder = coder(store).unwrap();
    let query = encoded(&coder, query);
    Scan::new(coder, query, limits)
}

/// The rows of a scan, one by one, in the order of bounds.
pub fn rows(store: &MemPages, query: &[f32], limits: Limits) -> impl Iterator<Item = Tid> {
    let mut scan = scan(store, query, limits);
    std::iter::from_fn(move || scan.next(store, &mut NoTable).unwrap().map(|hit| hit.tid))
}

/// By looking at every row.
pub fn exact(rows: &BTreeMap<Tid, Vec<f32>>, space: &Space, query: &[f32], k: usize) -> Vec<Tid> {
    let distance = |vector: &[f32]| match (space.form, space.metric) {
        (Form::Sparse | Form::Bits, _) => space.measure().distance(&code(space, query), &code(space, vector)),
        (_, Metric::L1) => distance::l1(query, vector),
        (_, Metric::InnerProduct) => -distance::inner_product(query, vector),
        (_, Metric::Cosine) => distance::cosine(query, vector).distance() as f32,
        _ => distance::l2_squared(query, vector),
    };
    let mut all: Vec<(f32, Tid)> = rows.iter().map(|(tid, vector)| (distance(vector), *tid)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(k).map(|(_, tid)| tid).collect()
}

/// Verifies and panics with the first fault.
pub fn verified(store: &MemPages) -> Report {
    let report = verify(store).unwrap();
    assert!(report.passed(), "{:#?}", report.checks);
    report
}

#[test]
fn an_empty_index_answers_and_verifies() {
    let store = empty(&meta(3, 16, 64, Metric::L2));
    assert!(nearest(&store, &[1.0, 2.0, 3.0], 40).is_empty());
    verified(&store);
    let store = build(meta(3, 16, 64, Metric::L2), &[], 1);
    assert!(nearest(&store, &[1.0, 2.0, 3.0], 40).is_empty());
    add(&store, &[1.0, 1.0, 1.0], 7).unwrap();
    assert_eq!(nearest(&store, &[1.0, 2.0, 3.0], 40), [7]);
    verified(&store);
}

#[test]
fn a_value_of_other_dimensions_is_an_error() {
    let error = crate::Coder::plain(meta(3, 16, 64, Metric::L2).space).encode(Value::Dense(&[1.0, 2.0])).unwrap_err();
    assert_eq!(error, crate::Error::DimensionMismatch { expected: 3, actual: 2 });
}

#[test]
fn a_build_beyond_its_memory_goes_on_in_a_file() {
    let vectors = clustered(3000, 40, 3);
    for (element, metric) in [
        (Element::Dense, Metric::L2),
        (Element::Dense, Metric::L1),
        (Element::Sparse, Metric::Cosine),
        (Element::Bits, Metric::Hamming),
    ] {
        let meta = Meta::new(Space::new(element, metric, 40), 16, 64);
        let store = MemPages::new();
        let mut builder = Builder::new(&Coder::plain(meta.space), meta.m, meta.ef_construction, memory(400_000), 42);
        for (i, vector) in vectors.iter().enumerate() {
            builder.push(&code(&meta.space, vector), i as Tid).unwrap();
        }
        assert!(
            builder.fitting().is_some_and(|rows| rows < builder.fed()) && builder.memory() < 600_000,
            "{}",
            builder.memory()
        );
        builder.close().unwrap();
        while builder.work_here(&|| Ok(())).unwrap() {}
        builder.flush(&store).unwrap();
        assert_eq!(verified(&store).rows.len(), 3000);
    }
}

#[test]
fn damage_is_noticed() {
    let meta = self::meta(8, 4, 16, Metric::L2);
    let vectors = clustered(200, 8, 3);
    let failing = |damage: &dyn Fn(&MemPages)| {
        let store = build(meta, &vectors, 1);
        verified(&store);
        damage(&store);
        let report = verify(&store).unwrap();
        report.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect::<Vec<_>>()
    };
    let geometry = meta.geometry;
    let codes = 1 + geometry.node_pages as u32;
    assert_eq!(failing(&|store| store.damage(0, |page| page[24] ^= 1)), ["metapage"]);
    assert_eq!(failing(&|store| store.damage(codes, |page| page[8186] ^= 1)), ["pages"]);
    assert_eq!(
        failing(&|store| store.damage(codes, |page| page[24..28].copy_from_slice(&f32::NAN.to_ne_bytes()))),
        ["vectors"]
    );
    let link = geometry.node_offset(3) + 36;
    assert!(
        failing(&|store| store.damage(1, |page| page[link..link + 4].copy_from_slice(&9_999u32.to_ne_bytes())))
            .contains(&"links")
    );
    assert!(
        failing(&|store| store.damage(1, |page| page[link + 4..link + 8].copy_from_slice(&3u32.to_ne_bytes())))
            .contains(&"links")
    );
    let coder = Coder::new(Space::new(Element::Dense, Metric::L2, 40), Some(vec![0.5; 40].into()));
    for damage in
        [|page: &mut [u8]| page[8186] ^= 1, |page: &mut [u8]| page.fill(0), |page: &mut [u8]| page[26..28].fill(0xFF)]
    {
        let store = build_coded(memory(1 << 30), &coder, 4, 16, &clustered(50, 40, 3), 1);
        verified(&store);
        store.damage(1, damage);
        let report = verify(&store).unwrap();
        assert_eq!(
            report.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect::<Vec<_>>(),
            ["pages"]
        );
    }
    let row = |slot: usize| geometry.node_offset(slot) + 12;
    assert_eq!(failing(&|store| store.damage(1, |page| page.copy_within(row(2)..row(2) + 6, row(3)))), ["rows"]);
}
