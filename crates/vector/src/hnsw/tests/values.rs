//! Scans return rows in the order of the distances of their values, whatever the codes say.

use super::*;

fn limits(ef: usize, iterative: Iterative) -> Limits {
    Limits { ef, iterative, max_elements: usize::MAX, max_memory: usize::MAX }
}

/// Vectors that differ by less than the step of their codes: these say little of which is nearer.
fn alike(count: usize, seed: u64) -> Vec<Vec<f32>> {
    alike_within(0.004, count, seed)
}

fn alike_within(spread: f32, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let base = Random::new(1).vector(40);
    let mut random = Random::new(seed);
    (0..count).map(|_| base.iter().map(|x| x + spread * random.float()).collect()).collect()
}

/// The rows of a scan with their distances. PostgreSQL leaves out those that it does not see.
fn hits<'a>(store: &'a MemPages, table: &'a mut Table<'_>, limits: Limits) -> impl Iterator<Item = (Tid, f64)> {
    let mut scan = scan(store, table.query, limits);
    std::iter::from_fn(move || {
        loop {
            let hit = scan.next(store, table).unwrap()?;
            if let Some(vector) = table.rows.get(&hit.tid) {
                let distance = operator(table.metric, vector, table.query);
                assert!(hit.distance <= distance, "{} > {distance}", hit.distance);
                return Some((hit.tid, distance));
            }
        }
    })
}

#[test]
fn rows_come_in_the_order_of_the_table() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
        for vectors in [alike(1000, 2), clustered(1000, 40, 2)] {
            let (store, rows) = (build(meta(40, 8, 32, metric), &vectors, 1), numbered(&vectors));
            let query: Vec<f32> = vectors[7].iter().map(|x| x + 0.001).collect();
            let mut table = Table::new(&rows, metric, &query);
            for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
                let found: Vec<_> = hits(&store, &mut table, limits(40, iterative)).take(40).collect();
                assert_eq!(found.len(), 40);
                assert!(found.is_sorted_by(|a, b| a.1 <= b.1), "{metric:?} {iterative:?}: {found:?}");
            }
        }
    }
}

/// Of codes that tell nothing apart a walk keeps the wrong ones, and passes over the right ones.
#[test]
fn what_the_codes_cannot_tell_from_what_was_found_is_looked_at_too() {
    let vectors = alike_within(0.02, 2000, 3);
    let (store, rows) = (build(meta(40, 16, 64, Metric::L2), &vectors, 1), numbered(&vectors));
    let (mut found, queries) = (0, alike_within(0.02, 50, 4));
    for query in &queries {
        let mut table = Table::new(&rows, Metric::L2, query);
        let got: Vec<Tid> = hits(&store, &mut table, limits(40, Iterative::Off)).map(|(tid, _)| tid).collect();
        assert_eq!(got.len(), 40, "no more than that");
        found += exact(&rows, &space(&store), query, 10).iter().filter(|tid| got.contains(tid)).count();
    }
    // Without the others it is 0.82.
    let recall = found as f64 / (10 * queries.len()) as f64;
    assert!(recall > 0.9, "{recall}");
}

#[test]
fn a_strict_scan_leaves_out_what_comes_too_late_and_nothing_else() {
    for vectors in [alike(1500, 5), clustered(1500, 40, 72)] {
        let (store, rows) = (build(meta(40, 8, 32, Metric::L2), &vectors, 1), numbered(&vectors));
        let mut table = Table::new(&rows, Metric::L2, &vectors[3]);
        let relaxed: Vec<_> = hits(&store, &mut table, limits(10, Iterative::Relaxed)).collect();
        let strict: Vec<_> = hits(&store, &mut table, limits(10, Iterative::Strict)).collect();
        assert_eq!(strict[..10], relaxed[..10], "what is not held back");
        assert!(strict.is_sorted_by(|a, b| a.1 <= b.1));
        let returned: BTreeMap<Tid, f64> = strict.iter().copied().collect();
        assert_eq!(returned.len(), strict.len(), "a row twice");
        let found: BTreeMap<Tid, f64> = relaxed.iter().copied().collect();
        assert!(returned.keys().all(|tid| found.contains_key(tid)));
        // Rows that were found after one that is farther was returned, and those that a scan without anything held back loses.
        let mut farthest = f64::NEG_INFINITY;
        let late = relaxed.iter().filter(|(_, distance)| {
            farthest = farthest.max(*distance);
            *distance < farthest
        });
        let (lost, late) = (found.len() - returned.len(), late.count());
        assert!(lost < late, "{lost} lost of {} found, {late} late", found.len());
        assert!(strict.len() > 100, "{}", strict.len());
        let last = strict[strict.len() - 1].1;
        assert!(relaxed.iter().all(|(tid, distance)| *distance < last || returned.contains_key(tid)));
    }
}

