//! Launcher and workers, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, guest, scratch, wait_for};
use tempfile::TempDir;

const PRELOAD: &str = "shared_preload_libraries=lagoon";
/// Failures are retried at once where a test waits for it.
const EAGER: &str = "lagoon.worker_restart_interval=1s";

/// The pid of the worker of a database, while it runs.
fn worker(session: &Session, database: &str) -> Option<i32> {
    let sql = format!("SELECT pid FROM lagoon.workers WHERE database = '{database}' AND state = 'running'");
    session.one(&sql).parse().ok()
}

fn wait_for_worker(session: &Session, database: &str) -> i32 {
    wait_for(&format!("a worker in {database}"), DEADLINE, || worker(session, database))
}

/// Runs of tasks in a database, and that no process is left there.
fn wait_for_rest(session: &Session, database: &str) -> i64 {
    wait_for(&format!("a worker in {database} that has come and gone"), DEADLINE, || {
        let sql = format!(
            "SELECT runs FROM lagoon.workers WHERE database = '{database}' AND pid IS NULL AND state = 'idle' AND runs > 0"
        );
        session.one(&sql).parse().ok()
    })
}

fn runs(session: &Session) -> i64 {
    session.one("SELECT runs FROM lagoon.workers WHERE database = 'postgres'").parse().unwrap_or(0)
}

fn launcher(session: &Session) -> Option<i32> {
    session.one("SELECT pid FROM lagoon.workers WHERE role = 'launcher' AND state = 'idle'").parse().ok()
}

fn signal(name: &str, pid: i32) {
    lagoon_tests::run(std::process::Command::new("kill").args([name, &pid.to_string()]));
}

/// No process of ours is connected to the database, and none is on its way.
fn wait_for_nothing(session: &Session, database: &str) {
    wait_for(&format!("nothing of {database}"), DEADLINE, || {
        let activity = format!(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = 'lagoon worker')
                  + (SELECT count(*) FROM lagoon.workers WHERE database = '{database}')"
        );
        (session.one(&activity) == "0").then_some(())
    });
}

/// A folder of plugins that the server can read, and the setting that names it.
fn plugins() -> (TempDir, PathBuf, String) {
    let place = scratch();
    let folder = place.path().join("functions");
    std::fs::create_dir(&folder).unwrap();
    give_to_owner(&folder);
    let setting = format!("lagoon.functions_directory={}", folder.display());
    (place, folder, setting)
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    give_to_owner(&file);
}

