//! A streaming standby: through inserts, updates, deletes, vacuums and builds on the primary, a search on the standby answers
//! exactly as on the primary; after its promotion it goes on as one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use lagoon_tests::{
    Cluster, DEADLINE, Session, assert_sound, beside, create_table, describe, give_to_owner, scratch, wait_for,
};

/// With what each is asked for, `q` being the number of a query.
const INDEXES: [(&str, &str); 4] = [
    ("t_v", "v <-> probe(q)"),
    ("t_cosine", "v <=> probe(q)"),
    ("t_lists", "v <#> probe(q)"),
    ("t_s", "s <-> sparse(q)"),
];

#[test]
fn a_standby_answers_as_the_primary_and_goes_on_after_promotion() {
    // Replay compares each page that it makes with the image that the primary logged, and ends the standby at a difference.
    let shared = scratch();
    let datasets = format!("lagoon.dataset_directory={}", shared.path().display());
    // A plan with what is switched off in it costs enough to be compiled, for each call of a function.
    let settings = ["wal_consistency_checking=all", "autovacuum=off", "fsync=off", "jit=off", &datasets];
    let primary = Cluster::with_lagoon(&settings);
    create_table(&primary);
    primary.psql(
        "CREATE FUNCTION probe(q int) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS
             'SELECT spread(ARRAY(SELECT sin(q * d) FROM generate_series(1, 8) AS d ORDER BY d))'",
    );
    primary.psql("CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops)");
    install_a_plugin(&primary);
    // On a busy machine the consistency checks fall behind, and the replay would end searches that it has to wait for.
    let standby = Cluster::standby_of(&primary, &["jit=off", "max_standby_streaming_delay=10min", &datasets]);
    call_a_plugin(&standby);
    let writer = primary.session();
    read_a_dataset(&writer, &standby.session(), shared.path());
    writer.exec("SELECT setseed(0.25)");
    for round in 0..5 {
        let (searching, watching) = (standby.session(), standby.session());
        beside(&[&|| search(&searching)], || {
            change(&writer, round);
            catch_up(&writer, &watching);
        });
        compare(&writer, &standby.session(), round);
    }
    let last = writer.one("SELECT count(*) FROM t");
    primary.stop("fast");

    standby.psql("SELECT pg_promote()");
    let promoted = standby.session();
    assert_eq!(promoted.one("SELECT count(*) FROM t"), last);
    promoted.exec("SELECT setseed(0.75)");
    for round in [1, 3] {
        change(&promoted, round);
        assert_sound(&promoted, "t_v");
    }
}

/// A dataset in a shared directory, ingested after the base backup.
fn read_a_dataset(primary: &Session, standby: &Session, folder: &Path) {
    let csv = folder.join("a.csv");
    std::fs::write(&csv, "id\n1\n2\n").unwrap();
    give_to_owner(&csv);
    primary.exec(&format!("SELECT lagoon.ingest('d', '{}')", csv.display()));
    primary.exec("CREATE FOREIGN TABLE d () SERVER lagoon OPTIONS (dataset 'd')");
    catch_up(primary, standby);
    for session in [primary, standby] {
        assert_eq!(session.one("SELECT sum(id) FROM d WHERE id > 1"), "2");
    }
    for statement in
        ["ingest('d', '/x')", "drop_dataset('d')", "grant_dataset('d', 'public')", "remove_orphaned_files()"]
    {
        assert_eq!(standby.sqlstate(&format!("SELECT lagoon.{statement}")), "25006", "{statement}");
    }
}

/// The path of the compile cache.
fn cache(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("data/lagoon/pgsql_tmp_wasm")
}

/// A plugin of the primary, whose compiled code was not in the base backup.
fn install_a_plugin(primary: &Cluster) {
    let text = r#"(module (func (export "lagoon_abi_1")) (func (export "answer") (result i32) (i32.const 42)))"#;
    let hex: String = wat::parse_str(text).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    primary.psql(&format!("SELECT lagoon.install_plugin('p', '\\x{hex}')"));
    primary.psql("CREATE FUNCTION answer() RETURNS int LANGUAGE wasm STRICT AS 'p:answer'");
    assert!(cache(primary).exists());
}

