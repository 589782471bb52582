//! The folder of plugins, watched by the launcher and brought in by workers, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, scratch, wait_for};
use tempfile::TempDir;

const PRELOAD: &str = "shared_preload_libraries=lagoon";

fn plugins() -> (TempDir, PathBuf, String) {
    let place = scratch();
    let folder = place.path().join("functions");
    let setting = format!("lagoon.functions_directory={}", folder.display());
    (place, folder, setting)
}

fn make(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    give_to_owner(folder);
}

/// Writes a file whole: under another name first, as the manual advises.
fn write(file: &Path, bytes: impl AsRef<[u8]>) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, bytes).unwrap();
    give_to_owner(&draft);
    std::fs::rename(&draft, file).unwrap();
}

/// A plugin whose `answer` is a number.
fn answering(number: i32) -> Vec<u8> {
    let text = format!(
        r#"(module (func (export "lagoon_abi_1")) (func (export "answer") (result i32) (i32.const {number})))"#
    );
    wat::parse_str(text).unwrap()
}

/// One that takes until its time limit to start.
fn spinning(number: i32) -> Vec<u8> {
    let text = format!(
        r#"(module (func $spin (loop (br 0))) (start $spin) (func (export "lagoon_abi_1")) (func (result i32) (i32.const {number})))"#
    );
    wat::parse_str(text).unwrap()
}

/// Waits until a plugin is what it is in the file.
fn wait_for_bytes(session: &Session, plugin: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!("SELECT count(*) FROM lagoon.plugins WHERE name = '{plugin}' AND wasm = '\\x{hex}'");
    wait_for(&format!("other bytes of {plugin}"), DEADLINE, || (session.one(&sql) == "1").then_some(()));
}

fn error_of(session: &Session, plugin: &str) -> String {
    session.one(&format!("SELECT error_sqlstate FROM lagoon.plugin_status WHERE name = '{plugin}'"))
}

fn wait_for_error(session: &Session, plugin: &str, sqlstate: &str) {
    wait_for(&format!("{sqlstate} of {plugin}"), DEADLINE, || (error_of(session, plugin) == sqlstate).then_some(()));
}

fn runs(session: &Session) -> i64 {
    session.one("SELECT runs FROM lagoon.workers WHERE database = 'postgres'").parse().unwrap_or(0)
}

#[test]
fn the_folder_is_watched() {
    let (_place, folder, _setting) = plugins();
    let cluster = Cluster::with_lagoon(&[PRELOAD]);
    let session = cluster.session();
    assert_eq!(runs(&session), 0, "no folder, nothing to do");

    let mut seen = 0;
    let mut runs_after = |what: &str| {
        seen = wait_for(what, DEADLINE, || Some(runs(&session)).filter(|runs| *runs > seen));
    };
    // Set by a reload; not there yet; made.
    session.exec(&format!("ALTER SYSTEM SET lagoon.functions_directory = '{}'", folder.display()));
    session.exec("SELECT pg_reload_conf()");
    wait_for("word of the missing folder", DEADLINE, || {
        let sql = "SELECT last_error FROM lagoon.workers WHERE role = 'launcher'";
        session.one(sql).contains("could not watch folder").then_some(())
    });
    make(&folder);
    runs_after("a run when the folder appears");
    write(&folder.join("note.txt"), "one");
    runs_after("a run after a new file");
    std::fs::rename(folder.join("note.txt"), folder.join("other.txt")).unwrap();
    runs_after("a run after a rename");
    make(&folder.join("sub/of/sub"));
    runs_after("a run after new subfolders");
    write(&folder.join("sub/of/sub/note.txt"), "two");
    runs_after("a run after a new file in a subfolder of a subfolder");
    std::fs::remove_dir_all(&folder).unwrap();
    make(&folder);
    runs_after("a run after the folder was made again");
    write(&folder.join("note.txt"), "three");
    runs_after("a run in the new folder");
    let moved = folder.with_extension("moved");
    std::fs::rename(&folder, &moved).unwrap();
    std::fs::rename(&moved, &folder).unwrap();
    write(&folder.join("note.txt"), "four");
    runs_after("a run after the folder was moved away and back");
    // More events than the kernel queues: it drops the rest, and says so.
    let launcher = session.one("SELECT pid FROM lagoon.workers WHERE role = 'launcher'");
    let signal = |name: &str| lagoon_tests::run(std::process::Command::new("kill").args([name, &launcher]));
    signal("-STOP");
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    for number in 0..limit.trim().parse::<u32>().unwrap() / 3 + 10 {
        std::fs::write(folder.join(number.to_string()), "x").unwrap(); // create, modify, close
    }
    make(&folder.join("late"));
    signal("-CONT");
    runs_after("a run after many changes");
    write(&folder.join("late/note.txt"), "five");
    runs_after("a run after a change in a subfolder whose making was among those dropped");
}

