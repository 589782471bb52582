//! Random calls of every function, operator, cast, aggregate and option of the extension with extreme arguments: whatever is
//! asked, the answer is a result or an ERROR with a SQLSTATE of its own, and the server goes on.
//!
//! `LAGOON_FUZZ_CALLS` says how many calls (3,000), `LAGOON_FUZZ_SEED` which (1). What fails is written as SQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lagoon_tests::{DEADLINE, connect, describe, wait_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error};

#[path = "fuzz/call.rs"]
mod call;
#[path = "fuzz/fixture.rs"]
mod fixture;
#[path = "fuzz/value.rs"]
mod value;

use call::{Call, Catalog};
use fixture::{Fixture, ROLES};

/// Every statement is cut off here; a call that is not is a failure after [`HANG`].
const TIMEOUT: &str = "300ms";
const HANG: Duration = Duration::from_secs(20);
/// Slower answers than this to [`TIMEOUT`] are told, though no failures: a machine may be busy.
const SLOW: Duration = Duration::from_secs(2);
/// Kinds of failures after which it is enough.
const ENOUGH: usize = 40;
/// Calls of one connection; then another one is made.
const CALLS_PER_SESSION: usize = 250;

#[test]
fn no_call_gives_an_internal_error_or_ends_the_server() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (calls, seed) = (number("LAGOON_FUZZ_CALLS", 3_000), number("LAGOON_FUZZ_SEED", 1));
    let fixture = Fixture::new();
    let catalog = Catalog::read(&fixture.cluster);
    assert!(catalog.len() > 200, "the catalogues show only {} things of the extension", catalog.len());

    let mut run =
        Run { fixture: &fixture, clients: Vec::new(), starts: 0, failures: BTreeMap::new(), states: BTreeMap::new() };
    for number in 0..calls {
        if number % CALLS_PER_SESSION as u64 == 0 {
            run.reconnect();
        }
        // Each call by itself, so that one more or less random number changes no other call.
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1 << 32) + number);
        let call = catalog.call(&mut rng, &fixture);
        run.make(&call, &mut rng);
        if run.failures.len() >= ENOUGH {
            eprintln!("{ENOUGH} kinds of failures after {} calls: enough", number + 1);
            break;
        }
    }
    eprintln!("{calls} calls of {} things with seed {seed}; results by SQLSTATE: {:?}", catalog.len(), run.states);
    let log = fixture.cluster.log();
    for line in log.lines().filter(|line| line.contains("terminated by signal") || line.contains("PANIC:")) {
        let said = line.split("] ").last().unwrap_or(line).to_owned();
        run.failures.entry(format!("log: {}", shape(&said))).or_insert(said);
    }
    assert!(run.failures.is_empty(), "{}", report(&run.failures));
}

struct Run<'a> {
    fixture: &'a Fixture,
    clients: Vec<Client>,
    /// How often the server had started when they connected.
    starts: usize,
    /// What failed, by what was called and what was said: the SQL and the whole message.
    failures: BTreeMap<String, String>,
    states: BTreeMap<String, u64>,
}