/// A plugin that keeps a worker busy until its time limit. It is over at once in database `postgres`, from which tests look.
fn add_busy_plugin(cluster: &Cluster, folder: &Path) {
    cluster.psql("ALTER DATABASE postgres SET lagoon.wasm_time_limit = '10ms'");
    let text = r#"(module (func $spin (loop (br 0))) (start $spin) (func (export "lagoon_abi_1")))"#;
    std::fs::write(folder.join("busy.wasm"), wat::parse_str(text).unwrap()).unwrap();
    give_to_owner(&folder.join("busy.wasm"));
    let session = cluster.session();
    wait_for("the plugin to fail", DEADLINE, || {
        (session.one("SELECT error_sqlstate FROM lagoon.plugin_status WHERE name = 'busy'") == "57014").then_some(())
    });
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
fn a_worker_comes_for_work_and_goes() {
    let (_place, folder, setting) = plugins();
    let cluster = Cluster::start(&[PRELOAD, &setting]);
    cluster.psql("CREATE DATABASE watcher");
    cluster.psql_in("watcher", "CREATE EXTENSION lagoon");
    let watcher = cluster.session_in("watcher");
    let seen = wait_for_rest(&watcher, "watcher");
    assert_eq!(watcher.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lagoon worker'"), "0");
    assert_eq!(
        watcher.one("SELECT count(*) FROM lagoon.workers WHERE database = 'postgres'"),
        "0",
        "no extension there"
    );
    write(&folder, "note.txt", "");
    wait_for("another run", DEADLINE, || (wait_for_rest(&watcher, "watcher") > seen).then_some(()));

    let session = cluster.session();
    session.exec("CREATE EXTENSION lagoon");
    wait_for_rest(&watcher, "postgres");
    session.exec("DROP EXTENSION lagoon");
    wait_for_nothing(&watcher, "postgres");
    session.exec("BEGIN; CREATE EXTENSION lagoon; ROLLBACK");
    session.exec("CREATE EXTENSION lagoon");
    wait_for_rest(&watcher, "postgres");
    // A rolled back DROP changes nothing.
    session.exec("BEGIN; DROP EXTENSION lagoon; ROLLBACK");
    let before = runs(&session);
    write(&folder, "note.txt", "again");
    wait_for("another run", DEADLINE, || (runs(&session) > before).then_some(()));
}

/// Room for the launcher, for logical replication's, and for one more: as many databases as there are share that one.
#[test]
fn many_databases_need_few_processes() {
    let (_place, folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, &setting, "max_worker_processes=3"]);
    let session = cluster.session();
    cluster.psql("CREATE DATABASE d1");
    cluster.psql_in("d1", "CREATE EXTENSION lagoon");
    for number in 2..=6 {
        cluster.psql(&format!("CREATE DATABASE d{number} TEMPLATE d1"));
    }
    let all_have_run = |least: i64| {
        let sql =
            format!("SELECT count(*) FROM lagoon.workers WHERE role = 'worker' AND runs >= {least} AND pid IS NULL");
        wait_for("a run in each database", DEADLINE, || (session.one(&sql) == "7").then_some(()));
    };
    all_have_run(1);
    let most = session.one("SELECT max(runs) FROM lagoon.workers").parse::<i64>().unwrap();
    write(&folder, "note.txt", "");
    all_have_run(2);
    wait_for("the last run", DEADLINE, || {
        (session.one("SELECT max(runs) FROM lagoon.workers") != most.to_string()).then_some(())
    });
    assert_eq!(session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lagoon worker'"), "0");
}

#[test]
fn without_work_there_is_no_worker() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    wait_for("the launcher", DEADLINE, || launcher(&session));
    cluster.psql("CREATE DATABASE other");
    cluster.psql("DROP DATABASE other");
    assert_eq!(session.one("SELECT count(*) FROM lagoon.workers WHERE role = 'worker'"), "0");
}

#[test]
fn launcher_and_workers_are_found_again_after_a_restart() {
    let (_place, _folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    wait_for_rest(&cluster.session(), "postgres");
    cluster.restart();
    let session = cluster.session();
    wait_for_rest(&session, "postgres");
    wait_for("the launcher", DEADLINE, || launcher(&session));
}

#[test]
fn a_terminated_worker_is_started_again_alone() {
    let (_place, folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, &setting]);
    let session = cluster.session();
    wait_for_rest(&session, "postgres");
    let holder = cluster.session();
    block_task(&session, &holder, &folder);
    let first = wait_for_worker(&session, "postgres");
    session.exec(&format!("SELECT pg_terminate_backend({first})"));
    wait_for("another worker", DEADLINE, || worker(&session, "postgres").filter(|pid| *pid != first));
    assert_eq!(session.one("SELECT restarts FROM lagoon.workers WHERE database = 'postgres'"), "1");

    // The launcher too; workers outlive it, and the next one takes them over.
    let second = wait_for_worker(&session, "postgres");
    let old = wait_for("the launcher", DEADLINE, || launcher(&session));
    session.exec(&format!("SELECT pg_terminate_backend({old})"));
    wait_for("another launcher", DEADLINE, || launcher(&session).filter(|pid| *pid != old));
    assert_eq!(wait_for_worker(&session, "postgres"), second);
    session.exec(&format!("SELECT pg_terminate_backend({second})"));
    wait_for("a third worker", DEADLINE, || worker(&session, "postgres").filter(|pid| *pid != second));
    holder.exec("ROLLBACK");
    wait_for_rest(&session, "postgres");
}

#[test]
fn a_killed_worker_restarts_the_server_and_comes_back() {
    let (_place, folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    wait_for_rest(&cluster.session(), "postgres");
    for _ in 0..2 {
        let session = cluster.session();
        let holder = cluster.session();
        block_task(&session, &holder, &folder);
        signal("-9", wait_for_worker(&session, "postgres"));
        wait_for("a worker after the restart of the server", DEADLINE, || {
            let session = cluster.try_session("postgres").ok()?;
            let sql = "SELECT runs FROM lagoon.workers WHERE role = 'worker' AND state = 'idle' AND runs > 0";
            session.try_rows(sql).ok()?.into_iter().flatten().flatten().next()
        });
    }
}

#[test]
fn a_cancelled_launcher_stays() {
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    let pid = wait_for("the launcher", DEADLINE, || launcher(&session));
    session.exec(&format!("SELECT pg_cancel_backend({pid})"));
    session.exec("SELECT pg_reload_conf()");
    assert_eq!(wait_for("the launcher", DEADLINE, || launcher(&session)), pid);
}

/// While the worker is in the midst of a guest.
#[test]
fn a_database_with_a_worker_can_be_dropped_renamed_copied_and_moved() {
    let (_place, folder, setting) = plugins();
    // Long enough that only a worker which is started again at once is seen in time.
    let cluster = Cluster::with_lagoon(&[PRELOAD, "lagoon.worker_restart_interval=1h", &setting]);
    add_busy_plugin(&cluster, &folder);
    let session = cluster.session();
    for _ in 0..2 {
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
        wait_for_nothing(&session, "host");
        wait_for_nothing(&session, "copy");
    }
    session.exec("CREATE DATABASE guest");
    cluster.psql_in("guest", "CREATE EXTENSION lagoon");
    wait_for_worker(&session, "guest");
    let place = cluster.dir().join("space");
    std::fs::create_dir(&place).unwrap();
    give_to_owner(&place);
    session.exec(&format!("CREATE TABLESPACE space LOCATION '{}'", place.display()));
    session.exec("ALTER DATABASE guest SET TABLESPACE space");
    let pid = wait_for_worker(&session, "guest");

    // At once: the worker is being started, or has not been yet.
    session.exec("CREATE DATABASE brief TEMPLATE template0");
    session.exec("DROP DATABASE brief");

    // Who may not drop a database does not disturb its worker.
    let stranger = cluster.session();
    stranger.exec("CREATE ROLE stranger CREATEDB; SET ROLE stranger");
    assert_eq!(stranger.sqlstate("DROP DATABASE guest"), "42501");
    assert_eq!(stranger.sqlstate("ALTER DATABASE guest RENAME TO mine"), "42501");
    assert_eq!(stranger.sqlstate("SELECT * FROM lagoon.workers"), "42501", "errors of others are for pg_monitor");
    assert_eq!(wait_for_worker(&session, "guest"), pid);

    // A statement that fails gives the database back.
    assert_eq!(session.sqlstate("BEGIN; DROP DATABASE guest"), "25001");
    session.exec("ROLLBACK");
    wait_for_worker(&session, "guest");

    let start = Instant::now();
    cluster.stop("fast");
    eprintln!("stopped after {:?}", start.elapsed()); // promised: 5 s; pg_ctl gives up after 60
}

#[test]
fn a_lack_of_process_slots_is_one_warning() {
    let (_place, _folder, setting) = plugins();
    // One slot is the launcher's, one that of logical replication.
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, &setting, "max_worker_processes=2"]);
    let session = cluster.session();
    session.exec("CREATE DATABASE second");
    cluster.psql_in("second", "CREATE EXTENSION lagoon");
    for database in ["postgres", "second"] {
        wait_for("the state", DEADLINE, || {
            let sql = format!(
                "SELECT last_error FROM lagoon.workers WHERE database = '{database}' AND state = 'waiting' AND pid IS NULL"
            );
            session.one(&sql).contains("max_worker_processes").then_some(())
        });
    }
    assert_eq!(cluster.log().matches("raise max_worker_processes").count(), 1, "reported once");
}

