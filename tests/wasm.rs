//! Guests, seen from outside: that everything ends them, what they keep of a session, which version a statement sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lagoon_tests::{Cluster, DEADLINE, Session, describe, is_end_of_server, server_version, wait_for};

/// A loop that never ends, after a text of any length, and in a start function.
const SPIN: &str = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 2)
    (func (export "lagoon_buffer") (param $n i32) (result i32)
        (drop (memory.grow (i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16)))) (i32.const 65536))
    (func (export "spin") (param i32 i32) (result i32) (loop $l (br $l)) (i32.const 0)))"#;

/// Counts its calls, and grows.
const COUNT: &str = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "count") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
    (func (export "grow") (param i32) (result i32)
        (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)) (i32.const 1)))"#;

fn install(session: &Session, name: &str, text: &str) {
    let bytes = wat::parse_str(text).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    session.exec(&format!("SELECT lagoon.install_plugin('{name}', decode('{hex}', 'hex'))"));
}

fn answering(number: i32) -> String {
    format!(r#"(module (func (export "lagoon_abi_1")) (func (export "v") (result i32) (i32.const {number})))"#)
}

fn pid(session: &Session) -> String {
    session.one("SELECT pg_backend_pid()")
}

/// Until the session runs a statement and waits for nothing.
fn wait_until_busy(watcher: &Session, pid: &str) {
    let sql = format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active' AND wait_event IS NULL
         AND query_start < clock_timestamp() - interval '300 ms'"
    );
    wait_for("the guest to run", DEADLINE, || (watcher.one(&sql) == "1").then_some(()));
}

#[test]
fn an_endless_loop_ends_by_every_means_whatever_the_length_of_its_argument() {
    let cluster = Cluster::with_lagoon(&["lagoon.wasm_time_limit=1h"]);
    let watcher = cluster.session();
    install(&watcher, "spin", SPIN);
    watcher.exec("CREATE FUNCTION spin(text) RETURNS int LANGUAGE wasm STRICT AS 'spin:spin'");
    for length in [0, 20_000_000] {
        let sql = format!("SELECT spin(repeat('x', {length}))");
        let session = cluster.session();
        session.exec("SET statement_timeout = '300ms'");
        assert_eq!(session.sqlstate(&sql), "57014", "statement_timeout, {length}");
        session.exec("SET statement_timeout = 0; SET lagoon.wasm_time_limit = '200ms'");
        assert_eq!(session.sqlstate(&sql), "57014", "time limit, {length}");
        session.exec("SET lagoon.wasm_time_limit = '1h'");

        let pid = pid(&session);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| session.try_rows(&sql).map(|_| ()));
            wait_until_busy(&watcher, &pid);
            watcher.exec(&format!("SELECT pg_cancel_backend({pid})"));
            let error = running.join().unwrap().unwrap_err();
            assert!(describe(&error).contains("due to user request"), "{}", describe(&error));
        });
        assert_eq!(session.one("SELECT 1"), "1", "nothing of the cancel is left");
        std::thread::scope(|scope| {
            let running = scope.spawn(|| session.try_rows(&sql).map(|_| ()));
            wait_until_busy(&watcher, &pid);
            watcher.exec(&format!("SELECT pg_terminate_backend({pid})"));
            assert!(is_end_of_server(&running.join().unwrap().unwrap_err()));
        });
        if server_version() >= 17 {
            let session = cluster.session();
            session.exec("SET transaction_timeout = '300ms'");
            assert_eq!(session.sqlstate(&sql), "25P04", "transaction_timeout, {length}");
            assert!(session.try_rows("SELECT 1").is_err(), "it ends the session");
        }
    }
    let busy = [cluster.session(), cluster.session(), cluster.session()];
    std::thread::scope(|scope| {
        for session in &busy {
            let pid = pid(session);
            scope.spawn(|| assert!(session.try_rows("SELECT spin(repeat('x', 20000000))").is_err()));
            wait_until_busy(&watcher, &pid);
        }
        cluster.stop("fast");
    });
}

