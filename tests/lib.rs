//! What every outside test needs: a private cluster, SQL on it, and waiting for a condition with a deadline.
//!
//! The extension must be installed (`make install`) in the PostgreSQL that `pg_config` (or `PG_CONFIG`) names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

pub mod guest;
pub mod parquet;

/// Long enough for anything that a test waits for; reached only when the test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The checkout.
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What `pg_config OPTION` prints.
pub fn pg_config(option: &str) -> String {
    let program = std::env::var("PG_CONFIG").unwrap_or_else(|_| "pg_config".to_owned());
    let output = Command::new(&program).arg(option).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The major version of the server.
pub fn server_version() -> u32 {
    let version = pg_config("--version");
    let number = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    number.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Asks `condition` until it gives a value; panics with `what` when it never does.
pub fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does `work` while threads do the others again and again; they end with it, also when it panics.
pub fn beside<T>(others: &[&(dyn Fn() + Sync)], work: impl FnOnce() -> T) -> T {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for other in others {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    other();
                }
            });
        }
        work()
    })
}

/// A directory in a temporary place that the owner of clusters (user postgres, or the caller) can read and write.
/// Its path is short enough for a unix socket.
pub fn scratch() -> TempDir {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > 60 { PathBuf::from("/tmp") } else { base };
    let dir = tempfile::Builder::new().prefix("lagoon-test-").tempdir_in(base).unwrap();
    give_to_owner(dir.path());
    dir
}

/// Hands `path` and what is in it to the owner of clusters.
pub fn give_to_owner(path: &Path) {
    let is_root = run(Command::new("id").arg("-u")) == "0";
    if is_root {
        run(Command::new("chown").args(["-R", "postgres"]).arg(path));
    }
    run(Command::new("chmod").args(["-R", "u+rwX,go+rX"]).arg(path));
}

/// Copies a file or a folder of the checkout to where the owner of clusters can read it.
pub fn copy_for_owner(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-rL").arg(from).arg(to));
    give_to_owner(to);
}

/// Runs a command that must succeed; its standard output without the last line end.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed\n{}", text_of(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Standard output and standard error of a command, one after the other.
pub fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A command as the owner of clusters: initdb, postgres and pg_ctl refuse to run as root.
pub fn as_owner(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = script();
    command.arg("as").arg(program);
    command
}

fn script() -> Command {
    Command::new(checkout().join("scripts/cluster"))
}

/// A private cluster: unix socket only, its own data directory, ended and deleted when dropped.
pub struct Cluster {
    dir: TempDir,
    settings: Vec<String>,
    runtime: Runtime,
    /// Of another PostgreSQL than that of the environment.
    pg_config: Option<PathBuf>,
}

impl Cluster {
    /// A started cluster with these settings (`name=value`), without the extension.
    pub fn start(settings: &[&str]) -> Self {
        let cluster = Self::new(settings);
        cluster.start_again();
        cluster
    }

    /// As [`Self::start`], with the server of another `pg_config`.
    pub fn of_server(pg_config: &Path, settings: &[&str]) -> Self {
        let mut cluster = Self::new(settings);
        cluster.pg_config = Some(pg_config.to_owned());
        cluster.start_again();
        cluster
    }

