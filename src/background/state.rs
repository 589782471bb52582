//! The shared memory through which launcher, workers and backends communicate, under `shared_preload_libraries`.

use pgrx::pg_sys::Oid;
use pgrx::{PGRXSharedMemory, pg_sys};

use crate::pg::shmem::{Requests, Segment, Text};

/// Maximum number of databases whose worker has a slot; the one that has been idle for longest is replaced.
const MAX_WORKERS: usize = 64;
/// Maximum number of databases that are blocked for workers at a time, by `DROP DATABASE` and the like.
const MAX_BLOCKED: usize = 16;
/// Maximum number of databases that wait to be checked by the launcher; if there are more, it checks all.
const MAX_REQUESTS: usize = 32;
/// Maximum bytes of an error message that are kept.
const ERROR_BYTES: usize = 510;

/// The phase of a launcher or worker.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// No process slot was free (`max_worker_processes`), or the last process failed and the next one is not due yet.
    Waiting,
    /// Registered, not connected yet.
    Starting,
    /// Nothing to do: a worker exits.
    Idle,
    /// A task runs.
    Running,
    /// As idle, but the last run of a task failed; it is retried later.
    BackingOff,
    /// Exited because the extension is not in the database.
    Absent,
    /// Exited, and to be started again as soon as the database is not blocked.
    Released,
    /// Exited by a signal or an error.
    Stopped,
}

impl Phase {
    /// As `lagoon.workers` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Starting => "starting",
            Phase::Idle => "idle",
            Phase::Running => "running",
            Phase::BackingOff => "backing off",
            Phase::Absent | Phase::Released | Phase::Stopped => "stopped",
        }
    }
}

/// The slot of the launcher, or of a database's worker. A worker's slot outlives its process.
#[derive(Clone, Copy)]
pub struct Slot {
    /// The database; invalid: the slot is free, or the launcher's.
    pub database: Oid,
    /// 0: it does not run.
    pub pid: i32,
    /// Its phase.
    pub phase: Phase,
    /// Start of the process; timestamptz; 0: never.
    pub started: i64,
    /// End of the last run of a task, good or bad; timestamptz; 0: never.
    pub last_run: i64,
    /// Runs of tasks that succeeded.
    pub runs: i64,
    /// Runs of tasks that failed.
    pub failures: i64,
    /// Starts of the process after it exited with tasks left.
    pub restarts: i32,
    /// The last failure of a task, or another problem.
    pub last_error: Text<ERROR_BYTES>,
    /// Set by a backend that created or dropped the extension: the worker checks again whether it exists.
    recheck: bool,
    /// Tasks by number, as bits: pending, done, failed.
    pending: u32,
    done: u32,
    failed: u32,
}

impl Slot {
    const FREE: Self = Self {
        database: pg_sys::InvalidOid,
        pid: 0,
        phase: Phase::Waiting,
        started: 0,
        last_run: 0,
        runs: 0,
        failures: 0,
        restarts: 0,
        last_error: Text::EMPTY,
        recheck: false,
        pending: 0,
        done: 0,
        failed: 0,
    };
}

#[derive(Clone, Copy)]
struct Blocked {
    database: Oid,
    owner: i32,
}

/// All of the shared memory.
#[derive(Clone, Copy)]
struct Shared {
    launcher: Slot,
    workers: [Slot; MAX_WORKERS],
    blocked: [Blocked; MAX_BLOCKED],
    requests: Requests<Oid, MAX_REQUESTS>,
}

// SAFETY: plain data without pointers.
unsafe impl PGRXSharedMemory for Shared {}

impl Shared {
    const NEW: Self = Self {
        launcher: Slot::FREE,
        workers: [Slot::FREE; MAX_WORKERS],
        blocked: [Blocked { database: pg_sys::InvalidOid, owner: 0 }; MAX_BLOCKED],
        requests: Requests::none(pg_sys::InvalidOid),
    };

    fn slot(&mut self, database: Oid) -> Option<&mut Slot> {
        self.workers.iter_mut().find(|slot| slot.database == database)
    }

    /// A slot that can be used: a free one, or that of the database that has been idle for longest.
    fn free_slot(&mut self) -> Option<&mut Slot> {
        let is_at_rest = |slot: &&mut Slot| {
            slot.pid == 0 && !matches!(slot.phase, Phase::Starting | Phase::Released) && slot.pending == 0
        };
        self.workers
            .iter_mut()
            .filter(is_at_rest)
            .min_by_key(|slot| (slot.database != pg_sys::InvalidOid, slot.last_run))
    }

    fn is_blocked(&self, database: Oid) -> bool {
        self.blocked.iter().any(|blocked| blocked.owner != 0 && blocked.database == database)
    }
}

