//! The manual is run as it is written, and says what the server says.
//!
//! Every page of `docs/` and README, each in a database of its own from top to bottom: a block of SQL must succeed, and gives
//! what the `text` block after it shows. `...` there stands for anything. The fence of a block that cannot be run says so:
//! ```` ```sql not run: why ````. What a page needs and readers do not is in comments: `<!-- run`, SQL, `-->`.
//! `LAGOON_MANUAL=tour,settings` runs only pages whose path contains one of the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lagoon_tests::{Cluster, checkout, copy_for_owner, give_to_owner, pg_config, text_of};

/// A block of SQL and, where the page shows one, its output.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    sql: String,
    shown: Option<String>,
}

/// What paths in the manual stand for, and what they are here.
type Places = Vec<(&'static str, String)>;

#[test]
fn pages_give_what_they_show() {
    let library = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: run `make test`");
    let model = std::env::var("LAGOON_MODEL").expect("LAGOON_MODEL: run `make test`");
    let target = std::env::var("CARGO_TARGET_DIR").expect("CARGO_TARGET_DIR: run `make test`");
    let cluster = Cluster::start(&[
        "shared_preload_libraries=lagoon",
        "timezone=UTC",
        &format!("lagoon.onnxruntime_library={library}"),
    ]);
    let plugins = cluster.dir().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::create_dir_all(cluster.dir().join("files/sales")).unwrap();
    give_to_owner(&cluster.dir().join("files"));
    for name in ["hello.wasm", "package_rules.wasm"] {
        copy_for_owner(&Path::new(&target).join("guests").join(name), &plugins.join(name));
    }
    let manifest = "guest/examples/package_rules/package_rules.yaml";
    copy_for_owner(&checkout().join(manifest), &plugins.join("package_rules.yaml"));
    let here = |name: &str| format!("{}/{name}", cluster.dir().display());
    let places = vec![("/models/all-MiniLM-L6-v2", model), ("/plugins", here("plugins")), ("/data", here("files"))];

    let mut failures = Vec::new();
    let mut run = 0;
    for (name, text) in pages() {
        let steps = steps(&name, &text);
        if steps.is_empty() || !is_wanted(&name) {
            continue;
        }
        let database = format!("page_{run}");
        cluster.psql(&format!("CREATE DATABASE {database}"));
        if !steps.iter().any(|step| step.sql.contains("CREATE EXTENSION")) {
            cluster.psql_in(&database, "CREATE EXTENSION lagoon");
        }
        failures.extend(differences(&cluster, &database, &places, &name, &steps));
        run += 1;
    }
    assert!(failures.is_empty(), "{} blocks are not as they are shown\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(run >= 15 || std::env::var("LAGOON_MANUAL").is_ok(), "only {run} pages have SQL");
}

#[test]
fn settings_are_as_the_manual_says() {
    let page = fs::read_to_string(checkout().join("docs/operations/settings.md")).unwrap();
    let cluster = Cluster::start(&["shared_preload_libraries=lagoon"]);
    let session = cluster.session();
    let settings = session.rows(
        "SELECT name, vartype, boot_val, unit, min_val, max_val, array_to_string(enumvals, ', '), context, short_desc
         FROM pg_settings WHERE name ~ '^(lagoon|hnsw|ivfflat)[.]' ORDER BY name",
    );
    let mut expected = Vec::new();
    for setting in settings {
        let mut fields = setting.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap();
        let (name, kind, default, unit) = (next(), next(), next(), next());
        let (least, most, values, context, about) = (next(), next(), next(), next(), next());
        let default = if default.is_empty() { "empty".to_owned() } else { format!("`{}`", in_units(&default, &unit)) };
        let range = match kind.as_str() {
            "integer" | "real" => format!("{} to {}", in_units(&least, &unit), in_units(&most, &unit)),
            _ => values,
        };
        let range = if range.is_empty() { String::new() } else { format!("{range} ") };
        expected.push(format!("| `{name}` | {default} | {range}| {context} | {about} |"));
    }
    assert!(expected.len() > 20, "{expected:?}");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<_> = expected.iter().filter(|line| !shown.contains(&line.as_str())).cloned().collect();
    let strange: Vec<_> = shown.iter().filter(|line| !expected.iter().any(|e| e == *line)).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "docs/operations/settings.md lacks\n{}\nand has\n{strange:#?}",
        missing.join("\n")
    );
}

/// Functions, tables, views, their columns, and operator classes: each stands in the manual as code.
#[test]
fn the_manual_names_all_that_users_call() {
    let manual: String = pages().into_iter().map(|(_, text)| text).collect();
    let cluster = Cluster::with_lagoon(&[]);
    let names = cluster.psql(
        "WITH member AS (
             SELECT classid, objid FROM pg_depend
             WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
                 AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'lagoon'))
         SELECT 'lagoon.' || proname FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
         WHERE pronamespace = 'lagoon'::regnamespace AND proname NOT IN ('worker_status', 'memory_status')
             AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'fdw_handler'::regtype,
                 'language_handler'::regtype)
             AND proname !~ '_validator$'
         UNION SELECT 'lagoon.' || relname FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
         UNION SELECT attname FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
             JOIN pg_attribute ON attrelid = objid WHERE attnum > 0 AND NOT attisdropped AND relname <> 'plugin_errors'
         UNION SELECT unnest(proargnames[pronargs + 1:]) FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass
             AND objid = pg_proc.oid WHERE pronamespace = 'lagoon'::regnamespace
         UNION SELECT opcname FROM member JOIN pg_opclass ON classid = 'pg_opclass'::regclass AND objid = pg_opclass.oid
             JOIN pg_am ON pg_am.oid = opcmethod WHERE amname IN ('hnsw', 'ivfflat')",
    );
    assert!(names.lines().count() > 100, "{names}");
    let missing: Vec<_> = names
        .lines()
        .filter(|name| !["`", "(", " ", "'"].iter().any(|end| manual.contains(&format!("`{name}{end}"))))
        .collect();
    assert!(missing.is_empty(), "the manual does not name {missing:?}");
}

