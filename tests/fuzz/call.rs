//! Random calls of everything that belongs to the extension, as SQL that a session without state can run.

use lagoon_tests::{Cluster, guest::bytea};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::fixture::{Fixture, NAMES};
use crate::value::{mutated, one, quote, value};

/// What the extension owns, as the catalogues have it.
pub struct Catalog {
    functions: Vec<Function>,
    operators: Vec<[String; 3]>,
    casts: Vec<[String; 2]>,
    /// Types that have a binary format.
    types: Vec<String>,
    settings: Vec<String>,
    classes: Vec<[String; 3]>,
}

struct Function {
    name: String,
    arguments: Vec<String>,
    is_aggregate: bool,
}

/// One call: its SQL, and what it calls, by which failures are told apart.
pub struct Call {
    pub target: String,
    pub sql: String,
    /// The binary form of `$1`, for calls that receive a value.
    pub bytes: Option<Vec<u8>>,
}

impl Call {
    fn new(target: &str, sql: String) -> Self {
        Self { target: target.to_owned(), sql, bytes: None }
    }
}

const OWNED: &str = "pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    AND e.extname = 'lagoon' AND d.deptype = 'e'";

impl Catalog {
    pub fn read(cluster: &Cluster) -> Self {
        let session = cluster.session();
        session.exec("SELECT '[1]'::vector"); // loads the library, which defines the settings
        let rows = |sql: &str| -> Vec<Vec<String>> {
            let rows = session.rows(sql);
            rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
        };
        let functions = rows(&format!(
            "SELECT format('%I.%I', n.nspname, p.proname), p.prokind,
                 (SELECT string_agg(format_type(t, NULL), '|' ORDER BY o) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, o))
             FROM {OWNED} JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
             JOIN pg_namespace n ON n.oid = p.pronamespace ORDER BY p.oid::regprocedure::text"
        ));
        let functions = functions.into_iter().map(|row| Function {
            name: row[0].clone(),
            arguments: row[2].split('|').filter(|argument| !argument.is_empty()).map(str::to_owned).collect(),
            is_aggregate: row[1] == "a",
        });
        Self {
            // Nobody can make a value of type internal in SQL.
            functions: functions.filter(|function| !function.arguments.iter().any(|name| name == "internal")).collect(),
            operators: exactly(rows(&format!(
                "SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname), nullif(o.oprleft, 0)::regtype, o.oprright::regtype
                 FROM {OWNED} JOIN pg_operator o ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid
                 JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY o.oid::regoperator::text"
            ))),
            casts: exactly(rows(&format!(
                "SELECT c.castsource::regtype, c.casttarget::regtype
                 FROM {OWNED} JOIN pg_cast c ON d.classid = 'pg_cast'::regclass AND d.objid = c.oid ORDER BY 1, 2"
            ))),
            types: rows(&format!(
                "SELECT format_type(t.oid, NULL) FROM {OWNED} JOIN pg_type t ON d.classid = 'pg_type'::regclass AND d.objid = t.oid
                 WHERE t.typreceive <> 0 ORDER BY 1"
            ))
            .concat(),
            settings: rows("SELECT name FROM pg_settings WHERE name ~ '^(lagoon|hnsw|ivfflat)[.]' ORDER BY 1").concat(),
            classes: exactly(rows(
                "SELECT a.amname, c.opcname, c.opcintype::regtype FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
                 WHERE a.amname IN ('hnsw', 'ivfflat') ORDER BY 1, 2",
            )),
        }
    }

    /// How many things there are to call.
    pub fn len(&self) -> usize {
        self.functions.len()
            + self.operators.len()
            + self.casts.len()
            + self.types.len()
            + self.settings.len()
            + self.classes.len()
    }

    /// The next call. Files that it needs are written first.
    pub fn call(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        match rng.random_range(0..100) {
            0..38 => self.function(rng, fixture),
            38..46 => self.operator(rng, fixture),
            46..52 => self.cast(rng, fixture),
            52..58 => self.receive(rng),
            58..62 => self.setting(rng, fixture),
            62..76 => foreign_table(rng, fixture),
            76..82 => damaged_parquet(rng, fixture),
            82..85 => odd_csv(rng, fixture),
            85..89 => guest_function(rng, fixture),
            89..90 => module(rng, fixture),
            90..91 => model(rng, fixture),
            91..94 => self.index(rng, fixture),
            _ => neighbours(rng, fixture),
        }
    }

    fn function(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        // Those of the wings are few among those of the types, and do more.
        let is_ours = |function: &&Function| function.name.starts_with("lagoon.");
        let ours: Vec<&Function> = self.functions.iter().filter(is_ours).collect();
        let function = if rng.random() { self.functions.choose(rng) } else { ours.choose(rng).copied() }.unwrap();
        let name = &function.name;
        if function.is_aggregate {
            return aggregate(rng, fixture, function);
        }
        let arguments: Vec<String> = function.arguments.iter().map(|name| value(rng, fixture, name)).collect();
        let call = format!("{name}({})", arguments.join(", "));
        let sql = match rng.random_range(0..8) {
            0 => format!("SELECT {call} IS NULL"),
            1 => format!("SELECT * FROM {call}"),
            2 => format!("SELECT * FROM {call} LIMIT 1"),
            3 => format!("SELECT count(*) FROM generate_series(1, 3) AS i, LATERAL (SELECT {call} OFFSET 0) AS s"),
            4 => format!("DO $do$ BEGIN PERFORM {call}; EXCEPTION WHEN division_by_zero THEN NULL; END $do$"),
            _ => format!("SELECT {call}"),
        };
        Call::new(&format!("{name}({})", function.arguments.join(", ")), sql)
    }

    fn operator(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        let [operator, left, right] = self.operators.choose(rng).unwrap();
        let left_value = if left.is_empty() { String::new() } else { value(rng, fixture, left) };
        let sql = format!("SELECT ({left_value} {operator} {})", value(rng, fixture, right));
        Call::new(&format!("{operator} ({left}, {right})"), sql)
    }

    fn cast(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        let [source, target] = self.casts.choose(rng).unwrap();
        let typmod =
            if rng.random_ratio(1, 3) && !target.ends_with(']') { one(rng, &["(1)", "(3)", "(16000)"]) } else { "" };
        Call::new(&format!("{source}::{target}"), format!("SELECT ({})::{target}{typmod}", value(rng, fixture, source)))
    }

    fn receive(&self, rng: &mut StdRng) -> Call {
        let name = self.types.choose(rng).unwrap();
        // Dimensions, then what is unused (of a sparse vector first how many are stored), then elements.
        let dimensions: i32 = *[0, 1, 2, 3, 3, 16000, 16001, -1, i32::MAX, i32::MIN].choose(rng).unwrap();
        let wide = name.starts_with("sparsevec");
        let mut bytes =
            if wide { dimensions.to_be_bytes().to_vec() } else { (dimensions as i16).to_be_bytes().to_vec() };
        bytes.extend([0, 0]);
        for _ in 0..rng.random_range(0..20) {
            let element = *[0, 1, 2, 3, -1, i32::MAX, 0x7f80_0000, 0x7fc0_0000, 0x3f80_0000].choose(rng).unwrap();
            bytes.extend(i32::to_be_bytes(element));
        }
        let bytes = mutated(rng, &bytes);
        Call { bytes: Some(bytes), ..Call::new(&format!("receive {name}"), format!("SELECT ($1::{name})::text")) }
    }

    fn setting(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        let name = self.settings.choose(rng).unwrap();
        let new = match rng.random_range(0..3) {
            0 => quote(&fixture.any_path(rng)),
            1 => quote(one(
                rng,
                &[
                    "",
                    "0",
                    "1",
                    "-1",
                    "2147483647",
                    "1e400",
                    "on",
                    "off",
                    "strict_order",
                    "relaxed_order",
                    ",,,",
                    "1GB",
                ],
            )),
            _ => format!("'{}'", rng.random_range(-10..100_000)),
        };
        let uses = one(
            rng,
            &[
                "SELECT lagoon.embed('tiny', 'red')",
                "SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[1,2,3]' LIMIT 20) AS s",
                "SELECT count(*) FROM lake WHERE i4 > 5",
                "SELECT wasm_echo('x')",
                "SELECT lagoon.ingest('other', 'CSV')",
                "SELECT * FROM lagoon.reload_plugins()",
            ],
        );
        let uses = uses.replace("CSV", &fixture.path("one.csv").display().to_string());
        Call::new(&format!("SET {name}"), format!("SET LOCAL {name} = {new}; {uses}"))
    }

    fn index(&self, rng: &mut StdRng, fixture: &Fixture) -> Call {
        let [method, class, indexed] = self.classes.choose(rng).unwrap();
        let declared = one(rng, &["(1)", "(3)", "(3)", "(3)", "(2000)", "(16000)", "", "(64000)"]);
        let options = match rng.random_range(0..4) {
            0 => format!("WITH (m = {}, ef_construction = {})", rng.random_range(0..110), rng.random_range(0..1010)),
            1 => format!("WITH (lists = {})", one(rng, &["0", "1", "3", "32768", "32769", "-1"])),
            _ => String::new(),
        };
        let rows: Vec<String> =
            (0..rng.random_range(0..6)).map(|_| format!("({})", value(rng, fixture, indexed))).collect();
        let insert =
            if rows.is_empty() { String::new() } else { format!("INSERT INTO made VALUES {};", rows.join(", ")) };
        let (before, after) = if rng.random() { ("", insert.as_str()) } else { (insert.as_str(), "") };
        let sql = format!(
            "CREATE TEMP TABLE made (v {indexed}{declared}); {before}
             CREATE INDEX made_idx ON made USING {method} (v {class}) {options}; {after}
             SELECT * FROM lagoon.verify_index('made_idx'); SELECT lagoon.recall('made_idx', 3, 3)"
        );
        Call::new(&format!("CREATE INDEX {method} {class}"), sql)
    }
}

