//! Scans return rows in the order of the distances of their values, whatever the codes say.

use super::*;
use crate::tests::kinds;

/// Of each kind of data.
const QUERIES: usize = 50;

/// Vectors that differ by less than the step of their codes: these say little of which is nearer.
fn alike(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let base = Random::new(1).vector(40);
    let mut random = Random::new(seed);
    (0..count).map(|_| base.iter().map(|x| x + 0.004 * random.float()).collect()).collect()
}

#[test]
fn rows_come_in_the_order_of_the_table() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for vectors in [alike(1000, 2), clustered(1000, 40, 2)] {
            let (store, rows) = (build(meta(40, 10, metric), &vectors, 1), numbered(&vectors));
            let seen = rows.iter().filter(|(tid, _)| !tid.is_multiple_of(5));
            let seen: BTreeMap<Tid, Vec<f32>> = seen.map(|(tid, vector)| (*tid, vector.clone())).collect();
            let query: Vec<f32> = vectors[7].iter().map(|x| x + 0.001).collect();
            for max_memory in [0, 1 << 30] {
                let mut table = Table::new(&seen, metric, &query);
                let mut scan = scan(&store, &query, Limits { max_memory, ..limits(10) });
                let mut last = f64::NEG_INFINITY;
                for _ in 0..seen.len() {
                    let hit = scan.next(&store, &mut table).unwrap().unwrap();
                    assert_eq!(hit.distance, operator(metric, &seen[&hit.tid], &query), "{metric:?}");
                    assert!(hit.distance >= last, "{metric:?}");
                    last = hit.distance;
                }
                assert_eq!(scan.next(&store, &mut table).unwrap(), None);
                assert_eq!(table.asked.len(), rows.len());
            }
        }
    }
}

#[test]
fn no_more_of_the_table_is_read_than_the_bounds_demand() {
    let vectors = clustered(4000, 64, 6);
    let (store, rows) = (build(meta(64, 20, Metric::L2), &vectors, 1), numbered(&vectors));
    for (iterative, max_memory) in [(false, 1 << 30), (true, 1 << 30), (false, 0)] {
        let (mut asked, queries) = (0, clustered(50, 64, 7));
        for query in &queries {
            let mut table = Table::new(&rows, Metric::L2, query);
            let limits = Limits { iterative, max_probes: 20, max_memory, ..limits(5) };
            let mut scan = scan(&store, query, limits);
            (0..10).for_each(|_| assert!(scan.next(&store, &mut table).unwrap().is_some()));
            assert_eq!(scan.passes(), 1);
            asked += table.asked.len();
        }
        assert!(asked < 13 * queries.len(), "{iterative}: {asked}");
    }
}

/// Of rows of one value, of which the scan may not see the first ones.
#[test]
fn equal_rows_are_read_once() {
    let few = clustered(9, 64, 7);
    let mut vectors = clustered(3000, 64, 6);
    vectors.iter_mut().enumerate().filter(|(i, _)| i % 10 > 0).for_each(|(i, vector)| vector.clone_from(&few[i % 9]));
    let store = build(meta(64, 20, Metric::L2), &vectors, 1);
    let (rows, dead) = (numbered(&vectors), 30);
    let seen = rows.range(dead + 1..).map(|(tid, vector)| (*tid, vector.clone())).collect();
    let query: Vec<f32> = few[3].iter().map(|x| x + 0.01).collect();
    let mut table = Table::new(&seen, Metric::L2, &query);
    let mut scan = scan(&store, &query, limits(20));
    let mut returned = Vec::new();
    while let Some(hit) = scan.next(&store, &mut table).unwrap() {
        assert_eq!(hit.distance, operator(Metric::L2, &rows[&hit.tid], &query));
        returned.push(hit.tid);
        if returned.len() == 10 {
            // Those that are not seen, one that is, and what else is within the margin.
            assert!(table.asked.len() < 8, "{} rows were read for 10", table.asked.len());
        }
    }
    returned.sort_unstable();
    returned.retain(|tid| *tid > dead);
    assert!(returned.into_iter().eq(dead + 1..=3000));
    assert!(table.asked.len() <= 300 + 9 + dead as usize, "{} rows were read", table.asked.len());
}

/// What is not read because a margin says so is not missed. The order is that of looking at every row of the same lists.
#[test]
fn few_rows_are_read_and_none_is_missed_on_any_kind_of_data() {
    for kind in kinds::dense().into_iter().chain(kinds::inserted()) {
        let (metric, coder) = (kind.space.metric, kind.coder());
        if metric == Metric::L1 {
            continue; // there are no such lists
        }
        let store = build_with(coder.clone(), 20, &kind.rows[..kind.before], 0);
        for (tid, row) in (1..).zip(&kind.rows).skip(kind.before) {
            add(&store, row, tid).unwrap();
        }
        let rows = numbered(&kind.rows);
        let (mut found, mut asked, queries) = (0, 0, &kind.queries[..QUERIES]);
        for query in queries {
            let mut table = Table::new(&rows, metric, query);
            let mut scan = scan(&store, query, limits(20));
            let mut all: Vec<f64> = kind.rows.iter().map(|row| operator(metric, row, query)).collect();
            let (_, last, _) = all.select_nth_unstable_by(kinds::K - 1, f64::total_cmp);
            for _ in 0..kinds::K {
                let hit = scan.next(&store, &mut table).unwrap().unwrap();
                found += usize::from(hit.distance <= *last);
            }
            asked += table.asked.len();
        }
        let recall = found as f64 / (kinds::K * QUERIES) as f64;
        println!("{}, {:?}: {recall:.4}, {} rows", kind.name, coder.space.form, asked as f64 / QUERIES as f64);
        assert!(recall >= 0.998, "{}: {recall}", kind.name);
        assert!(asked < 40 * QUERIES, "{}: {asked} rows were read for {QUERIES} queries", kind.name);
    }
}
