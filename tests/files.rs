//! What readers see of Parquet files that others replace meanwhile, that lie behind links, or that they have no right to;
//! and what they leave behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use lagoon_tests::{Cluster, DEADLINE, Session, beside, describe, give_to_owner, wait_for};

const ROWS: usize = 200_000;

/// A server, a Parquet file in which every value is 1, and one of as many rows in which every value is 2.
struct Lake {
    cluster: Cluster,
    ones: PathBuf,
    twos: PathBuf,
}

impl Lake {
    fn new(settings: &[&str]) -> Self {
        let cluster = Cluster::with_lagoon(settings);
        let [ones, twos] = ["1", "2"].map(|value| {
            let csv = cluster.dir().join(format!("{value}.csv"));
            fs::write(&csv, format!("v\n{}", format!("{value}\n").repeat(ROWS))).unwrap();
            give_to_owner(&csv);
            let ingest = format!("SELECT file FROM lagoon.ingest('all_{value}', '{}')", csv.display());
            PathBuf::from(cluster.session().one(&ingest))
        });
        Self { cluster, ones, twos }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.cluster.dir().join(name);
        fs::create_dir(&folder).unwrap();
        give_to_owner(&folder);
        folder
    }
}

fn put(from: &Path, to: &Path) {
    let temporary = to.with_extension("tmp");
    fs::copy(from, &temporary).unwrap();
    give_to_owner(&temporary);
    fs::rename(&temporary, to).unwrap();
}

fn table(session: &Session<'_>, name: &str, path: &Path) {
    let path = path.display();
    session.exec(&format!("CREATE FOREIGN TABLE {name} (v bigint) SERVER lagoon OPTIONS (path '{path}')"));
}

fn message(session: &Session<'_>, sql: &str) -> String {
    describe(&session.try_rows(sql).expect_err(sql))
}

#[test]
fn a_file_that_is_replaced_is_read_as_it_was_or_as_it_is() {
    let lake = Lake::new(&["fsync=off"]);
    let session = lake.cluster.session();
    let path = lake.folder("lake").join("t.parquet");
    put(&lake.ones, &path);
    table(&session, "t", &path);

    let turn = AtomicUsize::new(0);
    let replace = || {
        let from = if turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { &lake.twos } else { &lake.ones };
        put(from, &path);
    };
    beside(&[&replace], || {
        for _ in 0..100 {
            let found = session.rows("SELECT count(*), max(v) - min(v) FROM t").remove(0);
            assert_eq!(found, [Some(ROWS.to_string()), Some("0".to_owned())], "rows of two files in one answer");
        }
    });

    put(&lake.ones, &path);
    session.exec("BEGIN; DECLARE c CURSOR FOR SELECT v FROM t");
    assert_eq!(session.one("FETCH 1 FROM c"), "1");
    put(&lake.twos, &path);
    let rest = session.rows("FETCH ALL FROM c");
    assert_eq!(rest.len(), ROWS - 1);
    assert!(rest.iter().all(|row| row[0].as_deref() == Some("1")), "a cursor goes on in the file that it began with");
    session.exec("COMMIT");
    assert_eq!(session.one("SELECT sum(v) FROM t"), (2 * ROWS).to_string());
}

#[test]
fn a_link_leads_nobody_out_of_the_permitted_directories() {
    let lake = Lake::new(&["fsync=off"]);
    let (inside, outside) = (lake.folder("inside"), lake.folder("outside"));
    let (permitted, secret) = (inside.join("permitted.parquet"), outside.join("secret.parquet"));
    put(&lake.ones, &permitted);
    put(&lake.twos, &secret);
    let link = inside.join("link.parquet");
    symlink(&permitted, &link).unwrap();
    let session = lake.cluster.session();
    session.exec(&format!(
        "CREATE ROLE reader; CREATE ROLE stranger; GRANT CREATE ON SCHEMA public TO reader;
         GRANT USAGE ON FOREIGN SERVER lagoon TO reader; SET lagoon.data_directories = '{}'; SET ROLE reader",
        inside.display()
    ));
    table(&session, "t", &link);
    assert_eq!(session.one("SELECT sum(v) FROM t"), ROWS.to_string());

    // Whoever swaps the link between the check and the open gets what was checked, or nothing.
    let turn = AtomicUsize::new(0);
    let swap = || {
        let target = if turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { &secret } else { &permitted };
        let other = inside.join("other");
        symlink(target, &other).unwrap();
        fs::rename(&other, &link).unwrap();
    };
    beside(&[&swap], || {
        for _ in 0..1000 {
            match session.try_rows("SELECT max(v) FROM t") {
                Ok(rows) => assert_eq!(rows[0][0].as_deref(), Some("1"), "a row from outside"),
                Err(error) => assert_eq!(error.code().unwrap().code(), "42501", "{}", describe(&error)),
            }
        }
    });

    // A link does not tell whether there is something at its end.
    let said = [&secret, &outside.join("nothing.parquet")].map(|target| {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        message(&session, "SELECT max(v) FROM t")
    });
    assert_eq!(said[0], said[1]);

    // Nor does a plan name files to somebody who may not read the table.
    session.exec("RESET ROLE; SET ROLE stranger");
    for sql in ["EXPLAIN SELECT * FROM t", "SELECT count(*) FROM t"] {
        let said = message(&session, sql);
        assert!(said.contains("permission denied") && !said.contains(".parquet"), "{sql}: {said}");
    }
}