#[test]
fn a_standby_has_no_launcher_until_promotion() {
    let (_place, _folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, "wal_level=replica", "max_wal_senders=5"]);
    let standby = Cluster::standby_of(&cluster, &[PRELOAD, &setting]);
    assert_eq!(standby.psql("SELECT pg_is_in_recovery()"), "t");
    // The launcher starts with recovery's end, so this is not a matter of waiting long enough.
    assert_eq!(standby.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lagoon %'"), "0");
    standby.psql("SELECT pg_promote()");
    wait_for_rest(&standby.session(), "postgres");
}

/// What the worker does can be stopped at any moment: here it waits for a lock, as long as the test wants.
#[test]
fn a_busy_worker_stops_with_the_server() {
    let (_place, folder, setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD, EAGER, &setting]);
    let session = cluster.session();
    wait_for_rest(&session, "postgres");
    // Statistics stand still within a transaction, so the one that holds the lock cannot look.
    let holder = cluster.session();
    block_task(&session, &holder, &folder);

    // A cancel fails the task, which shows, and is tried again.
    let pid = wait_for_worker(&session, "postgres");
    session.exec(&format!("SELECT pg_cancel_backend({pid})"));
    wait_for("the failure", DEADLINE, || {
        let sql = "SELECT last_error FROM lagoon.workers WHERE database = 'postgres' AND failures > 0";
        session.one(sql).contains("57014").then_some(())
    });
    assert_eq!(
        session.one("SELECT restarts FROM lagoon.workers WHERE database = 'postgres'"),
        "0",
        "an error is no crash"
    );
    wait_for("the next attempt", DEADLINE, || is_blocked(&session).then_some(()));

    let start = Instant::now();
    cluster.stop("fast");
    eprintln!("stopped after {:?}", start.elapsed()); // promised: 5 s; pg_ctl gives up after 60
}

/// And here it compiles a module that takes its time.
#[test]
fn a_compiling_worker_leaves_a_database_and_stops_with_the_server() {
    let (_place, folder, setting) = plugins();
    std::fs::write(folder.join("big.wasm"), guest::large(300, 4000)).unwrap();
    give_to_owner(&folder);
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

/// Makes the worker wait for a lock that `holder` holds until its transaction ends.
fn block_task(session: &Session, holder: &Session, folder: &Path) {
    holder.exec("BEGIN; LOCK TABLE lagoon.plugins, lagoon.plugin_errors IN ACCESS EXCLUSIVE MODE");
    write(folder, "broken.wasm", "");
    wait_for("the worker to be blocked", DEADLINE, || is_blocked(session).then_some(()));
}

fn is_blocked(session: &Session) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE backend_type = 'lagoon worker' AND wait_event_type = 'Lock' AND state = 'active'";
    session.one(sql) == "1"
}
