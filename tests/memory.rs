//! A server that may not take more memory: statements that want more end with an ERROR, and the server goes on.
//!
//! The limit is the address space of each process, `ulimit -v`; PostgreSQL itself reports 53200 when it is reached.
//! `LAGOON_MEMORY_HEADROOM` says how many MB a session may take beyond what it has after its start (1,024).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Instant;

use lagoon_tests::{
    Cluster, DEADLINE, Session, as_owner, describe, give_to_owner, guest, parquet, run, scratch, wait_for,
};

#[test]
fn a_lack_of_memory_is_an_error_and_not_the_end_of_the_server() {
    let headroom: u64 = std::env::var("LAGOON_MEMORY_HEADROOM").map_or(1024, |text| text.parse().unwrap());
    let place = scratch();
    write_files(place.path());
    let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test`");
    let model = std::env::var("LAGOON_MODEL").expect("LAGOON_MODEL: run `make test`");
    let cluster = Cluster::with_lagoon(&[
        &format!("lagoon.onnxruntime_library={library}"),
        "shared_buffers=32MB",
        "maintenance_work_mem=8GB",
        "work_mem=2GB",
        "statement_timeout=20s",
        "autovacuum=off",
        "fsync=off",
    ]);
    let path = |name: &str| place.path().join(name).display().to_string();
    cluster.session().exec(&format!(
        "CREATE FOREIGN TABLE texts () SERVER lagoon OPTIONS (path '{}');
         CREATE FOREIGN TABLE values5 () SERVER lagoon OPTIONS (path '{}');
         SELECT lagoon.register_model('minilm', '{model}');
         SELECT lagoon.install_plugin('loop', {});
         CREATE FUNCTION echo(text) RETURNS text LANGUAGE wasm STRICT AS 'loop:echo';
         CREATE FUNCTION grow(int) RETURNS int LANGUAGE wasm STRICT AS 'loop:grow';
         CREATE TABLE modules AS SELECT {} AS wasm;
         CREATE TABLE wide AS SELECT i AS id, array_fill(i::real, ARRAY[16000])::vector(16000) AS v FROM generate_series(1, 300) AS i",
        path("texts.parquet"),
        path("values.parquet"),
        guest::bytea(&guest::looping()),
        guest::bytea(&guest::large(1, 100_000)),
    ));
    let before = postmaster(&cluster);
    limit(&cluster, &before, headroom);

    let cursors: String =
        (0..200).map(|n| format!("DECLARE c{n} CURSOR FOR SELECT t FROM texts; FETCH 1 FROM c{n};")).collect();
    let cases = [
        ("scan of texts of 2 MB", "SELECT count(*), sum(octet_length(t)) FROM texts".to_owned()),
        ("filter over texts of 2 MB", "SELECT count(*) FROM texts WHERE t LIKE '%xyz%'".to_owned()),
        ("three values of 5 MB", "SELECT octet_length(t) FROM values5 LIMIT 3".to_owned()),
        ("200 cursors", format!("BEGIN; {cursors} ROLLBACK")),
        (
            "all texts at once",
            "SELECT octet_length(string_agg(t, '')) FROM (SELECT t FROM texts LIMIT 300) AS s".to_owned(),
        ),
        ("ingest of one field", format!("SELECT rows FROM lagoon.ingest('field', '{}')", path("field.csv"))),
        ("ingest of wide rows", format!("SELECT rows FROM lagoon.ingest('rows', '{}')", path("rows.csv"))),
        ("ingest of many columns", format!("SELECT rows FROM lagoon.ingest('columns', '{}')", path("columns.csv"))),
        ("hnsw build", "CREATE INDEX wide_hnsw ON wide USING hnsw (v vector_l2_wide_ops)".to_owned()),
        (
            "ivfflat build",
            "CREATE INDEX wide_ivfflat ON wide USING ivfflat (v vector_l2_wide_ops) WITH (lists = 200)".to_owned(),
        ),
        ("aggregates", "SELECT vector_dims(sum(v)), vector_dims(avg(v)) FROM wide".to_owned()),
        ("array of vectors", "SELECT cardinality(array_agg(w.v)) FROM wide AS w, generate_series(1, 60)".to_owned()),
        ("long text", "SELECT lagoon.embed('minilm', repeat('word ', 10000000))".to_owned()),
        ("long word", "SELECT lagoon.embed('minilm', repeat('é', 20000000))".to_owned()),
        (
            "many texts",
            "SELECT cardinality(lagoon.embed('minilm', array_fill(repeat('a b ', 1000000), ARRAY[20])))".to_owned(),
        ),
        ("large module", "SELECT lagoon.install_plugin('large', wasm) FROM modules".to_owned()),
        ("guest", "SELECT octet_length(echo(repeat('x', 50000000))), grow(3000)".to_owned()),
        ("guest with a long text", "SELECT octet_length(echo(repeat('x', 600000000)))".to_owned()),
        ("module of 100 MB", "SELECT lagoon.install_plugin('huge', decode(repeat('00', 100000000), 'hex'))".to_owned()),
    ];
    let mut failures = Vec::new();
    for (name, sql) in cases {
        let starts = cluster.starts();
        let session = cluster.session();
        let start = Instant::now();
        let result = session.try_rows(&sql);
        let time = start.elapsed();
        match result {
            Ok(_) => eprintln!("{name}, {time:.1?}: done"),
            Err(error) => {
                let said = describe(&error);
                let state = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
                eprintln!("{name}, {time:.1?}: {}", said.lines().next().unwrap_or_default());
                // 57014: a machine may be slow; the limit was not met.
                let is_expected = ["53", "54", "LG"].contains(&state.get(..2).unwrap_or_default()) || state == "57014";
                if error.is_closed() {
                    failures.push(format!("{name}: {said}"));
                    wait_for("the server after a crash", DEADLINE, || (cluster.starts() > starts).then_some(()));
                } else if !is_expected {
                    failures.push(format!("{name}: {said}"));
                } else if let Err(error) = session.try_rows("ROLLBACK; SELECT 1") {
                    failures.push(format!("{name}, then SELECT 1: {}", describe(&error)));
                }
            }
        }
    }
    let log = cluster.log();
    failures.extend(log.lines().filter(|line| line.contains("terminated by signal")).map(str::to_owned));
    assert!(failures.is_empty(), "with {headroom} MB:\n{}", failures.join("\n"));
    assert_eq!(postmaster(&cluster), before, "the postmaster is the same");
}

fn postmaster(cluster: &Cluster) -> String {
    let file = std::fs::read_to_string(cluster.dir().join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

/// Gives the postmaster, and so all sessions to come, the address space of a session that has started, and `headroom` MB.
fn limit(cluster: &Cluster, postmaster: &str, headroom: u64) {
    let session = cluster.session();
    session.exec("SELECT '[1]'::vector");
    let limit = (size(&session) + (headroom << 10)) << 10;
    run(as_owner("prlimit").args(["--pid", postmaster, &format!("--as={limit}:{limit}")]));
}

/// The address space of a session's process in kB.
fn size(session: &Session<'_>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", session.one("SELECT pg_backend_pid()"))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn write_files(place: &Path) {
    parquet::write_repeated(&place.join("texts.parquet"), &vec![b'x'; 2_000_000], 1_500).unwrap();
    parquet::write_repeated(&place.join("values.parquet"), &vec![b'x'; 5_000_000], 600).unwrap();
    let field = |length: usize| "x".repeat(length);
    std::fs::write(place.join("field.csv"), format!("a,b\n1,\"{}\"\n2,y\n", field(400_000_000))).unwrap();
    std::fs::write(place.join("rows.csv"), format!("a,b\n{}", format!("1,{}\n", field(4_000_000)).repeat(60))).unwrap();
    let columns = |prefix: &str| (0..1599).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().join(",");
    std::fs::write(place.join("columns.csv"), format!("{}\n{}\n", columns("c"), columns(""))).unwrap();
    give_to_owner(place);
}
