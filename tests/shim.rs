//! The extension `vector` of `shim/`, installed by `scripts/vector-shim`: `CREATE EXTENSION vector` works as clients issue it, and
//! a real pgvector stays untouched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use lagoon_tests::{Cluster, checkout, pg_config, run, text_of};

const EXTENSIONS: &str =
    "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'";

#[test]
fn cascade_brings_lagoon() {
    let cluster = Cluster::start(&[]);
    let alone = cluster.try_psql("postgres", "CREATE EXTENSION vector").unwrap_err();
    assert!(alone.contains("required extension \"lagoon\" is not installed") && alone.contains("CASCADE"), "{alone}");
    cluster.psql("CREATE EXTENSION vector CASCADE");
    assert_eq!(cluster.psql(EXTENSIONS), "lagoon vector");
    cluster.psql("CREATE EXTENSION IF NOT EXISTS vector CASCADE; CREATE EXTENSION IF NOT EXISTS vector");
    assert_eq!(cluster.psql("SELECT extversion FROM pg_extension WHERE extname = 'vector'"), "0.8.6");

    // Where everything goes into one schema, pgvector's names are there too.
    cluster.psql("CREATE DATABASE other");
    cluster.psql_in("other", "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions CASCADE");
    assert_eq!(cluster.psql_in("other", "SELECT '[1,2]'::extensions.vector"), "[1,2]");
}

/// Without CASCADE and without being superuser, where lagoon is: in this database, or in the template of all new ones.
#[test]
fn where_lagoon_is_clients_may_create_it() {
    let cluster = Cluster::start(&[]);
    cluster.psql_in("template1", "CREATE EXTENSION lagoon");
    cluster.psql("CREATE ROLE app");
    cluster.psql("CREATE DATABASE app_test OWNER app");
    let sql = "SET ROLE app; CREATE EXTENSION IF NOT EXISTS vector; CREATE EXTENSION IF NOT EXISTS vector; SELECT '[1,2]'::vector";
    assert_eq!(cluster.psql_in("app_test", sql), "[1,2]");
}

#[test]
fn dropping_it_leaves_lagoon_and_the_data() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.psql("CREATE EXTENSION vector; CREATE TABLE t (v vector(2)); INSERT INTO t VALUES ('[1,2]')");
    let refused = cluster.try_psql("postgres", "DROP EXTENSION lagoon").unwrap_err();
    assert!(refused.contains("extension vector depends on extension lagoon"), "{refused}");
    cluster.psql("DROP EXTENSION vector");
    assert_eq!(cluster.psql(EXTENSIONS), "lagoon");
    assert_eq!(cluster.psql("SELECT v FROM t"), "[1,2]");
}

#[test]
fn a_dump_of_both_can_be_restored() {
    let cluster = Cluster::start(&[]);
    cluster.psql(
        "CREATE EXTENSION vector CASCADE; CREATE TABLE t (id int, v vector(2)); INSERT INTO t VALUES (1, '[1,2]'), (2, NULL);
         CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)",
    );
    let pg_dump = PathBuf::from(pg_config("--bindir")).join("pg_dump");
    let dump =
        run(Command::new(pg_dump).args(["-p", "5432", "-U", "postgres", "-h"]).arg(cluster.dir()).arg("postgres"));
    assert!(dump.contains("CREATE EXTENSION IF NOT EXISTS vector"), "{dump}");
    // psql -c takes no data lines of COPY.
    let file = cluster.dir().join("dump.sql");
    fs::write(&file, dump).unwrap();
    cluster.psql("CREATE DATABASE copy");
    run(Command::new(PathBuf::from(pg_config("--bindir")).join("psql"))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-p", "5432", "-U", "postgres", "-d", "copy", "-h"])
        .arg(cluster.dir())
        .arg("-f")
        .arg(file));
    assert_eq!(cluster.psql_in("copy", EXTENSIONS), "lagoon vector");
    assert_eq!(cluster.psql_in("copy", "SELECT id, v FROM t ORDER BY id"), "1|[1,2]\n2|");
    let nearest = "SET enable_seqscan = off; SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1";
    assert_eq!(cluster.psql_in("copy", nearest), "1");
}

#[test]
fn a_real_pgvector_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("extension");
    fs::create_dir(&folder).unwrap();
    let pg_config = place.path().join("pg_config");
    fs::write(&pg_config, format!("#!/bin/sh\necho {}\n", place.path().display())).unwrap();
    fs::set_permissions(&pg_config, fs::Permissions::from_mode(0o755)).unwrap();
    let shim = |verb: &str| -> Output {
        Command::new(checkout().join("scripts/vector-shim")).arg(verb).env("PG_CONFIG", &pg_config).output().unwrap()
    };
    let files = || -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };

    for _ in 0..2 {
        let output = shim("install");
        assert!(output.status.success(), "{}", text_of(&output));
        assert_eq!(files(), ["vector--0.8.6.sql", "vector.control"]);
    }
    assert!(shim("uninstall").status.success());
    assert!(files().is_empty());

    let control = folder.join("vector.control");
    fs::write(&control, "comment = 'vector data type and ivfflat and hnsw access methods'\n").unwrap();
    for verb in ["install", "uninstall"] {
        let output = shim(verb);
        assert!(!output.status.success());
        assert!(text_of(&output).contains("a real pgvector is installed"), "{}", text_of(&output));
        assert_eq!(files(), ["vector.control"]);
        assert!(fs::read_to_string(&control).unwrap().contains("ivfflat"));
    }
}
