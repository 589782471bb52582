//! Many rows with equal values: they share an element, however many they are.

use std::collections::BTreeSet;

use super::*;
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::info::{Info, info};
use crate::hnsw::vacuum::vacuum;
use crate::tests::{Eventful, Watched};

/// The vectors of a table of which nine rows in ten have one of so many values. They come mixed.
fn mostly_equal(values: usize, count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let equal = clustered(values, dimensions, seed + 1);
    let mut random = Random::new(seed + 2);
    let mut one = |vector| if random.next() % 10 < 9 { equal[random.next() as usize % values].clone() } else { vector };
    clustered(count, dimensions, seed).into_iter().map(&mut one).collect()
}

fn all(store: &MemPages) -> BTreeSet<Tid> {
    verified(store).rows.iter().collect()
}

/// What takes room in an index.
fn counts(store: &MemPages) -> (u64, u64, u64, u64) {
    let Info { rows, overflow_slots, free_slots, .. } = info(store).unwrap();
    (rows, info(store).unwrap().elements(), overflow_slots, free_slots)
}

#[test]
fn equal_vectors_share_an_element() {
    for build_rows in [0, 3, 4, 5, 20, 100] {
        for m in [2, 16] {
            let store = build(meta(3, m, 64, Metric::InnerProduct), &vec![vec![1.0, 2.0, 3.0]; build_rows], 1);
            for tid in build_rows..100 {
                add(&store, &[1.0, 2.0, 3.0], tid as Tid + 1).unwrap();
            }
            let capacity = meta(3, m, 64, Metric::InnerProduct).geometry.overflow_capacity() as u64;
            assert_eq!(counts(&store).1, 1);
            assert!(counts(&store).2 <= 96 / capacity + 1, "{:?}", counts(&store));
            // As pgvector, of which an element with ten rows is all that is found.
            assert_eq!(nearest(&store, &[1.0, 1.0, 1.0], 1).len(), 10);
            let mut found = nearest(&store, &[1.0, 1.0, 1.0], 10);
            found.sort_unstable();
            assert_eq!(found, (1..=100).collect::<Vec<_>>());
            let limits = |iterative| Limits { ef: 1, iterative, max_elements: 1, max_memory: usize::MAX };
            for iterative in [Iterative::Relaxed, Iterative::Strict] {
                assert_eq!(rows(&store, &[1.0, 1.0, 1.0], limits(iterative)).collect::<BTreeSet<_>>(), all(&store));
            }
        }
    }
}

/// Of the ten nearest, those that are no farther than the tenth.
fn recall(store: &MemPages, rows: &BTreeMap<Tid, Vec<f32>>, queries: &[Vec<f32>]) -> f64 {
    let mut found = 0;
    for query in queries {
        let distance = |tid: &Tid| distance::l2_squared(&rows[tid], query);
        let tenth = distance(&exact(rows, &space(store), query, 10)[9]);
        found += nearest(store, query, 40).iter().take(10).filter(|tid| distance(tid) <= tenth).count();
    }
    found as f64 / (10 * queries.len()) as f64
}

#[test]
fn most_rows_having_few_values_the_others_are_found_all_the_same() {
    for values in [1, 9] {
        let vectors = mostly_equal(values, 12_000, 24, 91);
        let mut rows: BTreeMap<Tid, Vec<f32>> = (1..).zip(vectors.iter().cloned()).collect();
        let queries = [clustered(100, 24, 94), mostly_equal(values, 50, 24, 91)].concat();
        let meta = meta(24, 16, 64, Metric::L2);
        let built = build(meta, &vectors, 1);
        let inserted = empty(&meta);
        rows.iter().for_each(|(tid, vector)| add(&inserted, vector, *tid).unwrap());
        for (store, what) in [(&built, "built"), (&inserted, "inserted")] {
            assert!(counts(store).1 < 1400, "{what}: {:?}", counts(store));
            let recall = recall(store, &rows, &queries);
            assert!(recall >= 0.99, "{values} values, {what}: {recall}");
        }
        let is_dead = |tid: Tid| !tid.is_multiple_of(4);
        rows.retain(|tid, _| !is_dead(*tid));
        for (store, what) in [(&built, "built"), (&inserted, "inserted")] {
            vacuum(store, is_dead).unwrap();
            assert_eq!(all(store).len(), 3000);
            let recall = recall(store, &rows, &queries);
            assert!(recall >= 0.99, "{values} values, {what}, vacuumed: {recall}");
        }
    }
}

