//! The launcher: watches the triggers of tasks, and starts a worker in a database when a task is due there.
//!
//! Only a process connected to a database can see its extensions. So the worker checks, and exits if the extension is absent; the
//! launcher remembers that until it is asked to try again. Only a few workers run at a time, whatever the number of databases, to
//! leave slots of `max_worker_processes` to parallel query and logical replication. The server starts the launcher when recovery
//! has ended: on a standby nothing is done until promotion.

use std::collections::HashMap;
use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::{IntoDatum, pg_guard, pg_sys};

use super::folder::Folder;
use super::state::{self, Phase, Requested};
use super::task::{self, BackgroundTask, Trigger};
use crate::pg::process::{Child, ChildState};
use crate::pg::{database, guc, interrupt, log, process, transaction, wait};

/// Maximum number of workers that run at a time.
const MAX_RUNNING: usize = 2;
/// Interval at which the list of databases is read without a request.
const LIST_INTERVAL: Duration = Duration::from_secs(300);
/// The longest pause after failures of a task.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Minimum interval between two reports that no process slot is free.
const REPORT_INTERVAL: Duration = Duration::from_secs(3600);

/// Registers the launcher; from `_PG_init` in the postmaster.
pub fn register() {
    BackgroundWorkerBuilder::new("lagoon launcher")
        .set_library("lagoon")
        .set_function("lagoon_launcher_main")
        .enable_spi_access()
        .set_restart_time(Some(restart_interval()))
        .load();
}

fn restart_interval() -> Duration {
    Duration::from_secs(guc::WORKER_RESTART_INTERVAL.get().max(1) as u64)
}

/// Where the postmaster starts the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lagoon_launcher_main(_argument: pg_sys::Datum) {
    process::attach_signals();
    process::connect(None);
    process::before_exit(leave);
    state::launcher_enters(process::id(), process::now());
    Launcher::new().work();
    // With 0 the postmaster would not restart the launcher.
    process::exit(1);
}

#[pg_guard]
unsafe extern "C-unwind" fn leave(_code: c_int, _argument: pg_sys::Datum) {
    state::launcher_leaves();
}

/// Answers interrupts: a SIGTERM ends the process here.
fn check_interrupts() {
    process::drop_cancel();
    interrupt::check();
}

struct Launcher {
    tasks: Vec<Watched>,
    databases: HashMap<pg_sys::Oid, Database>,
    next_list: Instant,
    /// When a lack of process slots was reported last.
    reported: Option<Instant>,
}

/// A task with its trigger, which makes it due in all databases.
struct Watched {
    task: Box<dyn BackgroundTask>,
    trigger: Trigger,
    folder: Option<Folder>,
}

/// A database that a worker may enter.
struct Database {
    name: String,
    /// Whether it is not in the list any more.
    is_gone: bool,
    /// Whether a worker found no extension there.
    is_absent: bool,
    child: Option<Child>,
    /// Whether a worker has been started whose outcome has not been read yet.
    is_busy: bool,
    /// The earliest time at which to start a worker.
    not_before: Instant,
    /// A schedule for each task.
    schedules: Vec<Schedule>,
}

/// The state of a task in a database.
#[derive(Clone, Default)]
struct Schedule {
    due: Option<Instant>,
    /// Whether it is assigned to a worker.
    is_assigned: bool,
    /// Failures since the last success.
    failures: u32,
}

impl Launcher {
    fn new() -> Self {
        let watched = |task| Watched { task, trigger: Trigger::Never, folder: None };
        let tasks = task::all().into_iter().map(watched).collect();
        let mut new = Self { tasks, databases: HashMap::new(), next_list: Instant::now(), reported: None };
        new.configure();
        new
    }

    /// The main loop. A SIGTERM ends it.
    fn work(&mut self) {
        while !process::termination_pending() {
            check_interrupts();
            if process::take_reload() {
                self.configure();
            }
            self.answer(state::take_requests());
            if Instant::now() >= self.next_list {
                self.read_list();
            }
            self.watch();
            let next = self.advance();
            let folders = self.tasks.iter().filter_map(|watched| watched.folder.as_ref());
            let next = next.into_iter().chain(folders.map(Folder::next)).fold(self.next_list, Instant::min);
            wait::event(self.descriptor(), Some(next.saturating_duration_since(Instant::now())));
        }
    }

