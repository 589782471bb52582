//! The power goes after every single write of an insert or a vacuum: what recovery finds is a sound index that goes on.

use super::*;

/// Runs a change on copies of the store, each of which loses power one write later than the one before, until it gets
/// through. After each crash the index must verify, hold every row of `kept`, and answer. How many crashes there were.
fn crash_everywhere(store: &MemPages, kept: &[Tid], query: &[f32], change: impl Fn(&MemPages) -> Result<()>) -> usize {
    for writes in 0.. {
        let copy = store.fork();
        copy.cut_power_after(writes);
        let done = change(&copy).is_ok();
        if writes % 2 == 0 {
            copy.restart();
        } else {
            copy.cut_power_after(u32::MAX); // here pages that were never written are still there
        }
        let report = verified(&copy);
        assert!(kept.iter().all(|tid| report.rows.iter().any(|row| row == *tid)), "after {writes} writes");
        let found = nearest(&copy, query, usize::MAX);
        assert!(kept.iter().all(|tid| found.contains(tid)), "after {writes} writes");
        assert_eq!(found.len(), report.rows.len(), "after {writes} writes");
        if done {
            return writes as usize;
        }
        // Life goes on.
        if writes % 5 == 0 {
            add(&copy, query, 999_999).unwrap();
            vacuum(&copy, |tid| tid == 999_999).unwrap();
            verified(&copy);
        }
    }
    0
}

fn count(space: Space, small: usize, large: usize) -> usize {
    if space.dimensions > 4000 { large } else { small }
}

#[test]
fn an_insert_cut_anywhere_leaves_a_sound_index() {
    let mut points = 0;
    for space in spaces() {
        let vectors = clustered(count(space, 600, 20), space.dimensions, 51);
        let store = empty(&of(space, 3));
        let mut kept = Vec::new();
        for (tid, vector) in (1..).zip(&vectors) {
            points += crash_everywhere(&store, &kept, vector, |store| add(store, vector, tid));
            add(&store, vector, tid).unwrap();
            kept.push(tid);
        }
    }
    assert!(points > 2000, "only {points} crashes");
}

#[test]
fn a_vacuum_cut_anywhere_is_finished_by_the_next() {
    let mut points = 0;
    for space in spaces() {
        let count = count(space, 500, 12);
        let vectors = clustered(count, space.dimensions, 52);
        for share in [2, 3, 7] {
            let is_dead = |tid: Tid| !tid.is_multiple_of(share);
            let store = build(of(space, 5), &vectors, 0);
            let kept: Vec<Tid> = (1..=count as Tid).filter(|tid| !is_dead(*tid)).collect();
            points += crash_everywhere(&store, &kept, &vectors[0], |store| vacuum(store, is_dead).map(drop));
            // Then the space is used again.
            vacuum(&store, is_dead).unwrap();
            let blocks = store.blocks().unwrap();
            for (i, vector) in vectors.iter().enumerate().step_by(3) {
                let tid = 1000 + i as Tid;
                points += crash_everywhere(&store, &kept, vector, |store| add(store, vector, tid));
                add(&store, vector, tid).unwrap();
            }
            let grown = store.blocks().unwrap() - blocks;
            assert!(share == 2 || grown == 0, "{:?}, of {share} one was left: {grown} blocks more", space);
            verified(&store);
        }
    }
    assert!(points > 2000, "only {points} crashes");
}

/// What a crash leaves behind when a page was added and not written.
#[test]
fn pages_that_were_never_written_are_used() {
    for space in spaces() {
        let store = empty(&of(space, 1));
        let first = store.blocks().unwrap();
        store.extend_to(first + 6).unwrap();
        verified(&store);
        let info = crate::ivf::info::info(&store).unwrap();
        assert_eq!((info.unused_bytes, info.entry_bytes), (6 * 8192, 0));
        let geometry = info.meta.geometry();
        let pages = 6 / geometry.step() as usize;
        for tid in 0..pages * geometry.entries {
            add(&store, &vec![1.0; space.dimensions], tid as Tid).unwrap();
        }
        assert_eq!(store.blocks().unwrap(), first + 6);
        assert_eq!(crate::ivf::info::info(&store).unwrap().unused_bytes, 0);
        verified(&store);
    }
}
