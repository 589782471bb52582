//! Whatever a session computes or waits for, a cancel, a terminate and a time-out are answered, a fast shutdown ends it, and
//! no other session waits for it.
//!
//! `LAGOON_INTERRUPT_POINTS` says at how many random points of each workload (3), `LAGOON_INTERRUPT_ONLY` of which, by a
//! part of their names. The times of the answers are printed; by hand, on an idle machine, the promise is 100 ms for 99 of
//! 100 and never more than 1 s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lagoon_tests::{Cluster, DEADLINE, Session, describe, is_end_of_server, wait_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[path = "interrupt/workload.rs"]
mod workload;

use workload::{Workload, cluster, workloads};

/// An answer that takes longer is lost.
const LOST: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Cancel,
    Terminate,
    Timeout,
}

/// What came of one interrupt.
enum Outcome {
    /// Answered after this time; then a short statement took that one.
    Answered(Duration, Duration),
    /// The statement had ended before.
    Missed,
    /// Not answered at all, or with another error.
    Failed(String),
}

fn points() -> u32 {
    std::env::var("LAGOON_INTERRUPT_POINTS").map_or(3, |text| text.parse().unwrap())
}

/// By hand statements are longer, so that there is more to be met at random.
fn scale() -> u32 {
    if points() > 3 { 4 } else { 1 }
}

fn chosen(place: &Path) -> Vec<Workload> {
    let only = std::env::var("LAGOON_INTERRUPT_ONLY").unwrap_or_default();
    workloads(place).into_iter().filter(|workload| workload.name.contains(&only)).collect()
}

