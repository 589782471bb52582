//! Memory that cannot be had is an ERROR: the session that asked for it lives, and so do all others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use lagoon_tests::{Cluster, Session, as_owner, run};

/// What a session may take from now on, besides what it has.
fn limit(pid: &str, bytes: Option<u64>) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| (size * 1024 + bytes).to_string());
    run(as_owner("prlimit").args(["--pid", pid, &format!("--as={limit}:")]));
}

/// The SQLSTATE of a statement of a session that may take so many bytes. The session goes on.
fn within(session: &Session<'_>, bytes: u64, sql: &str) -> String {
    let pid = session.one("SELECT pg_backend_pid()");
    limit(&pid, Some(bytes));
    let sqlstate = session.sqlstate(sql);
    limit(&pid, None);
    assert_eq!(session.one("SELECT pg_backend_pid()"), pid);
    sqlstate
}

#[test]
fn an_index_that_does_not_fit_into_memory_is_an_error() {
    let cluster =
        Cluster::with_lagoon(&["maintenance_work_mem=2GB", "max_parallel_maintenance_workers=1", "fsync=off"]);
    let session = cluster.session();
    session.exec("CREATE TABLE wide AS SELECT i, array_fill(i, ARRAY[1000])::vector(1000) AS v FROM generate_series(1, 20000) AS i");
    session.exec(
        "CREATE TABLE long AS SELECT ARRAY[i, i % 100, i % 7]::vector(3) AS v FROM generate_series(1, 300000) AS i",
    );
    session.exec("CREATE INDEX lists ON long USING ivfflat (v vector_l2_ops) WITH (lists = 10)");
    session.exec("SELECT lagoon.verify_index('lists')");
    for (bytes, sql) in [
        (24 << 20, "CREATE INDEX ON wide USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 8)"),
        (12 << 20, "CREATE INDEX ON wide USING ivfflat (v vector_l2_ops) WITH (lists = 400)"),
        (8 << 20, "SELECT lagoon.verify_index('lists')"),
    ] {
        assert_eq!(within(&session, bytes, sql), "53200", "{sql}");
    }
    assert!(!cluster.log().contains("terminated by signal"), "{}", cluster.log());
    assert_eq!(session.one("SELECT bool_and(passed) FROM lagoon.verify_index('lists')"), "t");
}
