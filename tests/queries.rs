//! Random queries over tables of edge values: with whatever part of them in the engine, the answer is that of PostgreSQL over
//! a heap copy.
//!
//! `LAGOON_QUERIES` says how many (2,000), `LAGOON_QUERIES_SEED` which, and which rows (1), `LAGOON_QUERIES_ONLY` asks one of
//! them by its number, `LAGOON_QUERIES_KEEP` names a folder for the files and the SQL that makes the tables.
//! `LAGOON_QUERIES_FULL` asks with `lagoon.pushdown = full`, too, which is no default before its answers are all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lagoon_tests::{Cluster, DEADLINE, Session, give_to_owner, wait_for};

#[path = "queries/aggregate.rs"]
mod aggregate;
#[path = "queries/answer.rs"]
mod answer;
#[path = "queries/expression.rs"]
mod expression;
#[path = "queries/from.rs"]
mod from;
#[path = "queries/generator.rs"]
mod generator;
#[path = "queries/parquet.rs"]
mod parquet_file;
#[path = "queries/select.rs"]
mod select;
#[path = "queries/table.rs"]
mod table;
#[path = "queries/tree.rs"]
mod tree;

use answer::{Answer, Verdict, ask, compare, show};
use generator::{Generator, Traits};
use select::ORDER;
use table::{COLUMNS, Ty};
use tree::Tree;

/// Values of `lagoon.pushdown`, those that the extension knows; `on` is what it had before it had several.
const MODES: [&str; 4] = ["full", "scan", "on", "off"];
const TIMEOUT: &str = "3s";
/// Queries in a row with the same time zone.
const SAME_ZONE: u64 = 50;
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"];
/// Differences after which it is enough.
const ENOUGH: usize = 15;
/// Smaller queries that are tried for one difference, and how long.
const TRIES: usize = 1_500;
const TRYING: Duration = Duration::from_secs(60);

