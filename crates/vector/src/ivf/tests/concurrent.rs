//! Inserts, scans and vacuums at the same time.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

#[test]
fn inserts_scans_and_vacuums_at_once_lose_nothing() {
    for (dimensions, rows) in [(6, 4000), (9000, 120)] {
        let meta = meta(dimensions, 5, Metric::L2);
        let vectors = clustered(rows + 1, dimensions, 61);
        let store = build(meta, &vectors[..rows / 10], 0);
        let next = AtomicU64::new(rows as u64 / 10 + 1);
        let stop = AtomicBool::new(false);
        let lives = |tid: Tid| tid.is_multiple_of(5);
        let inserted = Mutex::new((1..=rows as Tid / 10).filter(|tid| lives(*tid)).collect::<Vec<Tid>>());
        std::thread::scope(|scope| {
            let inserters: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let tid = next.fetch_add(1, Ordering::SeqCst);
                            if tid > rows as u64 {
                                return;
                            }
                            add(&store, &vectors[tid as usize - 1], tid).unwrap();
                            if lives(tid) {
                                inserted.lock().unwrap().push(tid);
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    // All these are in and stay: a scan with hardly any memory finds each of them once.
                    let there = inserted.lock().unwrap().clone();
                    let few = Limits { max_memory: 0, ..limits(5) };
                    let found: Vec<Tid> = hits(&store, &vectors[0], few).map(|hit| hit.tid).collect();
                    let distinct: BTreeSet<Tid> = found.iter().copied().collect();
                    assert_eq!(distinct.len(), found.len());
                    assert!(there.iter().all(|tid| distinct.contains(tid)));
                }
            });
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let horizon = next.load(Ordering::SeqCst).saturating_sub(100);
                    vacuum(&store, |tid| tid < horizon && !lives(tid)).unwrap();
                    verified(&store);
                }
            });
            for inserter in inserters {
                inserter.join().unwrap();
            }
            stop.store(true, Ordering::SeqCst);
        });
        vacuum(&store, |tid| !lives(tid)).unwrap();
        let report = verified(&store);
        let left: BTreeSet<Tid> = report.rows.iter().collect();
        assert_eq!(left, (1..=rows as Tid).filter(|tid| lives(*tid)).collect());
        let unused = crate::ivf::info::info(&store).unwrap().unused_bytes;
        assert!(unused <= 8 * 8192, "{unused} bytes were left behind");
    }
}
