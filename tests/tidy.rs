//! The invariants of ARCHITECTURE.md as tests: what may depend on what, where `unsafe` lives, how large a file may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const WINGS: [&str; 6] = ["vector", "index", "lake", "embed", "wasm", "worker"];

/// Licences that a dependency may have; one accepted alternative of an `OR` is enough.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "PostgreSQL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that the extension itself links in two versions, each with the one that keeps the old version alive.
/// A new pair fails the test: look for a version that unifies it before adding a line.
const DUPLICATES: &str = include_str!("duplicates.txt");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn files(under: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(under), extension, &mut found);
    found.sort();
    let name = |p: &Path| p.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found.iter().map(|p| (name(p), fs::read_to_string(p).unwrap())).collect()
}

/// Lines of code with their numbers: comments cut off, unit test modules left out.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        let line = line.split("//").next().unwrap_or_default();
        if !line.trim().is_empty() {
            lines.push((number + 1, line.to_owned()));
        }
    }
    lines
}

fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn matching(files: &[(String, String)], test: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in code(text) {
            if test(name, &line) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn engines_know_nothing_of_postgres() {
    let mut found = Vec::new();
    for (name, text) in files("crates", "toml") {
        found.extend(text.lines().filter(|l| l.contains("pgrx")).map(|l| format!("{name}: {l}")));
    }
    found.extend(matching(&files("crates", "rs"), |_, line| line.contains("pg_sys") || line.contains("pgrx::")));
    none(found, "crates/ must not name PostgreSQL");
}

#[test]
fn unsafe_lives_in_glue_and_simd_only() {
    let engines = matching(&files("crates", "rs"), |name, line| {
        let simd = name.starts_with("crates/vector/src/distance/");
        let mapping = name == "crates/vector/src/memory.rs";
        let loading = ["crates/wasm/src/unchecked.rs", "crates/embed/src/runtime.rs"].contains(&name);
        !simd && !mapping && !loading && line.split_whitespace().any(|w| w == "unsafe")
    });
    none(
        engines,
        "unsafe in an engine belongs into the SIMD files, mapped memory, the compile cache or the library loader",
    );
}

#[test]
fn wings_do_not_import_each_other() {
    let found = matching(&files("src", "rs"), |name, line| {
        let Some(wing) = name.split('/').nth(1).filter(|w| WINGS.contains(w)) else { return false };
        // The worker names wings in its list of duties, and nowhere else.
        if name == "src/worker/duty.rs" {
            return false;
        }
        WINGS.iter().any(|other| *other != wing && line.contains(&format!("crate::{other}::")))
    });
    none(found, "what two wings need belongs into src/pg or an engine crate");
}

#[test]
fn versions_of_the_server_differ_in_compat_only() {
    let mut glue = files("src", "rs");
    glue.extend(files("pg_test", "rs"));
    let found = matching(&glue, |name, line| name != "src/pg/compat.rs" && line.contains("feature = \"pg1"));
    none(found, "what depends on the version of PostgreSQL belongs into src/pg/compat.rs");
}

#[test]
fn threads_start_in_src_pg_only() {
    let found = matching(&files("src", "rs"), |name, line| {
        !name.starts_with("src/pg/") && (line.contains("thread::Builder") || line.contains("std::thread::spawn"))
    });
    none(found, "start threads through pg::thread, which blocks signals");
}

#[test]
fn the_backend_never_sleeps_blindly() {
    let found = matching(&files("src", "rs"), |name, line| name != "src/pg/job.rs" && line.contains("thread::sleep"));
    none(found, "wait through pg::wait, which answers interrupts");
}

#[test]
fn messages_below_error_go_through_pg_log() {
    let macros = ["notice!(", "warning!(", "info!(", "debug1!(", "pgrx::log!("];
    let found = matching(&files("src", "rs"), |_, line| macros.iter().any(|m| line.contains(m)));
    none(found, "pgrx's message macros can longjmp over our frames");
}

#[test]
fn callbacks_are_shells() {
    let mut found = Vec::new();
    for (name, text) in files("src", "rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.trim_start().starts_with("#[pg_guard]") && !line.trim_start().starts_with("#[pgrx::pg_guard]") {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let end = lines[at..].iter().position(|l| l.trim_end() == format!("{}}}", " ".repeat(indent)));
            let body = lines[at..at + end.unwrap_or(0)].iter().skip_while(|l| !l.trim_end().ends_with('{')).count();
            if body > 16 {
                found.push(format!("{name}:{}: {body} lines", at + 1));
            }
        }
    }
    none(found, "a callback is a shell of at most 15 lines around a function that returns Result");
}

#[test]
fn files_are_small() {
    let mut found = Vec::new();
    for folder in ["src", "crates", "pg_test", "tests", "guest", "benches"] {
        for (name, text) in files(folder, "rs") {
            if text.lines().count() > 800 {
                found.push(format!("{name}: {} lines", text.lines().count()));
            }
        }
    }
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap().lines().count();
    assert!(lib < 100, "src/lib.rs has {lib} lines; it holds modules and _PG_init, no logic");
    none(found, "a file is about one verb: 500 lines, 800 at most");
}

#[test]
fn settings_are_in_the_manual() {
    let settings = fs::read_to_string(root().join("src/pg/guc.rs")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let names: BTreeSet<&str> =
        settings.split("c\"").filter_map(|s| s.split('"').next()).filter(|s| is_setting(s)).collect();
    assert!(names.len() > 5, "the test no longer finds the settings in src/pg/guc.rs");
    none(
        names.iter().filter(|n| !readme.contains(&format!("`{n}`"))).map(|n| (*n).to_owned()).collect(),
        "settings that README does not list",
    );
}

fn is_setting(text: &str) -> bool {
    (text.starts_with("lagoon.") || text.starts_with("hnsw.") || text.starts_with("ivfflat."))
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '.' || c == '_')
}

#[test]
fn sqlstates_are_in_the_manual() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut missing = BTreeSet::new();
    for (name, text) in files("crates", "rs").into_iter().chain(files("src", "rs")) {
        if !name.ends_with("/error.rs") {
            continue;
        }
        for word in text.split('"').filter(|w| w.len() == 5 && w.starts_with("LG")) {
            if !readme.contains(word) {
                missing.insert(format!("{name}: {word}"));
            }
        }
    }
    none(missing.into_iter().collect(), "SQLSTATEs of our own that README does not list");
}

#[test]
fn dependencies_have_known_licences() {
    let metadata = metadata();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("none given").replace('/', " OR ");
        let accepted = licence.split(" OR ").any(|option| {
            option.split(" AND ").all(|part| LICENCES.contains(&part.trim().trim_matches(|c| c == '(' || c == ')')))
        });
        if !accepted {
            found.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    none(found, "dependencies with a licence that is not on the list");
}

#[test]
fn duplicates_of_dependencies_are_known() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "lagoon", "--edges", "normal", "--prefix", "none", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines().filter(|l| !l.contains("proc-macro")) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    let known: BTreeSet<&str> =
        DUPLICATES.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_whitespace().next()).collect();
    let twice: BTreeSet<&str> = versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| name.as_str()).collect();
    none(twice.difference(&known).map(|n| format!("{n}: {:?}", versions[*n])).collect(), "new duplicates");
    none(known.difference(&twice).map(|n| (*n).to_owned()).collect(), "duplicates that are gone: delete their line");
}