#[test]
fn blocks_are_read_as_they_are_meant() {
    let page = "```sql\nA;\n```\n\n```text\na\n```\n<!-- run\nB;\n-->\n```sql not run: why\nC;\n```\n```sh\nd\n```\n";
    let step = |line, sql: &str, shown: Option<&str>| Step { line, sql: sql.into(), shown: shown.map(str::to_owned) };
    assert_eq!(steps("page", page), [step(1, "A;\n", Some("a\n")), step(8, "B;\n", None)]);
    assert!(matches("a\n...\nz", "a\nb\nc\nz") && matches("a ... c", "a b c") && matches("a", "a"));
    assert!(!matches("a\n...\nz", "a\nb") && !matches("a", "ab") && !matches("... b", "a b c"));
}

/// Every page with its path below the checkout.
fn pages() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![checkout().join("README.md")];
    walk(&checkout().join("docs"), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(checkout()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn is_wanted(page: &str) -> bool {
    std::env::var("LAGOON_MANUAL").map_or(true, |words| words.split(',').any(|word| page.contains(word)))
}

fn steps(name: &str, page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // Whether only blank lines have come since the last block of SQL.
    let mut is_after_sql = false;
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let place = format!("{name}:{}", at + 1);
        let (language, end) = match line.strip_prefix("```") {
            Some(info) => (info, "```"),
            None if line == "<!-- run" => ("run", "-->"),
            None => {
                assert!(!line.trim_start().starts_with("```"), "{place}: an indented block is not read");
                is_after_sql &= line.trim().is_empty();
                continue;
            }
        };
        let body: String =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != end).map(|l| format!("{l}\n")).collect();
        match language.split_once(' ').map_or((language, ""), |(language, rest)| (language, rest)) {
            ("sql" | "run", "") => steps.push(Step { line: at + 1, sql: body, shown: None }),
            ("sql", rest) => {
                let why = rest.strip_prefix("not run: ").unwrap_or_default();
                assert!(!why.trim().is_empty(), "{place}: a block that is not run says `sql not run: why`");
            }
            ("text", _) if is_after_sql => steps.last_mut().unwrap().shown = Some(body),
            _ => {}
        }
        is_after_sql = language == "sql";
    }
    steps
}

