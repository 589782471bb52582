//! Scans return rows in the order of the distances of their values, whatever the codes say.

use super::*;

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