fn exactly<const N: usize>(rows: Vec<Vec<String>>) -> Vec<[String; N]> {
    rows.into_iter().map(|row| row.try_into().unwrap()).collect()
}

fn aggregate(rng: &mut StdRng, fixture: &Fixture, function: &Function) -> Call {
    let name = &function.name;
    let rows: Vec<String> = (0..rng.random_range(1..5))
        .map(|_| {
            let values: Vec<String> = function.arguments.iter().map(|name| value(rng, fixture, name)).collect();
            format!("({})", values.join(", "))
        })
        .collect();
    let columns: Vec<String> = (0..function.arguments.len()).map(|number| format!("c{number}")).collect();
    let columns = columns.join(", ");
    let from = format!("FROM (VALUES {}) AS s ({columns})", rows.join(", "));
    let sql = match rng.random_range(0..5) {
        0 => format!("SELECT {name}({columns}) OVER (ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) {from}"),
        1 => format!("SELECT {name}(DISTINCT {columns}) {from}"),
        2 => format!("SELECT {name}({columns}) FILTER (WHERE false) {from}"),
        3 => format!("SELECT {name}({columns} ORDER BY {columns}) {from} GROUP BY GROUPING SETS (({columns}), ())"),
        _ => format!("SELECT {name}({columns}) {from}"),
    };
    Call::new(&format!("{name}({})", function.arguments.join(", ")), sql)
}

