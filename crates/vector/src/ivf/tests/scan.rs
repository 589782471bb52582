//! Scans with little memory, and scans that go on with further lists.

use super::*;

fn all(store: &MemPages, vectors: &[Vec<f32>], query: &[f32], limits: Limits) -> (Vec<Hit>, u32) {
    let rows = numbered(vectors);
    let mut table = Table::new(&rows, Metric::L2, query);
    let mut scan = scan(store, query, limits);
    let mut hits = Vec::new();
    while let Some(hit) = scan.next(store, &mut table).unwrap() {
        hits.push(hit);
    }
    assert_eq!(scan.next(store, &mut table).unwrap(), None, "an ended scan stays at its end");
    (hits, scan.passes())
}

#[test]
fn little_memory_changes_nothing_but_the_number_of_passes() {
    let vectors = clustered(5000, 40, 71);
    let store = build(meta(40, 20, Metric::L2), &vectors, 2);
    let (once, passes) = all(&store, &vectors, &vectors[7], limits(20));
    assert_eq!((once.len(), passes), (5000, 1));
    let late = once.windows(2).filter(|pair| pair[0].distance > pair[1].distance).count();
    assert!(late <= 25, "{late} rows beyond the margin"); // of 5,000
    for (rows, least, most) in [(5000, 1, 1), (4999, 2, 2), (1000, 5, 11), (100, 50, 110)] {
        let (again, passes) = all(&store, &vectors, &vectors[7], Limits { max_memory: 48 * rows, ..limits(20) });
        assert_eq!(again, once);
        assert!((least..=most).contains(&passes), "{rows} rows at a time: {passes} passes");
    }
}

#[test]
fn rows_at_one_distance_come_once_each() {
    let vectors = vec![vec![0.5; 40]; 1000];
    let store = build(meta(40, 3, Metric::L2), &vectors, 0);
    let (hits, passes) = all(&store, &vectors, &[0.1; 40], Limits { max_memory: 0, ..limits(3) });
    assert_eq!(hits.iter().map(|hit| hit.tid).collect::<Vec<_>>(), (1..=1000).collect::<Vec<_>>());
    assert!(passes > 10);
}

/// Between two rows the scan stands still, and the index changes.
#[test]
fn a_scan_in_passes_neither_loses_nor_repeats_a_row_that_it_sees() {
    for dimensions in [40, 9000] {
        let count = if dimensions == 40 { 1500 } else { 150 };
        let vectors = clustered(count, dimensions, 73);
        let store = build(meta(dimensions, 4, Metric::L2), &vectors, 1);
        let is_dead = |tid: Tid| tid.is_multiple_of(3) || tid > count as Tid;
        let mut scan = scan(&store, &vectors[0], Limits { max_memory: 0, iterative: true, ..limits(2) });
        let (mut seen, mut next) = (Vec::new(), count as Tid + 1);
        while let Some(hit) = scan.next(&store, &mut NoTable).unwrap() {
            seen.push(hit.tid);
            if seen.len() % 50 == 1 {
                for vector in &vectors[..50] {
                    add(&store, vector, next).unwrap();
                    next += 1;
                }
            }
            if seen.len() % 70 == 1 {
                vacuum(&store, is_dead).unwrap();
            }
        }
        let mut visible: Vec<Tid> = seen.into_iter().filter(|tid| !is_dead(*tid)).collect();
        visible.sort_unstable();
        // Of four lists the scan has read two: without max_probes there is nothing to go on to.
        let mut expected: Vec<Tid> = nearest(&store, &vectors[0], 2);
        expected.retain(|tid| !is_dead(*tid));
        expected.sort_unstable();
        assert_eq!(visible, expected);
        verified(&store);
    }
}

#[test]
fn an_iterative_scan_goes_on_list_by_list() {
    let vectors = clustered(3000, 40, 72);
    let store = build(meta(40, 30, Metric::L2), &vectors, 2);
    let rows = |hits: &[Hit]| hits.iter().map(|hit| hit.tid).collect::<Vec<Tid>>();
    let first = rows(&all(&store, &vectors, &vectors[3], limits(4)).0);
    assert!(first.len() < 1500);
    let going_on = |max_probes| Limits { max_probes, iterative: true, ..limits(4) };
    let (mut hits, passes) = all(&store, &vectors, &vectors[3], going_on(1000));
    assert_eq!((hits.len(), passes), (3000, 8));
    assert_eq!(rows(&hits[..first.len()]), first);
    hits.sort_unstable_by_key(|hit| hit.tid);
    hits.dedup_by_key(|hit| hit.tid);
    assert_eq!(hits.len(), 3000);
    for (max_probes, expected) in [(10, 10), (4, 4), (1, 4)] {
        let mut wide = nearest(&store, &vectors[3], expected);
        let mut found: Vec<Tid> =
            all(&store, &vectors, &vectors[3], going_on(max_probes)).0.iter().map(|hit| hit.tid).collect();
        wide.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wide, "max_probes {max_probes}");
    }
    // Off: the maximum means nothing.
    let off = Limits { max_probes: 1000, ..limits(4) };
    assert_eq!(rows(&all(&store, &vectors, &vectors[3], off).0), first);
}

#[test]
fn without_a_query_all_rows_come() {
    for space in spaces() {
        let vectors = clustered(40, space.dimensions, 6);
        let store = build(of(space, 3), &vectors, 0);
        let mut scan = Scan::new(Coder::plain(space), Coder::plain(space).origin(), limits(3));
        let mut count = 0;
        while scan.next(&store, &mut NoTable).unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 40);
    }
}

/// As after CREATE INDEX on a nearly empty table.
#[test]
fn empty_lists_are_no_probes() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let store = empty(&meta(3, 100, metric));
        add(&store, &[1.0, 2.0, 3.0], 1).unwrap();
        add(&store, &[-5.0, 2.0, -3.0], 2).unwrap();
        assert_eq!(nearest(&store, &[9.0, -8.0, 7.0], 1).len(), 1);
        assert_eq!(nearest(&store, &[9.0, -8.0, 7.0], 2).len(), 2);
    }
}
