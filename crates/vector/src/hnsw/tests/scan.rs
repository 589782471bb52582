//! Scans that go on after their candidates.

use super::*;
use crate::hnsw::vacuum::vacuum;

fn limits(iterative: Iterative, max_elements: usize) -> Limits {
    Limits { ef: 10, iterative, max_elements, max_memory: usize::MAX }
}

#[test]
fn a_scan_that_goes_on_returns_every_row_once() {
    let vectors = clustered(1500, 40, 71);
    let store = build(meta(40, 8, 32, Metric::L2), &vectors, 1);
    let all = |iterative, max| rows(&store, &vectors[0], limits(iterative, max)).collect::<Vec<Tid>>();
    assert_eq!(all(Iterative::Off, usize::MAX).len(), 10);
    let mut relaxed = all(Iterative::Relaxed, usize::MAX);
    assert_eq!(relaxed[..5], nearest(&store, &vectors[0], 10)[..5]);
    relaxed.sort_unstable();
    relaxed.dedup();
    assert!(relaxed.len() > 1450, "{}", relaxed.len());
    // Beyond the limit it still returns what it has measured.
    let limited = all(Iterative::Relaxed, 200);
    assert!((150..600).contains(&limited.len()), "{}", limited.len());
}

#[test]
fn a_scan_goes_on_over_vacuums_and_reused_slots() {
    let vectors = clustered(800, 40, 73);
    let store = build(meta(40, 8, 32, Metric::L2), &vectors, 1);
    let (new, mut table) = (clustered(400, 40, 74), numbered(&vectors));
    table.extend((1000..).zip(new.iter().cloned()));
    let mut values = Table::new(&table, Metric::L2, &vectors[0]);
    let mut scan = super::scan(&store, &vectors[0], limits(Iterative::Relaxed, usize::MAX));
    let mut seen: Vec<Tid> = (0..10).map(|_| scan.next(&store, &mut values).unwrap().unwrap().tid).collect();
    let is_dead = |tid: Tid| tid.is_multiple_of(2) && tid <= 800;
    vacuum(&store, is_dead).unwrap();
    for (tid, vector) in (1000..).zip(&new) {
        add(&store, vector, tid).unwrap();
    }
    while let Some(hit) = scan.next(&store, &mut values).unwrap() {
        assert!(hit.distance <= operator(Metric::L2, &table[&hit.tid], &vectors[0]));
        seen.push(hit.tid);
    }
    let alive = (1..=800).filter(|tid| !is_dead(*tid));
    let lost = alive.filter(|tid| !seen.contains(tid)).count();
    assert!(lost < 20, "{lost} of 400 rows were not seen");
}

/// What was measured before and is freed may have become the middle of another element's code.
#[test]
fn a_scan_goes_on_where_slots_became_parts_of_longer_codes() {
    let meta = Meta::new(Space::new(Element::Sparse, Metric::L2, 64), 16, 64);
    let slots = (meta.geometry.nodes * meta.geometry.node_pages) as Tid;
    let store = empty(&meta);
    // On a line; the last two are the 12th and the 13th from the query, and lie at the end of the file.
    for tid in 1..=slots {
        let place = if tid > slots - 2 { 11.25 + (slots - tid) as f32 / 8.0 } else { tid as f32 };
        add(&store, &[place], tid).unwrap();
    }
    let mut scan = super::scan(&store, &[0.5], Limits { ef: 10, ..limits(Iterative::Relaxed, usize::MAX) });
    let batch: Vec<Tid> = (0..10).map(|_| scan.next(&store, &mut NoTable).unwrap().unwrap().tid).collect();
    assert_eq!(batch, (1..=10).collect::<Vec<_>>());
    vacuum(&store, |tid| tid > slots - 2).unwrap();
    add(&store, &[3.5; 40], 9999).unwrap();
    let mut rest: Vec<Tid> =
        std::iter::from_fn(|| scan.next(&store, &mut NoTable).unwrap()).map(|hit| hit.tid).collect();
    rest.retain(|tid| *tid != 9999); // it may come or not
    rest.sort_unstable();
    assert_eq!(rest, (11..=slots - 2).collect::<Vec<_>>());
}

#[test]
fn under_memory_pressure_fewer_pages_find_more() {
    let vectors = clustered(6000, 64, 75);
    let queries = clustered(100, 64, 76);
    let rows: BTreeMap<Tid, Vec<f32>> = (1..).zip(vectors.iter().cloned()).collect();
    // How much more is found differs from one graph to the next: the six of them count together.
    let (mut plenty, mut scarce, mut wanted) = (0, 0, 0);
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let meta = super::meta(64, 4, 16, metric);
        let (built, inserted) = (build(meta, &vectors, 1), empty(&meta));
        rows.iter().for_each(|(tid, vector)| add(&inserted, vector, *tid).unwrap());
        for (store, what) in [(built, "built"), (inserted, "inserted, so neighbours lie anywhere")] {
            let found = |under_memory_pressure| {
                store.set_memory_pressure(under_memory_pressure);
                let before = store.fetches();
                let hits = |query: &Vec<f32>| {
                    let got = nearest(&store, query, 10);
                    exact(&rows, &space(&store), query, 10).iter().filter(|tid| got.contains(tid)).count()
                };
                (queries.iter().map(hits).sum::<usize>(), store.fetches() - before)
            };
            let ((usual, all), (more, some)) = (found(false), found(true));
            assert!(some < all / 4 * 3, "{metric:?}, {what}: {some} pages instead of {all}");
            (plenty, scarce, wanted) = (plenty + usual, scarce + more, wanted + 10 * queries.len());
        }
    }
    assert!(scarce > plenty + (wanted - plenty) / 4, "{scarce} of {wanted} instead of {plenty}");
}

/// A page that nothing near leads to is read all the same when there is no other way to as many rows as are wanted.
#[test]
fn under_memory_pressure_a_wide_scan_finds_all() {
    for (dimensions, count) in [(8, 600), (64, 600), (400, 600), (1024, 600), (9000, 60)] {
        let vectors = clustered(count, dimensions, 79);
        let store = build(meta(dimensions, 3, 8, Metric::L2), &vectors, 1);
        store.set_memory_pressure(true);
        for query in vectors.iter().take(20) {
            assert_eq!(nearest(&store, query, count).len(), count, "{dimensions} dimensions");
        }
    }
}

/// What lies on a page may be gone, and must neither be returned nor take the place of a row that is there.
#[test]
fn under_memory_pressure_only_rows_that_are_there_are_returned() {
    for dimensions in [40, 1024] {
        let vectors = clustered(400, dimensions, 77);
        let store = build(meta(dimensions, 8, 32, Metric::L2), &vectors, 1);
        store.set_memory_pressure(true);
        let is_gone = |tid: Tid| !tid.is_multiple_of(4);
        vacuum(&store, is_gone).unwrap();
        for (tid, vector) in (1..).zip(&vectors) {
            let mut found = nearest(&store, vector, 20);
            assert!(is_gone(tid) || found[0] == tid, "{dimensions} dimensions, row {tid}: {found:?}");
            assert!(found.iter().all(|tid| !is_gone(*tid)), "{dimensions} dimensions: {found:?}");
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), 20, "{dimensions} dimensions");
        }
        let mut all: Vec<Tid> = rows(&store, &vectors[0], limits(Iterative::Relaxed, usize::MAX)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100, "{dimensions} dimensions");
        // Inserts link only to what is there.
        for (i, vector) in clustered(100, dimensions, 78).iter().enumerate() {
            add(&store, vector, 1000 + i as Tid).unwrap();
        }
        verified(&store);
    }
}
