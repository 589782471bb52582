//! Everything at once on hnsw and ivfflat indexes: clients insert, update, delete and search while the indexes are vacuumed, rebuilt
//! and checked. At the end the table holds what the clients know, and the indexes what the table holds.
//!
//! `LAGOON_STRESS_WRITES` (400) says how much each writer writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use lagoon_tests::{Cluster, FIRST_ROW, FIRST_ROWS, Session, assert_sound, beside, create_table};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const WRITERS: u64 = 3;

#[test]
fn writers_searchers_vacuum_and_builds_at_once() {
    let writes = std::env::var("LAGOON_STRESS_WRITES").ok().and_then(|value| value.parse().ok()).unwrap_or(400);
    let cluster = Cluster::with_lagoon(&["fsync=off", "autovacuum_naptime=1s", "jit=off"]);
    create_table(&cluster);

    let cluster = &cluster;
    let (searchers, maintainer) = ([cluster.session(), cluster.session()], cluster.session());
    let live: BTreeSet<u64> =
        beside(&[&|| search(&searchers[0]), &|| search(&searchers[1]), &|| maintain(&maintainer)], || {
            std::thread::scope(|scope| {
                let writers: Vec<_> =
                    (0..WRITERS).map(|writer| scope.spawn(move || write(&cluster.session(), writer, writes))).collect();
                let written = writers.into_iter().flat_map(|writer| writer.join().unwrap());
                written.chain(FIRST_ROW..FIRST_ROW + FIRST_ROWS).collect()
            })
        });

    let session = cluster.session();
    let found: BTreeSet<u64> =
        session.rows("SELECT id FROM t").into_iter().flatten().flatten().map(|id| id.parse().unwrap()).collect();
    assert_eq!(live, found, "rows that the writers know, and those in the table");
    assert_sound(&session, "t_v");
    session.exec("VACUUM t");
    assert_sound(&session, "t_v");
}

/// Inserts rows under ids of its own, moves or deletes some of them, takes some inserts back; the ids that are left.
fn write(session: &Session, writer: u64, writes: u64) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(writer);
    let mut live = Vec::new();
    for id in (writer << 32..).take(writes as usize) {
        let insert = format!("INSERT INTO t VALUES ({id}, spread('{}'))", vector(&mut rng));
        if rng.random_ratio(1, 10) {
            session.exec(&format!("BEGIN; {insert}; ROLLBACK"));
            continue;
        }
        session.exec(&insert);
        live.push(id);
        let chosen = rng.random_range(0..live.len());
        match rng.random_range(0..10) {
            0..4 => session.exec(&format!("DELETE FROM t WHERE id = {}", live.swap_remove(chosen))),
            4..6 => {
                session.exec(&format!("UPDATE t SET v = spread('{}') WHERE id = {}", vector(&mut rng), live[chosen]))
            }
            _ => {}
        }
    }
    live
}

fn vector(rng: &mut StdRng) -> String {
    let elements: Vec<String> = (0..8).map(|_| format!("{:.5}", rng.random_range(-1.0..1.0f32))).collect();
    format!("{{{}}}", elements.join(","))
}

/// A search gives rows in order and no row twice.
fn search(session: &Session) {
    session.exec("SET enable_seqscan = off; BEGIN ISOLATION LEVEL REPEATABLE READ");
    let sql =
        "SELECT id, v <-> spread('{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8}') AS distance FROM t ORDER BY distance LIMIT 30";
    for _ in 0..2 {
        let rows = session.rows(sql);
        let ids: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!(ids.len(), rows.len(), "a row twice: {rows:?}");
        let distances: Vec<f64> = rows.iter().map(|row| row[1].as_deref().unwrap().parse().unwrap()).collect();
        assert!(distances.is_sorted(), "{distances:?}");
    }
    session.exec("COMMIT");
}

fn maintain(session: &Session) {
    for sql in [
        "VACUUM t",
        "CREATE INDEX CONCURRENTLY t_v2 ON t USING hnsw (v vector_cosine_ops)",
        "VACUUM t",
        "REINDEX INDEX CONCURRENTLY t_v",
        "REINDEX INDEX CONCURRENTLY t_lists",
        "REINDEX INDEX CONCURRENTLY t_s",
        "DROP INDEX CONCURRENTLY t_v2",
    ] {
        session.exec(sql);
        for index in ["t_v", "t_lists", "t_s"] {
            let findings = session.rows(&format!("SELECT * FROM lagoon.verify_index('{index}') WHERE NOT passed"));
            assert!(findings.is_empty(), "verify_index of {index} after {sql}: {findings:?}");
        }
    }
}