/// Three values of 40 rows each.
fn thrice_forty() -> (Meta, Vec<Vec<f32>>) {
    let vectors = clustered(3, 4, 95).into_iter().cycle().take(120).collect();
    (meta(4, 2, 8, Metric::L2), vectors)
}

#[test]
fn vacuum_frees_what_no_row_needs() {
    let (meta, vectors) = thrice_forty();
    let store = build(meta, &vectors, 1);
    let (_, _, chains, free) = counts(&store);
    assert_eq!(chains, 18, "40 rows: 4 and 6 times 6");
    // All but one row of each value.
    let outcome = vacuum(&store, |tid| tid > 3).unwrap();
    assert_eq!((outcome.rows, outcome.removed, outcome.freed), (3, 117, 0));
    assert_eq!(counts(&store), (3, 3, 0, free + 18));
    // New rows find their element, and use the slots that were freed.
    for (tid, vector) in (1000..).zip(&vectors) {
        add(&store, vector, tid).unwrap();
    }
    assert_eq!(counts(&store), (123, 3, 21, free - 3));
    let outcome = vacuum(&store, |_| true).unwrap();
    assert_eq!((outcome.rows, outcome.removed, outcome.freed), (0, 123, 3));
    assert_eq!(counts(&store), (0, 0, 0, free + 21));
    assert_eq!(Meta::read(&store.read(0).unwrap()).unwrap().entry, crate::hnsw::format::NONE);
}

#[test]
fn an_insert_of_an_equal_value_cut_anywhere_leaves_a_sound_index() {
    let (meta, vectors) = thrice_forty();
    let store = empty(&meta);
    for (tid, vector) in (1..).zip(&vectors) {
        for writes in 0.. {
            let copy = store.fork();
            copy.cut_power_after(writes);
            let done = add(&copy, vector, tid).is_ok();
            copy.restart();
            let mut rows = all(&copy);
            assert!(done || writes > 0 || !rows.contains(&tid));
            rows.remove(&tid);
            assert_eq!(rows.len() as Tid, tid - 1);
            assert!(counts(&copy).1 <= 3);
            if done {
                break;
            }
        }
        add(&store, vector, tid).unwrap();
    }
    assert_eq!((all(&store).len(), counts(&store).1), (120, 3));
}

#[test]
fn a_vacuum_of_equal_values_cut_anywhere_is_finished_by_the_next() {
    let (meta, vectors) = thrice_forty();
    let deaths: [fn(Tid) -> bool; 5] =
        [|tid| tid % 3 == 1, |tid| tid > 20, |tid| tid <= 100, |tid| tid % 3 != 1 || tid > 50, |_| true];
    let mut points = 0;
    for is_dead in deaths {
        for inserted in [0, 60, 120] {
            let store = build(meta, &vectors[inserted..], 1);
            for (tid, vector) in (121 - inserted as Tid..).zip(&vectors[..inserted]) {
                add(&store, vector, tid).unwrap();
            }
            let expected = store.fork();
            vacuum(&expected, is_dead).unwrap();
            let kept = all(&expected);
            assert_eq!(kept, (1..=120).filter(|tid| !is_dead(*tid)).collect());
            for writes in 0.. {
                let copy = store.fork();
                copy.cut_power_after(writes);
                let done = vacuum(&copy, is_dead).is_ok();
                copy.restart();
                assert!(all(&copy).is_superset(&kept), "after {writes} writes");
                assert!(nearest(&copy, &vectors[0], 100).into_iter().collect::<BTreeSet<_>>().is_superset(&kept));
                points += 1;
                // Where an insert comes between them, too.
                for is_between in [false, true] {
                    let copy = copy.fork();
                    if is_between {
                        add(&copy, &vectors[0], 999).unwrap();
                        vacuum(&copy, |tid| tid == 999 || is_dead(tid)).unwrap();
                    }
                    vacuum(&copy, is_dead).unwrap();
                    assert_eq!(all(&copy), kept);
                    assert!(is_between || counts(&copy) == counts(&expected), "after {writes} writes");
                    assert_eq!(counts(&copy).0 + counts(&copy).2, counts(&expected).0 + counts(&expected).2);
                }
                if done {
                    break;
                }
            }
        }
    }
    assert!(points > 250, "only {points} crashes");
}

