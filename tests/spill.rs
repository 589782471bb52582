//! Queries of the engine with less memory than they need: temporary files that are never left behind, and a limit for all
//! sessions together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use lagoon_tests::{Cluster, DEADLINE, Session, describe, give_to_owner, scratch, wait_for};
use tempfile::TempDir;

/// Rows of the table `part`, and of what a join of it with some of itself gives.
const ROWS: usize = 20_000;
const PAIRS: usize = 100 * ROWS;

/// What sorts all pairs, the last ones first.
const SORTED: &str = "SELECT a.i AS i, b.i AS j FROM part AS a, part AS b WHERE b.i < 100 ORDER BY b.i DESC, a.i DESC";
/// What groups all pairs.
const GROUPED: &str = "SELECT count(*), sum(n), sum(i), sum(j)
    FROM (SELECT a.i AS i, b.i AS j, count(*) AS n FROM part AS a, part AS b WHERE b.i < 100 GROUP BY a.i, b.i) AS s";

fn cluster(settings: &[&str]) -> (Cluster, TempDir) {
    let place = scratch();
    let rows: String = (0..ROWS).map(|i| format!("{i},{}.5\n", i * 7)).collect();
    std::fs::write(place.path().join("part.csv"), format!("i,f\n{rows}")).unwrap();
    give_to_owner(place.path());
    let own = ["shared_preload_libraries=lagoon", "lagoon.pushdown=full", "lagoon.memory_limit=64MB", "autovacuum=off"];
    let cluster = Cluster::with_lagoon(&[&own, settings].concat());
    cluster.session().exec(&format!(
        "SELECT lagoon.ingest('part', '{}'); CREATE FOREIGN TABLE part () SERVER lagoon OPTIONS (dataset 'part')",
        place.path().join("part.csv").display()
    ));
    (cluster, place)
}

fn grouped() -> Vec<Option<String>> {
    let sum_of = |count: usize| (count * (count - 1) / 2) as u64;
    let (of_i, of_j) = (sum_of(ROWS) * 100, sum_of(100) * ROWS as u64);
    [PAIRS as u64, PAIRS as u64, of_i, of_j].into_iter().map(|number| Some(number.to_string())).collect()
}

/// Our files among PostgreSQL's temporary ones.
fn files(cluster: &Cluster) -> usize {
    let folder = cluster.dir().join("data/base/pgsql_tmp");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains("lagoon")).count()
}

fn wait_for_no_file(cluster: &Cluster) {
    wait_for("the temporary files to be gone", DEADLINE, || (files(cluster) == 0).then_some(()));
}

/// A session with a cursor over sorted rows, which has read some: the rest is in files.
fn with_open_sort(cluster: &Cluster) -> Session<'_> {
    let session = cluster.session();
    session.exec(&format!("BEGIN; DECLARE c CURSOR FOR {SORTED}"));
    assert_eq!(session.rows("FETCH 1 FROM c"), [[Some((ROWS - 1).to_string()), Some("99".to_owned())]]);
    assert!(files(cluster) > 0, "nothing is in files");
    session
}

#[test]
fn temporary_files_are_gone_whatever_ends_a_query() {
    let (cluster, _place) = cluster(&[]);

    let session = with_open_sort(&cluster);
    let rest = session.rows("FETCH ALL FROM c");
    assert_eq!(rest.len(), PAIRS - 1);
    assert_eq!(rest.last().unwrap(), &[Some("0".to_owned()), Some("0".to_owned())]);
    session.exec("COMMIT");
    wait_for_no_file(&cluster);
    assert_eq!(session.rows(GROUPED), [grouped()]);
    wait_for_no_file(&cluster);

    let session = with_open_sort(&cluster);
    session.exec("ROLLBACK");
    wait_for_no_file(&cluster);

    let session = with_open_sort(&cluster);
    assert_eq!(session.sqlstate("SELECT 1 / 0"), "22012");
    wait_for_no_file(&cluster);

    let session = with_open_sort(&cluster);
    let pid = session.one("SELECT pg_backend_pid()");
    cluster.psql(&format!("SELECT pg_terminate_backend({pid})"));
    wait_for_no_file(&cluster);

    drop(with_open_sort(&cluster));
    wait_for_no_file(&cluster);

    // A crash: PostgreSQL deletes them with its own.
    let session = with_open_sort(&cluster);
    let (pid, starts) = (session.one("SELECT pg_backend_pid()"), cluster.starts());
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    wait_for("the server after a crash", DEADLINE, || (cluster.starts() > starts).then_some(()));
    assert_eq!(files(&cluster), 0);

    let _session = with_open_sort(&cluster);
    cluster.kill();
    assert!(files(&cluster) > 0, "nothing was left");
    cluster.start_again();
    assert_eq!(files(&cluster), 0);
}

