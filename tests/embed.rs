//! The embedding engine inside server processes: it starts late, is left alone, cancelled, killed, and always ends well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, scratch, wait_for};
use tempfile::TempDir;

#[path = "../crates/embed/src/tiny.rs"]
mod tiny;

use tiny::TinyModel;

fn library() -> String {
    std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: the path of libonnxruntime.so; `make test` sets it")
}

/// A cluster with a quick model `tiny` and one that takes seconds, `slow`.
fn cluster() -> (Cluster, TempDir) {
    let place = scratch();
    let library = format!("lagoon.onnxruntime_library={}", library());
    let cluster = Cluster::with_lagoon(&["shared_preload_libraries=lagoon", &library]);
    let slow = TinyModel { width: 256, depth: 4000, max_tokens: 512, ..TinyModel::default() };
    for (name, model) in [("tiny", TinyModel::default()), ("slow", slow)] {
        let directory = place.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        model.write(&directory).unwrap();
        give_to_owner(&directory);
        cluster.psql(&format!("SELECT lagoon.register_model('{name}', '{}')", directory.display()));
    }
    (cluster, place)
}

const SLOW: &str = "SELECT count(*) FROM unnest(lagoon.embed('slow', array_fill(repeat('red ', 400), ARRAY[200])))";

fn pid(session: &Session<'_>) -> String {
    session.one("SELECT pg_backend_pid()")
}

/// Threads of a process, by name.
fn threads(pid: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    tasks.map(|task| name(task.unwrap()).trim().to_owned()).collect()
}

/// Whether a process has the library in its memory.
fn has_library(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().contains("libonnxruntime")
}

fn no_crash(cluster: &Cluster) {
    let log = cluster.log();
    assert!(!log.contains("terminated by signal") && !log.contains("terminating any other active"), "{log}");
}

#[test]
fn the_library_is_loaded_by_the_first_call_and_never_by_the_postmaster() {
    let (cluster, _place) = cluster();
    let session = cluster.session();
    let backend = pid(&session);
    let status = std::fs::read_to_string(format!("/proc/{backend}/status")).unwrap();
    let postmaster = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned();
    session.exec("SELECT * FROM lagoon.embed_status()");
    assert!(!has_library(&backend));
    session.exec("SELECT lagoon.embed('tiny', 'red')");
    assert!(has_library(&backend));
    assert!(!has_library(&postmaster));
    // One engine thread; telemetry would be another.
    assert_eq!(threads(&backend).len(), 2, "{:?}", threads(&backend));
}

#[test]
fn sessions_that_embed_come_and_go_without_a_trace() {
    let (cluster, _place) = cluster();
    for round in 0..100 {
        let session = cluster.session();
        session.exec(&format!("SET lagoon.embed_threads = {}", 1 + round % 2));
        assert_eq!(session.one("SELECT vector_dims(lagoon.embed('tiny', 'red'))"), "8");
    }
    let mine = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let session = cluster.session();
    wait_for("the end of all sessions", DEADLINE, || (session.one(mine) == "1").then_some(()));
    no_crash(&cluster);
}

#[test]
fn a_cancelled_statement_leaves_a_session_that_works() {
    let (cluster, _place) = cluster();
    let session = cluster.session();
    session.exec("SELECT lagoon.embed('slow', 'red')");
    session.exec("SET statement_timeout = '300ms'");
    assert_eq!(session.sqlstate(SLOW), "57014");
    session.exec("SET statement_timeout = 0");
    assert_eq!(session.one("SELECT vector_dims(lagoon.embed('slow', 'green'))"), "256");
    assert_eq!(session.one("SELECT vector_dims(lagoon.embed('tiny', 'green'))"), "8");
    // The abandoned run has stopped early: only texts of whole batches are counted.
    let texts: i64 = session.one("SELECT texts FROM lagoon.embed_status()").parse().unwrap();
    assert!(texts < 150, "{texts} texts were embedded after the cancel");
    no_crash(&cluster);
}

