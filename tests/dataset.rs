//! What becomes of the files of datasets when several transactions, prepared ones, crashes and dumps have a part in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, pg_config, run, wait_for};

const ORPHANS: &str = "SELECT count(*) FROM lagoon.remove_orphaned_files('0')";

/// A CSV file that the server can read.
fn csv(cluster: &Cluster, name: &str, rows: u32) -> String {
    let path = cluster.dir().join(name);
    std::fs::write(&path, (0..rows).fold("id\n".to_owned(), |text, id| text + &format!("{id}\n"))).unwrap();
    give_to_owner(&path);
    path.to_string_lossy().into_owned()
}

/// Rows of a dataset, through a foreign table.
fn rows(session: &Session<'_>, dataset: &str) -> String {
    session.exec(&format!(
        "CREATE FOREIGN TABLE IF NOT EXISTS \"{dataset}\" (id bigint) SERVER lagoon OPTIONS (dataset '{dataset}')"
    ));
    session.one(&format!("SELECT count(*) FROM \"{dataset}\""))
}

#[test]
fn files_live_as_long_as_a_row_that_may_come_or_go() {
    let cluster = Cluster::with_lagoon(&["max_prepared_transactions=2", "fsync=off"]);
    let (file, session) = (csv(&cluster, "a.csv", 10), cluster.session());
    let ingest = |name: &str| format!("SELECT rows FROM lagoon.ingest('{name}', '{file}')");
    a_prepared_ingest(&session, &ingest("p"));
    a_prepared_drop(&session, &ingest("p"));
    two_ingests_of_the_same(&cluster, &session, &ingest("c"));
    a_registration_of_what_is_being_dropped(&cluster, &session, &ingest("d"));
    a_dump_finds_the_files_and_leaves_them_alone(&cluster, &session);
    a_crash(&cluster, &ingest("k"));
}

fn a_prepared_ingest(session: &Session<'_>, ingest: &str) {
    session.exec(&format!("BEGIN; {ingest}; PREPARE TRANSACTION 'p'"));
    assert_eq!(session.one(ORPHANS), "0", "a prepared transaction has it in hand");
    session.exec("ROLLBACK PREPARED 'p'");
    assert_eq!(session.one(ORPHANS), "1", "nobody else was there to delete it");
    session.exec(&format!("BEGIN; {ingest}; PREPARE TRANSACTION 'p'"));
    session.exec("COMMIT PREPARED 'p'");
    assert_eq!((session.one(ORPHANS).as_str(), rows(session, "p").as_str()), ("0", "10"));
}

fn a_prepared_drop(session: &Session<'_>, ingest: &str) {
    let drop = "BEGIN; SELECT lagoon.drop_dataset('p'); PREPARE TRANSACTION 'p'";
    session.exec(drop);
    assert_eq!(session.one(ORPHANS), "0");
    session.exec("ROLLBACK PREPARED 'p'");
    assert_eq!(rows(session, "p"), "10");
    session.exec(drop);
    session.exec("COMMIT PREPARED 'p'");
    assert_eq!(session.one(ORPHANS), "1");
    session.exec(ingest);
    assert_eq!(rows(session, "p"), "10");
}

/// The second one finds the file of the first, which then takes it back.
fn two_ingests_of_the_same(cluster: &Cluster, session: &Session<'_>, ingest: &str) {
    session.exec(&format!("BEGIN; {ingest}"));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| cluster.session().one(ingest));
        wait_for_a_lock(cluster);
        session.exec("ROLLBACK");
        assert_eq!(second.join().unwrap(), "10");
    });
    assert_eq!(rows(session, "c"), "10");
}

/// The file is there when the registration looks, and gone when it may go on.
fn a_registration_of_what_is_being_dropped(cluster: &Cluster, session: &Session<'_>, ingest: &str) {
    let file = session.one(&ingest.replace("rows", "file"));
    session.exec("BEGIN; SELECT lagoon.drop_dataset('d')");
    std::thread::scope(|scope| {
        let register = format!("SELECT lagoon.register_dataset('r', '{file}')");
        let second = scope.spawn(move || cluster.session().sqlstate(&register));
        wait_for_a_lock(cluster);
        session.exec("COMMIT");
        assert_eq!(second.join().unwrap(), "58P01");
    });
    assert_eq!(session.one("SELECT count(*) FROM lagoon.datasets WHERE name IN ('d', 'r')"), "0");
}

fn wait_for_a_lock(cluster: &Cluster) {
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND NOT granted";
    let watching = cluster.session();
    wait_for("the other transaction to wait", DEADLINE, || (watching.one(waits) == "1").then_some(()));
}

fn a_dump_finds_the_files_and_leaves_them_alone(cluster: &Cluster, session: &Session<'_>) {
    session.exec("CREATE DATABASE restored");
    let program = |name: &str| {
        let mut command = Command::new(PathBuf::from(pg_config("--bindir")).join(name));
        command.args(["-p", "5432", "-U", "postgres", "-h"]).arg(cluster.dir());
        command
    };
    let dump = cluster.dir().join("dump.sql");
    run(program("pg_dump").args(["-d", "postgres", "-f"]).arg(&dump));
    run(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f"]).arg(&dump));
    let restored = cluster.session_in("restored");
    assert_eq!(rows(&restored, "c"), "10");
    restored.exec("SELECT lagoon.drop_dataset('c')");
    assert_eq!(restored.one(ORPHANS), "0");
    assert_eq!(rows(session, "c"), "10");
    // The files of a database that is no more.
    restored.exec(&format!("SELECT lagoon.ingest('own', '{}')", csv(cluster, "b.csv", 3)));
    drop(restored);
    session.exec("DROP DATABASE restored WITH (FORCE)");
    assert_eq!(session.one(ORPHANS), "1");
}

fn a_crash(cluster: &Cluster, ingest: &str) {
    let session = cluster.session();
    session.exec(&format!("BEGIN; {ingest}"));
    cluster.kill();
    cluster.start_again();
    let session = cluster.session();
    assert_eq!(session.one("SELECT count(*) FROM lagoon.remove_orphaned_files()"), "0", "too young");
    assert_eq!(session.one(ORPHANS), "1");
    assert_eq!(rows(&session, "c"), "10");
}
