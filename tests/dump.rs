//! Dumps of a database whose tables need a plugin while their rows are restored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use lagoon_tests::{Cluster, pg_config, run, scratch};

/// Whose schema is restored before `lagoon`, and one whose is after; rows enough that `-j` takes the large tables first.
const SETUP: &str = "
CREATE FUNCTION twice(int) RETURNS int LANGUAGE wasm IMMUTABLE STRICT AS 'numbers:twice';
CREATE SCHEMA aaa;
CREATE TABLE aaa.checked (n int CHECK (public.twice(n) < 100000));
CREATE TABLE aaa.computed (n int, double int GENERATED ALWAYS AS (public.twice(n)) STORED);
CREATE TABLE zzz (n int CHECK (twice(n) < 100000));
INSERT INTO aaa.checked SELECT generate_series(1, 1000);
INSERT INTO aaa.computed SELECT generate_series(1, 1000);
INSERT INTO zzz SELECT generate_series(1, 1000);
CREATE INDEX ON aaa.computed (public.twice(n))";

fn bin(program: &str, cluster: &Cluster) -> Command {
    let mut command = Command::new(PathBuf::from(pg_config("--bindir")).join(program));
    command.args(["-p", "5432", "-U", "postgres", "-h"]).arg(cluster.dir());
    command
}

fn restore(cluster: &Cluster, database: &str, options: &[&str], dump: &Path) {
    run(bin("pg_restore", cluster).args(["-d", database, "--exit-on-error"]).args(options).arg(dump));
}

fn assert_whole(cluster: &Cluster, database: &str) {
    let sql =
        "SELECT (SELECT count(*) FROM aaa.checked), (SELECT sum(double) FROM aaa.computed), (SELECT count(*) FROM zzz),
                      twice(21), (SELECT string_agg(name || hash, ',') FROM lagoon.plugins)";
    assert_eq!(cluster.psql_in(database, sql), cluster.psql(sql), "{database}");
    // The copy, which was enough until the row came, follows the row again.
    cluster.psql_in(database, "SELECT lagoon.remove_plugin('numbers', cascade => true)");
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'lagoon_plugin'::regnamespace";
    assert_eq!(cluster.psql_in(database, left), "0");
    cluster.psql_in(database, "DROP EXTENSION lagoon");
}

#[test]
fn every_form_of_a_dump_brings_back_the_rows() {
    let cluster = Cluster::with_lagoon(&["fsync=off"]);
    let place = scratch();
    let text = r#"(module (func (export "lagoon_abi_1")) (func (export "twice") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))"#;
    let hex: String = wat::parse_str(text).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    cluster.psql(&format!(
        "SELECT lagoon.install_plugin('numbers', '\\x{hex}', '{{\"description\": \"it''s \\\\ tested\"}}')"
    ));
    cluster.psql(SETUP);
    for database in ["plain", "parallel", "sections", "schema_first"] {
        cluster.psql(&format!("CREATE DATABASE {database} TEMPLATE template0"));
    }
    let file = place.path().join("plain");
    run(bin("pg_dump", &cluster).arg("-f").arg(&file).arg("postgres"));
    run(bin("psql", &cluster).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "plain", "-f"]).arg(&file));
    assert_whole(&cluster, "plain");
    let file = place.path().join("custom");
    run(bin("pg_dump", &cluster).args(["-Fc", "-f"]).arg(&file).arg("postgres"));
    restore(&cluster, "parallel", &["-j", "2"], &file);
    assert_whole(&cluster, "parallel");
    for section in ["pre-data", "data", "post-data"] {
        restore(&cluster, "sections", &["--section", section], &file);
    }
    assert_whole(&cluster, "sections");
    restore(&cluster, "schema_first", &["--schema-only"], &file);
    assert_eq!(cluster.psql_in("schema_first", "SELECT twice(2)"), "4");
    restore(&cluster, "schema_first", &["--data-only"], &file);
    assert_whole(&cluster, "schema_first");
}