/// Just before each write of a vacuum a row comes to an element that it works on.
#[test]
fn rows_that_come_while_vacuum_works_on_their_element_stay() {
    let (meta, vectors) = thrice_forty();
    for seed in 0..20 {
        let store = build(meta, &vectors, 1);
        let entry = PagedGraph::open(&store).unwrap().meta.entry;
        let graph = PagedGraph::open(&store).unwrap();
        // The entry point is moved under a lock that the inserts want, too.
        let spared = graph.node(entry, |nodes, slot| nodes.tids(slot).next()).unwrap().unwrap() % 3;
        let mut random = Random::new(seed);
        let mut tid = 1000;
        let busy = Eventful::new(&store, |store| {
            if !random.next().is_multiple_of(4) {
                tid += 1;
                add(store, &vectors[random.next() as usize % 3], tid).unwrap();
            }
        });
        let is_dead = |tid: Tid| tid <= 120 && (tid % 3 != spared || tid.is_multiple_of(2));
        let removed = vacuum(&busy, is_dead).unwrap().removed;
        assert_eq!(removed, (1..=120).filter(|tid| is_dead(*tid)).count() as u64);
        let expected: BTreeSet<Tid> = (1..=120).filter(|tid| !is_dead(*tid)).chain(1001..=tid).collect();
        assert_eq!(all(&store), expected);
        vacuum(&store, |_| true).unwrap();
        assert_eq!((counts(&store).0, counts(&store).1, counts(&store).2), (0, 0, 0));
    }
}

/// Vacuum takes the slot to which the row is about to come out of the chain.
#[test]
fn a_row_that_comes_to_a_slot_without_an_owner_goes_elsewhere() {
    let meta = meta(4, 2, 8, Metric::L2);
    let vector = [1.0, 2.0, 3.0, 4.0];
    let store = empty(&meta);
    (1..=13).for_each(|tid| add(&store, &vector, tid).unwrap());
    assert_eq!(counts(&store).2, 2);
    let mut is_first = true;
    let busy = Eventful::new(&store, |store| {
        if std::mem::take(&mut is_first) {
            store.cut_power_after(2); // rows are taken out, and the first slot
            vacuum(store, |tid| tid > 4).unwrap_err();
            store.restart();
        }
    });
    crate::hnsw::insert::insert(&busy, &code(&meta.space, &vector), 100, 3).unwrap();
    assert_eq!(all(&store), BTreeSet::from([1, 2, 3, 4, 100]));
    vacuum(&store, |_| false).unwrap();
    assert_eq!((all(&store).len(), counts(&store).2), (5, 1));
}

/// What a scan has not read yet is moved by nobody, but it may go, and newer rows may come to where it was.
#[test]
fn a_scan_that_stands_still_in_a_chain_returns_each_row_that_stays_once() {
    let meta = meta(4, 2, 8, Metric::L2);
    let vectors = clustered(3, 4, 95);
    let limits = |iterative| Limits { ef: 10, iterative, max_elements: usize::MAX, max_memory: usize::MAX };
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let build_rows: Vec<Vec<f32>> = vectors.iter().cloned().cycle().take(3000).collect();
        let store = build(meta, &build_rows, 1);
        let mut rows = rows(&store, &vectors[0], limits(Iterative::Relaxed));
        let mut seen: Vec<Tid> = Vec::new();
        let mut dead = BTreeSet::new();
        let mut next = 10_000;
        for _ in 0..5 {
            seen.extend(rows.by_ref().take(random.next() as usize % 700));
            let (from, len, every) = (random.next() % 3000, random.next() % 1500, random.next() % 3 + 1);
            dead.extend((1..=3000).filter(|tid| (from..from + len).contains(tid) && tid % every == 0));
            vacuum(&store, |tid| dead.contains(&tid)).unwrap();
            for _ in 0..random.next() % 400 {
                add(&store, &vectors[random.next() as usize % 3], next).unwrap();
                next += 1;
            }
        }
        seen.extend(rows);
        let old: Vec<Tid> = seen.iter().copied().filter(|tid| *tid <= 3000).collect();
        let once: BTreeSet<Tid> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "seed {seed}: none comes twice");
        let lost = (1..=3000).filter(|tid| !dead.contains(tid) && !once.contains(tid)).count();
        assert_eq!(lost, 0, "seed {seed}");
        // In the order of distances, whatever has come to lie where something was.
        let order: Vec<Tid> = old.iter().map(|tid| (tid - 1) % 3).collect();
        assert_eq!(order.chunk_by(|a, b| a == b).count(), 3, "seed {seed}");
    }
}

