//! The suites in `pg_test/` that compare output: pg_regress and isolation specs.
//!
//! Where the output of a newer server differs, `pg_test/expected/NN/NAME.out` holds what PostgreSQL NN and later versions print.
//!
//! `LAGOON_REGRESS=name,name` restricts them; `LAGOON_REGRESS_RESULTS=folder` keeps the output of those that differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use lagoon_tests::{Cluster, as_owner, checkout, copy_for_owner, pg_config, run, scratch, server_version, text_of};

/// Every `pg_test/sql/NAME.sql` gives `pg_test/expected/NAME.out`, each in a database of its own with the extension.
#[test]
fn regress() {
    compare("sql", "sql", "src/test/regress/pg_regress");
}

/// Every `pg_test/specs/NAME.spec` gives `pg_test/expected/NAME.out`.
#[test]
fn isolation() {
    compare("specs", "spec", "src/test/isolation/pg_isolation_regress");
}

/// Runs one of PostgreSQL's two comparing programs over a folder of `pg_test`.
fn compare(folder: &str, extension: &str, program: &str) {
    let names = names_in(&checkout().join("pg_test").join(folder), extension);
    if names.is_empty() {
        assert!(std::env::var("LAGOON_REGRESS").is_ok(), "pg_test/{folder} is empty");
        return;
    }
    let missing: Vec<_> =
        names.iter().filter(|name| !checkout().join(format!("pg_test/expected/{name}.out")).exists()).collect();
    assert!(missing.is_empty(), "no pg_test/expected/NAME.out for {missing:?}");

    // The checkout may be readable by root alone, so the inputs are copied.
    let place = scratch();
    let input = place.path().join("input");
    copy_for_owner(&checkout().join("pg_test"), &input);
    for version in 16..=server_version() {
        let newer = input.join(format!("expected/{version}"));
        if newer.exists() {
            run(Command::new("cp").arg("-r").arg(newer.join(".")).arg(input.join("expected")));
        }
    }
    let cluster = Cluster::start(&["shared_preload_libraries=lagoon"]);
    let program = Path::new(&pg_config("--pgxs")).parent().unwrap().join("../..").join(program);

    let mut failures = Vec::new();
    for name in &names {
        let database = format!("{folder}_{name}");
        cluster.psql(&format!("CREATE DATABASE {database}"));
        cluster.psql(&format!("ALTER DATABASE {database} SET timezone = 'UTC'"));
        cluster.psql_in(&database, "CREATE EXTENSION lagoon");
        let output_dir = place.path().join(&database);
        std::fs::create_dir(&output_dir).unwrap();
        lagoon_tests::give_to_owner(&output_dir);
        let output = as_owner(program_path(&program))
            .arg("--use-existing")
            .arg(format!("--dbname={database}"))
            .arg(format!("--inputdir={}", input.display()))
            .arg(format!("--outputdir={}", output_dir.display()))
            .arg(format!("--bindir={}", pg_config("--bindir")))
            .arg(format!("--host={}", cluster.dir().display()))
            .args(["--port=5432", "--user=postgres"])
            .arg(name)
            .output()
            .unwrap();
        if output.status.success() {
            eprintln!("ok      {name}");
        } else {
            eprintln!("FAILED  {name}");
            let diffs = std::fs::read_to_string(output_dir.join("regression.diffs"));
            failures.push(diffs.ok().filter(|diffs| !diffs.is_empty()).unwrap_or_else(|| text_of(&output)));
            if let Ok(keep) = std::env::var("LAGOON_REGRESS_RESULTS") {
                let result = output_dir.join("results").join(format!("{name}.out"));
                let _ = std::fs::copy(result, Path::new(&keep).join(format!("{name}.out"))); // it may not exist
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} differ\n{}", failures.len(), names.len(), failures.join("\n"));
}

fn program_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder, without their extension, sorted; those of `LAGOON_REGRESS` if it is set.
fn names_in(folder: &Path, extension: &str) -> Vec<String> {
    let wanted = std::env::var("LAGOON_REGRESS").ok();
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|w| w == name)))
        .collect();
    names.sort();
    names
}
