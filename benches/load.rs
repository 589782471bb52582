//! The load generator of `benches/vector.py`: a prepared statement with binary parameters over the frontend/backend protocol,
//! written by hand so that next to none of the time measured is the client's.
//!
//!     load SOCKET SETTINGS STATEMENT PARAMETERS once BATCH
//!     load SOCKET SETTINGS STATEMENT PARAMETERS for SECONDS CONNECTIONS
//!
//! SOCKET is a server's unix socket, SETTINGS are commands that each connection runs first, PARAMETERS is a file: for each
//! execution the length (u32) of what follows, then the parameters as in a Bind message (a u16 count, then for each a u32
//! length and the value), all in network order.
//!
//! `once` executes each entry once on one connection, in transactions of BATCH (0: each in its own), and prints the seconds
//! and then a line for each execution: the first column, an int4, of each row that came back. `for` executes them round and
//! round on CONNECTIONS connections and prints executions per second and, on a second line, executions per second of the
//! processor time that their backends took.

use std::error::Error;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Connection {
    reader: BufReader<UnixStream>,
    out: Vec<u8>,
    body: Vec<u8>,
    backend: u32,
}

impl Connection {
    /// Connects as user postgres to database postgres, trusted, runs `settings` and prepares `statement`.
    fn open(socket: &str, settings: &str, statement: &str) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let mut connection =
            Self { reader: BufReader::with_capacity(1 << 16, stream), out: Vec::new(), body: Vec::new(), backend: 0 };
        let startup = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        connection.out.extend((startup.len() as u32 + 4).to_be_bytes());
        connection.out.extend(startup);
        connection.exchange()?;
        connection.simple(settings)?;
        connection.message(b'P', &[b"s\0", statement.as_bytes(), b"\0\0\0"]);
        connection.message(b'S', &[]);
        connection.exchange()?;
        Ok(connection)
    }

    fn simple(&mut self, sql: &str) -> Result<()> {
        self.message(b'Q', &[sql.as_bytes(), b"\0"]);
        self.exchange().map(drop)
    }

    /// Executes the statement; the first column of its rows.
    fn execute(&mut self, parameters: &[u8]) -> Result<Vec<i32>> {
        // Portal and statement; all parameters binary; the parameters; all results binary.
        self.message(b'B', &[b"\0s\0\0\x01\0\x01", parameters, b"\0\x01\0\x01"]);
        self.message(b'E', &[b"\0\0\0\0\0"]);
        self.message(b'S', &[]);
        self.exchange()
    }

    fn message(&mut self, kind: u8, parts: &[&[u8]]) {
        let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
        self.out.push(kind);
        self.out.extend((length as u32).to_be_bytes());
        parts.iter().for_each(|part| self.out.extend(*part));
    }

    /// Sends what was written and reads until the server is ready.
    fn exchange(&mut self) -> Result<Vec<i32>> {
        self.reader.get_mut().write_all(&self.out)?;
        self.out.clear();
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            let mut head = [0; 5];
            self.reader.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            self.body.resize(u32::from_be_bytes(length) as usize - 4, 0);
            self.reader.read_exact(&mut self.body)?;
            match (kind, &self.body[..]) {
                (b'Z', _) => return failure.map_or(Ok(rows), Err),
                (b'E', body) => failure = Some(String::from_utf8_lossy(body).replace('\0', " ").into()),
                // A u16 count of columns, then the length and the value of each.
                (b'D', [_, _, 0, 0, 0, 4, a, b, c, d, ..]) => rows.push(i32::from_be_bytes([*a, *b, *c, *d])),
                // Of the startup: whom to cancel.
                (b'K', [a, b, c, d, ..]) => self.backend = u32::from_be_bytes([*a, *b, *c, *d]),
                (b'D', _) => return Err("the first column is no int4".into()),
                _ => {}
            }
        }
    }

    /// Processor time that the backend has taken, in seconds.
    fn processor_time(&self) -> Result<f64> {
        let times = std::fs::read_to_string(format!("/proc/{}/schedstat", self.backend))?;
        let nanoseconds: u64 = times.split(' ').next().unwrap_or_default().parse()?;
        Ok(nanoseconds as f64 * 1e-9)
    }
}

fn read(path: &str) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (entry, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or("a short file")?;
        entries.push(entry.to_vec());
        rest = tail;
    }
    if entries.is_empty() { Err("no parameters".into()) } else { Ok(entries) }
}

fn once(mut connection: Connection, entries: &[Vec<u8>], batch: usize) -> Result<()> {
    let mut answers = Vec::with_capacity(entries.len());
    let start = Instant::now();
    for group in entries.chunks(batch.max(1)) {
        if batch > 0 {
            connection.simple("BEGIN")?;
        }
        for entry in group {
            answers.push(connection.execute(entry)?);
        }
        if batch > 0 {
            connection.simple("COMMIT")?;
        }
    }
    println!("{}", start.elapsed().as_secs_f64());
    for answer in answers {
        println!("{}", answer.iter().map(i32::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

/// Executions per second of all connections together, and per second of processor time.
fn rates(mut connections: Vec<Connection>, entries: &[Vec<u8>], time: Duration) -> Result<(f64, f64)> {
    let barrier = Barrier::new(connections.len());
    let apart = entries.len() / connections.len().max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(&mut connections)
            .map(|(number, connection)| {
                let barrier = &barrier;
                scope.spawn(move || -> Result<(u32, f64, f64)> {
                    let mut next = entries.iter().cycle().skip(number * apart);
                    // The first one plans, opens the index and loads libraries.
                    let warm = next.next().map(|entry| connection.execute(entry));
                    barrier.wait();
                    warm.transpose()?;
                    let before = connection.processor_time()?;
                    let (start, mut done) = (Instant::now(), 0_u32);
                    for entry in next {
                        connection.execute(entry)?;
                        done += 1;
                        if start.elapsed() >= time {
                            break;
                        }
                    }
                    let seconds = start.elapsed().as_secs_f64();
                    Ok((done, seconds, connection.processor_time()? - before))
                })
            })
            .collect();
        let (mut rate, mut executions, mut processor) = (0.0, 0.0, 0.0);
        for thread in threads {
            let (done, seconds, taken) = thread.join().map_err(|_| "a thread panicked")??;
            rate += f64::from(done) / seconds;
            executions += f64::from(done);
            processor += taken;
        }
        Ok((rate, executions / processor))
    })
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [socket, settings, statement, parameters, mode @ ..] = &arguments[..] else {
        return Err("usage: see benches/load.rs".into());
    };
    let entries = read(parameters)?;
    let open = || Connection::open(socket, settings, statement);
    match mode {
        ["once", batch] => once(open()?, &entries, batch.parse()?),
        ["for", seconds, count] => {
            let connections = (0..count.parse()?).map(|_| open()).collect::<Result<Vec<_>>>()?;
            let (rate, per_processor) = rates(connections, &entries, Duration::from_secs_f64(seconds.parse()?))?;
            println!("{rate}\n{per_processor}");
            Ok(())
        }
        _ => Err("usage: see benches/load.rs".into()),
    }
}
