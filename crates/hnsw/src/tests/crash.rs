//! The power goes after every single write of an insert or a vacuum: what recovery finds is a sound index that goes on.

use super::*;
use crate::vacuum::vacuum;

#[test]
fn an_insert_cut_anywhere_leaves_a_sound_index() {
    let vectors = clustered(400, 300, 51);
    // 300 dimensions: whole vectors on pages; 700: they run on.
    for dimensions in [300, 700] {
        let vectors: Vec<Vec<f32>> =
            vectors.iter().map(|v| v.iter().cycle().take(dimensions).copied().collect()).collect();
        let store = empty(&meta(dimensions, 4, 16, Metric::L2));
        let mut committed = Vec::new();
        let mut points = 0;
        for (i, vector) in vectors.iter().enumerate() {
            let tid = i as Tid + 1;
            // Cut after 0, 1, 2 ... writes until the insert gets through.
            let mut writes = (i % 7) as u32;
            loop {
                store.cut_power_after(writes);
                let done = add(&store, vector, tid).is_ok();
                store.restart();
                points += 1;
                let report = verified(&store);
                assert!(committed.iter().all(|tid| report.rows.contains_key(tid)));
                if done {
                    committed.push(tid);
                    break;
                }
                // PostgreSQL has rolled the row back; a later vacuum removes what is left of it.
                if report.rows.contains_key(&tid) {
                    vacuum(&store, |dead| dead == tid).unwrap();
                    verified(&store);
                }
                writes += 3;
            }
        }
        assert!(points > 500, "only {points} crashes");
        for (i, vector) in vectors.iter().enumerate() {
            assert_eq!(nearest(&store, vector, vectors.len())[0], i as Tid + 1);
        }
    }
}

#[test]
fn a_vacuum_cut_anywhere_is_finished_by_the_next() {
    let vectors = clustered(250, 20, 52);
    let mut cuts = 0;
    for writes in 0.. {
        let store = build(meta(20, 3, 16, Metric::L2), &vectors, 1);
        store.cut_power_after(writes);
        let done = vacuum(&store, |tid| tid % 3 != 0).is_ok();
        store.restart();
        if done {
            break;
        }
        cuts += 1;
        // Cut once, life goes on: no row that is left is out of reach.
        verified(&store);
        for (i, vector) in vectors.iter().enumerate().step_by(40) {
            add(&store, vector, 1000 + i as Tid).unwrap();
        }
        vacuum(&store, |tid| tid < 1000 && tid % 3 != 0).unwrap();
        let report = verified(&store);
        assert!((1..=250).filter(|tid| tid % 3 == 0).all(|tid| report.rows.contains_key(&tid)));
    }
    assert!(cuts > 50, "only {cuts} crashes");
}