    fn new(settings: &[&str]) -> Self {
        Self {
            dir: scratch(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
            pg_config: None,
        }
    }

    /// `scripts/cluster COMMAND` on this cluster.
    fn script(&self, command: &str) -> Command {
        let mut script = script();
        script.arg(command).arg(self.dir());
        if let Some(pg_config) = &self.pg_config {
            script.env("PG_CONFIG", pg_config);
        }
        script
    }

    /// A started cluster with the extension in database `postgres`.
    pub fn with_lagoon(settings: &[&str]) -> Self {
        let cluster = Self::start(settings);
        cluster.psql("CREATE EXTENSION lagoon");
        cluster
    }

    /// A started streaming standby of `primary`, which must allow WAL senders.
    pub fn standby_of(primary: &Cluster, settings: &[&str]) -> Self {
        let cluster = Self::new(settings);
        run(as_owner(PathBuf::from(pg_config("--bindir")).join("pg_basebackup"))
            .args(["-p", "5432", "-U", "postgres", "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream"])
            .arg("-h")
            .arg(primary.dir())
            .arg("-D")
            .arg(cluster.dir().join("data")));
        let conf = cluster.dir().join("data/postgresql.auto.conf");
        let mut text = std::fs::read_to_string(&conf).unwrap();
        text.push_str(&format!("unix_socket_directories = '{}'\n", cluster.dir().display()));
        std::fs::write(&conf, text).unwrap();
        cluster.start_again();
        cluster
    }

    /// The directory of the socket and of the log; the data directory is `data` in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`]; returns when it answers.
    pub fn start_again(&self) {
        run(self.script("start").args(&self.settings));
    }

    /// Replaces the settings; they hold from the next start, or reload where PostgreSQL allows it.
    pub fn configure(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    /// Ends it: `fast` or `immediate`.
    pub fn stop(&self, mode: &str) {
        run(self.script("stop").arg(mode));
    }

    /// kill -9 of the postmaster and of all its processes.
    pub fn kill(&self) {
        run(&mut self.script("kill"));
    }

    /// Stops it, if it runs, and starts it with the present settings.
    pub fn restart(&self) {
        self.stop("fast");
        self.start_again();
    }

    /// Whether it accepts connections.
    pub fn answers(&self) -> bool {
        self.script("status").status().unwrap().success()
    }

    /// Runs SQL in database `postgres` with psql; its unaligned output. Panics on an error.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql)
    }

    /// As [`Self::psql`], in another database.
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|message| panic!("{sql}\n{message}"))
    }

    /// Runs SQL with psql: the output, or what it wrote to standard error.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let psql = PathBuf::from(pg_config("--bindir")).join("psql");
        let output = Command::new(psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", "5432", "-U", "postgres", "-d", database])
            .arg("-h")
            .arg(self.dir())
            .args(["-c", sql])
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
        }
    }

    /// How a Rust client reaches a database of it.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.dir()).port(5432).user("postgres").dbname(database);
        config
    }

    /// A tokio-postgres client in database `postgres`, for async tests.
    pub async fn connect(&self) -> Client {
        connect(&self.config("postgres")).await.unwrap()
    }

    /// A session that blocks, in database `postgres`.
    pub fn session(&self) -> Session<'_> {
        self.session_in("postgres")
    }

    /// A session that blocks, in another database.
    pub fn session_in(&self, database: &str) -> Session<'_> {
        self.try_session(database).unwrap_or_else(|error| panic!("{}", describe(&error)))
    }

    /// A session, or why there is none, for tests that take the server away.
    pub fn try_session(&self, database: &str) -> Result<Session<'_>, Error> {
        let client = self.runtime.block_on(connect(&self.config(database)))?;
        Ok(Session { client, runtime: &self.runtime })
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// How often it has become ready, after a crash of one of its processes too.
    pub fn starts(&self) -> usize {
        self.log().matches("ready to accept connections").count()
    }

    /// The whole server log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("server.log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- server log\n{}\n---", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        let _ = self.script("drop").output(); // nothing more can be done about a failure here
    }
}

/// A client on a runtime that is running: its connection is driven by a task of its own.
pub async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// One connection, one statement at a time.
pub struct Session<'a> {
    client: Client,
    runtime: &'a Runtime,
}

impl Session<'_> {
    /// Runs statements; all values of all rows as text, `None` for NULL.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// As [`Self::try_rows`]; panics on an error.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{sql}\n{}", describe(&error)))
    }

    /// Runs statements that must succeed.
    pub fn exec(&self, sql: &str) {
        self.rows(sql);
    }

    /// The first value of the first row, empty for NULL or no row.
    pub fn one(&self, sql: &str) -> String {
        self.rows(sql).into_iter().flatten().next().flatten().unwrap_or_default()
    }

    /// The SQLSTATE with which `sql` must fail.
    pub fn sqlstate(&self, sql: &str) -> String {
        match self.try_rows(sql) {
            Ok(_) => panic!("succeeded, but should have failed: {sql}"),
            Err(error) => error.code().map(|code| code.code().to_owned()).unwrap_or_else(|| describe(&error)),
        }
    }

    /// The client itself, for prepared statements, COPY and cancel tokens.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// Whether the error says that the server ends (57P01, 57P02, 57P03) or that the connection broke (no code).
pub fn is_end_of_server(error: &Error) -> bool {
    error.code().is_none_or(|code| code.code().starts_with("57P"))
}

/// Rows with which [`create_table`] begins: from this id on.
pub const FIRST_ROW: u64 = 1 << 60;
/// How many.
pub const FIRST_ROWS: u64 = 1200;

