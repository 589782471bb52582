//! What the lists promise, over pages in memory.

mod build;
mod cancel;
mod concurrent;
mod crash;
mod info;
mod interleave;
mod kinds;
mod lengths;
mod misfits;
mod property;
mod recall;
mod scan;
mod values;

use std::collections::BTreeMap;

use crate::ivf::build::{Builder, samples, write_empty};
use crate::ivf::coder;
use crate::ivf::format::Meta;
use crate::ivf::insert::insert;
use crate::ivf::scan::{Hit, Limits, Scan};
use crate::ivf::vacuum::vacuum;
use crate::ivf::verify::{Report, verify};
use crate::mem::MemPages;
use crate::page::Tid;
use crate::space::Element;
use crate::store::PageStore;
pub use crate::tests::{
    NoTable, Random, Table, Watched, clustered, code, dense, encoded, memory, numbered, operator, tids,
};
use crate::{Coder, Error, Method, Metric, Result, Space};

/// Dense vectors of any number of dimensions.
pub fn meta(dimensions: usize, lists: u32, metric: Metric) -> Meta {
    of(dense(metric, dimensions), lists)
}

/// Of an index that has learnt nothing.
pub fn of(space: Space, lists: u32) -> Meta {
    Meta::new(&Coder::plain(space), lists)
}

/// All forms of codes; the last ones have two pages each.
pub fn spaces() -> [Space; 6] {
    [
        dense(Metric::L2, 4),
        dense(Metric::Cosine, 40),
        dense(Metric::InnerProduct, 1000),
        Space::new(Element::Bits, Metric::Hamming, 100),
        dense(Metric::L2, 5000),
        dense(Metric::L2, 9000),
    ]
}

pub fn empty(meta: &Meta) -> MemPages {
    let store = MemPages::new();
    write_empty(&Coder::plain(meta.space), meta.lists, &store, 1).unwrap();
    store
}

/// Builds in memory with as many threads; rows are numbered from 1.
pub fn build(meta: Meta, vectors: &[Vec<f32>], threads: usize) -> MemPages {
    build_with(Coder::plain(meta.space), meta.lists, vectors, threads)
}

pub fn build_with(coder: Coder, lists: u32, vectors: &[Vec<f32>], threads: usize) -> MemPages {
    let codes: Vec<Vec<u32>> = vectors.iter().map(|vector| encoded(&coder, vector)).collect();
    build_codes(coder, lists, &codes, threads)
}

pub fn build_codes(coder: Coder, lists: u32, codes: &[Vec<u32>], threads: usize) -> MemPages {
    let mut builder = Builder::new(coder, lists, memory(1 << 32), samples(lists), 42).unwrap();
    let job = builder.job();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                job.train().unwrap();
                assert!(job.is_trained());
                job.work().unwrap();
            });
        }
        for code in codes {
            if let Some(place) = builder.draw() {
                builder.sample(place, code).unwrap();
            }
        }
        builder.train(&|| Ok(())).unwrap();
        while threads == 0 && builder.work_here(&|| Ok(())).unwrap() {}
        for (tid, code) in (1..).zip(codes) {
            builder.push(code, tid).unwrap();
        }
        builder.close();
        while threads == 0 && builder.work_here(&|| Ok(())).unwrap() {}
    });
    let store = MemPages::new();
    let mut written = 0;
    builder.flush(&store, |rows| written = rows).unwrap();
    assert_eq!(written as usize, codes.len());
    store
}

pub fn space(store: &MemPages) -> Space {
    coder(store).unwrap().space
}

pub fn add(store: &MemPages, vector: &[f32], tid: Tid) -> Result<()> {
    insert(store, &encoded(&coder(store).unwrap(), vector), tid)
}

pub fn limits(probes: usize) -> Limits {
    Limits { probes, max_probes: 0, iterative: false, max_memory: 1 << 30 }
}

/// A scan of an index.
pub fn scan(store: &MemPages, query: &[f32], limits: Limits) -> Scan {
    let coder = coder(store).unwrap();
    let query = encoded(&coder, query);
    Scan::new(coder, query, limits)
}

/// The rows of a scan, one by one, in the order of bounds.
pub fn hits(store: &MemPages, query: &[f32], limits: Limits) -> impl Iterator<Item = Hit> {
    let mut scan = scan(store, query, limits);
    std::iter::from_fn(move || scan.next(store, &mut NoTable).unwrap())
}

pub fn nearest(store: &MemPages, query: &[f32], probes: usize) -> Vec<Tid> {
    hits(store, query, limits(probes)).map(|hit| hit.tid).collect()
}