#[test]
fn answers_are_those_over_a_heap_copy() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (count, seed) = (number("LAGOON_QUERIES", 2_000), number("LAGOON_QUERIES_SEED", 1));
    let only = std::env::var("LAGOON_QUERIES_ONLY").ok().map(|text| text.parse::<u64>().unwrap());
    let numbers = only.map_or(0..count, |only| only..only + 1);

    let cluster = Cluster::with_lagoon(&["max_parallel_workers_per_gather=0", "jit=off", "lagoon.parallelism=2"]);
    make_tables(&cluster, seed);
    let probe = cluster.session();
    probe.exec("LOAD 'lagoon'"); // before, PostgreSQL takes any value
    let with_full = std::env::var("LAGOON_QUERIES_FULL").is_ok();
    let wanted = MODES.into_iter().filter(|mode| with_full || *mode != "full");
    let modes: Vec<&str> =
        wanted.filter(|mode| probe.try_rows(&format!("SET lagoon.pushdown = {mode}")).is_ok()).collect();
    assert!(modes.contains(&"off") && modes.len() >= 2, "lagoon.pushdown takes {modes:?} only");
    // Where there are several, `on` is but another name.
    let modes: Vec<&str> = modes.iter().copied().filter(|mode| *mode != "on" || modes.len() == 2).collect();

    let next = AtomicU64::new(numbers.start);
    let tally = Mutex::new(Tally::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut worker = Worker { cluster: &cluster, seed, modes: &modes, sessions: Vec::new(), zone: "" };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end || tally.lock().unwrap().differences.len() >= ENOUGH {
                        return;
                    }
                    worker.check(number, &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    eprintln!("{}", tally.summary(seed, &modes));
    let differences: String = tally.differences.into_values().collect();
    assert!(differences.is_empty(), "{differences}");
}

/// Of each construct that is to be compared the default queries have some.
#[test]
fn every_construct_is_generated() {
    const CONSTRUCTS: [&str; 62] = [
        " CROSS JOIN ",
        " JOIN ",
        " LEFT JOIN ",
        " RIGHT JOIN ",
        " FULL JOIN ",
        " USING (",
        "LATERAL (",
        "(VALUES ",
        " GROUP BY ",
        "ROLLUP (",
        "CUBE (",
        "GROUPING SETS (",
        "grouping(",
        " HAVING ",
        " FILTER (WHERE",
        "(DISTINCT ",
        "count(*)",
        "sum(",
        "avg(",
        "min(",
        "max(",
        "bool_and(",
        "string_agg(",
        "stddev(",
        " NULLS FIRST",
        " NULLS LAST",
        " LIMIT ",
        " OFFSET ",
        " WITH TIES",
        "SELECT DISTINCT ",
        "DISTINCT ON (",
        ") UNION (",
        ") UNION ALL (",
        ") INTERSECT (",
        ") EXCEPT (",
        ") EXCEPT ALL (",
        "WITH q",
        " MATERIALIZED (",
        " EXISTS (",
        " IN (SELECT",
        " NOT IN (SELECT",
        " ANY (SELECT",
        " ALL (SELECT",
        " ANY (ARRAY[",
        " IN (",
        " BETWEEN ",
        " LIKE ",
        " IS NULL",
        " IS DISTINCT FROM ",
        "CASE WHEN ",
        "coalesce(",
        "nullif(",
        "::numeric",
        "::integer",
        "extract(",
        "date_trunc(",
        " + interval '",
        "substring(",
        "OVER (",
        "lag(",
        "PREPARE p(",
        "DECLARE c",
    ];
    let texts: Vec<String> = (0..2_000).map(|number| Query::new(1, number).statements()).collect();
    let count = |construct: &str| texts.iter().filter(|text| text.contains(construct)).count();
    let counts: Vec<(&str, usize)> = CONSTRUCTS.iter().map(|construct| (*construct, count(construct))).collect();
    eprintln!("{counts:?}");
    let seldom: Vec<_> = counts.iter().filter(|(_, count)| *count < 5).collect();
    assert!(seldom.is_empty(), "of 2,000 queries only so many have {seldom:?}");
}

/// The tables as foreign ones in schema `lake` and as heap copies in schema `heap`.
fn make_tables(cluster: &Cluster, seed: u64) {
    let folder = cluster.dir().join("lake");
    std::fs::create_dir(&folder).unwrap();
    let mut sql = "CREATE SCHEMA lake; CREATE SCHEMA heap;\n".to_owned();
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("{} {}", column.name, column.sql)).collect();
    for table in table::tables(seed) {
        parquet_file::write(&table, &folder);
        let (name, columns) = (table.name, columns.join(", "));
        let path = folder.join(name);
        writeln!(sql, "CREATE FOREIGN TABLE lake.{name} () SERVER lagoon OPTIONS (path '{}');", path.display())
            .unwrap();
        writeln!(sql, "CREATE TABLE heap.{name} ({columns});").unwrap();
        for row in &table.rows {
            let cells: Vec<&str> = row.iter().map(|cell| cell.as_ref().map_or("NULL", |cell| &cell.sql)).collect();
            writeln!(sql, "INSERT INTO heap.{name} VALUES ({});", cells.join(", ")).unwrap();
        }
    }
    sql.push_str("ANALYZE;\n");
    give_to_owner(&folder);
    if let Some(keep) = std::env::var_os("LAGOON_QUERIES_KEEP") {
        let keep = Path::new(&keep);
        lagoon_tests::run(std::process::Command::new("cp").arg("-r").arg(&folder).arg(keep));
        let own = sql.replace(&*folder.to_string_lossy(), &keep.join("lake").to_string_lossy());
        std::fs::write(keep.join("tables.sql"), own).unwrap();
    }
    cluster.session().exec(&sql);
    // Files that are read wrong would make every query different.
    let session = cluster.session();
    for table in table::tables(seed) {
        let rows = |schema: &str| session.rows(&format!("SELECT * FROM {schema}.{} ORDER BY id", table.name));
        assert_eq!(rows("lake"), rows("heap"), "table {}", table.name);
    }
}

/// How a query is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    Plain,
    /// Prepared, with a plan for the values or for any.
    Prepared(&'static str),
    /// By a cursor that is read in two parts.
    Cursor,
}

/// A query and how to ask it.
struct Query {
    tree: Tree,
    traits: Traits,
    style: Style,
}

impl Query {
    fn new(seed: u64, number: u64) -> Self {
        // Each by itself, so that a change of one changes no other.
        let mut generator = Generator::new(seed.wrapping_mul(1 << 32) + number);
        let tree = generator.top();
        let style = match generator.rng_below(10) {
            0 => Style::Prepared("force_custom_plan"),
            1 => Style::Prepared("force_generic_plan"),
            2 => Style::Cursor,
            _ => Style::Plain,
        };
        Self { tree, traits: generator.traits, style }
    }

