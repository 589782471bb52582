//! Statements of every wing that take long, and what they need.

use std::path::{Path, PathBuf};
use std::process::Command;

use lagoon_tests::{Cluster, give_to_owner, guest, run, scratch};
use tempfile::TempDir;

/// One statement that takes long.
pub struct Workload {
    pub name: &'static str,
    /// What is done before each run of it, in another session.
    pub before: String,
    pub statement: String,
    /// A short statement of the same wing that must work after it.
    pub after: &'static str,
}

/// A cluster with everything that the statements work on; `scale` makes what comes to an end by itself longer.
pub fn cluster(scale: u32) -> (Cluster, TempDir) {
    let place = scratch();
    let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test`");
    let model = std::env::var("LAGOON_MODEL").expect("LAGOON_MODEL: run `make test`");
    write_files(place.path(), scale);
    let cluster = Cluster::with_lagoon(&[
        &format!("lagoon.onnxruntime_library={library}"),
        &format!("lagoon.functions_directory={}", place.path().join("functions").display()),
        "lagoon.wasm_time_limit=1h",
        "autovacuum=off",
        "fsync=off",
        "max_wal_size=8GB",
    ]);
    let session = cluster.session();
    let (rows, place_of) = (3_000 * scale, |name: &str| place.path().join(name).display().to_string());
    session.exec(&format!(
        "CREATE TABLE items (id int PRIMARY KEY, v vector(64));
         SELECT setseed(0.5);
         INSERT INTO items SELECT i, (SELECT array_agg(random()) FROM generate_series(1, 64) WHERE i > 0)::vector
             FROM generate_series(1, {rows}) AS i;
         CREATE TABLE built AS SELECT * FROM items;
         CREATE TABLE churned AS SELECT * FROM items WHERE id <= {rows} / 2;
         CREATE INDEX items_hnsw ON items USING hnsw (v vector_l2_ops);
         CREATE INDEX items_ivfflat ON items USING ivfflat (v vector_ip_ops) WITH (lists = 50);
         CREATE INDEX churned_hnsw ON churned USING hnsw (v vector_l2_ops);
         CREATE TABLE fresh (id int);
         SELECT lagoon.register_model('minilm', '{model}');
         SELECT lagoon.install_plugin('loop', {});
         CREATE FUNCTION spin() RETURNS int LANGUAGE wasm STRICT AS 'loop:spin';
         CREATE FUNCTION spin_text(text) RETURNS int LANGUAGE wasm STRICT AS 'loop:spin_text';
         CREATE FUNCTION spin_row() RETURNS trigger LANGUAGE wasm AS 'loop:spin_row';
         CREATE FUNCTION add(int, int) RETURNS int LANGUAGE wasm STRICT AS 'loop:add';
         CREATE FUNCTION echo(text) RETURNS text LANGUAGE wasm STRICT AS 'loop:echo';
         CREATE TRIGGER spin_row BEFORE INSERT ON fresh FOR EACH ROW EXECUTE FUNCTION spin_row();
         CREATE TABLE modules (name text, wasm bytea);
         INSERT INTO modules VALUES ('wide', {}), ('long', {});",
        guest::bytea(&guest::looping()),
        guest::bytea(&guest::large(400 * scale, 500)),
        guest::bytea(&guest::large(1, 20_000 * scale as usize)),
    ));
    let file = session.one(&format!("SELECT file FROM lagoon.ingest('part', '{}')", place_of("part.csv")));
    let file = if Path::new(&file).is_absolute() { PathBuf::from(file) } else { cluster.dir().join("data").join(file) };
    let many = place.path().join("many");
    std::fs::create_dir(&many).unwrap();
    for number in 0..60 * scale {
        std::fs::copy(&file, many.join(format!("{number}.parquet"))).unwrap();
    }
    give_to_owner(&many);
    session.exec(&format!(
        "CREATE FOREIGN TABLE part () SERVER lagoon OPTIONS (dataset 'part');
         CREATE FOREIGN TABLE many () SERVER lagoon OPTIONS (path '{}/*.parquet');
         CREATE FOREIGN TABLE listed (i int) SERVER lagoon OPTIONS (path '{}/**/none.parquet')",
        many.display(),
        place_of("tree"),
    ));
    (cluster, place)
}

/// Every kind of statement that computes or waits for long.
pub fn workloads(place: &Path) -> Vec<Workload> {
    let path = |name: &str| place.join(name).display().to_string();
    let one =
        |name, after, statement: &str| Workload { name, before: String::new(), statement: statement.to_owned(), after };
    let full = "SET lagoon.pushdown = full;";
    let little = "SET lagoon.memory_limit = '64MB';";
    let of_itself = |table: &str, times: usize| {
        let joined: String = (1..times).map(|n| format!(" JOIN {table} AS t{n} USING (i)")).collect();
        format!("{table}{joined}")
    };
    let lake = "SELECT count(*) FROM part WHERE i = 5";
    let near = "SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 7) LIMIT 1";
    let (embed, guest) = ("SELECT lagoon.embed('minilm', 'red')", "SELECT add(1, 2)");
    // A module of other bytes each time: what has been compiled once is kept.
    let compile = |name: &str| {
        format!(
            "SELECT lagoon.install_plugin('made', wasm || '\\x00060178'::bytea || int4send((random() * 2e9)::int))
             FROM modules WHERE name = '{name}'"
        )
    };
    let every_row = |operator: &str| {
        format!(
            "SELECT sum(n) FROM generate_series(1, 500) AS q, LATERAL (SELECT count(*) AS n FROM
             (SELECT id FROM items ORDER BY v {operator} (SELECT v FROM items WHERE id = q) LIMIT 1000000) AS s) AS t"
        )
    };
    let scanned = "SET enable_seqscan = off; SET hnsw.ef_search = 1000; SET hnsw.max_scan_tuples = 2147483647;
        SET hnsw.scan_mem_multiplier = 1000; SET hnsw.iterative_scan = strict_order; SET ivfflat.iterative_scan = relaxed_order;";
    vec![
        one("PostgreSQL itself", "SELECT 1", "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d"),
        one("Parquet scan", lake, "SELECT count(*), sum(length(t)), max(f) FROM many"),
        one("Parquet filter", lake, "SELECT count(*) FROM many WHERE t LIKE '%7%8%9%' AND f > 1e9"),
        one("Parquet plan", lake, "EXPLAIN SELECT * FROM many WHERE i = 5"),
        one("query: join", lake, &format!("{full} SELECT count(*) FROM many AS a JOIN many AS b ON a.i = b.i WHERE a.f < b.f - 1")),
        one("query: pairs", lake, &format!("{full} SELECT count(*) FROM part AS a, part AS b WHERE a.i * b.i < a.f - b.f")),
        one(
            "query: groups in files",
            lake,
            &format!("{full} {little} SELECT count(*) FROM (SELECT a.i, b.i AS j FROM part AS a, part AS b WHERE b.i < 200 GROUP BY a.i, b.i) AS s"),
        ),
        one(
            "query: sort in files",
            lake,
            &format!("{full} {little} SELECT a.i, b.i FROM part AS a, part AS b WHERE b.i < 200 ORDER BY b.i DESC, a.i DESC"),
        ),
        one(
            "query: join in files",
            lake,
            &format!(
                "{full} {little} SELECT count(*) FROM (SELECT a.i * 200 + b.i AS k FROM part AS a, part AS b WHERE b.i < 200) AS l
                 JOIN (SELECT a.i * 200 + b.i AS k FROM part AS a, part AS b WHERE b.i < 200) AS r ON l.k = r.k"
            ),
        ),
        one(
            "query: window",
            lake,
            &format!("{full} SELECT max(n) FROM (SELECT sum(i) OVER (ORDER BY i, f ROWS 10 PRECEDING) AS n FROM many) AS s"),
        ),
        one("query: plan", lake, &format!("{full} EXPLAIN SELECT count(*) FROM {}", of_itself("part", 12))),
        one("listing", lake, "SELECT count(*) FROM listed"),
        one("register_dataset", lake, &format!("SELECT lagoon.register_dataset('many', '{}')", path("many/*.parquet"))),
        one("ingest", lake, &format!("SELECT * FROM lagoon.ingest('new', '{}', '{{\"replace\": true}}')", path("long.csv"))),
        one("ingest of one field", lake, &format!("SELECT * FROM lagoon.ingest('field', '{}', '{{\"replace\": true}}')", path("field.csv"))),
        one("hnsw build", near, "CREATE INDEX built_hnsw ON built USING hnsw (v vector_l2_ops); DROP INDEX built_hnsw"),
        one(
            "hnsw build, no threads",
            near,
            "SET max_parallel_maintenance_workers = 0; CREATE INDEX built_one ON built USING hnsw (v vector_l2_ops); DROP INDEX built_one",
        ),
        one(
            "hnsw build, spilled",
            near,
            "SET maintenance_work_mem = '4MB'; CREATE INDEX built_small ON built USING hnsw (v vector_l2_ops); DROP INDEX built_small",
        ),
        one(
            "ivfflat build",
            near,
            "CREATE INDEX built_ivfflat ON built USING ivfflat (v vector_l2_ops) WITH (lists = 300); DROP INDEX built_ivfflat",
        ),
        one("hnsw k-NN", near, &format!("{scanned} {}", every_row("<->"))),
        one(
            "ivfflat k-NN",
            near,
            &format!("{scanned} SET ivfflat.probes = 50; SET work_mem = '64kB'; {}", every_row("<#>")),
        ),
        Workload {
            before: "UPDATE churned SET v = (SELECT array_agg(random()) FROM generate_series(1, 64) WHERE id > 0)::vector WHERE id % 25 = 3"
                .to_owned(),
            ..one("vacuum", near, "VACUUM (INDEX_CLEANUP on) churned")
        },
        one("verify_index", near, "SELECT count(*) FROM generate_series(1, 100) AS i, LATERAL (SELECT * FROM lagoon.verify_index('items_hnsw') OFFSET 0 * i) AS s"),
        one("recall", near, "SELECT lagoon.recall('items_hnsw', 10, 1000)"),
        one("embedding", embed, "SELECT count(*) FROM unnest(lagoon.embed('minilm', array_fill(repeat('word ', 300), ARRAY[500])))"),
        one("tokenising", embed, "SELECT count(lagoon.embed('minilm', repeat('word ', 1600000) || i)) FROM generate_series(1, 20) AS i"),
        one("tokenising one word", embed, "SELECT count(lagoon.embed('minilm', repeat('é', 4000000) || i)) FROM generate_series(1, 20) AS i"),
        one(
            "tokenising several",
            embed,
            "SELECT count(*) FROM unnest(lagoon.embed('minilm', array_fill(repeat('a.b ', 500000), ARRAY[20])))",
        ),
        one("compilation", guest, &compile("wide")),
        one("compilation, one function", guest, &compile("long")),
        one("reload", guest, "SELECT * FROM lagoon.reload_plugins()"),
        one("guest", guest, "SELECT spin()"),
        one("guest with 20 MB", guest, "SELECT spin_text(repeat('x', 20000000))"),
        one("guest in a trigger", guest, "INSERT INTO fresh VALUES (1)"),
        one("calls of a guest", guest, "SELECT sum(add(i, 1)) FROM generate_series(1, 1000000000) AS i"),
        one("texts of a guest", guest, "SELECT sum(length(echo(repeat('x', 10000000)))) FROM generate_series(1, 1000) AS i"),
    ]
}

fn write_files(place: &Path, scale: u32) {
    let csv = |rows: u32| -> String {
        let rows =
            (0..rows).map(|i| format!("{i},{}.25,some words and {} more\n", i64::from(i) * 977, u64::from(i) * 7_919));
        format!("i,f,t\n{}", rows.collect::<String>())
    };
    std::fs::write(place.join("part.csv"), csv(20_000)).unwrap();
    std::fs::write(place.join("long.csv"), csv(60_000 * scale)).unwrap();
    std::fs::write(place.join("field.csv"), format!("a,b\n1,\"{}\"\n", "long ".repeat(4_000_000 * scale as usize)))
        .unwrap();
    let functions = place.join("functions");
    std::fs::create_dir(&functions).unwrap();
    std::fs::write(functions.join("reloaded.wasm"), guest::large(300 * scale, 500)).unwrap();
    // Folders in folders, and circles that never end for whoever follows links.
    let tree = place.join("tree");
    for number in 0..800 * scale {
        std::fs::create_dir_all(tree.join(format!("{}/{}/{number}", number % 10, number % 7))).unwrap();
    }
    for link in ["a", "b"] {
        std::os::unix::fs::symlink(".", tree.join(link)).unwrap();
    }
    give_to_owner(place);
    run(Command::new("chmod").arg("755").arg(place));
}