    /// The descriptor of the first folder: only one can be waited on. Others would be checked whenever a wait ends.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.tasks.iter().find_map(|watched| watched.folder.as_ref().and_then(Folder::descriptor))
    }

    /// Sets up the triggers of the current configuration.
    fn configure(&mut self) {
        for (number, watched) in self.tasks.iter_mut().enumerate() {
            let trigger = watched.task.trigger();
            if trigger == watched.trigger {
                continue;
            }
            watched.folder = match &trigger {
                Trigger::Folder(path) => Some(Folder::new(path.clone(), check_interrupts)),
                Trigger::Every(_) | Trigger::Never => None,
            };
            watched.trigger = trigger;
            let due = watched.first_due();
            for schedule in self.databases.values_mut().filter_map(|database| database.schedules.get_mut(number)) {
                *schedule = Schedule { due, ..Schedule::default() };
            }
        }
    }

    /// Handles requests: to check some databases again, or all.
    fn answer(&mut self, asked: Requested) {
        let due: Vec<_> = self.tasks.iter().map(Watched::first_due).collect();
        let again = |database: &mut Database| {
            (database.is_absent, database.not_before) = (false, Instant::now());
            for (schedule, due) in database.schedules.iter_mut().zip(&due) {
                schedule.due = due.or(schedule.due);
            }
        };
        match asked {
            Requested::Some(databases) if databases.is_empty() => return,
            Requested::Some(databases) => {
                for oid in databases {
                    if let Some(database) = self.databases.get_mut(&oid) {
                        again(database);
                    }
                    // If no task is due, no worker is started that would check whether the extension is still there.
                    if due.iter().all(Option::is_none) {
                        state::free(oid);
                    }
                }
            }
            Requested::All => self.databases.values_mut().for_each(again),
        }
        self.next_list = Instant::now();
    }

    /// Reads the list of databases.
    fn read_list(&mut self) {
        let list = match transaction::run(database::enterable) {
            Ok(list) => list,
            Err(failure) => {
                log::warning(format!("could not read the list of databases: {failure}"));
                self.next_list = Instant::now() + restart_interval();
                return;
            }
        };
        self.next_list = Instant::now() + LIST_INTERVAL;
        let names: HashMap<_, _> = list.into_iter().map(|database| (database.oid, database.name)).collect();
        self.databases.retain(|oid, database| {
            database.is_gone = !names.contains_key(oid);
            if database.is_gone {
                state::free(*oid);
            }
            !database.is_gone || database.is_busy
        });
        let schedules: Vec<_> =
            self.tasks.iter().map(|watched| Schedule { due: watched.first_due(), ..Schedule::default() }).collect();
        for (oid, name) in names {
            self.databases
                .entry(oid)
                .and_modify(|database| database.name.clone_from(&name))
                .or_insert_with(|| Database::new(name, schedules.clone()));
        }
    }

    /// Makes a task due in all databases when its folder has changed. A folder that cannot be watched is reported, but is no
    /// failure of the task.
    fn watch(&mut self) {
        for (number, watched) in self.tasks.iter_mut().enumerate() {
            let Some(folder) = &mut watched.folder else { continue };
            if folder.take_change() {
                let now = Instant::now();
                for database in self.databases.values_mut() {
                    // A change is not delayed by the pause after a failure: it may be the fix.
                    database.schedules[number].due = Some(now);
                }
            }
            if let Some(problem) = folder.take_problem() {
                state::set_launcher_error(&problem);
                log::warning(problem);
            }
        }
    }

    /// Reads the outcomes of workers that have exited, and starts those that are due. Returns when to do so again.
    fn advance(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let slots = state::processes();
        let slot_of = |oid| slots.iter().find(|slot| slot.database == oid).map(|slot| (slot.pid, slot.phase));
        let intervals: Vec<_> = self.tasks.iter().map(Watched::interval).collect();
        let (mut running, mut is_starting) = (0, false);
        let mut waiting = Vec::new();
        for (&oid, database) in &mut self.databases {
            let (pid, phase) = slot_of(oid).unwrap_or((0, Phase::Waiting));
            // A restarted launcher has no handles of the previous one's workers, but sees their slots.
            if pid != 0 || database.child.as_ref().is_some_and(|child| child.state() != ChildState::Ended) {
                database.is_busy = true;
                running += 1;
                is_starting |= phase == Phase::Starting;
                let due = database.take_due(now);
                if due != 0 {
                    process::wake(state::assign(oid, due));
                }
                continue;
            }
            if std::mem::take(&mut database.is_busy) {
                database.child = None;
                database.end(now, &state::take_outcome(oid), &intervals);
                if database.is_absent || database.is_gone {
                    state::free(oid);
                }
            }
            // A backend that blocks a database sends a request when it unblocks it.
            if let Some(due) = database.next()
                && !state::is_blocked(oid)
            {
                waiting.push((due, oid));
            }
        }
        waiting.sort_by_key(|(due, oid)| (*due, oid.to_u32()));
        let mut next = None;
        for (due, oid) in waiting {
            if due > now {
                next = Some(due);
                break;
            }
            // One after the other: of two that start at once, both may fail for lack of a slot.
            if is_starting || running >= MAX_RUNNING {
                break;
            }
            is_starting = self.start(oid, now);
            running += usize::from(is_starting);
        }
        // Databases whose worker could not be started are delayed now.
        self.databases.values().filter(|d| !d.is_busy).filter_map(|d| d.next()).filter(|due| *due > now).min().or(next)
    }

    /// Registers the worker of a database. Returns false if no slot is free, with a WARNING now and then.
    fn start(&mut self, oid: pg_sys::Oid, now: Instant) -> bool {
        let Some(database) = self.databases.get_mut(&oid) else { return false };
        let due = database.take_due(now);
        let why = if state::reserve(oid, due) {
            let builder = BackgroundWorkerBuilder::new(&format!("lagoon worker {}", database.name))
                .set_type("lagoon worker")
                .set_library("lagoon")
                .set_function("lagoon_worker_main")
                .enable_spi_access()
                .set_restart_time(None)
                .set_argument(oid.into_datum());
            database.child = Child::start(builder);
            if database.child.is_some() {
                database.is_busy = true;
                return true;
            }
            "no background worker slot is free; raise max_worker_processes"
        } else {
            "no place in shared memory is free"
        };
        state::set_waiting(oid, why);
        database.end(now, &state::take_outcome(oid), &[]);
        database.not_before = now + restart_interval();
        if self.reported.is_none_or(|last| now >= last + REPORT_INTERVAL) {
            self.reported = Some(now);
            log::warning(format!("could not start the lagoon worker of database \"{}\": {why}", database.name));
        }
        false
    }
}

