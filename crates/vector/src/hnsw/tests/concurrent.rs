//! Inserts, scans and vacuums at the same time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::vacuum::vacuum;
use crate::tests::Eventful;

#[test]
fn inserts_scans_and_vacuums_at_once_lose_nothing() {
    at_once(&clustered(3001, 6, 61));
}

#[test]
fn inserts_scans_and_vacuums_of_equal_values_at_once_lose_nothing() {
    at_once(&clustered(30, 6, 61).into_iter().cycle().take(3001).collect::<Vec<_>>());
}

fn at_once(vectors: &[Vec<f32>]) {
    let meta = super::meta(6, 4, 24, Metric::L2);
    let store = empty(&meta);
    let next = AtomicU64::new(1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let inserters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let tid = next.fetch_add(1, Ordering::SeqCst);
                        if tid > 3000 {
                            return;
                        }
                        add(&store, &vectors[tid as usize], tid).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for query in vectors.iter().take(50) {
                    nearest(&store, query, 20);
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                // What was inserted a while ago and is not a multiple of five is dead.
                let horizon = next.load(Ordering::SeqCst).saturating_sub(100);
                vacuum(&store, |tid| tid < horizon && tid % 5 != 0).unwrap();
            }
        });
        for inserter in inserters {
            inserter.join().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    vacuum(&store, |tid| tid % 5 != 0).unwrap();
    let report = verified(&store);
    assert_eq!(report.rows.len(), 600);
    assert!((1..=3000).filter(|tid| tid % 5 == 0).all(|tid| report.rows.iter().any(|row| row == tid)));
    assert_eq!(nearest(&store, &vectors[0], 700).len(), 600, "a wide scan finds everything");
}

#[test]
fn threads_build_a_sound_graph() {
    let vectors = clustered(3000, 8, 62);
    for threads in [1, 2, 8] {
        let store = build(meta(8, 3, 12, Metric::L2), &vectors, threads);
        assert_eq!(verified(&store).rows.len(), 3000);
    }
}

/// Each list that vacuum is about to write has been changed by an insert.
#[test]
fn vacuum_ends_however_fast_inserts_change_lists() {
    let vectors = clustered(200, 4, 63);
    let store = build(meta(4, 4, 24, Metric::L2), &vectors, 1);
    let graph = PagedGraph::open(&store).unwrap();
    // The entry point is moved under a lock that the inserts want, too.
    let entry = graph.node(graph.meta.entry, |nodes, slot| nodes.tids(slot).next()).unwrap();
    let dead = |tid: Tid| tid <= 200 && tid.is_multiple_of(2) && Some(tid) != entry;
    let mut random = Random::new(64);
    let mut tid = 200;
    let busy = Eventful::new(&store, |store| {
        for beside in vectors.iter().take(20) {
            tid += 1;
            let vector: Vec<f32> = beside.iter().map(|x| x + 0.01 * random.float()).collect();
            add(store, &vector, tid).unwrap();
        }
    });
    let outcome = vacuum(&busy, dead).unwrap();
    let report = verified(&store);
    assert_eq!(report.rows.len() as u64, tid - outcome.removed);
    assert!(report.rows.iter().all(|tid| !dead(tid)));
}