// SAFETY: no other shared memory has this name.
static SHARED: Segment<Shared> = unsafe { Segment::new(c"lagoon_workers", Shared::NEW) };

/// Reserves the shared memory; from `_PG_init` in the postmaster.
pub fn init() {
    SHARED.reserve();
}

fn change<T>(f: impl FnOnce(&mut Shared) -> T) -> T {
    SHARED.change(f)
}

fn change_slot<T>(database: Oid, f: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    change(|shared| shared.slot(database).map(f))
}

/// The current slots of launcher and workers, without free ones. Empty without shared memory.
pub fn processes() -> Vec<Slot> {
    if !SHARED.is_available() {
        return Vec::new();
    }
    let (launcher, workers) = SHARED.read(|shared| (shared.launcher, shared.workers));
    let workers = workers.into_iter().filter(|slot| slot.database != pg_sys::InvalidOid);
    std::iter::once(launcher).chain(workers).collect()
}

/// The pid of the launcher; 0: it does not run.
pub fn launcher() -> i32 {
    SHARED.read(|shared| shared.launcher.pid)
}

// --- of the launcher -------------------------------------------------------------------------------------------------

/// The launcher begins.
pub fn launcher_enters(pid: i32, now: i64) {
    change(|shared| {
        let slot = &mut shared.launcher;
        slot.restarts += i32::from(slot.started != 0);
        (slot.pid, slot.started, slot.phase) = (pid, now, Phase::Idle);
    });
}

/// The launcher ends.
pub fn launcher_leaves() {
    change(|shared| (shared.launcher.pid, shared.launcher.phase) = (0, Phase::Stopped));
}

/// The databases that the launcher was asked to check.
pub enum Requested {
    /// These, if any.
    Some(Vec<Oid>),
    /// Too many to list.
    All,
}

/// Takes the requests since the last call.
pub fn take_requests() -> Requested {
    let asked = change(|shared| shared.requests.take());
    asked.get().map_or(Requested::All, |databases| Requested::Some(databases.to_vec()))
}

/// Reserves a slot for a worker with these tasks. Returns false if all slots belong to running workers.
pub fn reserve(database: Oid, tasks: u32) -> bool {
    change(|shared| {
        if shared.slot(database).is_none() {
            let Some(free) = shared.free_slot() else { return false };
            *free = Slot { database, ..Slot::FREE };
        }
        if let Some(slot) = shared.slot(database) {
            slot.restarts += i32::from(slot.phase == Phase::Stopped);
            slot.phase = Phase::Starting;
            slot.pending |= tasks;
        }
        true
    })
}

/// Assigns more tasks to a running worker. Returns its pid, to wake it.
pub fn assign(database: Oid, tasks: u32) -> i32 {
    change_slot(database, |slot| {
        slot.pending |= tasks;
        slot.pid
    })
    .unwrap_or(0)
}

/// The outcome of a worker that has exited.
pub struct Outcome {
    pub phase: Phase,
    /// Tasks as bits: succeeded, failed, and not run (again).
    pub done: u32,
    pub failed: u32,
    pub pending: u32,
}

/// Takes the outcome of a database's last worker.
pub fn take_outcome(database: Oid) -> Outcome {
    let taken = change_slot(database, |slot| {
        let outcome = Outcome { phase: slot.phase, done: slot.done, failed: slot.failed, pending: slot.pending };
        (slot.done, slot.failed, slot.pending) = (0, 0, 0);
        outcome
    });
    taken.unwrap_or(Outcome { phase: Phase::Stopped, done: 0, failed: 0, pending: 0 })
}

/// Records why a worker could not be started.
pub fn set_waiting(database: Oid, why: &str) {
    let why = Text::new(why);
    change_slot(database, |slot| {
        if slot.pid == 0 {
            (slot.phase, slot.last_error, slot.pending) = (Phase::Waiting, why, 0);
        }
    });
}

/// Records what the launcher cannot watch.
pub fn set_launcher_error(what: &str) {
    let what = Text::new(what);
    change(|shared| shared.launcher.last_error = what);
}

/// Frees the slot of a database that has no worker and needs none.
pub fn free(database: Oid) {
    change_slot(database, |slot| {
        if slot.pid == 0 {
            *slot = Slot::FREE;
        }
    });
}

/// Whether a database is blocked for workers.
pub fn is_blocked(database: Oid) -> bool {
    SHARED.read(|shared| shared.is_blocked(database))
}

// --- of a worker -----------------------------------------------------------------------------------------------------