#[test]
fn five_quick_changes_are_one_reload() {
    let (_place, folder, setting) = plugins();
    make(&folder);
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    let session = cluster.session();
    wait_for("the first run", DEADLINE, || (runs(&session) >= 1).then_some(()));
    let first = runs(&session);
    // A machine that stalls between two writes may see two; one that reacts to each would see five.
    for round in 0..5 {
        write(&folder.join("note.txt"), round.to_string());
    }
    wait_for("another run", DEADLINE, || (runs(&session) > first).then_some(()));
    write(&folder.join("last.txt"), "");
    let end =
        wait_for("the run after the last change", DEADLINE, || Some(runs(&session)).filter(|runs| *runs >= first + 2));
    assert!(end <= first + 3, "{end} runs");
}

#[test]
fn what_a_build_puts_deep_and_what_links_lead_to_is_noticed() {
    let (place, folder, setting) = plugins();
    let build = folder.join("deep/target/wasm32-unknown-unknown/release");
    make(&build);
    write(&folder.join("deep/manifest.yaml"), "wasm: target/wasm32-unknown-unknown/release/out.wasm");
    write(&build.join("out.wasm"), answering(1));
    let elsewhere = place.path().join("elsewhere");
    make(&elsewhere.join("v1"));
    make(&elsewhere.join("v2"));
    write(&elsewhere.join("one.wasm"), answering(2));
    symlink(elsewhere.join("one.wasm"), folder.join("linked.wasm")).unwrap();
    for (version, number) in [("v1", 3), ("v2", 4)] {
        write(&elsewhere.join(version).join("manifest.json"), "{}");
        write(&elsewhere.join(version).join("swapped.wasm"), answering(number));
    }
    symlink(elsewhere.join("v1"), folder.join("swapped")).unwrap();
    symlink(&folder, folder.join("deep/circle")).unwrap();
    symlink("circle", folder.join("deep/other_circle")).unwrap();

    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    let session = cluster.session();
    for (plugin, number) in [("deep", 1), ("linked", 2), ("swapped", 3)] {
        wait_for_bytes(&session, plugin, &answering(number));
    }
    write(&build.join("out.wasm"), answering(11));
    wait_for_bytes(&session, "deep", &answering(11));
    // The target of a link: written in place, then replaced by a rename.
    std::fs::write(elsewhere.join("one.wasm"), answering(12)).unwrap();
    wait_for_bytes(&session, "linked", &answering(12));
    write(&elsewhere.join("one.wasm"), answering(22));
    wait_for_bytes(&session, "linked", &answering(22));
    // No event tells of what is written through another hard link: a look at everything finds it.
    std::fs::remove_file(folder.join("linked.wasm")).unwrap();
    std::fs::hard_link(elsewhere.join("one.wasm"), folder.join("linked.wasm")).unwrap();
    std::fs::write(elsewhere.join("one.wasm"), answering(32)).unwrap();
    wait_for_bytes(&session, "linked", &answering(32));
    let is_at_rest = "SELECT count(*) FROM lagoon.workers WHERE database = 'postgres' AND state = 'idle'";
    wait_for("the worker to end", DEADLINE, || (session.one(is_at_rest) == "1").then_some(()));
    std::fs::write(elsewhere.join("one.wasm"), answering(42)).unwrap();
    wait_for_bytes(&session, "linked", &answering(42));
    // A link to a folder is swapped; then what lies behind it changes.
    symlink(elsewhere.join("v2"), folder.join("swapped.new")).unwrap();
    std::fs::rename(folder.join("swapped.new"), folder.join("swapped")).unwrap();
    wait_for_bytes(&session, "swapped", &answering(4));
    write(&elsewhere.join("v2/swapped.wasm"), answering(14));
    wait_for_bytes(&session, "swapped", &answering(14));
}