/// By looking at every row, in the order of bounds.
pub fn exact(rows: &BTreeMap<Tid, Vec<f32>>, space: &Space, query: &[f32]) -> Vec<Tid> {
    let (query, coder) = (code(space, query), crate::Coder::plain(*space));
    let bounds = coder.bounds(&query);
    let place = |vector: &[f32]| {
        let code = code(space, vector);
        (bounds.ends(&code).0, space.fingerprint(&code))
    };
    let mut all: Vec<((f64, u64), Tid)> = rows.iter().map(|(tid, vector)| (place(vector), *tid)).collect();
    all.sort_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)).then(a.1.cmp(&b.1)));
    all.into_iter().map(|(_, tid)| tid).collect()
}

/// Verifies and panics with the first fault.
pub fn verified(store: &MemPages) -> Report {
    let report = verify(store).unwrap();
    assert!(report.passed(), "{:#?}", report.checks);
    report
}

#[test]
fn an_empty_index_answers_and_verifies() {
    for space in spaces() {
        let meta = of(space, 7);
        let vector = vec![1.0; space.dimensions];
        for store in [empty(&meta), build(meta, &[], 0), build(meta, &[], 1)] {
            assert!(nearest(&store, &vector, 7).is_empty());
            verified(&store);
            add(&store, &vector, 7).unwrap();
            assert_eq!(nearest(&store, &vector, 1), [7]);
            verified(&store);
        }
    }
}

#[test]
fn an_index_keeps_what_its_codes_are_made_with() {
    for dimensions in [40, 5000] {
        let space = dense(Metric::L2, dimensions);
        let centre: Vec<f32> = (0..dimensions).map(|i| i as f32 / dimensions as f32).collect();
        let learnt = Coder::new(space, Some(centre.into()));
        let vectors = clustered(50, dimensions, 3);
        let store = build_with(learnt.clone(), 3, &vectors, 0);
        assert_eq!(coder(&store).unwrap(), learnt);
        verified(&store);
        assert_eq!(nearest(&store, &vectors[7], 3)[0], 8);
        let none = MemPages::new();
        write_empty(&learnt, 3, &none, 1).unwrap();
        assert_eq!(coder(&none).unwrap(), learnt);
        store.damage(1, |page| page[24..28].fill(0xFF)); // an infinity or no number
        assert!(matches!(coder(&store), Err(Error::Corrupt { block: 1, .. })));
        assert!(!verify(&store).unwrap().passed());
    }
}

#[test]
fn sparse_vectors_have_no_lists() {
    let meta = of(Space::new(Element::Sparse, Metric::L2, 10), 1);
    assert_eq!(
        write_empty(&Coder::plain(meta.space), 1, &MemPages::new(), 1),
        Err(Error::UnsupportedType(Method::Ivfflat))
    );
    assert_eq!(
        Builder::new(Coder::plain(meta.space), 1, memory(0), 1, 1).err(),
        Some(Error::UnsupportedType(Method::Ivfflat))
    );
}

#[test]
fn damage_is_noticed() {
    let (vectors, first) = (clustered(2000, 8, 3), first_block());
    let sound = build(meta(8, 4, Metric::L2), &vectors, 1);
    type Damage = fn(&mut [u8]);
    let damages: [(&str, u32, Damage); 9] = [
        ("metapage", 0, |page| page[24] ^= 1),
        ("pages", 1, |page| page[8184] = 9),
        ("centres", 2, |page| page[24..28].copy_from_slice(&f32::NAN.to_ne_bytes())),
        ("lists", first, |page| page[24..28].copy_from_slice(&first_block().to_ne_bytes())), // a circle
        ("lists", first, |page| page[24..28].fill(0)),                                       // an end
        ("lists", 1, |page| page[28..32].copy_from_slice(&1u32.to_ne_bytes())),              // inserts begin nowhere
        ("lists", first, |page| page[12] += 4),
        ("assignments", first, |page| page[67..96].iter_mut().step_by(4).for_each(|byte| *byte ^= 0x80)),
        ("rows", first, |page| page.copy_within(8178..8184, 8172)),
    ];
    fn first_block() -> u32 {
        meta(8, 4, Metric::L2).geometry().first_entry_block()
    }
    for (i, (name, block, damage)) in damages.into_iter().enumerate() {
        let store = sound.fork();
        store.damage(block, damage);
        let report = verify(&store).unwrap();
        let failed = report.checks.iter().find(|check| !check.passed).unwrap_or_else(|| panic!("{i}: {name} passed"));
        assert_eq!(failed.name, name, "{i}: {}", failed.detail);
    }
    let mut report = verified(&sound);
    report.compare_heap(tids(1..=2000), &|| Ok(())).unwrap();
    assert!(report.passed());
    report.compare_heap(tids(1..=2001), &|| Ok(())).unwrap();
    assert!(!report.passed());
}