/// Enters a worker into its slot. Returns false if the database has a worker already, or no slot.
pub fn enter(database: Oid, pid: i32, now: i64) -> bool {
    change_slot(database, |slot| {
        if slot.pid != 0 {
            return false;
        }
        (slot.pid, slot.started, slot.phase) = (pid, now, Phase::Starting);
        true
    })
    .unwrap_or(false)
}

/// The number of the next task that is assigned to a worker.
pub fn take_task(database: Oid) -> Option<usize> {
    change_slot(database, |slot| {
        let number = slot.pending.trailing_zeros();
        slot.pending &= slot.pending.wrapping_sub(1);
        (number < u32::BITS).then_some(number as usize)
    })?
}

/// Ends a worker, unless tasks were assigned to it meanwhile. Returns whether it ends.
pub fn finish(database: Oid) -> bool {
    change_slot(database, |slot| {
        let is_done = slot.pending == 0 && !slot.recheck;
        if is_done {
            slot.phase = if slot.failed == 0 { Phase::Idle } else { Phase::BackingOff };
        }
        is_done
    })
    .unwrap_or(true)
}

/// Sets the phase of a worker.
pub fn set_phase(database: Oid, phase: Phase) {
    change_slot(database, |slot| slot.phase = phase);
}

/// Records that a task succeeded.
pub fn succeeded(database: Oid, task: usize, now: i64) {
    change_slot(database, |slot| {
        (slot.done, slot.failed) = (slot.done | 1 << task, slot.failed & !(1 << task));
        slot.runs += 1;
        slot.last_run = now;
    });
}

/// Records that a task failed.
pub fn failed(database: Oid, task: usize, now: i64, why: &str) {
    let why = Text::new(why);
    change_slot(database, |slot| {
        (slot.done, slot.failed) = (slot.done & !(1 << task), slot.failed | 1 << task);
        slot.failures += 1;
        slot.last_run = now;
        slot.last_error = why;
    });
}

/// Whether to check again for the extension; clears the flag.
pub fn take_recheck(database: Oid) -> bool {
    change_slot(database, |slot| std::mem::take(&mut slot.recheck)).unwrap_or(false)
}

/// Sets the phase of a worker that exits by itself. If the extension was created while it was about to exit for lack of it, it
/// will be started again.
pub fn set_final_phase(database: Oid, phase: Phase) {
    change_slot(database, |slot| slot.phase = if slot.recheck { Phase::Released } else { phase });
}

/// Called when the process of a worker exits, for any reason. A worker that was terminated for a statement will be started again
/// as soon as the database is not blocked. Does nothing if called again, or by a process that has not entered.
pub fn leave(database: Oid, pid: i32) {
    change(|shared| {
        let is_blocked = shared.is_blocked(database);
        if let Some(slot) = shared.slot(database).filter(|slot| slot.pid == pid) {
            slot.pid = 0;
            slot.phase = match slot.phase {
                phase @ (Phase::Absent | Phase::Released | Phase::Idle | Phase::BackingOff) => phase,
                _ if is_blocked => Phase::Released,
                _ => Phase::Stopped,
            };
        }
    });
}

// --- of a backend ----------------------------------------------------------------------------------------------------

/// Asks the launcher and the worker of `database`, if there is one, to check it again. Returns their pids, to wake them.
pub fn request(database: Oid) -> [i32; 2] {
    change(|shared| {
        shared.requests.add(database);
        let worker = shared.slot(database).map_or(0, |slot| {
            slot.recheck = true;
            slot.pid
        });
        [shared.launcher.pid, worker]
    })
}

/// Asks the launcher to read the list of databases again. Returns its pid, to wake it.
pub fn request_list() -> i32 {
    change(|shared| {
        shared.requests.add(pg_sys::InvalidOid);
        shared.launcher.pid
    })
}

/// Blocks `database` for workers until [`unblock`]. Returns the pid of its worker, and false if too many databases are blocked
/// already: then only the restart interval keeps the next worker away.
pub fn block(database: Oid, owner: i32) -> (bool, i32) {
    change(|shared| {
        let place = shared.blocked.iter_mut().find(|blocked| blocked.owner == 0);
        let is_kept = place.is_some();
        if let Some(place) = place {
            *place = Blocked { database, owner };
        }
        (is_kept, shared.slot(database).map_or(0, |slot| slot.pid))
    })
}

/// Unblocks what `owner` has blocked, and asks the launcher to check those databases. Returns its pid, to wake it.
pub fn unblock(owner: i32) -> i32 {
    change(|shared| {
        for at in 0..MAX_BLOCKED {
            if shared.blocked[at].owner == owner {
                shared.requests.add(shared.blocked[at].database);
                shared.blocked[at].owner = 0;
            }
        }
        shared.launcher.pid
    })
}