#[test]
fn a_slow_plugin_does_not_delay_others_and_is_not_tried_again_until_it_changes() {
    let (_place, folder, setting) = plugins();
    make(&folder);
    write(&folder.join("a_slow.wasm"), spinning(1));
    write(&folder.join("quick.wasm"), answering(1));
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting, "lagoon.wasm_time_limit=5s"]);
    let session = cluster.session();
    wait_for_bytes(&session, "quick", &answering(1));
    assert_eq!(error_of(&session, "a_slow"), "", "the slow one has not had its time yet");
    wait_for_error(&session, "a_slow", "57014");
    let state = "SELECT quarantined, failed_at FROM lagoon.plugin_status WHERE name = 'a_slow'";
    let failed = session.rows(state);
    assert_eq!(failed[0][0].as_deref(), Some("t"));

    write(&folder.join("quick.wasm"), answering(2));
    wait_for_bytes(&session, "quick", &answering(2));
    wait_for("the end of that run", DEADLINE, || {
        let sql = "SELECT count(*) FROM lagoon.workers WHERE database = 'postgres' AND state = 'idle'";
        (session.one(sql) == "1").then_some(())
    });
    assert_eq!(session.rows(state), failed, "not tried again");

    write(&folder.join("a_slow.wasm"), answering(3));
    wait_for_bytes(&session, "a_slow", &answering(3));
    assert_eq!(error_of(&session, "a_slow"), "");
}

#[test]
fn what_is_no_file_is_an_error_and_stops_nothing() {
    let (_place, folder, setting) = plugins();
    make(&folder.join("inner"));
    let pipe = |path: &Path| drop(lagoon_tests::run(std::process::Command::new("mkfifo").arg(path)));
    pipe(&folder.join("a_pipe.wasm"));
    pipe(&folder.join("inner/manifest.yaml"));
    symlink("/dev/zero", folder.join("zero.wasm")).unwrap();
    let file = std::fs::File::create(folder.join("large.wasm")).unwrap();
    file.set_len(1 << 40).unwrap();
    give_to_owner(&folder);
    write(&folder.join("twice.wasm"), answering(1));
    make(&folder.join("twice"));
    write(&folder.join("twice/manifest.yaml"), "version: '2'");
    write(&folder.join("z_good.wasm"), answering(1));
    let cluster = Cluster::with_lagoon(&[PRELOAD, &setting]);
    let session = cluster.session();
    wait_for_bytes(&session, "z_good", &answering(1));
    for (plugin, sqlstate) in
        [("a_pipe", "42809"), ("inner", "42809"), ("zero", "42809"), ("large", "54000"), ("twice", "42710")]
    {
        assert_eq!(error_of(&session, plugin), sqlstate, "{plugin}");
    }
    let by_hand =
        |path: &str| session.sqlstate(&format!("SELECT lagoon.install_plugin_file('{}/{path}')", folder.display()));
    assert_eq!(by_hand("a_pipe.wasm"), "42809");
    assert_eq!(by_hand("inner/manifest.yaml"), "42809");
    assert_eq!(by_hand("zero.wasm"), "42809");
    assert_eq!(by_hand("inner"), "42809");
    cluster.stop("fast");
}