#[test]
fn temporary_files_have_the_limit_of_postgresql() {
    let (cluster, _place) = cluster(&["temp_file_limit=1MB"]);
    let session = cluster.session();
    let error = session.try_rows(SORTED).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "53400", "{}", describe(&error));
    assert!(describe(&error).contains("temporary file size exceeds temp_file_limit (1024kB)"), "{}", describe(&error));
    wait_for_no_file(&cluster);
    assert_eq!(session.one("SELECT count(*) FROM part"), ROWS.to_string());
}

#[test]
fn what_cannot_go_on_in_files_is_an_error() {
    let (cluster, _place) = cluster(&[]);
    let session = cluster.session();
    // A window over all rows keeps them.
    let sql =
        "SELECT max(s + i) FROM (SELECT a.i, sum(b.i) OVER () AS s FROM part AS a, part AS b WHERE b.i < 500) AS l";
    let error = session.try_rows(sql).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "53200", "{}", describe(&error));
    assert!(describe(&error).contains("lagoon.memory_limit"), "{}", describe(&error));
    assert_eq!(session.one("SELECT count(*) FROM part"), ROWS.to_string());
}

/// Ninety sessions at once have what they are allowed together, each an answer or an error, and nothing is left of it.
#[test]
fn all_sessions_stay_within_the_limit_of_the_server() {
    const LIMIT: u64 = 128 << 20;
    let limit = format!("lagoon.total_memory_limit={}MB", LIMIT >> 20);
    let (cluster, _place) = cluster(&[&limit, "max_connections=110", "fsync=off"]);
    let used = |session: &Session<'_>| -> u64 {
        session.one("SELECT coalesce(sum(used), 0) FROM lagoon.memory").parse().unwrap()
    };
    let sessions: Vec<_> = (0..90).map(|_| cluster.session()).collect();
    let observer = cluster.session();
    let mut most = 0;
    std::thread::scope(|scope| {
        let run = |session: &Session<'_>| match session.try_rows(GROUPED) {
            Ok(rows) => assert_eq!(rows, [grouped()]),
            Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("53200"), "{}", describe(&error)),
        };
        let running: Vec<_> = sessions.iter().map(|session| scope.spawn(move || run(session))).collect();
        while running.iter().any(|thread| !thread.is_finished()) {
            most = most.max(used(&observer));
        }
    });
    assert!(most > 0 && most <= LIMIT, "{most} bytes of {LIMIT}");
    wait_for("all memory to be given back", DEADLINE, || (used(&observer) == 0).then_some(()));
    assert_eq!(observer.one("SELECT count(*) FROM lagoon.memory"), "90");
    drop(sessions);
    wait_for("the rows of sessions that have ended", DEADLINE, || {
        (observer.one("SELECT count(*) FROM lagoon.memory") == "0").then_some(())
    });
    assert_eq!(cluster.session().rows(GROUPED), [grouped()]);
    wait_for_no_file(&cluster);
}

#[test]
fn a_session_that_is_killed_gives_back_its_memory() {
    let (cluster, _place) = cluster(&["lagoon.total_memory_limit=64MB"]);
    let session = with_open_sort(&cluster);
    let pid = session.one("SELECT pg_backend_pid()");
    cluster.psql(&format!("SELECT pg_terminate_backend({pid})"));
    let observer = cluster.session();
    wait_for("its row to be gone", DEADLINE, || {
        (observer.one(&format!("SELECT count(*) FROM lagoon.memory WHERE pid = {pid}")) == "0").then_some(())
    });
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    for _ in 0..3 {
        assert_eq!(observer.rows(GROUPED), [grouped()]);
    }
}