/// A plan that is kept knows the files of its first execution, and the rights that there were then.
#[test]
fn a_cached_plan_reads_what_is_there_by_the_rights_that_there_are() {
    let lake = Lake::new(&["fsync=off"]);
    let path = lake.folder("lake").join("t.parquet");
    put(&lake.ones, &path);
    let session = lake.cluster.session();
    let permit = format!("SET lagoon.data_directories = '{}'", path.parent().unwrap().display());
    session.exec(&format!(
        "CREATE ROLE reader; CREATE ROLE stranger; GRANT CREATE ON SCHEMA public TO reader;
         GRANT USAGE ON FOREIGN SERVER lagoon TO reader; {permit}; SET ROLE reader"
    ));
    table(&session, "t", &path);
    session.exec(
        "RESET ROLE; SELECT lagoon.grant_dataset('all_1', 'reader'); SET ROLE reader;
         CREATE FOREIGN TABLE d (v bigint) SERVER lagoon OPTIONS (dataset 'all_1'); RESET ROLE;
         SET plan_cache_mode = force_generic_plan;
         PREPARE of_path AS SELECT sum(v) FROM t; PREPARE of_dataset AS SELECT sum(v) FROM d",
    );
    for prepared in ["of_path", "of_dataset"] {
        for _ in 0..3 {
            assert_eq!(session.one(&format!("EXECUTE {prepared}")), ROWS.to_string());
        }
    }

    // Other rows, other columns, no file.
    put(&lake.twos, &path);
    assert_eq!(session.one("EXECUTE of_path"), (2 * ROWS).to_string());
    let csv = lake.cluster.dir().join("w.csv");
    fs::write(&csv, "w\n1\n").unwrap();
    give_to_owner(&csv);
    let other = session.one(&format!("SELECT file FROM lagoon.ingest('other', '{}')", csv.display()));
    put(Path::new(&other), &path);
    assert_eq!(session.sqlstate("EXECUTE of_path"), "HV005");
    fs::remove_file(&path).unwrap();
    assert_eq!(session.sqlstate("EXECUTE of_path"), "58P01");
    put(&lake.twos, &path);
    assert_eq!(session.one("EXECUTE of_path"), (2 * ROWS).to_string());

    // The rights of the owner of the table, and of whoever executes.
    session.exec("SET lagoon.data_directories = ''");
    assert_eq!(session.sqlstate("EXECUTE of_path"), "42501");
    session.exec(&permit);
    session.exec("SELECT lagoon.revoke_dataset('all_1', 'reader')");
    assert!(message(&session, "EXECUTE of_dataset").contains("permission denied for dataset"));
    session.exec("SELECT lagoon.grant_dataset('all_1', 'reader'); SET ROLE stranger");
    for prepared in ["of_path", "of_dataset"] {
        let said = message(&session, &format!("EXECUTE {prepared}"));
        assert!(said.contains("permission denied for foreign table") && !said.contains(".parquet"), "{said}");
    }
    session.exec("RESET ROLE");
    assert_eq!(session.one("EXECUTE of_path"), (2 * ROWS).to_string());
    assert_eq!(session.one("EXECUTE of_dataset"), ROWS.to_string());
}

