//! Launcher and workers, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, scratch, wait_for};
use tempfile::TempDir;

const PRELOAD: &str = "shared_preload_libraries=lagoon";
/// Failures are retried at once where a test waits for it.
const EAGER: &str = "lagoon.worker_restart_interval=1s";

/// The pid of the worker of a database, when it is there and ready.
fn worker(session: &Session, database: &str) -> Option<i32> {
    let sql = format!(
        "SELECT pid FROM lagoon.workers
         WHERE database = '{database}' AND role = 'worker' AND state IN ('idle', 'running', 'backing off')"
    );
    session.one(&sql).parse().ok()
}

fn wait_for_worker(session: &Session, database: &str) -> i32 {
    wait_for(&format!("a worker in {database}"), DEADLINE, || worker(session, database))
}

fn signal(name: &str, pid: i32) {
    lagoon_tests::run(std::process::Command::new("kill").args([name, &pid.to_string()]));
}

/// No process of ours is connected to the database, and none is on its way.
fn wait_for_no_worker(session: &Session, database: &str) {
    wait_for(&format!("no worker in {database}"), DEADLINE, || {
        let activity = format!(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = 'lagoon worker')
                  + (SELECT count(*) FROM lagoon.workers WHERE database = '{database}')"
        );
        (session.one(&activity) == "0").then_some(())
    });
}

fn runs(session: &Session) -> i64 {
    session.one("SELECT runs FROM lagoon.workers WHERE database = 'postgres'").parse().unwrap_or(0)
}

#[test]
fn without_preload_everything_but_workers_is_there() {
    let cluster = Cluster::with_lagoon(&[]);
    assert_eq!(cluster.psql("SELECT count(*) FROM lagoon.workers"), "0");
    cluster.psql("DROP EXTENSION lagoon");
    cluster.psql("CREATE DATABASE other; ");
    cluster.psql("DROP DATABASE other");
}

#[test]
fn a_worker_comes_and_goes_with_the_extension() {
    let cluster = Cluster::start(&[PRELOAD]);
    cluster.psql("CREATE DATABASE watcher");
    cluster.psql_in("watcher", "CREATE EXTENSION lagoon");
    let watcher = cluster.session_in("watcher");
    wait_for_worker(&watcher, "watcher");
    assert_eq!(worker(&watcher, "postgres"), None, "no extension there");

    let session = cluster.session();
    session.exec("CREATE EXTENSION lagoon");
    let first = wait_for_worker(&watcher, "postgres");
    session.exec("DROP EXTENSION lagoon");
    wait_for_no_worker(&watcher, "postgres");
    session.exec("BEGIN; CREATE EXTENSION lagoon; ROLLBACK");
    session.exec("CREATE EXTENSION lagoon");
    let second = wait_for_worker(&watcher, "postgres");
    assert_ne!(first, second);

    // A rolled back DROP leaves it where it is.
    session.exec("BEGIN; DROP EXTENSION lagoon; ROLLBACK");
    assert_eq!(wait_for_worker(&watcher, "postgres"), second);
}

#[test]
fn launcher_and_workers_are_found_again_after_a_restart() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    wait_for_worker(&cluster.session(), "postgres");
    cluster.restart();
    let session = cluster.session();
    wait_for_worker(&session, "postgres");
    let names = session.rows("SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'lagoon %' ORDER BY 1");
    assert_eq!(names.into_iter().flatten().flatten().collect::<Vec<_>>(), ["lagoon launcher", "lagoon worker"]);
}

#[test]
fn a_terminated_worker_is_started_again_alone() {
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER]);
    let session = cluster.session();
    let first = wait_for_worker(&session, "postgres");
    session.exec(&format!("SELECT pg_terminate_backend({first})"));
    wait_for("another worker", DEADLINE, || worker(&session, "postgres").filter(|pid| *pid != first));
    assert_eq!(session.one("SELECT restarts FROM lagoon.workers WHERE database = 'postgres'"), "1");

    // The launcher too; workers outlive it, and the next one takes them over.
    let second = wait_for_worker(&session, "postgres");
    let launcher = || session.one("SELECT pid FROM lagoon.workers WHERE role = 'launcher'");
    let old = launcher();
    session.exec(&format!("SELECT pg_terminate_backend({old})"));
    wait_for("another launcher", DEADLINE, || Some(launcher()).filter(|pid| !pid.is_empty() && *pid != old));
    assert_eq!(wait_for_worker(&session, "postgres"), second);
    session.exec(&format!("SELECT pg_terminate_backend({second})"));
    wait_for("a third worker", DEADLINE, || worker(&session, "postgres").filter(|pid| *pid != second));
}