#[test]
fn a_scan_reads_no_more_of_a_chain_than_it_returns() {
    let meta = meta(3, 2, 8, Metric::L2);
    let checks = |count: usize| {
        let store = build(meta, &vec![vec![1.0, 2.0, 3.0]; count], 1);
        let coder = crate::hnsw::coder(&store).unwrap();
        cost(&store, |store| {
            for iterative in [Iterative::Off, Iterative::Relaxed, Iterative::Strict] {
                let limits = Limits { ef: 40, iterative, max_elements: usize::MAX, max_memory: usize::MAX };
                let query = code(&meta.space, &[1.0, 2.0, 3.0]);
                let mut scan = Scan::new(coder.clone(), query, limits);
                (0..10).for_each(|_| assert!(scan.next(store, &mut NoTable).unwrap().is_some()));
            }
        })
    };
    assert_eq!(checks(1000), checks(20_000));
}

/// The cost of an operation, as the number of its checks for a cancel: one for each page or two.
fn cost(store: &MemPages, f: impl FnOnce(&Watched<'_>)) -> u64 {
    let watched = Watched::new(store, 0);
    f(&watched);
    watched.checks()
}

#[test]
fn long_chains_cost_an_insert_nothing_and_a_vacuum_what_they_are_long() {
    let meta = meta(3, 2, 8, Metric::L2);
    let one = vec![1.0, 2.0, 3.0];
    let of = |rows: usize| build(meta, &vec![one.clone(); rows], 1);
    let insert = |rows: usize| {
        let store = of(rows);
        cost(&store, |store| crate::hnsw::insert::insert(store, &code(&meta.space, &one), 1 << 30, 3).unwrap())
    };
    assert_eq!(insert(4 + 6 * 10), insert(4 + 6 * 1000));
    for is_dead in [(|tid| tid / 12 % 2 == 0) as fn(Tid) -> bool, |tid| tid > 10, |_| true] {
        let vacuum = |rows: usize| cost(&of(rows), |store| assert!(vacuum(store, is_dead).unwrap().removed > 0));
        let (some, many) = (vacuum(2000), vacuum(20_000));
        assert!(many < 12 * some, "{some} and {many}");
    }
}

#[test]
fn damage_of_chains_is_noticed() {
    let (meta, vectors) = thrice_forty();
    let geometry = meta.geometry;
    let store = build(meta, &vectors, 1);
    let graph = PagedGraph::open(&store).unwrap();
    // The first two slots of the chain of an element, and the element.
    let newest = |id: u32| graph.node(id, |nodes, slot| nodes.overflow(slot)).unwrap();
    let place = |id: u32| (geometry.node_block(geometry.locate(id).0), geometry.node_offset(geometry.locate(id).1));
    let put = |id: u32, at: usize, value: u32| {
        let copy = store.fork();
        let (block, offset) = place(id);
        copy.damage(block, |page| page[offset + at..offset + at + 4].copy_from_slice(&value.to_ne_bytes()));
        let report = verify(&copy).unwrap();
        let failed = report.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect::<Vec<_>>();
        // Nothing that reads it goes on for ever.
        let limits = Limits { ef: 10, iterative: Iterative::Relaxed, max_elements: usize::MAX, max_memory: usize::MAX };
        let mut scan = super::scan(&copy, &vectors[0], limits);
        while let Ok(Some(_)) = scan.next(&copy, &mut NoTable) {}
        let _ = vacuum(&copy, |tid| tid % 2 == 0);
        failed
    };
    let (first, second) = (newest(0), newest(newest(0)));
    assert_eq!(put(0, 8, newest(1)), ["elements"], "the chain of another one");
    assert_eq!(put(0, 8, crate::hnsw::format::NONE), ["elements"], "no chain");
    assert_eq!(put(0, 8, second), ["elements"], "a slot less");
    assert_eq!(put(0, 8, 1), ["elements"], "an element");
    assert_eq!(put(first, 8, 1 << 30), ["elements"], "beyond the end");
    assert_eq!(put(second, 8, first), ["elements"], "a circle");
    assert_eq!(put(second, 4, 2), ["elements"], "another owner");
    assert_eq!(put(second, 12, 99), ["elements"], "a depth that is none");
}