/// A condition over the columns of the fixture's foreign table.
fn condition(rng: &mut StdRng, fixture: &Fixture, depth: u32) -> String {
    const COLUMNS: [(&str, &str); 11] = [
        ("i2", "smallint"),
        ("i4", "integer"),
        ("i8", "bigint"),
        ("f4", "real"),
        ("f8", "double precision"),
        ("n", "numeric"),
        ("b", "boolean"),
        ("t", "text"),
        ("d", "date"),
        ("ts", "timestamp without time zone"),
        ("tz", "timestamp with time zone"),
    ];
    let (column, own) = *COLUMNS.choose(rng).unwrap();
    match rng.random_range(0..if depth > 3 { 7 } else { 11 }) {
        0..4 => {
            let other = if rng.random_ratio(1, 3) { COLUMNS.choose(rng).unwrap().1 } else { own };
            let operator = one(rng, &["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]);
            format!("{column} {operator} {}", value(rng, fixture, other))
        }
        4 => {
            let count = *[1, 2, 50, 3000].choose(rng).unwrap();
            let one = value(rng, fixture, own);
            let items: Vec<&str> = std::iter::repeat_n(one.as_str(), count).collect();
            if one.len() > 1000 {
                format!("{column} IN ({one})")
            } else {
                format!("{column} IN ({})", items.join(", "))
            }
        }
        5 => format!("{column} = ANY ({})", value(rng, fixture, &format!("{own}[]"))),
        6 => format!("t {} {}", one(rng, &["LIKE", "NOT LIKE", "ILIKE", "~", "^@"]), value(rng, fixture, "text")),
        7 => format!("NOT ({})", condition(rng, fixture, depth + 1)),
        8 => {
            let word = one(rng, &["AND", "OR"]);
            let one = condition(rng, fixture, depth + 1);
            // Wide, and deep on one side.
            let times = if one.len() < 100 { *[1, 3, 100, 3000].choose(rng).unwrap() } else { 2 };
            format!("({})", vec![format!("({one})"); times].join(&format!(" {word} ")))
        }
        9 => {
            let depth_of = *[1, 10, 80, 300].choose(rng).unwrap();
            let inner = condition(rng, fixture, 9);
            let (open, close): (String, String) = (0..depth_of)
                .map(|level| if level % 2 == 0 { ("(i4 = 1 OR ", ")") } else { ("(i8 = 2 AND ", ")") })
                .unzip();
            format!("{open}{inner}{close}")
        }
        _ => format!(
            "({}) IS {}",
            condition(rng, fixture, depth + 1),
            one(rng, &["NULL", "NOT NULL", "TRUE", "NOT FALSE", "UNKNOWN"])
        ),
    }
}

fn foreign_table(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let condition = condition(rng, fixture, 0);
    let what = one(rng, &["*", "count(*)", "i4, t", "max(n), min(tz)", "ctid", "tableoid, d"]);
    let tail = one(rng, &["", "", "LIMIT 3", "LIMIT 0", "OFFSET 5", "LIMIT 2 OFFSET 299"]);
    let query = format!("SELECT {what} FROM lake WHERE {condition} {tail}");
    let sql = match rng.random_range(0..8) {
        0 => format!("EXPLAIN (VERBOSE, ANALYZE) {query}"),
        1 => format!("DECLARE c CURSOR FOR {query}; FETCH 2 FROM c; MOVE ALL FROM c; FETCH BACKWARD 1 FROM c"),
        2 => {
            let option = if rng.random() {
                format!("path {}", quote(&fixture.any_path(rng)))
            } else {
                format!("dataset {}", quote(one(rng, &NAMES)))
            };
            let columns = one(
                rng,
                &[
                    "",
                    "i4 integer",
                    "t varchar(3)",
                    "i4 text",
                    "missing text",
                    "n numeric(5,2), i8 bigint[]",
                    "v vector(3)",
                ],
            );
            format!(
                "CREATE FOREIGN TABLE made ({columns}) SERVER lagoon OPTIONS ({option}); SELECT * FROM made LIMIT 10"
            )
        }
        3 => format!(
            "{} lake {}",
            one(rng, &["ANALYZE", "INSERT INTO", "DELETE FROM", "TRUNCATE", "COPY", "UPDATE"]),
            one(rng, &["", "DEFAULT VALUES", "SET i4 = 1"])
        ),
        _ => query,
    };
    Call::new("foreign table", sql)
}

fn damaged_parquet(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let mut bytes = fixture.parquet.clone();
    // The footer is where the claims are; the rest is pages.
    let length = bytes.len();
    let at = if rng.random_ratio(2, 3) {
        length.saturating_sub(rng.random_range(8..2000))
    } else {
        rng.random_range(0..length)
    };
    for byte in bytes[at..].iter_mut().take(rng.random_range(1..6)) {
        *byte = *[0, 0x7f, 0x80, 0xff, *byte ^ 1, *byte ^ 0x40, rng.random()].choose(rng).unwrap();
    }
    // Another name each time: some files are seen only once they are large enough to be worth a cache.
    let path = fixture.path(&format!("damaged{}.parquet", rng.random_range(0..20)));
    fixture.write(&path, &bytes);
    let path = quote(&path.display().to_string());
    let sql = match rng.random_range(0..4) {
        0 => format!("SELECT * FROM lagoon.parquet_schema({path})"),
        1 => format!("SELECT lagoon.register_dataset('damaged', {path})"),
        _ => {
            let what = one(rng, &["*", "count(*)", "i4", "max(t)"]);
            let filter = one(rng, &["", "WHERE i4 > 5", "WHERE t LIKE 'text%'", "WHERE n = 1"]);
            format!(
                "CREATE FOREIGN TABLE made () SERVER lagoon OPTIONS (path {path}); SELECT {what} FROM made {filter}"
            )
        }
    };
    Call::new("damaged Parquet", sql)
}

fn odd_csv(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let length = fixture.csv.len();
    let part = &fixture.csv[..rng.random_range(0..length)];
    let path = fixture.path("odd.csv");
    fixture.write(&path, &mutated(rng, part));
    let options = if rng.random() { "'{}'".to_owned() } else { value(rng, fixture, "jsonb") };
    Call::new("CSV", format!("SELECT * FROM lagoon.ingest('odd', '{}', {options})", path.display()))
}

fn guest_function(rng: &mut StdRng, fixture: &Fixture) -> Call {
    const TYPES: [&str; 14] = [
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "text",
        "varchar(3)",
        "numeric",
        "jsonb",
        "bytea",
        "vector",
        "void",
        "trigger",
    ];
    const EXPORTS: [(&str, &[&str], &str); 11] = [
        ("echo", &["text"], "text"),
        ("beyond", &["text"], "text"),
        ("add", &["integer", "integer"], "integer"),
        ("divide", &["bigint", "bigint"], "bigint"),
        ("half", &["double precision"], "double precision"),
        ("float", &["real"], "real"),
        ("negate", &["boolean"], "boolean"),
        ("grow", &["integer"], "integer"),
        ("fail", &[], "integer"),
        ("deep", &["integer"], "integer"),
        ("trap", &[], "integer"),
    ];
    if rng.random_ratio(1, 4) {
        let export = one(rng, &["leave_row", "skip_row", "odd_row", "echo", "trap"]);
        let when = one(rng, &["BEFORE INSERT", "BEFORE UPDATE", "AFTER INSERT", "BEFORE TRUNCATE", "BEFORE DELETE"]);
        let level = one(rng, &["ROW", "ROW", "STATEMENT"]);
        let sql = format!(
            "CREATE FUNCTION made_t() RETURNS trigger LANGUAGE wasm AS 'known:{export}';
             CREATE TEMP TABLE made (i int, t varchar(5), n numeric, v vector(3), g int GENERATED ALWAYS AS (i + 1) STORED);
             CREATE TRIGGER made {when} ON made FOR EACH {level} EXECUTE FUNCTION made_t({});
             INSERT INTO made VALUES (1, 'x', 1, '[1,2,3]'); UPDATE made SET i = 2; DELETE FROM made; TRUNCATE made",
            one(rng, &["", "", "1", "'x'"])
        );
        return Call::new("wasm trigger", sql);
    }
    let (export, arguments, result) = EXPORTS.choose(rng).unwrap();
    let mut arguments: Vec<&str> = arguments.to_vec();
    let mut result = *result;
    if rng.random_ratio(1, 3) {
        arguments = (0..rng.random_range(0..4)).map(|_| one(rng, &TYPES[..12])).collect();
        result = one(rng, &TYPES);
    }
    let body = if rng.random_ratio(1, 8) { quote(one(rng, &NAMES)) } else { quote(&format!("known:{export}")) };
    let values: Vec<String> =
        arguments.iter().map(|name| value(rng, fixture, name.split('(').next().unwrap_or_default())).collect();
    let strict = one(rng, &["STRICT", "STRICT", "", "IMMUTABLE STRICT", "SECURITY DEFINER", "SET work_mem = '1MB'"]);
    let sql = format!(
        "CREATE FUNCTION made_f({}) RETURNS {}{result} LANGUAGE wasm {strict} AS {body}; SELECT made_f({})",
        arguments.join(", "),
        if rng.random_ratio(1, 10) { "SETOF " } else { "" },
        values.join(", ")
    );
    Call::new("wasm function", sql)
}

fn module(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let original = fixture.modules.choose(rng).unwrap();
    let module = bytea(&mutated(rng, original));
    let sql = format!(
        "SELECT lagoon.install_plugin('made', {module}, {});
         CREATE FUNCTION made_f(text) RETURNS text LANGUAGE wasm STRICT AS 'made:echo'; SELECT made_f('x')",
        one(rng, &["NULL", "'{}'", "'{\"limits\": {\"fuel\": 1000}}'", "'{\"limits\": {\"memory\": \"1MB\"}}'"])
    );
    Call::new("module", sql)
}

fn model(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let files = [
        "model.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
    ];
    let file = one(rng, &files);
    let folder = fixture.path("odd_model");
    let _ = std::fs::remove_dir_all(&folder); // of an earlier call
    lagoon_tests::copy_for_owner(&fixture.path("tiny"), &folder);
    if let Ok(bytes) = std::fs::read(folder.join(file)) {
        std::fs::write(folder.join(file), mutated(rng, &bytes)).unwrap();
    }
    let text = value(rng, fixture, "text");
    let sql =
        format!("SELECT lagoon.register_model('odd', '{}'); SELECT lagoon.embed('odd', {text})", folder.display());
    Call::new("model", sql)
}

fn neighbours(rng: &mut StdRng, fixture: &Fixture) -> Call {
    let (table, own, operator) = *[
        ("items", "vector", "<->"),
        ("items", "vector", "<#>"),
        ("halves", "halfvec", "<=>"),
        ("sparse", "sparsevec", "<+>"),
        ("bits", "bit", "<~>"),
    ]
    .choose(rng)
    .unwrap();
    let limits = ["0", "1", "10", "1000", "9223372036854775807", "NULL", "-1"];
    let settings = one(
        rng,
        &[
            "",
            "SET LOCAL enable_seqscan = off;",
            "SET LOCAL enable_seqscan = off; SET LOCAL hnsw.iterative_scan = relaxed_order; SET LOCAL hnsw.ef_search = 1;",
            "SET LOCAL enable_seqscan = off; SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.max_scan_tuples = 1;",
            "SET LOCAL enable_seqscan = off; SET LOCAL ivfflat.iterative_scan = relaxed_order; SET LOCAL work_mem = '64kB';",
        ],
    );
    let query = value(rng, fixture, own);
    let sql = format!(
        "{settings} SELECT id FROM {table} ORDER BY v {operator} {query} LIMIT {} OFFSET {}",
        one(rng, &limits),
        one(rng, &["0", "1", "499", "100000", "-1"])
    );
    Call::new("nearest neighbours", sql)
}
