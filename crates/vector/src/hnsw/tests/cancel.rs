//! Every operation checks for a cancel often enough, and stops when it is cancelled.

use std::cell::Cell;

use super::*;
use crate::Error;
use crate::hnsw::info::info;
use crate::hnsw::vacuum::vacuum;

/// Pages that may be read between two checks: 32 codes on two pages each, and what belongs to them.
const PAGES: usize = 72;

type Operation = (&'static str, fn(&Watched<'_>, &[u32]) -> Result<()>);

fn scan(store: &Watched<'_>, query: &[u32], iterative: Iterative, ef: usize) -> Result<()> {
    let limits = Limits { ef, iterative, max_elements: usize::MAX, max_memory: usize::MAX };
    let mut scan = Scan::new(coder(store)?, query.to_vec(), limits);
    while scan.next(store, &mut NoTable)?.is_some() {}
    Ok(())
}

const OPERATIONS: [Operation; 7] = [
    ("scan", |store, query| scan(store, query, Iterative::Off, 300)),
    ("relaxed scan", |store, query| scan(store, query, Iterative::Relaxed, 20)),
    ("strict scan", |store, query| scan(store, query, Iterative::Strict, 20)),
    ("insert", |store, query| insert(store, query, 1 << 30, 3)),
    ("vacuum", |store, _| vacuum(store, |tid| tid % 3 == 0).map(|_| ())),
    ("info", |store, _| info(store).map(|_| ())),
    ("verify", |store, _| {
        let report = verify(store)?;
        report.rows.iter().try_for_each(|_| Ok(()))
    }),
];

/// Shapes of indexes: codes of a few bytes, of many on a page, and of two pages each, and many rows with equal values.
fn stores() -> Vec<(MemPages, Vec<u32>)> {
    let store = |dimensions, m, ef, rows| {
        let vectors = clustered(rows, dimensions, 5);
        let store = build(meta(dimensions, m, ef, Metric::L2), &vectors, 1);
        let query = code(&space(&store), &vectors[0].iter().map(|x| x + 0.01).collect::<Vec<f32>>());
        (store, query)
    };
    let equal = |values, m| {
        let vectors: Vec<Vec<f32>> = clustered(values, 3, 5).into_iter().cycle().take(1500).collect();
        let store = build(meta(3, m, 16, Metric::L2), &vectors, 1);
        let query = code(&space(&store), &vectors[0]);
        (store, query)
    };
    vec![store(3, 4, 16, 1500), store(48, 48, 96, 600), store(9000, 4, 16, 60), equal(1, 2), equal(5, 4)]
}

#[test]
fn nothing_reads_many_pages_without_a_check_for_a_cancel() {
    for (store, query) in stores() {
        for under_memory_pressure in [false, true] {
            for (name, operation) in OPERATIONS {
                let pages = store.fork();
                pages.set_memory_pressure(under_memory_pressure);
                let watched = Watched::new(&pages, 0);
                operation(&watched, &query).unwrap();
                assert!(watched.most() <= PAGES, "{name}: {} pages of {}", watched.most(), space(&store).dimensions);
            }
        }
    }
}

#[test]
fn everything_stops_wherever_it_is_told_to() {
    for (store, query) in stores() {
        for (name, operation) in OPERATIONS {
            let pages = store.fork();
            let all = Watched::new(&pages, 0);
            operation(&all, &query).unwrap();
            let checks = all.checks();
            for end in (1..=checks).step_by((checks / 5).max(1) as usize) {
                let pages = store.fork();
                let stopped = operation(&Watched::new(&pages, end), &query);
                assert_eq!(stopped, Err(Error::Cancelled), "{name}: check {end} of {checks}");
            }
        }
    }
}

/// With many links, many candidates and long codes a single element takes a good part of a second.
#[test]
fn a_build_checks_for_a_cancel_within_an_element() {
    let meta = meta(16_000, 100, 400, Metric::L2);
    let vectors = clustered(120, 16_000, 5);
    let build = |end: u64| {
        let mut builder = Builder::new(&Coder::plain(meta.space), meta.m, meta.ef_construction, memory(1 << 30), 42);
        for (tid, vector) in (1..).zip(&vectors) {
            builder.push(&code(&meta.space, vector), tid).unwrap();
        }
        builder.close().unwrap();
        let checks = Cell::new(0);
        let check = || {
            checks.set(checks.get() + 1);
            if checks.get() == end { Err(Error::Cancelled) } else { Ok(()) }
        };
        let outcome = loop {
            match builder.work_here(&check) {
                Ok(true) => {}
                other => break other,
            }
        };
        (outcome, checks.get(), builder)
    };
    let (outcome, checks, builder) = build(0);
    assert_eq!(outcome, Ok(false));
    assert!(checks > 4 * vectors.len() as u64, "{checks} checks");
    assert_eq!(build(checks / 2).0, Err(Error::Cancelled));
    // And while it is written.
    let pages = MemPages::new();
    let watched = Watched::new(&pages, 0);
    builder.flush(&watched).unwrap();
    assert!(watched.most() <= PAGES, "{}", watched.most());
    let stopped = builder.flush(&Watched::new(&MemPages::new(), watched.checks() / 2));
    assert_eq!(stopped, Err(Error::Cancelled));
}
