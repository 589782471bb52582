//! What random calls may meet: tables with indexes, files of all kinds, a dataset, a model, a plugin, three roles.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lagoon_tests::{Cluster, give_to_owner, guest, run, scratch};
use rand::Rng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::value::one;

#[path = "../../crates/embed/src/tiny.rs"]
mod tiny;

pub struct Fixture {
    pub cluster: Cluster,
    place: TempDir,
    /// Bytes of modules that calls mutate.
    pub modules: Vec<Vec<u8>>,
    /// Bytes of a Parquet file and of a CSV file that calls mutate.
    pub parquet: Vec<u8>,
    pub csv: Vec<u8>,
}

/// The roles that call: a superuser, one that may read and write files of the server, and one that may nothing.
pub const ROLES: [&str; 3] = ["postgres", "keeper", "ordinary"];

impl Fixture {
    pub fn new() -> Self {
        let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test`");
        let cluster = Cluster::with_lagoon(&[
            &format!("lagoon.onnxruntime_library={library}"),
            "lagoon.wasm_time_limit=100ms",
            "autovacuum=off",
            "fsync=off",
        ]);
        let place = scratch();
        let csv = csv();
        let mut fixture = Self { cluster, place, modules: modules(), parquet: Vec::new(), csv };
        fixture.write_files();
        fixture.cluster.psql(TABLES);
        fixture.restore();
        fixture.parquet = std::fs::read(find(fixture.cluster.dir(), "parquet")).unwrap();
        std::fs::write(fixture.path("one.parquet"), &fixture.parquet).unwrap();
        std::fs::write(fixture.path("cut.parquet"), &fixture.parquet[..fixture.parquet.len() / 2]).unwrap();
        std::fs::write(fixture.path("many/a.parquet"), &fixture.parquet).unwrap();
        std::fs::write(fixture.path("many/b.parquet"), &fixture.parquet).unwrap();
        give_to_owner(&fixture.path("many"));
        fixture.cluster.psql(
            "CREATE FOREIGN TABLE lake () SERVER lagoon OPTIONS (dataset 'known'); GRANT SELECT ON lake TO PUBLIC;
             GRANT USAGE ON FOREIGN SERVER lagoon TO PUBLIC; GRANT USAGE ON LANGUAGE wasm TO keeper",
        );
        fixture
    }

    /// Makes again what calls that committed may have taken away.
    pub fn restore(&self) {
        let types = r#"{"i2": "smallint", "i4": "integer", "i8": "bigint", "f4": "real", "f8": "double precision",
            "n": "numeric(38,10)", "b": "boolean", "t": "text", "d": "date", "ts": "timestamp", "tz": "timestamptz"}"#;
        self.cluster.psql(&format!(
            "SELECT lagoon.ingest('known', '{}', jsonb_build_object('replace', true, 'types', '{types}'::jsonb));
             SELECT lagoon.register_model('tiny', '{}');
             SELECT lagoon.install_plugin('known', {});
             CREATE OR REPLACE FUNCTION wasm_echo(text) RETURNS text LANGUAGE wasm STRICT AS 'known:echo';
             CREATE OR REPLACE FUNCTION wasm_add(int, int) RETURNS int LANGUAGE wasm STRICT AS 'known:add'",
            self.path("one.csv").display(),
            self.path("tiny").display(),
            guest::bytea(&self.modules[0])
        ));
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Writes a file that the server can read.
    pub fn write(&self, path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }

    /// The path of a file of any kind, or of none.
    pub fn any_path(&self, rng: &mut StdRng) -> String {
        if rng.random_ratio(1, 4) {
            return one(rng, &ELSEWHERE).to_owned();
        }
        self.path(one(rng, &PATHS)).display().to_string()
    }

    fn write_files(&self) {
        let write = |name: &str, bytes: &[u8]| std::fs::write(self.path(name), bytes).unwrap();
        write("one.csv", &self.csv);
        write("empty.csv", b"");
        write("header.csv", b"a,b\n");
        write("open.csv", b"a,b\n1,\"2\n3,4\n");
        write("nul.csv", b"a,b\n1,x\0y\n");
        write("latin1.csv", b"a,b\n1,\xe9\n");
        write("utf16.csv", b"\xff\xfea\0,\0b\0\n\0");
        write("gzip.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03KT\xd2IR\xe42T1\xe2\x02\0");
        write("names.csv", format!(",ctid,{},\"a\"\"b\"\n1,2,3,4\n", "n".repeat(100)).as_bytes());
        write("wide.csv", format!("{}\n{}\n", numbers("c", 1700), numbers("", 1700)).as_bytes());
        write("magic.parquet", b"PAR1PAR1");
        write("encrypted.parquet", b"PARE\0\0\0\0PARE");
        write("long.parquet", b"PAR1\xff\xff\xff\x7fPAR1");
        lagoon_tests::parquet::write_repeated(&self.path("large.parquet"), &vec![b'x'; 100_000], 100).unwrap();
        write("known.wasm", &self.modules[0]);
        write("known.yaml", b"version: 1.0.0\nlimits: {memory: 16MB}\n");
        write("broken.wasm", b"\0asm\x01\0\0\0\xff");
        write("broken.yaml", b"wasm: ../../../etc/passwd\n? [\n");
        for folder in ["many", "nothing", "tiny", "half"] {
            std::fs::create_dir(self.path(folder)).unwrap();
        }
        tiny::TinyModel::default().write(&self.path("tiny")).unwrap();
        tiny::TinyModel::default().write(&self.path("half")).unwrap();
        std::fs::remove_file(self.path("half/tokenizer.json")).unwrap();
        for (target, link) in [("/dev/zero", "zero"), ("loop", "loop"), (".", "self"), ("one.csv", "link.csv")] {
            symlink(target, self.path(link)).unwrap();
        }
        give_to_owner(self.place.path());
        run(Command::new("mkfifo").args(["-m", "666"]).arg(self.path("pipe")));
    }
}

/// Names of things that are there and that are not.
pub const NAMES: [&str; 30] = [
    "known",
    "known",
    "tiny",
    "tiny",
    "lake",
    "items",
    "items_hnsw",
    "items_ivfflat",
    "missing",
    "known:echo",
    "known:add",
    "known:spin",
    "known:missing",
    ":",
    "known:",
    ":echo",
    "echo",
    "a.b",
    "vector(3)",
    "public.lake",
    "lagoon.plugins",
    "NA",
    ",",
    ";",
    "\"",
    "Known",
    "KNOWN",
    "known/",
    "../known",
    "known.parquet",
];

const PATHS: [&str; 37] = [
    "one.csv",
    "one.csv",
    "one.parquet",
    "one.parquet",
    "many",
    "many/*.parquet",
    "**/*.parquet",
    "known.wasm",
    "known.yaml",
    "tiny",
    "half",
    "empty.csv",
    "header.csv",
    "open.csv",
    "nul.csv",
    "latin1.csv",
    "utf16.csv",
    "gzip.csv.gz",
    "names.csv",
    "wide.csv",
    "cut.parquet",
    "magic.parquet",
    "encrypted.parquet",
    "long.parquet",
    "large.parquet",
    "broken.wasm",
    "broken.yaml",
    "nothing",
    "zero",
    "loop",
    "self",
    "link.csv",
    "pipe",
    "missing",
    "self/**/x.parquet",
    "[",
    "one.csv/x",
];

const ELSEWHERE: [&str; 15] = [
    "/dev/zero",
    "/dev/null",
    "/dev/stdin",
    "/dev/tty",
    "/dev/full",
    "/proc/self/mem",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/",
    "/proc/self/maps",
    "relative",
    "~",
    "file:///etc/passwd",
    "s3://bucket/x.parquet",
    "/\u{1}",
];

const TABLES: &str = "
    CREATE TABLE items (id int PRIMARY KEY, v vector(3));
    INSERT INTO items SELECT i, ARRAY[sin(i), cos(i), i / 500.0]::vector FROM generate_series(1, 500) AS i;
    INSERT INTO items VALUES (501, NULL), (502, '[0,0,0]');
    CREATE INDEX items_hnsw ON items USING hnsw (v vector_l2_ops);
    CREATE INDEX items_ivfflat ON items USING ivfflat (v vector_ip_ops) WITH (lists = 10);
    CREATE TABLE halves AS SELECT id, v::halfvec(3) AS v FROM items;
    CREATE INDEX halves_hnsw ON halves USING hnsw (v halfvec_cosine_ops);
    CREATE TABLE sparse AS SELECT id, v::sparsevec(3) AS v FROM items;
    CREATE INDEX sparse_hnsw ON sparse USING hnsw (v sparsevec_l1_ops);
    CREATE TABLE bits AS SELECT id, id::bit(8) AS v FROM items;
    CREATE INDEX bits_hnsw ON bits USING hnsw (v bit_hamming_ops);
    CREATE TABLE parted (id int, v vector(3)) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (100);
    CREATE INDEX parted_hnsw ON parted USING hnsw (v vector_l2_ops);
    CREATE TABLE nothing (v vector(3));
    CREATE INDEX empty_hnsw ON nothing USING hnsw (v vector_l2_ops);
    CREATE INDEX partial_hnsw ON items USING hnsw ((v::halfvec(3)) halfvec_l2_ops) WHERE id < 10;
    CREATE ROLE keeper LOGIN IN ROLE pg_read_server_files, pg_write_server_files, pg_monitor;
    CREATE ROLE ordinary LOGIN;
    GRANT CREATE ON SCHEMA public TO keeper, ordinary;
    GRANT SELECT ON items, halves, sparse TO PUBLIC;";

fn modules() -> Vec<Vec<u8>> {
    let mut modules = vec![guest::looping(), guest::large(3, 50)];
    // Compiled ones have more kinds of sections; `make guests` builds them.
    if let Ok(target) = std::env::var("CARGO_TARGET_DIR") {
        modules.extend(std::fs::read(format!("{target}/guests/hello.wasm")).ok());
    }
    modules
}

fn csv() -> Vec<u8> {
    let mut csv = "i2,i4,i8,f4,f8,n,b,t,d,ts,tz\n".to_owned();
    for i in 0..300_i64 {
        let row = if i % 7 == 0 {
            format!("{},,,,,,,,,,\n", i % 100)
        } else {
            format!(
                "{i},{},{},{}.5,{}e30,{i}.0000000001,{},\"text, {i}é\",20{:02}-01-31,1969-12-31 23:59:{:02}.5,2026-03-29 02:30:00Z\n",
                i * 7_000_000,
                i * 30_000_000_000_000_000 - (1 << 62),
                i,
                i,
                i % 2 == 0,
                i % 100,
                i % 60
            )
        };
        csv.push_str(&row);
    }
    csv.into_bytes()
}

fn numbers(prefix: &str, count: usize) -> String {
    (0..count).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>().join(",")
}

/// The first file of this extension under a folder.
fn find(folder: &Path, extension: &str) -> PathBuf {
    fn walk(folder: &Path, extension: &str) -> Option<PathBuf> {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if let Some(found) = walk(&path, extension) {
                    return Some(found);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                return Some(path);
            }
        }
        None
    }
    walk(folder, extension).unwrap_or_else(|| panic!("no .{extension} under {}", folder.display()))
}
