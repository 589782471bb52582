//! The power goes after every single write of an insert or a vacuum: what recovery finds is a sound index that goes on.

use super::*;
use crate::hnsw::vacuum::vacuum;

/// Runs a change on copies of the store, each of which loses power one write later than the one before, until it gets
/// through. After each crash the index must verify, hold every row of `kept`, and answer. How many crashes there were.
fn crash_everywhere(store: &MemPages, kept: &[Tid], query: &[f32], change: impl Fn(&MemPages) -> Result<()>) -> usize {
    for writes in 0.. {
        let copy = store.fork();
        copy.cut_power_after(writes);
        let done = change(&copy).is_ok();
        copy.restart();
        let report = verified(&copy);
        assert!(kept.iter().all(|tid| report.rows.iter().any(|row| row == *tid)), "after {writes} writes");
        let found = nearest(&copy, query, 1000);
        assert!(kept.iter().all(|tid| found.contains(tid)), "after {writes} writes");
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

/// All forms of codes; some run on over pages, or take two pages each, and the last ones have a centre, of one page or two.
fn coders() -> Vec<Coder> {
    let plain = [
        Space::new(Element::Dense, Metric::L2, 4),
        Space::new(Element::Dense, Metric::Cosine, 40),
        Space::new(Element::Sparse, Metric::InnerProduct, 90),
        Space::new(Element::Bits, Metric::Hamming, 100),
        Space::new(Element::Dense, Metric::L2, 5000),
        Space::new(Element::Dense, Metric::L1, 9000),
    ];
    let centre = |dimensions| Some((0..dimensions).map(|i| (i % 7) as f32 / 8.0).collect());
    let centred = [40, 2500].map(|dimensions| Space::new(Element::Dense, Metric::L2, dimensions));
    let plain = plain.map(Coder::plain).into_iter();
    plain.chain(centred.map(|space| Coder::new(space, centre(space.dimensions)))).collect()
}

#[test]
fn an_insert_cut_anywhere_leaves_a_sound_index() {
    let mut points = 0;
    for coder in coders() {
        let dimensions = coder.space.dimensions;
        let count = if dimensions > 1000 { 12 } else { 420 };
        let vectors = clustered(count, dimensions, 51);
        let store = build_coded(memory(1 << 30), &coder, 3, 12, &[], 1);
        let mut kept = Vec::new();
        for (tid, vector) in (1..).zip(&vectors) {
            points += crash_everywhere(&store, &kept, vector, |store| add(store, vector, tid));
            add(&store, vector, tid).unwrap();
            kept.push(tid);
        }
    }
    assert!(points > 7_000, "only {points} crashes");
}

#[test]
fn a_vacuum_cut_anywhere_is_finished_by_the_next() {
    let mut points = 0;
    for coder in coders() {
        let dimensions = coder.space.dimensions;
        let count = if dimensions > 1000 { 12 } else { 200 };
        let vectors = clustered(count, dimensions, 52);
        for share in [2, 3, 7] {
            let is_dead = |tid: Tid| !tid.is_multiple_of(share);
            let store = build_coded(memory(1 << 30), &coder, 3, 12, &vectors, 1);
            let kept: Vec<Tid> = (1..=count as Tid).filter(|tid| !is_dead(*tid)).collect();
            points += crash_everywhere(&store, &kept, &vectors[0], |store| vacuum(store, is_dead).map(drop));
            // Then the freed slots are used again.
            vacuum(&store, is_dead).unwrap();
            for (i, vector) in vectors.iter().enumerate().step_by(3) {
                let tid = 1000 + i as Tid;
                points += crash_everywhere(&store, &kept, vector, |store| add(store, vector, tid));
                add(&store, vector, tid).unwrap();
            }
            verified(&store);
        }
    }
    assert!(points > 3_500, "only {points} crashes");
}
