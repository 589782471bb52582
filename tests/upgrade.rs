//! Databases of version 0.1.0, commit 6e62f12, after the new library has come and `ALTER EXTENSION lagoon UPDATE`.
//!
//! `tests/upgrade/lagoon--0.1.0.sql` is that version's install script: the new library has all symbols that it names, so it
//! can be run without the old one. `LAGOON_RELEASED`, the folder that `scripts/released` prints, has the old library too; with
//! it a server of that version makes a database with data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lagoon_tests::{
    Cluster, Session, as_owner, checkout, copy_for_owner, describe, give_to_owner, guest, pg_config, run, scratch,
    server_version,
};
use tempfile::TempDir;

#[path = "../crates/embed/src/tiny.rs"]
mod tiny;

/// A copy of the server, into which any library can be put.
struct Server {
    place: TempDir,
    pg_config: PathBuf,
}

impl Server {
    fn new() -> Self {
        let place = scratch();
        let mut copy = Command::new(checkout().join("scripts/copy-server"));
        let pg_config = run(copy.arg(place.path())).into();
        Self { place, pg_config }
    }

    fn directory(&self, option: &str) -> PathBuf {
        run(Command::new(&self.pg_config).arg(option)).into()
    }

    fn extension(&self) -> PathBuf {
        self.directory("--sharedir").join("extension")
    }

    fn library(&self) -> PathBuf {
        self.directory("--pkglibdir").join("lagoon.so")
    }

    /// What is installed in the server that this is a copy of.
    fn install_present(&self) {
        let from = PathBuf::from(pg_config("--sharedir")).join("extension");
        self.install(&PathBuf::from(pg_config("--pkglibdir")).join("lagoon.so"), &from);
    }

    /// A library, and the control file and scripts of a folder.
    fn install(&self, library: &Path, scripts: &Path) {
        let _ = fs::remove_file(self.library()); // a file that is mapped must not be written over
        fs::copy(library, self.library()).unwrap();
        for entry in fs::read_dir(scripts).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "lagoon.control" || (name.starts_with("lagoon--") && name.ends_with(".sql")) {
                fs::copy(&path, self.extension().join(name)).unwrap();
            }
        }
    }
}

/// The output of a file of SQL, line by line.
fn output(cluster: &Cluster, database: &str, file: &str) -> Vec<String> {
    let mut psql = Command::new(format!("{}/psql", pg_config("--bindir")));
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", "5432", "-d", database, "-h"]);
    run(psql.arg(cluster.dir()).arg("-f").arg(checkout().join(file))).lines().map(str::to_owned).collect()
}