/// Runs a page in one session, and says which of its blocks failed or gave something else.
fn differences(cluster: &Cluster, database: &str, places: &Places, page: &str, steps: &[Step]) -> Vec<String> {
    let mut script = String::from("\\pset pager off\n");
    for (number, step) in steps.iter().enumerate() {
        let sql = places
            .iter()
            .fold(step.sql.clone(), |sql, (name, place)| sql.replace(&format!("'{name}"), &format!("'{place}")));
        write!(script, "\\echo @@{number}@\n\\warn @@{number}@\n{sql}\n").unwrap();
    }
    let end = steps.len();
    write!(script, "\\echo @@{end}@\n\\warn @@{end}@\n").unwrap();
    let variable = |name: &str, at: usize| format!("{name}={}", places[at].1);
    let mut psql = Command::new(format!("{}/psql", pg_config("--bindir")))
        .args(["--no-psqlrc", "--quiet", "-U", "postgres", "-p", "5432", "-d", database])
        .arg("-h")
        .arg(cluster.dir())
        .args(["-v", &variable("model", 0), "-v", &variable("guests", 1)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    if !output.status.success() {
        return vec![format!("{page}: psql ended early\n{}", text_of(&output))];
    }
    let as_shown = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        places.iter().fold(text, |text, (name, place)| text.replace(place.as_str(), name))
    };
    let (printed, said) = (as_shown(&output.stdout), as_shown(&output.stderr));
    let mut found = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let (printed, said) = (trimmed(part(&printed, number)), trimmed(part(&said, number)));
        let shows_messages = ["ERROR:", "WARNING:", "NOTICE:"]
            .iter()
            .any(|level| step.shown.as_ref().is_some_and(|shown| shown.contains(level)));
        let has_failed =
            said.lines().any(|line| ["ERROR:", "FATAL:", "invalid"].iter().any(|word| line.starts_with(word)));
        let given = if shows_messages || has_failed { trimmed(&format!("{printed}\n{said}")) } else { printed };
        let shown = trimmed(step.shown.as_deref().unwrap_or_default());
        let is_as_shown = if step.shown.is_some() { matches(&shown, &given) } else { !has_failed };
        if !is_as_shown {
            found.push(format!("{page}:{}\n{}--- shown\n{shown}\n--- given\n{given}", step.line, step.sql));
        }
    }
    found
}

/// What came between the marks of a block and of the next one.
fn part(text: &str, number: usize) -> &str {
    let mark = |number: usize| format!("@@{number}@\n");
    let from = text.find(&mark(number)).unwrap() + mark(number).len();
    let to = text[from..].find(&mark(number + 1)).unwrap() + from;
    &text[from..to]
}

/// Whether a text is as a pattern says, in which `...` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split("...").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Without blanks at line ends, which Markdown editors remove, and without blank lines, of which psql ends each table with one.
fn trimmed(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").trim_start().to_owned()
}

/// A number with its unit as SHOW prints it: in the largest unit that divides it.
fn in_units(value: &str, unit: &str) -> String {
    let units: &[(&str, i64)] = match unit {
        "MB" => &[("TB", 1 << 20), ("GB", 1 << 10), ("MB", 1)],
        "ms" => &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)],
        "s" => &[("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)],
        _ => return value.to_owned(),
    };
    let number: i64 = value.parse().unwrap();
    if number == 0 {
        return value.to_owned();
    }
    let (name, size) = units.iter().find(|(_, size)| number % size == 0).unwrap();
    format!("{}{name}", number / size)
}