#[test]
fn a_database_is_dropped_while_a_guest_runs() {
    let cluster = Cluster::with_lagoon(&[]);
    let watcher = cluster.session();
    install(&watcher, "spin", SPIN);
    watcher.exec("CREATE FUNCTION spin(text) RETURNS int LANGUAGE wasm STRICT AS 'spin:spin'");
    watcher.exec("SET statement_timeout = '20s'");
    let session = cluster.session();
    session.exec("SET lagoon.wasm_time_limit = '1h'");
    let pid = pid(&session);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| session.sqlstate("SELECT spin('')"));
        wait_until_busy(&watcher, &pid);
        watcher.exec("CREATE DATABASE other");
        watcher.exec("DROP DATABASE other");
        assert!(!running.is_finished(), "the guest goes on");
        watcher.exec(&format!("SELECT pg_cancel_backend({pid})"));
        assert_eq!(running.join().unwrap(), "57014");
    });
}

#[test]
fn compiling_is_limited_and_leaves_nothing_behind() {
    let cluster = Cluster::with_lagoon(&[]);
    let session = cluster.session();
    let pid = pid(&session);
    let body = format!("i32.const 1 {}", "local.get 0 i32.mul i32.const 3 i32.add ".repeat(1500));
    let functions: String =
        (0..150).map(|i| format!("(func (export \"f{i}\") (param i32) (result i32) {body})")).collect();
    let large = wat::parse_str(format!(r#"(module (func (export "lagoon_abi_1")) {functions})"#)).unwrap();
    let hex: String = large.iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!("SELECT lagoon.install_plugin('large', decode('{hex}', 'hex'))");
    let is_clean = || {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        assert_eq!(children.trim(), "", "the compiler is gone");
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
        assert_eq!(threads, 1, "no thread was left");
    };
    for (setting, sqlstate) in [
        ("statement_timeout = '50ms'", "57014"),
        ("lagoon.wasm_compile_time_limit = '20ms'", "54000"),
        ("lagoon.wasm_compile_memory_limit = '16MB'; SET LOCAL lagoon.wasm_compile_time_limit = '1h'", "53200"),
    ] {
        // The allocator keeps what large values leave: the compiler is not to have it on top of its limit.
        session.exec("SELECT length(repeat('x', 30000000)); SELECT length(repeat('x', 29000000))");
        for _ in 0..2 {
            session.exec(&format!("BEGIN; SET LOCAL {setting}"));
            assert_eq!(session.sqlstate(&sql), sqlstate, "{setting}");
            session.exec("ROLLBACK");
            is_clean();
        }
    }
    assert_eq!(session.one(&sql), "installed");
    is_clean();
}

#[test]
fn a_session_lets_go_of_what_guests_have_taken() {
    let cluster = Cluster::with_lagoon(&[]);
    let session = cluster.session();
    for name in ["a", "b", "c"] {
        // Each with a name of its own in it, so that their hashes differ.
        install(
            &session,
            name,
            &COUNT.replacen("(module", &format!("(module (global (export \"{name}\") i32 (i32.const 0))"), 1),
        );
        session.exec(&format!("CREATE FUNCTION count_{name}() RETURNS int LANGUAGE wasm STRICT AS '{name}:count'"));
        session.exec(&format!("CREATE FUNCTION grow_{name}(int) RETURNS int LANGUAGE wasm STRICT AS '{name}:grow'"));
    }
    let count = |name: &str| session.one(&format!("SELECT count_{name}()"));
    assert_eq!(
        [count("a"), count("a"), count("b")],
        ["1", "2", "1"],
        "an instance is kept from statement to statement"
    );
    session.exec("DISCARD ALL");
    assert_eq!(count("a"), "1", "DISCARD ALL");
    session.exec("SELECT grow_a(100)");
    assert_eq!(count("a"), "2", "6 MB are kept");
    session.exec("BEGIN; SELECT grow_a(1000)");
    assert_eq!(count("a"), "3", "64 MB are kept within the transaction");
    session.exec("COMMIT");
    assert_eq!(count("a"), "1", "but not beyond it");

    // 100 MB for all: two instances of 60 MB do not fit, so the one that was used first goes.
    session.exec("BEGIN; SET LOCAL lagoon.wasm_session_memory_limit = '100MB'");
    assert_eq!([count("b"), count("c")], ["1", "1"]);
    session.exec("SELECT grow_b(1000)");
    assert_eq!(count("b"), "2");
    session.exec("SELECT grow_c(1000)");
    assert_eq!([count("c"), count("b")], ["2", "1"]);
    let error = session.try_rows("SELECT grow_c(1000)").unwrap_err();
    assert!(describe(&error).contains("of the session exceeded their memory limit"), "{}", describe(&error));
    session.exec("ROLLBACK");

    // What was removed or replaced does not stay.
    count("a");
    cluster.session().exec("SELECT lagoon.remove_plugin('c', true)");
    session.exec("SELECT count(*) FROM lagoon.plugins");
    assert_eq!(count("a"), "1", "a change of the table ends all instances");
}

#[test]
fn a_statement_keeps_its_version_while_statements_within_it_see_the_next() {
    let cluster = Cluster::with_lagoon(&[]);
    let holder = cluster.session();
    let installer = cluster.session();
    let caller = cluster.session();
    install(&installer, "which", &answering(1));
    installer.exec(
        "CREATE FUNCTION v() RETURNS int LANGUAGE wasm VOLATILE STRICT AS 'which:v';
         CREATE FUNCTION w() RETURNS int LANGUAGE wasm VOLATILE STRICT AS 'which:v';
         CREATE FUNCTION waits() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
             DECLARE seen int;
             BEGIN PERFORM pg_advisory_xact_lock(1); SELECT v() INTO seen; RETURN seen; END $$;
         CREATE FUNCTION stays() RETURNS int LANGUAGE plpgsql STABLE AS $$
             DECLARE seen int; BEGIN SELECT v() INTO seen; RETURN seen; END $$",
    );
    let pid = pid(&caller);
    let seen = |sql: &str, next: i32| -> Vec<String> {
        holder.exec("SELECT pg_advisory_lock(1)");
        std::thread::scope(|scope| {
            let running = scope.spawn(|| caller.rows(sql));
            let blocked =
                format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND pid = {pid}");
            wait_for("the statement to wait", DEADLINE, || (installer.one(&blocked) == "1").then_some(()));
            install(&installer, "which", &answering(next));
            holder.exec("SELECT pg_advisory_unlock(1)");
            running.join().unwrap().into_iter().flatten().flatten().collect()
        })
    };
    assert_eq!(seen("SELECT v(), waits(), w(), v(), stays()", 2), ["1", "2", "1", "1", "1"]);
    // A statement that has not called the plugin yet, and one of a session that does not know it.
    assert_eq!(seen("SELECT waits(), w(), v(), stays()", 3), ["3", "2", "2", "2"]);
    assert_eq!(caller.rows("SELECT v(), w(), stays()")[0], ["3", "3", "3"].map(|n| Some(n.to_owned())));
    // Removed while it runs.
    holder.exec("SELECT pg_advisory_lock(1)");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| caller.rows("SELECT pg_advisory_xact_lock(1)::text, v()"));
        let blocked =
            format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND pid = {pid}");
        wait_for("the statement to wait", DEADLINE, || (installer.one(&blocked) == "1").then_some(()));
        installer.exec("DELETE FROM lagoon.plugins");
        holder.exec("SELECT pg_advisory_unlock(1)");
        assert_eq!(running.join().unwrap()[0][1].as_deref(), Some("3"));
    });
    assert_eq!(caller.sqlstate("SELECT v()"), "42704");
}