/// What the extension owns in one database is what it owns in a new one with the same grants, and looks the same to users.
fn assert_same_surface(cluster: &Cluster, database: &str, grants: &str) {
    let fresh = "fresh";
    cluster.psql(&format!("CREATE DATABASE {fresh}"));
    cluster.psql_in(fresh, &format!("CREATE EXTENSION lagoon; {grants}"));
    for file in ["pg_test/sql/surface.sql", "tests/upgrade/catalogue.sql"] {
        let (upgraded, new) = (output(cluster, database, file), output(cluster, fresh, file));
        assert!(new.len() > 100, "{file}: {new:#?}");
        let only = |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
        let (strange, missing) = (only(&upgraded, &new), only(&new, &upgraded));
        assert!(upgraded == new, "{file}: only after the upgrade {strange:#?}\nonly in a new database {missing:#?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rows as 0.1.0 wrote them, in its tables: the upgrade gives them owners, and says what it cannot carry over.
#[test]
fn the_install_script_of_0_1_0_becomes_the_present_one() {
    let server = Server::new();
    server.install_present();
    fs::copy(checkout().join("tests/upgrade/lagoon--0.1.0.sql"), server.extension().join("lagoon--0.1.0.sql")).unwrap();
    let cluster = Cluster::of_server(&server.pg_config, &["fsync=off", "lagoon.data_directories=/srv/open, /srv/too/"]);
    let session = cluster.session();
    session.exec("CREATE EXTENSION lagoon VERSION '0.1.0'");
    assert_eq!(session.one("SELECT to_regproc('lagoon.grant_dataset')"), "");
    let directory = session.one("SELECT current_setting('data_directory')") + "/lagoon/datasets";
    let dataset = |name: &str, files: &str| {
        session.exec(&format!(
            "INSERT INTO lagoon.datasets (id, name, fingerprint, path, files, rows, bytes, columns)
             VALUES (gen_random_uuid(), '{name}', 'old', '{directory}/{name}', '{{{files}}}', 1, 1,
                 '[{{\"name\": \"id\", \"type\": \"bigint\", \"nullable\": true}}]')"
        ));
    };
    dataset("ours", &format!("{directory}/ours/fp/1.parquet,{directory}/ours/fp/2.parquet"));
    dataset("both", &format!("{directory}/both/fp/1.parquet,/srv/open/1.parquet,/srv/too/2.parquet"));
    dataset("closed", "/srv/open/1.parquet,/srv/opened/1.parquet");
    dataset("climbing", "/srv/open/../closed/1.parquet");
    let module = hex(&guest::looping());
    cluster.psql("CREATE DATABASE hashes");
    cluster.psql_in("hashes", "CREATE EXTENSION lagoon");
    cluster.psql_in("hashes", &format!("SELECT lagoon.install_plugin('looping', '\\x{module}')"));
    let hash = cluster.psql_in("hashes", "SELECT hash FROM lagoon.plugins");
    session.exec(&format!(
        "INSERT INTO lagoon.models (name, directory, dimension, max_tokens, pooling, normalize, size, fingerprint, stamp, registered_by)
         VALUES ('gone', '/nonexistent', 3, 8, 'mean', true, 1, 'old', 'old', 'somebody');
         INSERT INTO lagoon.plugins (name, version, hash, wasm, manifest)
         VALUES ('looping', '1', '{hash}', '\\x{module}', '{{\"version\": \"1\", \"runtime\": \"core\", \"permissions\": []}}');
         CREATE TABLE t (v vector(3));
         CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)"
    ));
    let said = update(&cluster, "postgres");
    assert!(said.contains("model gone could not be registered again"), "{said}");
    assert!(said.contains("lagoon.register_model('gone', '/nonexistent')"), "{said}");
    assert!(said.contains("REINDEX INDEX t_v;"), "{said}");

    let session = cluster.session();
    let rows = |sql: &str| -> Vec<String> {
        session.rows(sql).into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join("|")).collect()
    };
    assert_eq!(
        rows("SELECT name, path, files, owner, readers FROM lagoon.datasets ORDER BY name"),
        [
            "both|both|{both/fp/1.parquet,/srv/open/1.parquet,/srv/too/2.parquet}|postgres|{-}",
            "climbing|climbing|{/srv/open/../closed/1.parquet}|postgres|{}",
            "closed|closed|{/srv/open/1.parquet,/srv/opened/1.parquet}|postgres|{}",
            "ours|ours|{ours/fp/1.parquet,ours/fp/2.parquet}|postgres|{-}",
        ]
    );
    assert_eq!(rows("SELECT DISTINCT length(fingerprint) FROM lagoon.datasets"), ["32"]);
    assert_eq!(rows("SELECT name, owner, batched FROM lagoon.models"), ["gone|somebody|t"]);
    assert_eq!(rows("SELECT name, owner FROM lagoon.plugins"), ["looping|postgres"]);
    session.exec("CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE wasm STRICT AS 'looping:add'");
    assert_eq!(session.one("SELECT plus(20, 22)"), "42");
    // The copy of a plugin is of no extension, so that a dump has it, and goes with this one.
    let copies = "SELECT p.oid::regprocedure, string_agg(deptype, '' ORDER BY deptype) FROM pg_proc p
                  LEFT JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = p.oid AND refclassid = 'pg_extension'::regclass
                  WHERE pronamespace = 'lagoon_plugin'::regnamespace GROUP BY 1";
    assert_eq!(rows(copies), ["lagoon_plugin.looping()|x"]);
    assert_same_surface(&cluster, "postgres", "");
    session.exec("DROP FUNCTION plus; DROP EXTENSION lagoon CASCADE");
}

/// Runs the update in a session of its own; what it says.
fn update(cluster: &Cluster, database: &str) -> String {
    let mut psql = Command::new(format!("{}/psql", pg_config("--bindir")));
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", "5432", "-d", database, "-h"]);
    let output = psql.arg(cluster.dir()).args(["-c", "ALTER EXTENSION lagoon UPDATE"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// What 0.1.0 is given to keep. `PLACE` is the folder of files.
const SETUP: &str = "
CREATE ROLE reader;
GRANT USAGE ON FOREIGN SERVER lagoon TO reader;
CREATE SCHEMA app;
GRANT ALL ON SCHEMA app TO reader;
CREATE TABLE app.items (id int PRIMARY KEY, v vector(8), h halfvec(8), s sparsevec(100), b bit(16));
INSERT INTO app.items
SELECT i, (SELECT array_agg(sin(i * d) ORDER BY d) FROM generate_series(1, 8) d)::vector,
    (SELECT array_agg(cos(i * d) ORDER BY d) FROM generate_series(1, 8) d)::vector::halfvec,
    format('{%s:%s,%s:2}/100', i % 50 + 1, i, i % 49 + 51)::sparsevec, (i * 7919 % 65536)::bit(16)
FROM generate_series(1, 500) i;
INSERT INTO app.items VALUES (501, NULL, NULL, NULL, NULL);
CREATE INDEX items_v ON app.items USING hnsw (v vector_l2_ops);
CREATE INDEX items_h ON app.items USING hnsw (h halfvec_cosine_ops) WITH (m = 8);
CREATE INDEX items_s ON app.items USING hnsw (s sparsevec_ip_ops);
CREATE INDEX items_b ON app.items USING hnsw (b bit_hamming_ops);
CREATE INDEX items_lists ON app.items USING ivfflat (v vector_cosine_ops) WITH (lists = 4);
ALTER DATABASE postgres SET hnsw.ef_search = 100;

SELECT lagoon.register_model('tiny', 'PLACE/tiny');
CREATE TABLE app.texts (id int, t text, v vector);
INSERT INTO app.texts SELECT i, t, lagoon.embed('tiny', t) FROM unnest(ARRAY['red', 'green and blue', 'red red']) WITH ORDINALITY u (t, i);

SELECT lagoon.install_plugin('looping', '\\xWASM', '{\"description\": \"of 0.1.0\", \"limits\": {\"memory\": \"16MB\", \"time\": \"1s\"}}');
CREATE FUNCTION app.plus(int, int) RETURNS int LANGUAGE wasm IMMUTABLE STRICT AS 'looping:add';
CREATE FUNCTION app.skip() RETURNS trigger LANGUAGE wasm AS 'looping:skip_row';
CREATE TABLE app.checked (n int CHECK (app.plus(n, 1) < 1000), more int GENERATED ALWAYS AS (app.plus(n, 10)) STORED);
INSERT INTO app.checked SELECT generate_series(1, 50);
CREATE INDEX ON app.checked (app.plus(n, 2));
CREATE TABLE app.skipped (n int);
CREATE TRIGGER skip BEFORE INSERT ON app.skipped FOR EACH ROW EXECUTE FUNCTION app.skip();

SELECT lagoon.ingest('sales', 'PLACE/sales.csv');
SELECT lagoon.ingest('sales', 'PLACE/more.csv');
SELECT lagoon.register_dataset('parts', 'PLACE/parts/*.parquet');
CREATE FOREIGN TABLE app.sales () SERVER lagoon OPTIONS (dataset 'sales');
CREATE FOREIGN TABLE app.parts () SERVER lagoon OPTIONS (dataset 'parts');
CREATE FOREIGN TABLE app.part () SERVER lagoon OPTIONS (path 'PLACE/parts/1.parquet');
SET ROLE reader;
CREATE FOREIGN TABLE app.read () SERVER lagoon OPTIONS (dataset 'sales');
CREATE FOREIGN TABLE app.closed (id bigint) SERVER lagoon OPTIONS (dataset 'parts');
RESET ROLE";

/// All values, in an order of their own, and what functions and foreign tables give.
const VALUES: [&str; 9] = [
    "SELECT * FROM app.items ORDER BY id",
    "SELECT id, vector_norm(v), v <-> '[1,2,3,4,5,6,7,8]', h <=> '[1,0,0,0,0,0,0,0]', s <#> '{1:1}/100', b <~> B'1010101010101010' FROM app.items ORDER BY id",
    "SELECT avg(v), sum(h) FROM app.items",
    "SELECT id, t, v::text FROM app.texts ORDER BY id",
    "SELECT * FROM app.checked ORDER BY n",
    "SELECT * FROM app.sales ORDER BY id",
    "SELECT * FROM app.parts ORDER BY id",
    "SELECT * FROM app.part ORDER BY id",
    "SELECT name, version, hash, manifest, enabled, installed_at FROM lagoon.plugins",
];

fn values(session: &Session) -> Vec<Vec<Vec<Option<String>>>> {
    VALUES.iter().map(|sql| session.rows(sql)).collect()
}

#[test]
fn a_database_of_0_1_0_goes_on_working() {
    let Some(released) = std::env::var_os("LAGOON_RELEASED").map(PathBuf::from) else {
        eprintln!("not run: LAGOON_RELEASED is not set to what scripts/released prints");
        return;
    };
    assert_eq!(server_version(), 15, "version 0.1.0 compiles for PostgreSQL 15 alone");
    let lines = |path: PathBuf| declarations(&fs::read_to_string(path).unwrap());
    let (kept, made) =
        (lines(checkout().join("tests/upgrade/lagoon--0.1.0.sql")), lines(released.join("lagoon--0.1.0.sql")));
    let differ: Vec<_> = kept.symmetric_difference(&made).collect();
    assert!(differ.is_empty(), "the kept install script is not that of {}: {differ:#?}", released.display());
    let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test-versions`");

    let server = Server::new();
    server.install(&released.join("lagoon.so"), &released);
    let preload = "shared_preload_libraries=lagoon";
    let settings = [preload, "fsync=off", &format!("lagoon.onnxruntime_library={library}")];
    let mut cluster = Cluster::of_server(&server.pg_config, &settings);
    cluster.psql("CREATE EXTENSION lagoon");
    set_up(&cluster, &server);
    let session = cluster.session();
    let before = values(&session);
    assert_eq!(session.one("SELECT count(*) FROM app.read"), "40");
    assert_eq!(session.sqlstate("SELECT * FROM app.closed"), "42501");
    drop(session);

    // The new library; ONNX Runtime's where a package puts it.
    cluster.stop("fast");
    server.install_present();
    std::os::unix::fs::symlink(&library, server.directory("--pkglibdir").join("libonnxruntime.so")).unwrap();
    cluster.configure(&[preload, "fsync=off"]);
    cluster.start_again();
    indexes_are_refused(&cluster);
    before_the_update_nothing_crashes(&cluster);
    let said = update(&cluster, "postgres");
    for index in ["items_v", "items_h", "items_s", "items_b", "items_lists"] {
        assert!(said.contains(&format!("REINDEX INDEX app.{index};")), "{said}");
    }
    assert!(!said.contains("could not be registered"), "{said}");

    let session = cluster.session();
    let after = values(&session);
    for (sql, (before, after)) in VALUES.iter().zip(before.iter().zip(&after)) {
        assert_eq!(before, after, "{sql}");
    }
    indexes_are_refused(&cluster);
    reindex_said(&session, &said);
    indexes_are_used(&session);
    embeddings_go_on(&session);
    plugins_go_on(&session);
    datasets_go_on(&session, server.place.path());
    assert_same_surface(&cluster, "postgres", "GRANT USAGE ON FOREIGN SERVER lagoon TO reader");
    let upgraded = values(&session);
    a_dump_restores(&cluster, &server, &upgraded);
    assert!(!cluster.log().contains("terminated by signal"), "{}", cluster.log());
}

/// The lines of an install script without comments, with their words in order: pgrx promises none.
fn declarations(script: &str) -> BTreeSet<String> {
    let code = |line: &str| {
        let line = line.split("/*").next().unwrap_or_default().to_lowercase().replace("if not exists ", "");
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.sort_unstable();
        words.join(" ")
    };
    script
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .map(code)
        .filter(|line| !line.is_empty())
        .collect()
}

fn set_up(cluster: &Cluster, server: &Server) {
    let place = server.place.path();
    let tiny = place.join("tiny");
    fs::create_dir(&tiny).unwrap();
    tiny::TinyModel::default().write(&tiny).unwrap();
    let csv = |name: &str, ids: std::ops::Range<u32>| {
        let rows: String = ids.map(|id| format!("{id},{}.25,2026-11-{:02}\n", id * 3, id % 30 + 1)).collect();
        fs::write(place.join(name), format!("id,amount,day\n{rows}")).unwrap();
    };
    csv("sales.csv", 0..30);
    csv("more.csv", 30..40);
    csv("part.csv", 0..7);
    fs::create_dir(place.join("parts")).unwrap();
    for name in ["tiny", "parts", "sales.csv", "more.csv", "part.csv"] {
        give_to_owner(&place.join(name));
    }
    // A Parquet file outside of the dataset directory, from the old version too.
    cluster.psql("CREATE DATABASE maker");
    cluster.psql_in("maker", "CREATE EXTENSION lagoon");
    let ingest = format!("SELECT file FROM lagoon.ingest('part', '{}/part.csv')", place.display());
    copy_for_owner(Path::new(&cluster.psql_in("maker", &ingest)), &place.join("parts/1.parquet"));
    cluster.psql("DROP DATABASE maker");
    let setup = SETUP.replace("PLACE", &place.display().to_string()).replace("WASM", &hex(&guest::looping()));
    cluster.session().exec(&setup);
}

const NEAREST: [(&str, &str); 5] = [
    ("items_v", "ORDER BY v <-> '[1,0,1,0,1,0,1,0]' LIMIT 5"),
    ("items_h", "ORDER BY h <=> '[1,0,1,0,1,0,1,0]' LIMIT 5"),
    ("items_s", "ORDER BY s <#> '{7:1,56:3}/100' LIMIT 5"),
    ("items_b", "ORDER BY b <~> B'1111000011110000' LIMIT 5"),
    ("items_lists", "ORDER BY v <=> '[1,0,1,0,1,0,1,0]' LIMIT 5"),
];

/// Each index is an error with the way out, in queries and in inserts, and the table is not affected.
fn indexes_are_refused(cluster: &Cluster) {
    let session = cluster.session();
    session.exec("SET enable_seqscan = off; SET ivfflat.probes = 4");
    for (index, order) in NEAREST {
        let error = session.try_rows(&format!("SELECT id FROM app.items {order}")).unwrap_err();
        let text = describe(&error);
        assert!(text.contains("55000") && text.contains("has format version"), "{index}: {text}");
        assert!(text.contains("HINT") && text.contains("REINDEX"), "{index}: {text}");
    }
    assert_eq!(session.sqlstate("INSERT INTO app.items SELECT 0, v, h, s, b FROM app.items WHERE id = 1"), "55000");
    assert_eq!(session.one("SELECT count(v) FROM app.items"), "500");
}

/// The new library in a database that has not been updated: what it cannot do is an error.
fn before_the_update_nothing_crashes(cluster: &Cluster) {
    let session = cluster.session();
    assert_eq!(session.one("SELECT app.plus(20, 22)"), "42");
    assert_eq!(session.one("SELECT count(*) FROM app.part"), "7");
    for info in ["lagoon.index_info('app.items_v')", "lagoon.ivfflat_info('app.items_lists')"] {
        let text = describe(&session.try_rows(&format!("SELECT * FROM {info}")).unwrap_err());
        assert!(text.contains("55000") && text.contains("ALTER EXTENSION lagoon UPDATE"), "{text}");
    }
    let install = format!("SELECT lagoon.install_plugin('other', '\\x{}')", hex(&guest::looping()));
    for sql in
        ["SELECT * FROM app.sales", "SELECT lagoon.embed('tiny', 'red')", "SELECT lagoon.drop_model('tiny')", &install]
    {
        let text = describe(&session.try_rows(sql).unwrap_err());
        assert!(!text.contains("connection"), "{sql}: {text}");
    }
    session.exec("UPDATE lagoon.plugins SET enabled = enabled");
    assert_eq!(cluster.starts(), 2);
}

/// Runs the commands that the update has printed.
fn reindex_said(session: &Session, said: &str) {
    let commands: Vec<&str> =
        said.lines().filter_map(|line| line.find("REINDEX INDEX").map(|at| &line[at..])).collect();
    assert_eq!(commands.len(), 5, "{said}");
    commands.into_iter().for_each(|command| session.exec(command));
}

fn indexes_are_used(session: &Session) {
    session.exec("SET ivfflat.probes = 4");
    assert_eq!(session.one("SHOW hnsw.ef_search"), "100");
    for (index, order) in NEAREST {
        let key = order.trim_start_matches("ORDER BY ").trim_end_matches(" LIMIT 5");
        let sql = format!("SELECT round(({key})::numeric, 4) FROM app.items {order}");
        session.exec("SET enable_seqscan = off");
        let plan: String = session.rows(&format!("EXPLAIN {sql}")).into_iter().flatten().flatten().collect();
        assert!(plan.contains(index), "{plan}");
        let through_index = session.rows(&sql);
        session.exec("SET enable_seqscan = on; SET enable_indexscan = off");
        assert_eq!(through_index, session.rows(&sql), "{index}");
        session.exec("RESET enable_indexscan");
        let findings = session.rows(&format!("SELECT * FROM lagoon.verify_index('app.{index}') WHERE NOT passed"));
        assert!(findings.is_empty(), "{index}: {findings:?}");
    }
}

fn embeddings_go_on(session: &Session) {
    let differs = "SELECT count(*) FROM app.texts WHERE v <-> lagoon.embed('tiny', t) > 1e-5";
    assert_eq!(session.one(differs), "0");
    assert_eq!(session.one("SELECT owner FROM lagoon.models"), "postgres");
    assert_eq!(session.one("SELECT library LIKE '%/lib/libonnxruntime.so' FROM lagoon.embed_status()"), "t");
}

fn plugins_go_on(session: &Session) {
    assert_eq!(session.one("SELECT app.plus(20, 22)"), "42");
    session.exec("INSERT INTO app.skipped VALUES (1)");
    assert_eq!(session.one("SELECT count(*) FROM app.skipped"), "0");
    assert_eq!(session.sqlstate("INSERT INTO app.checked VALUES (999)"), "23514");
    // Installed again it is the same; another one replaces it.
    let hex = hex(&guest::looping());
    let again = format!(
        "SELECT lagoon.install_plugin('looping', '\\x{hex}', '{{\"description\": \"of 0.1.0\", \"limits\": {{\"memory\": \"16MB\", \"time\": \"1s\"}}}}')"
    );
    assert_eq!(session.one(&again), "unchanged");
}

fn datasets_go_on(session: &Session, place: &Path) {
    let place = place.display();
    // Who could read a dataset still can, and nobody else.
    assert_eq!(session.one("SELECT count(*) FROM app.read"), "40");
    assert_eq!(session.sqlstate("SELECT * FROM app.closed"), "42501");
    assert_eq!(session.one(&format!("SELECT rows FROM lagoon.ingest('sales', '{place}/part.csv')")), "7");
    assert_eq!(session.one("SELECT count(*) FROM app.sales"), "47");
    session.exec(&format!("SELECT lagoon.register_dataset('parts', '{place}/parts/*.parquet')"));
    assert_eq!(session.one("SELECT count(*) FROM app.parts"), "7");
    session.exec("SELECT lagoon.grant_dataset('parts', 'reader')");
    assert_eq!(session.one("SELECT count(*) FROM app.closed"), "7");
    assert_eq!(session.one("SELECT count(*) FROM lagoon.remove_orphaned_files('0')"), "0");
}

/// pg_dump of the upgraded database into a new one.
fn a_dump_restores(cluster: &Cluster, server: &Server, upgraded: &[Vec<Vec<Option<String>>>]) {
    let dump = server.place.path().join("dump");
    let program = |name: &str| {
        let mut command = as_owner(server.directory("--bindir").join(name));
        command.args(["-p", "5432", "-U", "postgres", "-h"]).arg(cluster.dir());
        command
    };
    let dumped = run(program("pg_dump").args(["-Fp", "postgres"]));
    fs::write(&dump, dumped).unwrap();
    cluster.psql("CREATE DATABASE restored TEMPLATE template0");
    run(Command::new(format!("{}/psql", pg_config("--bindir")))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-p", "5432", "-U", "postgres", "-d", "restored", "-h"])
        .arg(cluster.dir())
        .arg("-f")
        .arg(&dump));
    let restored = values(&cluster.session_in("restored"));
    for (sql, (upgraded, restored)) in VALUES.iter().zip(upgraded.iter().zip(&restored)) {
        assert_eq!(upgraded, restored, "{sql}");
    }
}