#[test]
fn every_long_statement_answers_every_interrupt() {
    let (cluster, place) = cluster(scale());
    let mut rng = StdRng::seed_from_u64(1);
    let mut failures = Vec::new();
    eprintln!("{:<28}{:>8}{:>8}{:>8}{:>8}{:>8}{:>10}", "workload", "points", "ended", "p50", "p99", "max", "next max");
    for workload in chosen(place.path()) {
        let span = match span(&cluster, &workload) {
            Ok(span) => span,
            Err(message) => {
                failures.push(format!("{}: {message}", workload.name));
                continue;
            }
        };
        let (mut answers, mut next, mut missed) = (Vec::new(), Duration::ZERO, 0);
        for number in 0..points() {
            let kind = [Kind::Cancel, Kind::Terminate, Kind::Timeout][number as usize % 3];
            let delay = span.mul_f64(rng.random_range(0.0..1.0));
            prepare(&cluster, &workload);
            match strike(&cluster, &workload, kind, delay) {
                Outcome::Answered(time, after) => {
                    answers.push(time);
                    next = next.max(after);
                }
                Outcome::Missed => missed += 1,
                Outcome::Failed(message) => {
                    failures.push(format!("{}: {kind:?} after {delay:.0?}: {message}", workload.name))
                }
            }
        }
        answers.sort();
        let at =
            |share: f64| answers.get(((answers.len() as f64 * share).ceil() as usize).max(1) - 1).map_or(0.0, millis);
        eprintln!(
            "{:<28}{:>8}{missed:>8}{:>8.1}{:>8.1}{:>8.1}{:>10.1}",
            workload.name,
            points(),
            at(0.5),
            at(0.99),
            at(1.0),
            millis(&next)
        );
    }
    assert_unbroken(&cluster, &mut failures);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_busy_session_delays_neither_drop_database_nor_a_fast_shutdown() {
    let (cluster, place) = cluster(scale());
    let kinds = [
        "Parquet scan",
        "ingest",
        "hnsw build",
        "hnsw k-NN",
        "embedding",
        "tokenising",
        "compilation",
        "guest with 20 MB",
        "guest",
        "verify_index",
    ];
    let all = workloads(place.path());
    let find = |name: &&str| all.iter().find(|workload| workload.name == *name).unwrap();
    let mut failures = Vec::new();
    for name in &kinds {
        let session = cluster.session();
        session.exec("CREATE DATABASE other; ");
        session.exec(&format!("SET statement_timeout = '{}s'", LOST.as_secs()));
        let time = busy(&cluster, &[find(name)], || {
            let start = Instant::now();
            session.try_rows("DROP DATABASE other").map(|_| start.elapsed())
        });
        match time {
            Ok(time) => eprintln!("DROP DATABASE beside {name}: {:.0} ms", millis(&time)),
            Err(error) => {
                failures.push(format!("DROP DATABASE beside {name}: {}", describe(&error)));
                cluster.psql("DROP DATABASE IF EXISTS other");
            }
        }
    }

    let eight: Vec<&Workload> = kinds[..8].iter().map(find).collect();
    let time = busy(&cluster, &eight, || {
        let start = Instant::now();
        cluster.stop("fast");
        start.elapsed()
    });
    eprintln!("pg_ctl stop -m fast under {} busy sessions: {:.0} ms", eight.len(), millis(&time));
    if time > Duration::from_secs(30) {
        failures.push(format!("fast shutdown took {time:.0?}"));
    }
    assert_unbroken(&cluster, &mut failures);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn millis(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Within which time of the statement interrupts are to come: all of it, if it is not too long.
fn span(cluster: &Cluster, workload: &Workload) -> Result<Duration, String> {
    let longest = Duration::from_millis(if points() > 3 { 1000 } else { 150 });
    prepare(cluster, workload);
    match strike(cluster, workload, Kind::Timeout, longest) {
        Outcome::Answered(..) => return Ok(longest),
        Outcome::Missed => {}
        Outcome::Failed(message) => return Err(message),
    }
    prepare(cluster, workload);
    let session = cluster.session();
    let start = Instant::now();
    let _ = session.try_rows(&workload.statement); // a listing ends with an error
    Ok(start.elapsed())
}

fn prepare(cluster: &Cluster, workload: &Workload) {
    if !workload.before.is_empty() {
        cluster.session().exec(&workload.before);
    }
}

/// Runs the statement and interrupts it once, after `delay`.
fn strike(cluster: &Cluster, workload: &Workload, kind: Kind, delay: Duration) -> Outcome {
    let victim = cluster.session();
    let observer = cluster.session();
    let pid = victim.one("SELECT pg_backend_pid()");
    if kind == Kind::Timeout {
        victim.exec(&format!("SET statement_timeout = {}", delay.as_millis().max(1)));
    }
    let (result, time) = std::thread::scope(|scope| {
        let start = Instant::now();
        let running = scope.spawn(|| {
            let result = victim.try_rows(&workload.statement);
            (result, Instant::now())
        });
        let sent = match kind {
            Kind::Timeout => start + Duration::from_millis(delay.as_millis().max(1) as u64),
            Kind::Cancel | Kind::Terminate => {
                std::thread::sleep(delay);
                let function = if kind == Kind::Cancel { "pg_cancel_backend" } else { "pg_terminate_backend" };
                let sent = Instant::now();
                observer.exec(&format!("SELECT {function}({pid})"));
                sent
            }
        };
        // Nothing but kill -9 ends what has lost its interrupt.
        while !running.is_finished() {
            if Instant::now() > sent + LOST {
                let starts = cluster.starts();
                let _ = Command::new("kill").args(["-9", &pid]).output(); // it may just have ended
                let _ = running.join();
                wait_for("the server after a kill", DEADLINE, || (cluster.starts() > starts).then_some(()));
                return (None, LOST);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let (result, end) = running.join().unwrap();
        if kind == Kind::Terminate {
            wait_for("the end of the process", LOST, || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
            return (Some(result), sent.elapsed());
        }
        (Some(result), end.saturating_duration_since(sent))
    });
    let Some(result) = result else { return Outcome::Failed("lost".to_owned()) };
    let error = match result {
        Ok(_) => return late(time),
        Err(error) => error,
    };
    let state = error.code().map(|code| code.code().to_owned());
    let is_answer = match kind {
        Kind::Terminate => is_end_of_server(&error),
        Kind::Cancel | Kind::Timeout => state.as_deref() == Some("57014"),
    };
    // A statement may end with an error of its own; none of these is one of a statement that was interrupted.
    if !is_answer {
        let is_own = state.as_deref().is_some_and(|state| !state.starts_with("XX") && !state.starts_with("57P"));
        return if is_own { late(time) } else { Outcome::Failed(describe(&error)) };
    }
    let start = Instant::now();
    if let Err(error) = after(cluster, &victim, kind, workload.after) {
        return Outcome::Failed(format!("the next statement: {}", describe(&error)));
    }
    Outcome::Answered(time, start.elapsed())
}

/// Of a statement that came to its own end: that must not have been long after the interrupt.
fn late(time: Duration) -> Outcome {
    if time > Duration::from_secs(2) {
        Outcome::Failed(format!("ended by itself, {time:.1?} after the interrupt"))
    } else {
        Outcome::Missed
    }
}

fn after(cluster: &Cluster, victim: &Session<'_>, kind: Kind, sql: &str) -> Result<(), tokio_postgres::Error> {
    if kind == Kind::Terminate {
        return cluster.session().try_rows(sql).map(|_| ());
    }
    // The timeout is in force for the statement that lifts it, too, and PostgreSQL may notice only in the one after that.
    let lift = format!("SET statement_timeout = '{}s'", LOST.as_secs());
    for statement in [&lift, &lift, "SELECT 1"] {
        match victim.try_rows(statement) {
            Err(error) if kind == Kind::Timeout && error.code().is_some_and(|code| code.code() == "57014") => {}
            outcome => drop(outcome?),
        }
    }
    victim.try_rows(sql).map(|_| ())
}

/// Does `work` while each of the statements runs in a session of its own, again and again.
fn busy<T>(cluster: &Cluster, statements: &[&Workload], work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let pids: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (done, pids) = (&done, &pids);
        let run = |workload: &Workload| {
            let session = cluster.session();
            pids.lock().unwrap().push(session.one("SELECT pg_backend_pid()"));
            while !done.load(Ordering::Relaxed) {
                if session.try_rows(&workload.statement).is_err_and(|error| is_end_of_server(&error)) {
                    break;
                }
            }
        };
        let threads: Vec<_> = statements.iter().map(|workload| scope.spawn(move || run(workload))).collect();
        let observer = cluster.session();
        wait_for("all to be busy", DEADLINE, || {
            let list = pids.lock().unwrap().join(",");
            let sql = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = ANY ('{{{list}}}')
                 AND query NOT LIKE 'SELECT pg_backend_pid%'"
            );
            (observer.one(&sql) == statements.len().to_string()).then_some(())
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        let pids = pids.lock().unwrap().clone();
        if let Ok(session) = cluster.try_session("postgres") {
            let sql = format!("SELECT pg_terminate_backend(p) FROM unnest('{{{}}}'::int[]) AS p", pids.join(","));
            let _ = session.try_rows(&sql); // it may end by itself
        }
        let end = Instant::now() + LOST;
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        if threads.iter().any(|thread| !thread.is_finished()) {
            let _ = Command::new("kill").arg("-9").args(&pids).output(); // else the test would not end either
        }
        result
    })
}

/// The server has lost no process, other than those that had to be killed.
fn assert_unbroken(cluster: &Cluster, failures: &mut Vec<String>) {
    let log = cluster.log();
    let crashes = log.lines().filter(|line| line.contains("terminated by signal") && !line.contains("signal 9"));
    failures.extend(crashes.map(str::to_owned));
}