/// Makes a table `t` and indexes of it that have all that is on pages: `t_v` and `t_lists` with codes of a byte for each element,
/// which were learnt from rows; `t_s` with codes of sparse vectors of all lengths and with many rows of one value.
///
/// `v` is made by `spread` from eight numbers, `s` follows from the id.
pub fn create_table(cluster: &Cluster) {
    cluster.psql(&format!(
        "CREATE FUNCTION spread(x float8[]) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS
             'SELECT ARRAY(SELECT x[d % 8 + 1] * (1 + d / 64.0) FROM generate_series(0, 63) AS d ORDER BY d)::vector';
         CREATE FUNCTION sparse(i bigint) RETURNS sparsevec LANGUAGE sql IMMUTABLE STRICT AS
             $$SELECT ('{{' || string_agg(format('%s:%s', k * 2000 + i % 1999, i % 97 + 1), ',') || '}}/100000')::sparsevec
               FROM generate_series(1, i % 40 + 1) AS k$$;
         CREATE TABLE t (id bigserial PRIMARY KEY, v vector(64),
             s sparsevec(100000) GENERATED ALWAYS AS (sparse(CASE WHEN id % 3 = 0 THEN id % 4 ELSE id END)) STORED);
         SELECT setseed(0.125);
         INSERT INTO t SELECT id, spread(ARRAY(SELECT 2 * random() - 1 FROM generate_series(1, 8) WHERE id > 0))
         FROM generate_series({FIRST_ROW}, {FIRST_ROW} + {FIRST_ROWS} - 1) AS id;
         CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
         CREATE INDEX t_lists ON t USING ivfflat (v vector_ip_ops) WITH (lists = 8);
         CREATE INDEX t_s ON t USING hnsw (s sparsevec_l2_ops)"
    ));
    let session = cluster.session();
    let codes = "SELECT codes FROM lagoon.index_info('t_v') UNION ALL SELECT codes FROM lagoon.ivfflat_info('t_lists')";
    assert_eq!(session.rows(codes).concat(), vec![Some("8 bits".to_owned()); 2]);
    let sparse = "SELECT codes = 'sparse' AND overflow_slots >= 12 FROM lagoon.index_info('t_s')";
    assert_eq!(session.one(sparse), "t");
}

/// Table `t` (id, v) and its hnsw index under `vector_l2_ops` hold the same: each row is found through the index as the nearest
/// to its own vector, no two being equal, and `lagoon.verify_index` has nothing to say of any index of the table.
pub fn assert_sound(session: &Session, index: &str) {
    session.exec("SET enable_seqscan = off; SET hnsw.ef_search = 200");
    let nearest = "SELECT b.id FROM t b ORDER BY b.v <-> a.v LIMIT 1";
    let sql = format!("SELECT a.id FROM t a WHERE a.id IS DISTINCT FROM ({nearest})");
    let plan: String = session.rows(&format!("EXPLAIN {sql}")).into_iter().flatten().flatten().collect();
    assert!(plan.contains(index), "not through {index}: {plan}");
    let lost: Vec<_> = session.rows(&sql).into_iter().flatten().flatten().collect();
    assert!(lost.is_empty(), "{} rows not found through {index}: {lost:?}", lost.len());

    let checks = session.rows(
        "SELECT c.relname, v.* FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam,
             LATERAL lagoon.verify_index(c.oid::regclass) AS v
         WHERE i.indrelid = 't'::regclass AND i.indisvalid AND a.amname IN ('hnsw', 'ivfflat')",
    );
    assert!(checks.iter().any(|check| check[0].as_deref() == Some(index)), "{checks:?}");
    let findings: Vec<_> = checks.iter().filter(|check| check[2].as_deref() != Some("t")).collect();
    assert!(findings.is_empty(), "verify_index: {findings:?}");
    session.exec("RESET enable_seqscan; RESET hnsw.ef_search");
}

/// An error with all that the server said.
pub fn describe(error: &Error) -> String {
    match error.as_db_error() {
        None => error.to_string(),
        Some(db) => {
            let mut text = format!("{} {}: {}", db.severity(), db.code().code(), db.message());
            for (name, part) in [("DETAIL", db.detail()), ("HINT", db.hint()), ("CONTEXT", db.where_())] {
                if let Some(part) = part {
                    text.push_str(&format!("\n{name}: {part}"));
                }
            }
            text
        }
    }
}