#[test]
fn no_cancel_is_lost_wherever_it_comes() {
    let (cluster, _place) = cluster();
    // While the model is read, loaded and tried, and while texts are tokenised and inferred.
    for milliseconds in [1, 10, 40, 160] {
        let session = cluster.session();
        session.exec(&format!("SET statement_timeout = {milliseconds}"));
        assert_eq!(session.sqlstate(SLOW), "57014", "{milliseconds} ms");
        session.exec("SET statement_timeout = '20s'");
        assert_eq!(session.one("SELECT vector_dims(lagoon.embed('tiny', 'green'))"), "8");
    }
    // A text of megabytes without a word.
    let session = cluster.session();
    session.exec("SELECT lagoon.embed('slow', 'red')");
    session.exec("SET statement_timeout = '20s'");
    assert_eq!(session.one("SELECT vector_dims(lagoon.embed('slow', repeat(E'\\x07', 20000000)))"), "256");
    no_crash(&cluster);
}

#[test]
fn a_call_takes_no_transaction_id_and_works_on_a_standby() {
    let (cluster, place) = cluster();
    let session = cluster.session();
    session.exec("BEGIN; SELECT lagoon.embed('tiny', 'red')");
    assert_eq!(session.one("SELECT pg_current_xact_id_if_assigned() IS NULL"), "t");
    session.exec("COMMIT");
    let library = format!("lagoon.onnxruntime_library={}", library());
    let standby = Cluster::standby_of(&cluster, &[&library]);
    let reader = standby.session();
    wait_for("the model on the standby", DEADLINE, || {
        (reader.one("SELECT count(*) FROM lagoon.models") == "2").then_some(())
    });
    assert_eq!(reader.one("SELECT vector_dims(lagoon.embed('tiny', 'red'))"), "8");
    let register = format!("SELECT lagoon.register_model('new', '{}')", place.path().join("tiny").display());
    assert_eq!(reader.sqlstate(&register), "25006");
}

#[test]
fn a_session_that_is_terminated_while_it_embeds_ends_well() {
    let (cluster, _place) = cluster();
    let observer = cluster.session();
    for _ in 0..5 {
        let victim = cluster.session();
        victim.exec("SELECT lagoon.embed('slow', 'red')");
        let victim_pid = pid(&victim);
        let activity = format!("SELECT state FROM pg_stat_activity WHERE pid = {victim_pid}");
        std::thread::scope(|scope| {
            let running = scope.spawn(|| victim.try_rows(SLOW).is_err());
            wait_for("the statement", DEADLINE, || (observer.one(&activity) == "active").then_some(()));
            observer.exec(&format!("SELECT pg_terminate_backend({victim_pid})"));
            assert!(running.join().unwrap());
        });
        wait_for("its end", DEADLINE, || observer.one(&activity).is_empty().then_some(()));
    }
    assert_eq!(observer.one("SELECT vector_dims(lagoon.embed('tiny', 'red'))"), "8");
    no_crash(&cluster);
}

#[test]
fn models_survive_a_dump() {
    let (cluster, _place) = cluster();
    cluster.psql("CREATE ROLE keeper; UPDATE lagoon.models SET owner = 'keeper' WHERE name = 'tiny'");
    let dump = std::process::Command::new(std::path::Path::new(&lagoon_tests::pg_config("--bindir")).join("pg_dump"))
        .args(["-p", "5432", "-U", "postgres", "-d", "postgres", "-h"])
        .arg(cluster.dir())
        .output()
        .unwrap();
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    assert!(dump.contains("COPY lagoon.models"), "{dump}");
    cluster.psql("CREATE DATABASE restored");
    cluster.psql_in("restored", "CREATE EXTENSION lagoon");
    let rows = "SELECT string_agg(name || dimension || owner, ' ' ORDER BY name) FROM lagoon.models";
    let file = scratch();
    let path = file.path().join("dump.sql");
    std::fs::write(&path, dump).unwrap();
    let psql = std::path::Path::new(&lagoon_tests::pg_config("--bindir")).join("psql");
    let restore = std::process::Command::new(psql)
        .args(["-X", "-q", "-p", "5432", "-U", "postgres", "-d", "restored", "-h"])
        .arg(cluster.dir())
        .arg("-f")
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(cluster.psql_in("restored", rows), cluster.psql(rows), "{}", lagoon_tests::text_of(&restore));
}
