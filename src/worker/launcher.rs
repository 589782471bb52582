//! The launcher: keeps one worker running in each database that has the extension.
//!
//! Only a process inside a database can see which extensions it has, so the worker itself looks and ends when it is not
//! wanted; the launcher remembers that until it is asked to try again. The server starts it when recovery has ended: on a
//! standby there are no workers until promotion.

use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::{IntoDatum, pg_guard, pg_sys};

use super::state::{self, Asked, Phase};
use crate::pg::process::{Child, ChildState};
use crate::pg::{database, guc, interrupt, log, process, transaction, wait};

/// The list of databases is read this often even when nobody asks.
const LIST_INTERVAL: Duration = Duration::from_secs(300);

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
    // Not 0, which would tell the postmaster never to start us again.
    process::exit(1);
}

#[pg_guard]
unsafe extern "C-unwind" fn leave(_code: c_int, _argument: pg_sys::Datum) {
    state::launcher_leaves();
}

struct Launcher {
    wanted: HashMap<pg_sys::Oid, Wanted>,
    /// Databases whose worker found no extension.
    absent: HashSet<pg_sys::Oid>,
    next_list: Instant,
}

/// A database that has the extension, or may have it.
struct Wanted {
    name: String,
    child: Option<Child>,
    /// No process before then.
    due: Instant,
    /// The lack of a process slot was reported.
    is_reported: bool,
}

impl Wanted {
    fn new(name: String) -> Self {
        Self { name, child: None, due: Instant::now(), is_reported: false }
    }

    fn is_running(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.state() != ChildState::Ended)
    }
}

impl Launcher {
    fn new() -> Self {
        Self { wanted: HashMap::new(), absent: HashSet::new(), next_list: Instant::now() }
    }

    /// Until a SIGTERM.
    fn work(&mut self) {
        while !process::termination_pending() {
            process::drop_cancel();
            interrupt::check();
            process::take_reload();
            self.answer(state::take_asked());
            if Instant::now() >= self.next_list {
                self.read_list();
            }
            let next = self.keep_running().map_or(self.next_list, |due| due.min(self.next_list));
            wait::event(None, Some(next.saturating_duration_since(Instant::now())));
        }
    }

    /// Forgets what was known of the databases that somebody asks about, and reads the list again.
    fn answer(&mut self, asked: Asked) {
        let now = Instant::now();
        match asked {
            Asked::Some(databases) if databases.is_empty() => return,
            Asked::Some(databases) => {
                for database in databases {
                    self.absent.remove(&database);
                    if let Some(wanted) = self.wanted.get_mut(&database) {
                        wanted.due = now;
                    }
                }
            }
            Asked::All => {
                self.absent.clear();
                self.wanted.values_mut().for_each(|wanted| wanted.due = now);
            }
        }
        self.next_list = now;
    }

    /// Reads which databases there are.
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
        let there: HashSet<_> = list.iter().map(|database| database.oid).collect();
        self.absent.retain(|oid| there.contains(oid));
        self.wanted.retain(|oid, wanted| {
            let stays = there.contains(oid) || wanted.is_running();
            if !stays {
                state::free(*oid);
            }
            stays
        });
        for database in list {
            if self.absent.contains(&database.oid) {
                continue;
            }
            let wanted = self.wanted.entry(database.oid).or_insert_with(|| Wanted::new(database.name.clone()));
            wanted.name = database.name;
        }
    }

    /// Starts what is due, one process at a time; when the next one is due.
    fn keep_running(&mut self) -> Option<Instant> {
        let slots = state::processes();
        let phase_of = |oid| slots.iter().find(|slot| slot.database == oid).map(|slot| (slot.pid, slot.phase));
        let mut is_starting = self.wanted.iter().any(|(oid, wanted)| {
            wanted.is_running() && phase_of(*oid).is_some_and(|(_, phase)| phase == Phase::Starting)
        });
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut gone = Vec::new();
        for (&oid, wanted) in &mut self.wanted {
            let (pid, phase) = phase_of(oid).unwrap_or((0, Phase::Waiting));
            // A launcher that was started again has no handle of the workers of the last one, but sees their slots.
            if pid != 0 || wanted.is_running() {
                continue;
            }
            wanted.child = None;
            match phase {
                Phase::Absent => {
                    gone.push(oid);
                    continue;
                }
                Phase::Released => wanted.due = now,
                Phase::Waiting => {}
                Phase::Starting | Phase::Idle | Phase::Running | Phase::BackingOff | Phase::Stopped => {
                    wanted.due = now + restart_interval();
                }
            }
            if phase != Phase::Waiting {
                state::set_waiting(oid, None);
            }
            if state::is_parked(oid) {
                continue; // whoever keeps it free asks us when he is done
            }
            if now < wanted.due {
                next = Some(next.map_or(wanted.due, |next| next.min(wanted.due)));
            } else if !is_starting {
                is_starting = start(oid, wanted);
                if !is_starting {
                    wanted.due = now + restart_interval();
                    next = Some(next.map_or(wanted.due, |next| next.min(wanted.due)));
                }
            }
        }
        for oid in gone {
            self.wanted.remove(&oid);
            self.absent.insert(oid);
            state::free(oid);
        }
        next
    }
}

/// Registers the worker of a database. False, with one WARNING, when there is no room for it.
fn start(oid: pg_sys::Oid, wanted: &mut Wanted) -> bool {
    let why = if state::reserve(oid) {
        let builder = BackgroundWorkerBuilder::new(&format!("lagoon worker {}", wanted.name))
            .set_type("lagoon worker")
            .set_library("lagoon")
            .set_function("lagoon_worker_main")
            .enable_spi_access()
            .set_restart_time(None)
            .set_argument(oid.into_datum());
        wanted.child = Child::start(builder);
        if wanted.child.is_some() {
            wanted.is_reported = false;
            return true;
        }
        "no background worker slot is free; raise max_worker_processes".to_owned()
    } else {
        format!("more than {} databases have the extension", state::MAX_WORKERS)
    };
    state::set_waiting(oid, Some(&why));
    if !std::mem::replace(&mut wanted.is_reported, true) {
        log::warning(format!("could not start the lagoon worker of database \"{}\": {why}", wanted.name));
    }
    false
}