#[test]
fn a_killed_worker_restarts_the_server_and_comes_back() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    for _ in 0..5 {
        let pid = wait_for_worker(&cluster.session(), "postgres");
        signal("-9", pid);
        wait_for("another worker after the restart of the server", DEADLINE, || {
            let session = cluster.try_session("postgres").ok()?;
            let sql = "SELECT pid FROM lagoon.workers WHERE role = 'worker' AND state = 'idle'";
            let rows = session.try_rows(sql).ok()?;
            rows.into_iter().flatten().flatten().next().filter(|new| *new != pid.to_string())
        });
    }
}

#[test]
fn a_cancelled_idle_worker_stays() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    let pid = wait_for_worker(&session, "postgres");
    session.exec(&format!("SELECT pg_cancel_backend({pid})"));
    session.exec("SELECT pg_reload_conf()");
    assert_eq!(wait_for_worker(&session, "postgres"), pid);
}

#[test]
fn a_database_with_a_worker_can_be_dropped_renamed_copied_and_moved() {
    // Long enough that only a worker which is started again at once is seen in time.
    let cluster = Cluster::with_lagoon(&[PRELOAD, "lagoon.worker_restart_interval=1h"]);
    let session = cluster.session();
    for _ in 0..5 {
        session.exec("CREATE DATABASE guest");
        cluster.psql_in("guest", "CREATE EXTENSION lagoon");
        wait_for_worker(&session, "guest");
        session.exec("CREATE DATABASE copy TEMPLATE guest");
        wait_for_worker(&session, "guest");
        wait_for_worker(&session, "copy");
        session.exec("ALTER DATABASE guest RENAME TO host");
        wait_for_worker(&session, "host");
        session.exec("DROP DATABASE host");
        session.exec("DROP DATABASE copy WITH (FORCE)");
        wait_for_no_worker(&session, "host");
        wait_for_no_worker(&session, "copy");
    }
    session.exec("CREATE DATABASE guest");
    cluster.psql_in("guest", "CREATE EXTENSION lagoon");
    wait_for_worker(&session, "guest");
    let place = cluster.dir().join("space");
    std::fs::create_dir(&place).unwrap();
    give_to_owner(&place);
    session.exec(&format!("CREATE TABLESPACE space LOCATION '{}'", place.display()));
    session.exec("ALTER DATABASE guest SET TABLESPACE space");
    wait_for_worker(&session, "guest");

    // At once: the worker is being started, or has not been yet.
    session.exec("CREATE DATABASE brief TEMPLATE guest");
    session.exec("DROP DATABASE brief");

    // A statement that fails gives the database back.
    assert_eq!(session.sqlstate("BEGIN; DROP DATABASE guest"), "25001");
    session.exec("ROLLBACK");
    wait_for_worker(&session, "guest");
}

#[test]
fn who_may_not_drop_a_database_does_not_disturb_its_worker() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    session.exec("CREATE ROLE stranger CREATEDB");
    let pid = wait_for_worker(&session, "postgres");
    cluster.psql("CREATE DATABASE other");
    let stranger = cluster.session_in("other");
    stranger.exec("SET ROLE stranger");
    assert_eq!(stranger.sqlstate("DROP DATABASE postgres"), "42501");
    assert_eq!(stranger.sqlstate("ALTER DATABASE postgres RENAME TO mine"), "42501");
    assert_eq!(wait_for_worker(&session, "postgres"), pid);
    assert_eq!(
        session.sqlstate("SET ROLE stranger; SELECT * FROM lagoon.workers"),
        "42501",
        "errors of others are for pg_monitor"
    );
}

#[test]
fn a_lack_of_process_slots_is_a_warning() {
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, "max_worker_processes=3"]);
    let session = cluster.session();
    // One slot is the launcher's, one that of logical replication.
    wait_for_worker(&session, "postgres");
    session.exec("CREATE DATABASE second");
    cluster.psql_in("second", "CREATE EXTENSION lagoon");
    wait_for("the warning", DEADLINE, || cluster.log().contains("raise max_worker_processes").then_some(()));
    wait_for("the state", DEADLINE, || {
        let sql = "SELECT last_error FROM lagoon.workers WHERE database = 'second' AND state = 'waiting'";
        session.one(sql).contains("max_worker_processes").then_some(())
    });
    session.exec("DROP EXTENSION lagoon CASCADE");
    cluster.psql_in("second", "SELECT 1");
    let second = cluster.session_in("second");
    wait_for_worker(&second, "second");
    assert_eq!(cluster.log().matches("raise max_worker_processes").count(), 1, "reported once");
}