impl Run<'_> {
    fn reconnect(&mut self) {
        let cluster = &self.fixture.cluster;
        self.clients.clear();
        self.starts = cluster.starts();
        self.fixture.restore();
        for role in ROLES {
            let mut config = cluster.config("postgres");
            config.user(role).options(format!("-c statement_timeout={TIMEOUT} -c search_path=public"));
            let client = cluster.block_on(connect(&config)).unwrap();
            cluster.block_on(client.simple_query("SELECT '[1]'::vector")).unwrap(); // loads the library and its settings
            self.clients.push(client);
        }
    }

    /// Makes a call, mostly in a transaction that is rolled back.
    fn make(&mut self, call: &Call, rng: &mut StdRng) {
        let role = *[0, 0, 0, 1, 2].get(rng.random_range(0..5)).unwrap_or(&0);
        let client = &self.clients[role];
        let stays = rng.random_ratio(1, 8) && !call.sql.contains("made");
        let sql = if stays { call.sql.clone() } else { format!("BEGIN; {}; ROLLBACK", call.sql) };
        let start = Instant::now();
        let outcome = self.fixture.cluster.block_on(async {
            let answer = async {
                match &call.bytes {
                    None => client.simple_query(&sql).await.map(|_| ()),
                    Some(bytes) => match client.prepare(&call.sql).await {
                        Ok(statement) => client.query(&statement, &[&Raw(bytes.clone())]).await.map(|_| ()),
                        Err(error) => Err(error),
                    },
                }
            };
            tokio::time::timeout(HANG, answer).await
        });
        let time = start.elapsed();
        let shown = match &call.bytes {
            None => format!("-- as {}\n{sql};", ROLES[role]),
            Some(bytes) => format!("-- as {}, $1 in binary: {bytes:02x?}\n{};", ROLES[role], call.sql),
        };
        match outcome {
            Err(_) => {
                self.fail(call, "hangs", &shown, &format!("no answer after {HANG:?}"));
                self.fixture.cluster.stop("immediate");
                self.fixture.cluster.start_again();
                self.reconnect();
            }
            Ok(Ok(())) => *self.states.entry("00000".to_owned()).or_default() += 1,
            Ok(Err(error)) => self.judge(call, &shown, &error, role),
        }
        if time > SLOW {
            eprintln!("slow, {time:.1?}: {}", cut(&shown, 300));
        }
    }

    fn judge(&mut self, call: &Call, shown: &str, error: &Error, role: usize) {
        let said = describe(error);
        let Some(db) = error.as_db_error().filter(|db| !db.code().code().starts_with("57P")) else {
            if error.is_closed() || error.as_db_error().is_some() {
                self.fail(call, "lost connection", shown, &said);
                let starts = self.starts;
                wait_for("the server after a crash", DEADLINE, || {
                    (self.fixture.cluster.starts() > starts).then_some(())
                });
                self.reconnect();
            } // else the client could not send it: a fault of the call
            return;
        };
        let state = db.code().code().to_owned();
        let message = db.message();
        let context = db.where_().unwrap_or_default();
        if state.starts_with("XX") {
            self.fail(call, &format!("{state} {}", shape(message)), shown, &said);
        } else if message.contains("panicked") || message.contains(".rs:") || message.is_empty() {
            self.fail(call, &format!("words: {}", shape(message)), shown, &said);
        } else if said.len() > 64 << 10 && call.sql.len() < 8 << 10 && context.len() > 16 << 10 {
            self.fail(call, "CONTEXT without limit", shown, cut(&said, 1000));
        }
        *self.states.entry(state).or_default() += 1;
        let _ = self.fixture.cluster.block_on(self.clients[role].simple_query("ROLLBACK")); // the next call shows a lost connection
    }

    fn fail(&mut self, call: &Call, what: &str, shown: &str, said: &str) {
        let kind = format!("{}: {what}", call.target);
        self.failures.entry(kind).or_insert_with_key(|kind| {
            eprintln!("failure: {kind}");
            format!("{shown}\n{said}")
        });
    }
}

/// A message without its numbers and quoted parts, so that the same failure of other arguments is the same.
fn shape(message: &str) -> String {
    let mut shape = String::new();
    let mut quoted = false;
    for character in message.chars() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '0'..='9' => {
                if !shape.ends_with('#') {
                    shape.push('#');
                }
            }
            _ => shape.push(character),
        }
    }
    cut(&shape, 120).to_owned()
}

fn cut(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// All failures: short in the message, in full in a file.
fn report(failures: &BTreeMap<String, String>) -> String {
    let path = std::env::temp_dir().join("lagoon-fuzz-failures.sql");
    let (mut short, mut full) = (String::new(), String::new());
    for (kind, text) in failures {
        writeln!(short, "\n== {kind}\n{}", cut(text, 2000)).unwrap();
        writeln!(full, "\n-- == {}\n{text}", kind.replace('\n', " ")).unwrap();
    }
    std::fs::write(&path, full).unwrap();
    format!("{} kinds of failures, in full in {}:{short}", failures.len(), path.display())
}

/// Bytes that are sent as they are, whatever the type.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}