    /// The statements that ask it, whose rows are those of the query.
    fn statements(&self) -> String {
        match self.style {
            Style::Plain => self.tree.sql(),
            Style::Cursor => {
                format!("BEGIN; DECLARE c CURSOR FOR {}; FETCH 3 FROM c; FETCH ALL FROM c; COMMIT", self.tree.sql())
            }
            Style::Prepared(mode) => {
                let (sql, parameters) = self.tree.prepared();
                let list = |of: fn(&(String, Ty)) -> &str| parameters.iter().map(of).collect::<Vec<_>>().join(", ");
                let (types, values) = (list(|(_, ty)| ty.name()), list(|(value, _)| value));
                let brackets = |list: &str| if list.is_empty() { String::new() } else { format!("({list})") };
                format!(
                    "DEALLOCATE ALL; BEGIN; SET LOCAL plan_cache_mode = {mode}; PREPARE p{} AS {sql}; EXECUTE p{}; COMMIT",
                    brackets(&types),
                    brackets(&values)
                )
            }
        }
    }

    /// With another tree, of which the outermost order may be gone.
    fn with(&self, tree: Tree) -> Self {
        let ordered = self.traits.ordered && tree.sql().contains(ORDER);
        Self { tree, traits: Traits { ordered, ..self.traits }, style: self.style }
    }
}

struct Worker<'a> {
    cluster: &'a Cluster,
    seed: u64,
    modes: &'a [&'a str],
    /// Over the heap copies, then one for each mode.
    sessions: Vec<Session<'a>>,
    zone: &'static str,
}

impl Worker<'_> {
    fn check(&mut self, number: u64, tally: &Mutex<Tally>) {
        let zone = ZONES[(number / SAME_ZONE) as usize % ZONES.len()];
        if self.sessions.is_empty() {
            self.connect();
        }
        if self.zone != zone {
            self.zone = zone;
            self.sessions.iter().for_each(|session| session.exec(&format!("SET timezone = '{zone}'")));
        }
        let query = Query::new(self.seed, number);
        let heap = self.ask(0, &query);
        let mut verdicts = Vec::new();
        for at in 0..self.modes.len() {
            let other = self.ask(at + 1, &query);
            let verdict = compare(&heap, &other, query.traits);
            verdicts.push(verdict);
            if verdict == Verdict::Open && at == 0 {
                tally.lock().unwrap().see_open(number, &query, &heap, &other);
            }
            if verdict == Verdict::Different {
                let (shape, report) = self.report(number, at, &query);
                eprintln!("difference: query {number}, pushdown {}: {shape}", self.modes[at]);
                tally.lock().unwrap().differences.entry(shape).or_insert(report);
            }
        }
        if verdicts.contains(&Verdict::Slow) {
            tally.lock().unwrap().slow.push(number);
        }
        let stopped = (self.modes[0] == "full").then(|| self.stopped(&query));
        tally.lock().unwrap().count(&query, &heap, &verdicts, stopped);
    }

    fn connect(&mut self) {
        let session = |schema: &str, setting: String| {
            let session = wait_for("a connection", DEADLINE, || self.cluster.try_session("postgres").ok());
            session.exec(&format!("SET statement_timeout = '{TIMEOUT}'; SET search_path = {schema}"));
            session.exec("LOAD 'lagoon'");
            session.exec(&setting);
            session
        };
        self.sessions.clear();
        self.sessions.push(session("heap", String::new()));
        self.sessions.extend(self.modes.iter().map(|mode| session("lake", format!("SET lagoon.pushdown = {mode}"))));
        let zone = self.zone;
        if !zone.is_empty() {
            self.sessions.iter().for_each(|session| session.exec(&format!("SET timezone = '{zone}'")));
        }
    }

    fn ask(&mut self, session: usize, query: &Query) -> Answer {
        let answer = ask(&self.sessions[session], &query.statements());
        if matches!(answer, Answer::Lost(_)) {
            self.connect();
        }
        answer
    }

    /// Whether the plan is one of the engine's; if not, why.
    fn stopped(&self, query: &Query) -> Result<(), String> {
        let sql = format!("EXPLAIN (VERBOSE, COSTS OFF) {}", query.tree.sql());
        let lines = match self.sessions[1].try_rows(&sql) {
            Ok(rows) => rows.into_iter().flatten().flatten().collect::<Vec<String>>(),
            Err(_) => return Err("an error at planning".to_owned()),
        };
        if lines.first().is_some_and(|line| line.starts_with("Custom Scan (Lagoon Query)")) {
            return Ok(());
        }
        let reason = lines.iter().find_map(|line| line.split_once("Not whole: ")).map(|(_, reason)| reason);
        Err(reason.unwrap_or("no reason").replace(|c: char| c.is_ascii_digit(), "#"))
    }

    /// The smallest query that shows the difference, and a report.
    fn report(&mut self, number: u64, at: usize, query: &Query) -> (String, String) {
        let tells = |worker: &mut Self, query: &Query| {
            let (heap, other) = (worker.ask(0, query), worker.ask(at + 1, query));
            (compare(&heap, &other, query.traits) == Verdict::Different).then_some((heap, other))
        };
        let whole = query.statements();
        let mut small = query.with(query.tree.clone());
        let mut answers = tells(self, &small);
        let mut tries = 0;
        let plain = Query { style: Style::Plain, ..query.with(query.tree.clone()) };
        if query.style != Style::Plain && tells(self, &plain).is_some() {
            small = plain;
        }
        let end = Instant::now() + TRYING;
        'smaller: while answers.is_some() {
            for tree in small.tree.smaller() {
                tries += 1;
                let candidate = small.with(tree);
                if let Some(found) = tells(self, &candidate) {
                    (small, answers) = (candidate, Some(found));
                    continue 'smaller;
                }
                if tries >= TRIES || Instant::now() > end {
                    break 'smaller;
                }
            }
            break;
        }
        let mode = self.modes[at];
        let mut report = format!(
            "\n== query {number} of seed {} (LAGOON_QUERIES_SEED={} LAGOON_QUERIES_ONLY={number}), lagoon.pushdown = {mode}, \
             time zone {}, {:?}\n",
            self.seed, self.seed, self.zone, query.traits
        );
        let sql = small.statements();
        match &answers {
            None => report.push_str("The difference did not come again.\n"),
            Some((heap, other)) => {
                writeln!(report, "{sql}\n-- heap: {}\n-- {mode}: {}", show(heap, other), show(other, heap)).unwrap();
            }
        }
        writeln!(report, "-- the whole query:\n{whole}").unwrap();
        (sql, report)
    }
}