/// A folder of plugins that the server can read.
fn plugins() -> (TempDir, PathBuf) {
    let place = scratch();
    let folder = place.path().join("functions");
    (place, folder)
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    give_to_owner(&file);
}

#[test]
fn the_folder_is_watched() {
    let (_place, folder) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    wait_for_worker(&session, "postgres");
    assert_eq!(runs(&session), 0, "no folder, nothing to do");

    let mut seen = 0;
    let mut runs_after = |what: &str| {
        seen = wait_for(what, DEADLINE, || Some(runs(&session)).filter(|runs| *runs > seen));
    };
    // Set by a reload; not there yet; made.
    session.exec(&format!("ALTER SYSTEM SET lagoon.functions_directory = '{}'", folder.display()));
    session.exec("SELECT pg_reload_conf()");
    wait_for("word of the missing folder", DEADLINE, || {
        let sql = "SELECT last_error FROM lagoon.workers WHERE database = 'postgres'";
        session.one(sql).contains("could not watch folder").then_some(())
    });
    std::fs::create_dir(&folder).unwrap();
    give_to_owner(&folder);
    runs_after("a run when the folder appears");
    write(&folder, "note.txt", "one");
    runs_after("a run after a new file");
    std::fs::rename(folder.join("note.txt"), folder.join("other.txt")).unwrap();
    runs_after("a run after a rename");
    std::fs::create_dir(folder.join("sub")).unwrap();
    give_to_owner(&folder.join("sub"));
    runs_after("a run after a new subfolder");
    write(&folder.join("sub"), "note.txt", "two");
    runs_after("a run after a new file in a subfolder");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    give_to_owner(&folder);
    runs_after("a run after the folder was made again");
    write(&folder, "note.txt", "three");
    runs_after("a run in the new folder");
    let moved = folder.with_extension("moved");
    std::fs::rename(&folder, &moved).unwrap();
    std::fs::rename(&moved, &folder).unwrap();
    runs_after("a run after the folder was moved away and back");
    write(&folder, "note.txt", "four");
    runs_after("a run after that");
    // More events than the kernel queues: it drops the rest, and says so.
    let pid = wait_for_worker(&session, "postgres");
    signal("-STOP", pid);
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    for number in 0..limit.trim().parse::<u32>().unwrap() / 3 + 10 {
        std::fs::write(folder.join(number.to_string()), "x").unwrap(); // create, modify, close
    }
    std::fs::create_dir(folder.join("late")).unwrap();
    give_to_owner(&folder.join("late"));
    signal("-CONT", pid);
    runs_after("a run after many changes");
    write(&folder.join("late"), "note.txt", "five");
    runs_after("a run after a change in a subfolder whose making was among those dropped");
}

#[test]
fn five_quick_changes_are_one_reload() {
    let (_place, folder) = plugins();
    std::fs::create_dir(&folder).unwrap();
    give_to_owner(&folder);
    let setting = format!("lagoon.functions_directory={}", folder.display());
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    let session = cluster.session();
    wait_for("the first run", DEADLINE, || (runs(&session) == 1).then_some(()));
    // A machine that stalls between two writes may see two; one that reacts to each would see five.
    for round in 0..5 {
        write(&folder, "note.txt", &round.to_string());
    }
    wait_for("the second run", DEADLINE, || (runs(&session) >= 2).then_some(()));
    write(&folder, "last.txt", "");
    let end = wait_for("the run after the last change", DEADLINE, || Some(runs(&session)).filter(|runs| *runs >= 3));
    assert!(end <= 4, "{end} runs");
}

