//! The invariants of ARCHITECTURE.md as tests: what may depend on what, where `unsafe` lives, how large a file may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const WINGS: [&str; 5] = ["vector", "lake", "embed", "wasm", "background"];

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
        // The background processes name wings in their list of tasks, and nowhere else.
        if name == "src/background/task.rs" {
            return false;
        }
        WINGS.iter().any(|other| *other != wing && line.contains(&format!("crate::{other}::")))
    });
    none(found, "what two wings need belongs into src/pg or an engine crate");
    let rooms = [("src/vector/types/", "vector::index"), ("src/vector/index/", "vector::types")];
    let found = matching(&files("src/vector", "rs"), |name, line| {
        rooms.iter().any(|(room, other)| name.starts_with(room) && line.contains(other))
    });
    none(found, "what types and indexes need belongs into src/pg/datum/vector");
}

/// `pg` knows no wing, and only `background` knows others: what one room of the glue uses does not use it in turn. The same holds
/// for the files and folders of any folder of the glue and of the engines. What a mod.rs has for its own folder is not looked at.
#[test]
fn files_and_folders_form_no_circle() {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (name, text) in files("src", "rs").into_iter().chain(files("crates", "rs")) {
        let Some((root, path)) = name.split_once("src/") else { continue };
        let module: Vec<&str> = path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
        if path == "lib.rs" || path.contains("tests") {
            continue;
        }
        let lines = code(&text);
        let text: String = lines.iter().flat_map(|(_, line)| line.chars()).filter(|c| !c.is_whitespace()).collect();
        // A query is made of expressions, and an expression may hold a query.
        let may_use = |other: &str| name != "crates/lake/src/expr/ir.rs" || other != "query";
        for (depth, own) in module.iter().enumerate() {
            let above = module[..depth].iter().map(|part| format!("{part}::")).collect::<String>();
            let used = folders.entry(format!("{root}src/{above}")).or_default().entry((*own).to_owned()).or_default();
            for prefix in [format!("crate::{above}"), "super::".repeat(module.len() - depth)] {
                used.extend(named(&text, &prefix).filter(|other| other != own && may_use(other)).map(str::to_owned));
            }
        }
    }
    assert!(folders["src/"].contains_key("pg") && folders["crates/lake/src/"].contains_key("types"));
    let mut found = Vec::new();
    for (folder, mut uses) in folders {
        // They go that use none of those that are left. What stays is in a circle, or uses one.
        while let Some(free) = uses.iter().find(|(_, used)| used.iter().all(|other| !uses.contains_key(other))) {
            let free = free.0.clone();
            uses.remove(&free);
        }
        let left: BTreeSet<_> = uses.keys().cloned().collect();
        found.extend(uses.iter().map(|(own, used)| format!("{folder}{own} uses {:?}", used & &left)));
    }
    none(found, "files or folders that use each other");
}