/// What is told at the end.
#[derive(Default)]
struct Tally {
    queries: u64,
    rows: u64,
    empty: u64,
    same_errors: BTreeMap<String, u64>,
    open: u64,
    slow: Vec<u64>,
    open_examples: Vec<String>,
    whole: u64,
    reasons: BTreeMap<String, u64>,
    /// By the smallest query.
    differences: BTreeMap<String, String>,
}

impl Tally {
    fn count(&mut self, query: &Query, heap: &Answer, verdicts: &[Verdict], stopped: Option<Result<(), String>>) {
        self.queries += 1;
        match heap {
            Answer::Rows(rows) => {
                self.rows += rows.len() as u64;
                self.empty += u64::from(rows.is_empty());
            }
            Answer::Error(state, message) => {
                *self.same_errors.entry(state.clone()).or_default() += 1;
                if state.starts_with("42") && std::env::var_os("LAGOON_QUERIES_ONLY").is_some() {
                    eprintln!("{message}\n{}", query.statements()); // a fault of the generator
                }
            }
            Answer::Lost(_) => {}
        }
        self.open += u64::from(verdicts.contains(&Verdict::Open));
        match stopped {
            None => {}
            Some(Ok(())) => self.whole += 1,
            Some(Err(reason)) => *self.reasons.entry(reason).or_default() += 1,
        }
    }

    fn see_open(&mut self, number: u64, query: &Query, heap: &Answer, other: &Answer) {
        if self.open_examples.len() < 5 {
            let (heap, other) = (show(heap, other), show(other, heap));
            let first = |text: &str| text.lines().next().unwrap_or_default().chars().take(160).collect::<String>();
            let text = format!("query {number}: heap {}, else {}\n{}", first(&heap), first(&other), query.tree.sql());
            self.open_examples.push(text);
        }
    }

    fn summary(&self, seed: u64, modes: &[&str]) -> String {
        let mut text = format!(
            "{} queries of seed {seed} with lagoon.pushdown = {}: {} rows, {} without rows, errors over the heap by SQLSTATE \
             {:?}, {} with an error that depends on the order of evaluation, too slow {:?}, {} kinds of differences\n",
            self.queries,
            modes.join(", "),
            self.rows,
            self.empty,
            self.same_errors,
            self.open,
            self.slow,
            self.differences.len()
        );
        if modes[0] == "full" {
            writeln!(text, "{} of {} ran wholly in the engine; what stopped others:", self.whole, self.queries)
                .unwrap();
            let mut reasons: Vec<_> = self.reasons.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (reason, count) in reasons.into_iter().take(40) {
                writeln!(text, "{count:7}  {reason}").unwrap();
            }
        }
        for example in &self.open_examples {
            writeln!(text, "open: {example}").unwrap();
        }
        text
    }
}