#[test]
fn a_standby_has_no_worker_until_promotion() {
    let cluster = Cluster::with_lagoon(&[PRELOAD, "wal_level=replica", "max_wal_senders=5"]);
    wait_for_worker(&cluster.session(), "postgres");
    let standby = Cluster::standby_of(&cluster, &[PRELOAD]);
    assert_eq!(standby.psql("SELECT pg_is_in_recovery()"), "t");
    // The launcher starts with recovery's end, so this is not a matter of waiting long enough.
    assert_eq!(standby.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lagoon %'"), "0");
    standby.psql("SELECT pg_promote()");
    wait_for_worker(&standby.session(), "postgres");
}

/// What the worker does can be stopped at any moment: here it waits for a lock, as long as the test wants.
#[test]
fn a_busy_worker_stops_with_the_server() {
    let (_place, folder) = plugins();
    std::fs::create_dir(&folder).unwrap();
    give_to_owner(&folder);
    let setting = format!("lagoon.functions_directory={}", folder.display());
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, &setting]);
    let session = cluster.session();
    let pid = wait_for_worker(&session, "postgres");
    // Statistics stand still within a transaction, so the one that holds the lock cannot look.
    let holder = cluster.session();
    block_duty(&session, &holder, &folder);

    // A cancel fails the duty, which shows, and is tried again.
    session.exec(&format!("SELECT pg_cancel_backend({pid})"));
    wait_for("the failure", DEADLINE, || {
        let sql = "SELECT last_error FROM lagoon.workers WHERE database = 'postgres' AND failures > 0";
        session.one(sql).contains("57014").then_some(())
    });
    assert_eq!(wait_for_worker(&session, "postgres"), pid, "an error does not end the process");
    wait_for("the next attempt", DEADLINE, || is_blocked(&session).then_some(()));

    // It leaves a database in the midst of a duty.
    session.exec("CREATE DATABASE copy TEMPLATE template0");
    let other = cluster.session_in("copy");
    other.exec(&format!("SELECT pg_terminate_backend({pid})"));
    wait_for("another worker", DEADLINE, || worker(&session, "postgres").filter(|new| *new != pid));
    wait_for("its first attempt", DEADLINE, || is_blocked(&session).then_some(()));

    let start = Instant::now();
    cluster.stop("fast");
    eprintln!("stopped after {:?}", start.elapsed()); // promised: 5 s; pg_ctl gives up after 60
}

/// And here it compiles a module that takes its time.
#[test]
fn a_compiling_worker_leaves_a_database_and_stops_with_the_server() {
    let (_place, folder) = plugins();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("big.wasm"), big_module(300, 4000)).unwrap();
    give_to_owner(&folder);
    let setting = format!("lagoon.functions_directory={}", folder.display());
    let cluster = Cluster::start(&[PRELOAD, &setting]);
    let session = cluster.session();
    session.exec("CREATE DATABASE guest");
    cluster.psql_in("guest", "CREATE EXTENSION lagoon");
    let compiles = || {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'lagoon worker' AND state = 'active' AND query = 'lagoon: reload plugins'";
        (session.one(sql) == "1").then_some(())
    };
    wait_for("the worker of the first database to compile", DEADLINE, compiles);
    session.exec("DROP DATABASE guest");
    cluster.psql("CREATE EXTENSION lagoon");
    wait_for("the worker of the second database to compile", DEADLINE, compiles);
    let start = Instant::now();
    cluster.stop("fast");
    eprintln!("stopped after {:?}", start.elapsed());
}

/// A module of `functions` functions with `length` additions and multiplications each.
fn big_module(functions: u32, length: usize) -> Vec<u8> {
    fn leb(mut value: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len() as u32), content].concat();
    let body = [vec![0], b"\x20\x00\x20\x00\x41\x07\x6a\x6c\x21\x00".repeat(length), b"\x20\x00\x0b".to_vec()].concat();
    let one = [leb(body.len() as u32), body].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\x01\x7f\x01\x7f".to_vec()),
        section(3, [leb(functions), vec![0; functions as usize]].concat()),
        section(10, [leb(functions), one.repeat(functions as usize)].concat()),
    ]
    .concat()
}

/// Makes the worker wait for a lock that `holder` holds until its transaction ends.
fn block_duty(session: &Session, holder: &Session, folder: &Path) {
    holder.exec("BEGIN; LOCK TABLE lagoon.plugins, lagoon.plugin_errors IN ACCESS EXCLUSIVE MODE");
    write(folder, "broken.wasm", "");
    wait_for("the worker to be blocked", DEADLINE, || is_blocked(session).then_some(()));
}

fn is_blocked(session: &Session) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE backend_type = 'lagoon worker' AND wait_event_type = 'Lock' AND state = 'active'";
    session.one(sql) == "1"
}