/// What is resolved for a plan is for the execution that follows, not for one that comes after something else.
#[test]
fn statements_that_are_planned_ahead_read_what_is_there_when_they_run() {
    let lake = Lake::new(&["fsync=off"]);
    let path = lake.folder("lake").join("t.parquet");
    let session = lake.cluster.session();
    let copy = |from: &Path| {
        let new = path.with_extension("new");
        format!("COPY (SELECT 1) TO PROGRAM 'cp {0} {1} && mv {1} {2}'", from.display(), new.display(), path.display())
    };
    put(&lake.ones, &path);
    table(&session, "t", &path);
    let (ones, twos) = (copy(&lake.ones), copy(&lake.twos));
    session.exec(&format!(
        "CREATE FUNCTION in_sql() RETURNS numeric LANGUAGE sql AS $f$ {twos}; SELECT sum(v) FROM t $f$;
         CREATE FUNCTION in_plpgsql() RETURNS numeric LANGUAGE plpgsql
         AS $f$ BEGIN {ones}; RETURN (SELECT sum(v) FROM t); END $f$"
    ));
    let (one, two) = (ROWS.to_string(), (2 * ROWS).to_string());
    for _ in 0..2 {
        assert_eq!(session.one("SELECT in_sql()"), two);
        assert_eq!(session.one("SELECT in_plpgsql()"), one);
    }
    let both = session.rows("SELECT in_sql(), in_plpgsql() FROM generate_series(1, 3)");
    assert!(both.iter().all(|row| *row == [Some(two.clone()), Some(one.clone())]), "{both:?}");

    // A statement that a rule adds is planned with the one that it is added to.
    session.exec(
        "CREATE TABLE log (file text); CREATE TABLE sums (sum numeric);
         CREATE FOREIGN TABLE d (v bigint) SERVER lagoon OPTIONS (dataset 'all_1');
         CREATE RULE added AS ON INSERT TO log DO ALSO INSERT INTO sums SELECT sum(v) FROM d",
    );
    let csv = lake.cluster.dir().join("2.csv");
    session.exec(&format!("INSERT INTO log SELECT file FROM lagoon.ingest('all_1', '{}')", csv.display()));
    assert_eq!(session.one("SELECT sum FROM sums"), (3 * ROWS).to_string());

    // A portal that is bound by one message and started by a later one.
    put(&lake.ones, &path);
    session.exec("CREATE TABLE copied (v bigint)");
    lake.cluster.block_on(async {
        let mut client = lake.cluster.connect().await;
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("INSERT INTO copied SELECT v FROM t", &[]).await.unwrap();
        put(&lake.twos, &path);
        transaction.query_portal(&portal, 0).await.unwrap();
        transaction.commit().await.unwrap();
    });
    assert_eq!(session.one("SELECT sum(v) FROM copied"), two);
}

#[test]
fn a_statement_looks_up_its_files_once() {
    let lake = Lake::new(&["fsync=off"]);
    let session = lake.cluster.session();
    session.exec(
        "CREATE FOREIGN TABLE d (v bigint) SERVER lagoon OPTIONS (dataset 'all_1');
         CREATE FUNCTION in_plpgsql() RETURNS numeric LANGUAGE plpgsql
         AS $f$ BEGIN RETURN (SELECT sum(v) FROM d); END $f$;
         PREPARE of_dataset AS SELECT sum(v) FROM d",
    );
    for (statement, times) in [
        ("SELECT sum(v) FROM d", 1),
        ("SELECT sum(v) FROM d UNION ALL SELECT sum(v) FROM d", 2),
        ("EXPLAIN SELECT sum(v) FROM d", 1),
        ("EXECUTE of_dataset", 1),
        ("EXPLAIN EXECUTE of_dataset", 0),
        ("EXECUTE of_dataset", 1),
        ("SELECT in_plpgsql()", 1),
        ("SELECT in_plpgsql()", 1),
        ("DECLARE c CURSOR FOR SELECT v FROM d; FETCH 10 FROM c", 1),
    ] {
        let looked = || {
            let scans = "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_xact_all_tables
                         WHERE relid = 'lagoon.datasets'::regclass";
            session.one(scans).parse::<u64>().unwrap()
        };
        session.exec("BEGIN");
        let before = looked();
        session.exec(statement);
        assert_eq!(looked() - before, times, "{statement}");
        session.exec("ROLLBACK");
    }
}

#[test]
fn what_open_cursors_took_is_given_back_when_they_end() {
    let cluster = Cluster::with_lagoon(&["fsync=off"]);
    let csv = cluster.dir().join("texts.csv");
    fs::write(&csv, format!("t\n{}", format!("{}\n", "x".repeat(1 << 20)).repeat(32))).unwrap();
    give_to_owner(&csv);
    let session = cluster.session();
    session.exec(&format!(
        "SELECT lagoon.ingest('texts', '{}');
         CREATE FOREIGN TABLE texts (t text) SERVER lagoon OPTIONS (dataset 'texts')",
        csv.display()
    ));
    // A session of its own: what ingest took is another matter.
    let session = cluster.session();
    let process = session.one("SELECT pg_backend_pid()");
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    session.exec("BEGIN");
    for number in 0..60 {
        session.exec(&format!("DECLARE c{number} CURSOR FOR SELECT t FROM texts; FETCH 1 FROM c{number}"));
    }
    let open = resident();
    session.exec("ROLLBACK");
    assert!(open > 200, "the cursors hold what they have fetched: {open} MB");
    wait_for("memory to be given back", DEADLINE, || (resident() < 100).then_some(()));
}
