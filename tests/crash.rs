//! kill -9 while clients write into a table with hnsw and ivfflat indexes, beside VACUUM and a build: after the restart every row whose
//! commit was acknowledged is there, is found through the index, and `lagoon.verify_index` has nothing to say.
//!
//! `LAGOON_CRASH_CYCLES` (20) and `LAGOON_CRASH_SEED` (1) say how often and which; a failure prints both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lagoon_tests::{
    Cluster, DEADLINE, FIRST_ROW, FIRST_ROWS, Session, assert_sound, create_table, describe, is_end_of_server, wait_for,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const WRITERS: u64 = 3;
const BUILD: &str = "CREATE INDEX t_v2 ON t USING hnsw (v vector_cosine_ops); DROP INDEX t_v2";

/// What one client knows: the rows whose INSERT or DELETE was acknowledged, and the one whose fate is open.
#[derive(Default)]
struct Knowledge {
    rows: BTreeMap<u64, bool>,
    open: Option<u64>,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn no_acknowledged_row_is_lost() {
    let (cycles, seed) = (setting("LAGOON_CRASH_CYCLES", 20), setting("LAGOON_CRASH_SEED", 1));
    let cluster = Cluster::with_lagoon(&[
        "shared_preload_libraries=lagoon",
        // Only processes die here, not the machine: what was handed to the kernel is safe.
        "fsync=off",
        // Recovery compares each page that it rebuilds with its image.
        "wal_consistency_checking=generic",
        "checkpoint_timeout=30s",
        "jit=off",
        "autovacuum_naptime=1s",
    ]);
    create_table(&cluster);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut known: BTreeMap<u64, bool> = (FIRST_ROW..FIRST_ROW + FIRST_ROWS).map(|id| (id, true)).collect();
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        // Every third cycle nothing else takes locks, every third a build does.
        let others: &[&str] = [&[][..], &["VACUUM t"], &["VACUUM t", BUILD]][(cycle % 3) as usize];
        let enough = rng.random_range(50..250);
        eprintln!("cycle {cycle} of seed {seed}: kill after {enough} writes beside {others:?}");
        let news = write_until_killed(&cluster, &mut rng, cycle, others, enough);
        let start = Instant::now();
        cluster.start_again();
        slowest = slowest.max(start.elapsed());
        check(&cluster, &mut known, news);
    }
    eprintln!("the slowest of {cycles} restarts took {slowest:?}");
}

/// Kills the server also when the test fails meanwhile: its clients would go on for ever.
struct Kill<'a>(&'a Cluster);

impl Drop for Kill<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Lets clients write, kills the server after `enough` acknowledged writes; what each client knows.
fn write_until_killed(
    cluster: &Cluster,
    rng: &mut StdRng,
    cycle: u64,
    others: &[&str],
    enough: usize,
) -> Vec<Knowledge> {
    let done = AtomicUsize::new(0);
    // Connected first: on a busy machine the server may be gone before a thread gets to it.
    let others: Vec<_> = others.iter().map(|sql| (cluster.session(), sql)).collect();
    std::thread::scope(|scope| {
        let kill = Kill(cluster);
        for (session, sql) in others {
            scope.spawn(move || repeat(&session, sql));
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (done, seed) = (&done, rng.random());
                let session = cluster.session();
                scope.spawn(move || write(&session, (cycle * WRITERS + writer) << 32, seed, done))
            })
            .collect();
        wait_for("enough writes", DEADLINE, || (done.load(Ordering::Relaxed) >= enough).then_some(()));
        // Any moment is as good as another; this one is not always that of an acknowledgement.
        std::thread::sleep(Duration::from_micros(rng.random_range(0..20_000)));
        drop(kill);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

/// Inserts rows, and deletes one of its own now and then, until the server is gone.
fn write(session: &Session, first: u64, seed: u64, done: &AtomicUsize) -> Knowledge {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut known = Knowledge::default();
    for id in first.. {
        if write_one(session, &mut known, id, true, &insert(id, &mut rng)).is_none() {
            break;
        }
        done.fetch_add(1, Ordering::Relaxed);
        if rng.random_ratio(2, 5) {
            let victim = rng.random_range(first..=id);
            if write_one(session, &mut known, victim, false, &format!("DELETE FROM t WHERE id = {victim}")).is_none() {
                break;
            }
        }
    }
    known
}

/// One statement; `None` when the server went away meanwhile. Any other error is a failure of the test.
fn write_one(session: &Session, known: &mut Knowledge, id: u64, is_there: bool, sql: &str) -> Option<()> {
    match session.try_rows(sql) {
        Ok(_) => {
            known.rows.insert(id, is_there);
            Some(())
        }
        Err(error) => {
            assert!(is_end_of_server(&error), "{sql}\n{}", describe(&error));
            known.open = Some(id);
            None
        }
    }
}

fn insert(id: u64, rng: &mut StdRng) -> String {
    let vector: Vec<String> = (0..8).map(|_| format!("{:.4}", rng.random_range(-1.0..1.0f32))).collect();
    format!("INSERT INTO t VALUES ({id}, spread('{{{}}}'))", vector.join(","))
}

/// Runs a statement again and again until the server is gone.
fn repeat(session: &Session, sql: &str) {
    loop {
        if let Err(error) = session.try_rows(sql) {
            assert!(is_end_of_server(&error), "{sql}\n{}", describe(&error));
            return;
        }
    }
}

/// The table holds what clients know, and the index what the table holds.
fn check(cluster: &Cluster, known: &mut BTreeMap<u64, bool>, news: Vec<Knowledge>) {
    let session = cluster.session();
    let there = |id: u64| session.one(&format!("SELECT count(*) FROM t WHERE id = {id}")) == "1";
    for Knowledge { rows, open } in news {
        known.extend(rows);
        if let Some(id) = open {
            known.insert(id, there(id)); // either is right, from now on only that one
        }
    }
    let wanted: Vec<u64> = known.iter().filter(|(_, is_there)| **is_there).map(|(id, _)| *id).collect();
    let found: Vec<u64> = session
        .rows("SELECT id FROM t ORDER BY id")
        .into_iter()
        .flatten()
        .flatten()
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(wanted, found, "acknowledged rows, and those in the table");

    assert_sound(&session, "t_v");
    eprintln!("  {} rows, all found", found.len());
}