#[test]
fn no_more_of_the_table_is_read_than_the_bounds_demand() {
    let vectors = clustered(4000, 64, 6);
    let (store, rows) = (build(meta(64, 16, 64, Metric::L2), &vectors, 1), numbered(&vectors));
    for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
        let (mut asked, queries) = (0, clustered(50, 64, 7));
        for query in &queries {
            let mut table = Table::new(&rows, Metric::L2, query);
            assert_eq!(hits(&store, &mut table, limits(100, iterative)).take(10).count(), 10);
            asked += table.asked.len();
        }
        assert!(asked < 13 * queries.len(), "{iterative:?}: {asked}");
    }
    // Where the bounds say nothing it is a batch.
    let vectors = alike(4000, 6);
    let (store, rows) = (build(meta(40, 16, 64, Metric::L2), &vectors, 1), numbered(&vectors));
    for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
        let mut table = Table::new(&rows, Metric::L2, &vectors[9]);
        assert_eq!(hits(&store, &mut table, limits(40, iterative)).take(10).count(), 10);
        assert!(table.asked.len() <= 40 + 28, "{iterative:?}: {}", table.asked.len());
    }
}

#[test]
fn rows_that_the_scan_does_not_see_are_left_out() {
    let vectors = clustered(1000, 40, 8);
    let (store, all) = (build(meta(40, 8, 32, Metric::L2), &vectors, 1), numbered(&vectors));
    let seen: BTreeMap<Tid, Vec<f32>> = all.into_iter().filter(|(tid, _)| tid.is_multiple_of(3)).collect();
    for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
        let mut table = Table::new(&seen, Metric::L2, &vectors[9]);
        let found: Vec<_> = hits(&store, &mut table, limits(60, iterative)).collect();
        assert!(found.len() >= 15, "{found:?}");
    }
}

/// All rows of an element have its value.
#[test]
fn one_row_speaks_for_all_of_its_value() {
    let vectors: Vec<_> = clustered(300, 40, 9).into_iter().flat_map(|vector| vec![vector; 8]).collect();
    let (store, mut rows) = (build(meta(40, 8, 32, Metric::L2), &vectors, 1), numbered(&vectors));
    let mut table = Table::new(&rows, Metric::L2, &vectors[9]);
    let found: Vec<_> = hits(&store, &mut table, limits(20, Iterative::Off)).collect();
    assert_eq!(found.len(), 20 * 8, "elements count, not rows");
    assert!(found.is_sorted_by(|a, b| a.1 <= b.1));
    assert!(table.asked.len() < 50, "{}", table.asked.len());
    // One that is not seen does not.
    let hidden: Vec<Tid> = found.iter().step_by(8).map(|(tid, _)| *tid).collect();
    hidden.iter().for_each(|tid| assert!(rows.remove(tid).is_some()));
    let mut table = Table::new(&rows, Metric::L2, &vectors[9]);
    let again: Vec<_> = hits(&store, &mut table, limits(20, Iterative::Off)).collect();
    assert_eq!(again.len(), 20 * 7);
    assert!(again.iter().all(|(tid, _)| !hidden.contains(tid)));
}

#[test]
fn of_many_rows_with_one_value_those_are_read_that_are_wanted() {
    let vectors: Vec<_> = clustered(3, 40, 10).into_iter().cycle().take(9000).collect();
    let (store, mut rows) = (build(meta(40, 8, 32, Metric::L2), &vectors, 1), numbered(&vectors));
    for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
        let mut table = Table::new(&rows, Metric::L2, &vectors[1]);
        let watched = Watched::new(&store, 0);
        let mut scan = scan(&store, &vectors[1], limits(40, iterative));
        (0..10).for_each(|_| assert!(scan.next(&watched, &mut table).unwrap().is_some()));
        assert!(table.asked.len() <= 3 && watched.checks() < 100, "{} {}", table.asked.len(), watched.checks());
        let found: Vec<_> = hits(&store, &mut table, limits(400, iterative)).collect();
        assert_eq!(found.len(), 9000);
        assert!(found.is_sorted_by(|a, b| a.1 <= b.1));
    }
    // The one that is seen may be the last.
    rows.retain(|tid, _| [3001, 6002, 9000].contains(tid));
    for iterative in [Iterative::Off, Iterative::Relaxed] {
        let mut table = Table::new(&rows, Metric::L2, &vectors[0]);
        let distances: Vec<_> =
            hits(&store, &mut table, limits(400, iterative)).map(|(_, distance)| distance).collect();
        assert!(distances.is_sorted() && distances[0] == 0.0);
        let found: Vec<_> = hits(&store, &mut table, limits(400, iterative)).map(|(tid, _)| tid).collect();
        assert!(rows.keys().all(|tid| found.contains(tid)));
    }
}