/// The first words of paths behind a prefix; of a list in braces, those of all of its paths.
fn named<'a>(text: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    let starts = text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(':'));
    let rests: Vec<&str> = starts.map(|(at, _)| &text[at + prefix.len()..]).collect();
    rests.into_iter().flat_map(|rest| {
        let (list, mut depth) = (rest.strip_prefix('{'), 0);
        let paths = list.unwrap_or(rest).split(move |c: char| {
            if depth >= 0 {
                depth += i32::from(c == '{') - i32::from(c == '}');
            }
            c == ',' && depth == 0
        });
        let count = if list.is_some() { usize::MAX } else { 1 };
        paths.take(count).filter_map(|path| path.split(|c| !is_word(c)).next())
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Which folder of the lake's two rooms stands on which.
#[test]
fn floors_of_the_lake_do_not_look_up() {
    let floors = [
        ("src/lake/", "crate::lake::", ["types", "expr", "source", "dataset", "fdw", "query"].as_slice()),
        ("crates/lake/src/", "crate::", ["types", "engine", "source", "expr", "exec"].as_slice()),
    ];
    let mut found = Vec::new();
    for (room, prefix, floors) in floors {
        for (at, floor) in floors.iter().enumerate() {
            let above = &floors[at + 1..];
            let own: Vec<_> = files(&format!("{room}{floor}"), "rs")
                .into_iter()
                .filter(|(name, _)| !name.contains("tests"))
                .collect();
            assert!(!own.is_empty(), "{room}{floor}");
            let names = |line: &str, upper: &str| line.contains(&format!("{prefix}{upper}::"));
            found.extend(matching(&own, |_, line| above.iter().any(|upper| names(line, upper))));
        }
    }
    none(found, "a floor of the lake imports one that stands on it");
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

/// The texts of LG errors are compared in the error.rs of their engines, and settings with the server in `tests/manual.rs`.
#[test]
fn sqlstates_are_in_the_manual() {
    let page = fs::read_to_string(root().join("docs/operations/errors.md")).unwrap();
    let mut missing = BTreeSet::new();
    for (name, text) in files("crates", "rs").into_iter().chain(files("src", "rs")) {
        if !name.ends_with("/error.rs") || name == "src/pg/error.rs" {
            continue;
        }
        let is_code =
            |word: &&str| word.len() == 5 && word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        for word in text.split('"').filter(is_code).filter(|word| word.contains(|c: char| c.is_ascii_digit())) {
            if !page.contains(word) {
                missing.insert(format!("{name}: {word}"));
            }
        }
    }
    none(missing.into_iter().collect(), "SQLSTATEs that docs/operations/errors.md does not list");
}

/// The book has every page, and every page is reached: mdBook leaves out what SUMMARY.md does not name.
#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let page = |name: &str| name.strip_prefix("docs/").unwrap().to_owned();
    let pages = files("docs", "md").into_iter().map(|(name, _)| page(&name)).filter(|name| name != "SUMMARY.md");
    none(
        pages.filter(|name| !summary.contains(&format!("({name})"))).collect(),
        "pages that docs/SUMMARY.md does not name",
    );
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut found = Vec::new();
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    let top = top.map(|name| (name.to_owned(), fs::read_to_string(root().join(name)).unwrap()));
    for (name, text) in files("docs", "md").into_iter().chain(top) {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { PathBuf::from(&name) } else { Path::new(&name).with_file_name("").join(path) };
            match fs::read_to_string(root().join(target)) {
                Err(_) => found.push(format!("{name}: {link}")),
                Ok(text) if !anchor.is_empty() && !text.lines().any(|line| slug(line).as_deref() == Some(anchor)) => {
                    found.push(format!("{name}: {link}"));
                }
                Ok(_) => {}
            }
        }
    }
    none(found, "links that lead nowhere");
}

/// Entry points, the map and decisions name files that are there.
#[test]
fn paths_in_documents_exist() {
    let architecture = ("ARCHITECTURE.md".to_owned(), fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let folders =
        ["src/", "crates/", "tests/", "pg_test/", "guest/", "sql/", "scripts/", "docs/", "benches/", "demo/", "shim/"];
    let mut found = Vec::new();
    for (name, text) in files("docs/internals", "md").into_iter().chain([architecture]) {
        for path in text.split('`').skip(1).step_by(2).filter(|word| folders.iter().any(|f| word.starts_with(f))) {
            if !path.contains(['*', ' ']) && !root().join(path).exists() {
                found.push(format!("{name}: {path}"));
            }
        }
    }
    none(found, "paths that are not there");
}

/// Docker is not everywhere, so it is not run here: what it copies is there, and what it runs are targets and scripts.
#[test]
fn steps_of_the_dockerfile_exist() {
    let [dockerfile, makefile, ignored] =
        ["Dockerfile", "Makefile", ".dockerignore"].map(|name| fs::read_to_string(root().join(name)).unwrap());
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut found, mut steps) = (Vec::new(), 0);
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("COPY"), Some(from)) if !from.starts_with("--from") => {
                let is_there = root().join(from).exists() && !ignored.contains(&from);
                found.extend((!is_there).then(|| line.to_owned()));
                steps += 1;
            }
            (Some("RUN"), Some("make")) => {
                let is_target = |target: &str| makefile.lines().any(|rule| rule.starts_with(&format!("{target}:")));
                found.extend(words.filter(|target| !is_target(target)).map(|target| format!("{line}: {target}")));
                steps += 1;
            }
            _ => {}
        }
    }
    assert!(steps >= 5, "{steps} steps of the Dockerfile are understood");
    none(found, "steps of the Dockerfile that lead nowhere");
}

/// A release is named in three places, and everybody who has the one before gets to it.
#[test]
fn versions_agree_and_can_be_reached() {
    let version = env!("CARGO_PKG_VERSION");
    let names = |file: &str, text: String| {
        assert!(fs::read_to_string(root().join(file)).unwrap().contains(&text), "{file} does not have {text}");
    };
    names("META.json", format!("\"version\": \"{version}\""));
    names("CHANGELOG.md", format!("## {version}"));
    names("docs/install.md", format!(" {version}\n"));
    let upgrades = files("sql/upgrade", "sql");
    assert!(upgrades.iter().any(|(name, _)| name.ends_with(&format!("--{version}.sql"))), "no way to {version}");
}

/// The anchor of a heading, as mdBook and code forges make it.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = heading.to_lowercase().replace(' ', "-");
    Some(kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect())
}

/// rust-toolchain.toml says "stable", so it is for this test to look at the version.
#[test]
fn rust_is_stable_and_new_enough() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let oldest = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let output = Command::new("rustc").arg("--version").current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(1).unwrap();
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    assert!(
        !version.contains('-') && minor(version) >= minor(oldest),
        "rustc {version}, wanted: stable, {oldest} or newer"
    );
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
