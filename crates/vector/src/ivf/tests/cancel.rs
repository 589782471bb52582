//! Every operation checks for a cancel often enough, and stops when it is cancelled.

use std::cell::Cell;

use super::*;
use crate::ivf::info::info;

/// Pages that may be read between two checks: 16 of centres, and a few more.
const PAGES: usize = 24;

type Operation = (&'static str, fn(&Watched<'_>, &[u32]) -> Result<()>);

const OPERATIONS: [Operation; 5] = [
    ("scan", |store, query| {
        let limits = Limits { probes: 5, max_probes: 1000, iterative: true, max_memory: 1 << 20 };
        let mut scan = Scan::new(coder(store)?, query.to_vec(), limits);
        while scan.next(store, &mut NoTable)?.is_some() {}
        Ok(())
    }),
    ("insert", |store, query| insert(store, query, 1 << 30)),
    ("vacuum", |store, _| vacuum(store, |tid| tid % 3 == 0).map(|_| ())),
    ("info", |store, _| info(store).map(|_| ())),
    ("verify", |store, _| verify(store).map(|_| ())),
];

fn stores() -> Vec<(MemPages, Vec<u32>)> {
    let store = |dimensions, lists, rows| {
        let vectors = clustered(rows, dimensions, 5);
        let store = build(meta(dimensions, lists, Metric::L2), &vectors, 1);
        let query = encoded(&coder(&store).unwrap(), &vectors[0]);
        (store, query)
    };
    vec![store(3, 2000, 3000), store(1000, 100, 500), store(9000, 20, 60)]
}

#[test]
fn nothing_reads_many_pages_without_a_check_for_a_cancel() {
    for (store, query) in stores() {
        for (name, operation) in OPERATIONS {
            let pages = store.fork();
            let watched = Watched::new(&pages, 0);
            operation(&watched, &query).unwrap();
            assert!(watched.most() <= PAGES, "{name}: {} pages of {}", watched.most(), space(&store).dimensions);
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

/// With many lists and long codes a single step of the clustering takes a good part of a second.
#[test]
fn a_build_checks_for_a_cancel_within_a_step() {
    let meta = meta(16_000, 40, Metric::L2);
    let codes: Vec<Vec<u32>> = clustered(500, 16_000, 5).iter().map(|vector| code(&meta.space, vector)).collect();
    let build = |end: u64| -> Result<(u64, Builder)> {
        let checks = Cell::new(0);
        let check = || {
            checks.set(checks.get() + 1);
            if checks.get() == end { Err(Error::Cancelled) } else { Ok(()) }
        };
        let mut builder = Builder::new(Coder::plain(meta.space), meta.lists, memory(1 << 30), 500, 42).unwrap();
        for code in &codes {
            if let Some(place) = builder.draw() {
                builder.sample(place, code)?;
            }
        }
        builder.train(&check)?;
        // The first centre is drawn from 400 samples without measuring; for each of the others all of these are measured.
        let mut most = 0;
        for _ in 0..10 {
            let before = checks.get();
            assert!(builder.work_here(&check)?);
            most = most.max(checks.get() - before);
        }
        assert!(most >= 5, "{most} checks");
        while builder.work_here(&check)? {}
        for (tid, code) in (1..).zip(&codes) {
            builder.push(code, tid)?;
        }
        builder.close();
        while builder.work_here(&check)? {}
        Ok((checks.get(), builder))
    };
    let (checks, builder) = build(0).unwrap();
    for end in (1..=checks).step_by((checks / 5) as usize) {
        assert_eq!(build(end).err(), Some(Error::Cancelled), "{end} of {checks}");
    }
    let pages = MemPages::new();
    let watched = Watched::new(&pages, 0);
    builder.flush(&watched, |_| ()).unwrap();
    assert!(watched.most() <= PAGES, "{}", watched.most());
    let stopped = builder.flush(&Watched::new(&MemPages::new(), watched.checks() / 2), |_| ());
    assert_eq!(stopped, Err(Error::Cancelled));
}

#[test]
fn a_list_that_leads_back_into_itself_is_damage() {
    let vectors = clustered(400, 1000, 5);
    let store = build(meta(1000, 2, Metric::L2), &vectors, 1);
    let query = encoded(&coder(&store).unwrap(), &vectors[0]);
    let first = self::meta(1000, 2, Metric::L2).geometry().first_entry_block();
    // The next page of the first page of the first list is itself.
    store.damage(first, |page| page[24..28].copy_from_slice(&first.to_ne_bytes()));
    for (name, operation) in OPERATIONS {
        if name == "verify" {
            assert!(!verify(&store).unwrap().passed());
        } else if name != "insert" {
            let error = operation(&Watched::new(&store, 0), &query).unwrap_err();
            assert_eq!(error.sqlstate(), "XX002", "{name}: {error}");
        }
    }
}