/// The same trigger in both languages on the same rows.
#[test]
fn a_trigger_leaves_the_row_that_plpgsql_would() {
    let cluster = Cluster::with_lagoon(&[]);
    let session = cluster.session();
    // `copy` sets `seen` to the generated column and that to itself; `pad` sets `short` to the text at 64.
    let list = |export: &str, at: usize, columns: &str| {
        let length = columns.replace("\\n", "\n").len();
        format!(
            r#"(data (i32.const {at}) "{columns}") (func (export "{export}_columns") (result i64) (i64.const {}))"#,
            (at << 32) | length
        )
    };
    let text = format!(
        r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 2)
        (func (export "lagoon_buffer") (param i32) (result i32) (i32.const 65536))
        (func (export "copy") (param $r i32) (result i32)
            (i32.store offset=20 (local.get $r) (i32.load offset=36 (local.get $r)))
            (i64.store offset=24 (local.get $r) (i64.load offset=40 (local.get $r)))
            (i32.store8 offset=17 (local.get $r) (i32.or (i32.const 2) (i32.load8_u offset=33 (local.get $r))))
            (i32.store8 offset=33 (local.get $r) (i32.or (i32.const 2) (i32.load8_u offset=33 (local.get $r))))
            (i32.const 2))
        (func (export "pad") (param $r i32) (result i32)
            (i32.store offset=20 (local.get $r) (i32.load offset=36 (local.get $r)))
            (i64.store offset=24 (local.get $r) (i64.load offset=40 (local.get $r)))
            (i32.store8 offset=17 (local.get $r) (i32.or (i32.const 2) (i32.load8_u offset=33 (local.get $r)))) (i32.const 2))
        {} {})"#,
        list("copy", 1024, "seen:text\\ngen:text\\nold.gen:text"),
        list("pad", 2048, "short:text\\nlong:text"),
    );
    install(&session, "row", &text);
    for language in ["wasm", "plpgsql"] {
        let function = |name: &str, body: &str| match language {
            "wasm" => format!("CREATE FUNCTION {name}_wasm() RETURNS trigger LANGUAGE wasm AS 'row:{name}'"),
            _ => format!(
                "CREATE FUNCTION {name}_plpgsql() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body}; RETURN NEW; END$$"
            ),
        };
        session.exec(&function("copy", "NEW.seen := NEW.gen"));
        session.exec(&function("pad", "NEW.short := NEW.long"));
        session.exec(&format!(
            "CREATE TABLE generated_{language} (id int, seen text, gen varchar(9) GENERATED ALWAYS AS ('n' || id % 3) STORED);
             CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON generated_{language} FOR EACH ROW EXECUTE FUNCTION copy_{language}();
             CREATE TABLE padded_{language} (short varchar(3), long text);
             CREATE TRIGGER t BEFORE INSERT OR UPDATE ON padded_{language} FOR EACH ROW EXECUTE FUNCTION pad_{language}()"
        ));
    }
    let both = |sql: &str| {
        let of = |language: &str| match session.try_rows(&sql.replace('%', language)) {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => describe(&error).lines().next().unwrap_or_default().to_owned(),
        };
        let outcome = of("wasm");
        assert_eq!(outcome, of("plpgsql"), "{sql}");
        outcome
    };
    both("INSERT INTO generated_% (id) VALUES (1), (2), (NULL) RETURNING *");
    both("SELECT * FROM generated_%");
    let updated = both("UPDATE generated_% SET id = id + 1 RETURNING *");
    assert!(updated.contains("None, Some(\"n2\")"), "{updated}");
    both("UPDATE generated_% SET seen = 'x' RETURNING *");
    both("SELECT * FROM generated_%");
    for value in [
        "'abc'",
        "'abc   '",
        "'ab    '",
        "'   '",
        "'     '",
        "'äöü  '",
        "'äöüß'",
        "'abcd'",
        "E'abc\\t'",
        "E'abc\\n'",
        "NULL",
        "''",
    ] {
        both(&format!(
            "INSERT INTO padded_% (short, long) VALUES ('x', {value}) RETURNING '[' || short || ']', length(short)"
        ));
    }
}