impl Watched {
    /// When the task is due in a database for the first time.
    fn first_due(&self) -> Option<Instant> {
        let is_wanted = match &self.trigger {
            // A folder that has just changed will be reported, for all databases.
            Trigger::Folder(_) => self.folder.as_ref().is_some_and(Folder::is_quiet),
            Trigger::Every(_) => true,
            Trigger::Never => false,
        };
        is_wanted.then(Instant::now)
    }

    fn interval(&self) -> Option<Duration> {
        match self.trigger {
            Trigger::Every(interval) => Some(interval),
            Trigger::Folder(_) | Trigger::Never => None,
        }
    }
}

impl Database {
    fn new(name: String, schedules: Vec<Schedule>) -> Self {
        Self {
            name,
            is_gone: false,
            is_absent: false,
            child: None,
            is_busy: false,
            not_before: Instant::now(),
            schedules,
        }
    }

    /// When the database needs a worker; None if not.
    fn next(&self) -> Option<Instant> {
        let due = self
            .schedules
            .iter()
            .filter_map(|schedule| schedule.due)
            .min()
            .filter(|_| !self.is_absent && !self.is_gone)?;
        Some(due.max(self.not_before))
    }

    /// The tasks that are due, as bits. They are assigned to a worker from now on.
    fn take_due(&mut self, now: Instant) -> u32 {
        let mut bits = 0;
        for (number, schedule) in self.schedules.iter_mut().enumerate() {
            if schedule.due.is_some_and(|due| due <= now) {
                (schedule.due, schedule.is_assigned) = (None, true);
                bits |= 1 << number;
            }
        }
        bits
    }

    /// Handles the outcome of a worker: schedules tasks again that have failed or were not run.
    fn end(&mut self, now: Instant, outcome: &state::Outcome, intervals: &[Option<Duration>]) {
        self.is_absent = outcome.phase == Phase::Absent;
        let soon = now + restart_interval();
        for (number, schedule) in self.schedules.iter_mut().enumerate() {
            let is_in = |bits: u32| bits & (1 << number) != 0;
            let was_assigned = std::mem::take(&mut schedule.is_assigned);
            let again = if is_in(outcome.failed) {
                schedule.failures += 1;
                Some(now + pause(schedule.failures))
            } else if is_in(outcome.done) {
                schedule.failures = 0;
                intervals.get(number).copied().flatten().map(|interval| now + interval)
            } else {
                was_assigned.then_some(if outcome.phase == Phase::Released { now } else { soon })
            };
            // The task was assigned again while it ran, and has not been begun again.
            let again = if is_in(outcome.pending) { again.into_iter().chain([now]).min() } else { again };
            schedule.due = schedule.due.into_iter().chain(again).min();
        }
    }
}

/// The pause before the next attempt: the restart interval, doubled with each failure.
fn pause(failures: u32) -> Duration {
    let first = restart_interval();
    first.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE.max(first))
}
