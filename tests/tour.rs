//! README's five-minute tour, run as it is written: each `sql` block gives what the `text` block after it shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use lagoon_tests::{Cluster, checkout, copy_for_owner, pg_config, text_of};

/// A block of SQL and, where README shows one, its output.
struct Step {
    sql: String,
    shown: Option<String>,
}

#[test]
fn the_tour_in_readme_gives_what_it_shows() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let steps = steps(&readme);
    assert!(steps.len() >= 5, "README's tour has only {} blocks of SQL", steps.len());

    let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test`");
    let model = std::env::var("LAGOON_MODEL").expect("LAGOON_MODEL: run `make test`");
    let guest = std::env::var("CARGO_TARGET_DIR").expect("CARGO_TARGET_DIR: run `make test`") + "/guests/hello.wasm";
    let cluster = Cluster::start(&[&format!("lagoon.onnxruntime_library={library}")]);
    copy_for_owner(Path::new(&guest), &cluster.dir().join("hello.wasm"));
    let mut script = String::from("\\pset pager off\n");
    for (number, step) in steps.iter().enumerate() {
        write!(script, "\\echo @@{number}\n{}\n", step.sql).unwrap();
    }
    let mut psql = std::process::Command::new(format!("{}/psql", pg_config("--bindir")))
        .args(["--no-psqlrc", "--quiet", "-U", "postgres", "-d", "postgres", "-p", "5432", "-v", "ON_ERROR_STOP=1"])
        .arg("-h")
        .arg(cluster.dir())
        .args(["-v", &format!("model={model}"), "-v", &format!("guests={}", cluster.dir().display())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));

    let printed = String::from_utf8(output.stdout).unwrap();
    for (number, step) in steps.iter().enumerate() {
        let start = format!("@@{number}\n");
        let from = printed.find(&start).unwrap() + start.len();
        let to = printed[from..].find("@@").map_or(printed.len(), |at| from + at);
        if let Some(shown) = &step.shown {
            assert_eq!(trimmed(&printed[from..to]), trimmed(shown), "README's tour, after\n{}", step.sql);
        }
    }
}

fn steps(readme: &str) -> Vec<Step> {
    let tour = readme.split("<!-- tour -->").nth(1).and_then(|t| t.split("<!-- /tour -->").next()).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for (at, block) in tour.split("```").enumerate().filter(|(at, _)| at % 2 == 1) {
        let (language, text) = block.split_once('\n').unwrap();
        match language {
            "sql" => steps.push(Step { sql: text.to_owned(), shown: None }),
            "text" => steps.last_mut().unwrap().shown = Some(text.to_owned()),
            other => panic!("block {at} of the tour is {other:?}, not sql or text"),
        }
    }
    steps
}

/// Without blank lines at the ends and blanks at line ends, which Markdown editors remove.
fn trimmed(text: &str) -> String {
    text.trim_matches('\n').lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}