/// Functions that write are refused with the words of PostgreSQL's own commands, before anything is read or compiled.
fn call_a_plugin(standby: &Cluster) {
    assert!(!cache(standby).exists(), "caches are not backed up");
    let session = standby.session();
    assert_eq!(session.one("SELECT answer()"), "42");
    for call in [
        "install_plugin('q', '')",
        "install_plugin_file('/nowhere')",
        "remove_plugin('p')",
        "reload_plugins()",
        "register_dataset('d', '/nowhere')",
        "register_model('m', '/nowhere')",
        "drop_model('m')",
    ] {
        assert_eq!(session.sqlstate(&format!("SELECT lagoon.{call}")), "25006", "{call}");
    }
}

/// One round of everything that writes into the indexes.
fn change(session: &Session, round: u32) {
    session.exec(
        "INSERT INTO t (v) SELECT spread(ARRAY(SELECT random() - 0.5 FROM generate_series(1, 8) WHERE i > 0))
         FROM generate_series(1, 250) AS i",
    );
    session.exec("BEGIN; INSERT INTO t (v) SELECT v + v FROM t WHERE id % 7 = 0; ROLLBACK");
    session.exec("UPDATE t SET v = v * spread('{2,1,1,1,1,1,1,1}') WHERE id % 20 = 0");
    session.exec("DELETE FROM t WHERE random() < 0.3");
    match round % 4 {
        1 => session.exec("VACUUM t"),
        2 => {
            session.exec("REINDEX INDEX CONCURRENTLY t_v");
            session.exec("REINDEX INDEX t_lists");
        }
        3 => {
            session.exec("DELETE FROM t WHERE id % 4 <> 0");
            session.exec("VACUUM t");
            session.exec("DROP INDEX t_cosine; CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops)");
        }
        _ => {}
    }
}

/// Waits until the standby has replayed all that the primary has written.
fn catch_up(primary: &Session, standby: &Session) {
    // A record of its own at the end, whose commit brings all before it to the disk at once.
    let written = primary.one("SELECT pg_logical_emit_message(true, 'lagoon', 'end of round')");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    wait_for("replay on the standby", DEADLINE, || (standby.one(&replayed) == "t").then_some(()));
}

/// The ten nearest to each of 25 points, with their distances, through the index.
fn answers(session: &Session, index: &str, distance: &str) -> Vec<Vec<Option<String>>> {
    session.exec("SET enable_seqscan = off; SET enable_sort = off; SET ivfflat.probes = 8");
    let sql = format!(
        "SELECT q, id, distance FROM generate_series(1, 25) AS q, LATERAL (
             SELECT id, {distance} AS distance FROM t ORDER BY {distance} LIMIT 10) AS nearest"
    );
    let plan: String = session.rows(&format!("EXPLAIN {sql}")).into_iter().flatten().flatten().collect();
    assert!(plan.contains(index), "not through {index}: {plan}");
    session.rows(&sql)
}

fn compare(primary: &Session, standby: &Session, round: u32) {
    for (index, distance) in INDEXES {
        let expected = answers(primary, index, distance);
        assert_eq!(expected.len(), 250, "round {round}, {index}");
        assert_eq!(expected, answers(standby, index, distance), "round {round}, {index}");
    }
    assert_sound(primary, "t_v");
    assert_sound(standby, "t_v");
}

/// A search while changes are replayed. It may give way to replay (40001); any other error is a failure.
fn search(session: &Session) {
    session.exec("SET enable_seqscan = off");
    match session.try_rows("SELECT v <-> spread('{1,0,0,0,0,0,0,0}') AS distance FROM t ORDER BY distance LIMIT 40") {
        Ok(rows) => {
            let distances: Vec<f64> = rows.into_iter().flatten().flatten().map(|d| d.parse().unwrap()).collect();
            assert!(distances.is_sorted(), "{distances:?}");
        }
        Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("40001"), "{}", describe(&error)),
    }
}
