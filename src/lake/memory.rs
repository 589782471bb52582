//! The engine's memory in all processes: `lagoon.total_memory_limit`, and the view `lagoon.memory`.
//!
//! It is counted in shared memory, so under `shared_preload_libraries` alone. Every process that uses the engine has a slot
//! there. What is in the slot of a process that has ended is given back by whoever next finds that there is too little.
//! Threads of the engine count, too, so all of it is atomics: no lock, and no call of PostgreSQL.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use lagoon_lake::engine::memory::{Server, set_server};
use lagoon_lake::engine::spill;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_schema, pg_sys};

use crate::pg::shmem::Atomics;
use crate::pg::{exit, guc, process};

/// Processes that have a slot. What others take is counted, too, but not shown.
const MAX_PROCESSES: usize = 1024;
/// The pid of a slot that is being emptied.
const EMPTYING: i32 = -1;

/// What one process has.
struct Slot {
    /// 0: the slot is free.
    pid: AtomicI32,
    used: AtomicU64,
    peak: AtomicU64,
    limit: AtomicU64,
}

/// What all processes have.
struct Shared {
    used: AtomicU64,
    /// Slots that were ever in use are below this one.
    end: AtomicUsize,
    slots: [Slot; MAX_PROCESSES],
}

// SAFETY: atomics without pointers.
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: no other shared memory has this name.
static SHARED: Atomics<Shared> = unsafe { Atomics::new(c"lagoon_memory", Shared::new) };

/// The slot of this process.
static OWN: OnceLock<Option<&'static Slot>> = OnceLock::new();
/// `lagoon.total_memory_limit` in bytes, for threads.
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// This process ends: what it takes from now on is nobody's.
static LEFT: AtomicBool = AtomicBool::new(false);

/// Reserves the shared memory, in the postmaster.
pub(super) fn init() {
    // SAFETY: flags of this process.
    let (is_preloaded, is_upgrade) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if is_preloaded && !is_upgrade {
        SHARED.reserve();
    }
}

/// A statement of this process begins to use the engine.
pub(super) fn begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        exit::before_exit(leave);
        if let Some(shared) = SHARED.get() {
            OWN.get_or_init(|| shared.enter(process::id()));
            set_server(&Counter);
        }
    });
    let megabytes = u64::try_from(guc::TOTAL_MEMORY_LIMIT.get()).unwrap_or(0);
    LIMIT.store(if megabytes == 0 { u64::MAX } else { megabytes << 20 }, Ordering::Relaxed);
    if let Some(slot) = own() {
        slot.limit.store(limit(), Ordering::Relaxed);
    }
}

/// What the queries of this session may take, in bytes.
pub(super) fn limit() -> u64 {
    u64::try_from(guc::MEMORY_LIMIT.get()).unwrap_or(0) << 20
}

fn own() -> Option<&'static Slot> {
    OWN.get().copied().flatten()
}

/// The process ends, and its threads may still be at work.
fn leave() {
    LEFT.store(true, Ordering::SeqCst);
    spill::remove_all();
    let (Some(shared), Some(Some(slot))) = (SHARED.get(), OWN.get()) else { return };
    shared.give(slot.used.swap(0, Ordering::Relaxed));
}

impl Shared {
    fn new() -> Self {
        let slot = |_| Slot {
            pid: AtomicI32::new(0),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            limit: AtomicU64::new(0),
        };
        Self { used: AtomicU64::new(0), end: AtomicUsize::new(0), slots: std::array::from_fn(slot) }
    }

    /// Slots that are or were in use.
    fn in_use(&self) -> &[Slot] {
        let end = self.end.load(Ordering::Relaxed).min(MAX_PROCESSES);
        &self.slots[..end]
    }

    /// A slot for a process, if one is free.
    fn enter(&self, pid: i32) -> Option<&Slot> {
        // A process of the same number may have been here before.
        self.empty(&|owner| owner == pid || !is_alive(owner));
        let take = |slot: &&Slot| slot.pid.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let (at, slot) = self.slots.iter().enumerate().find(|(_, slot)| take(slot))?;
        self.end.fetch_max(at + 1, Ordering::Relaxed);
        slot.peak.store(0, Ordering::Relaxed);
        Some(slot)
    }

    /// Empties the slots of those processes.
    fn empty(&self, whose: &dyn Fn(i32) -> bool) {
        for slot in self.in_use() {
            let pid = slot.pid.load(Ordering::Acquire);
            if pid > 0
                && whose(pid)
                && slot.pid.compare_exchange(pid, EMPTYING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                self.give(slot.used.swap(0, Ordering::Relaxed));
                slot.pid.store(0, Ordering::Release);
            }
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let limit = LIMIT.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give(&self, bytes: u64) {
        let left = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left); // it always fits
    }
}

/// Whether there is such a process.
fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 is none.
    unsafe { libc::kill(pid, 0) == 0 || *libc::__errno_location() == libc::EPERM }
}

/// How the engine counts.
struct Counter;

impl Counter {
    fn own(&self, bytes: u64) {
        if let Some(slot) = own() {
            let used = slot.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
            slot.peak.fetch_max(used, Ordering::Relaxed);
        }
    }
}

impl Server for Counter {
    fn take(&self, bytes: u64) -> bool {
        let Some(shared) = SHARED.get() else { return true };
        if LEFT.load(Ordering::Relaxed) {
            return false;
        }
        if !shared.take(bytes) {
            shared.empty(&|owner| !is_alive(owner));
            if !shared.take(bytes) {
                return false;
            }
        }
        self.own(bytes);
        true
    }

    fn count(&self, bytes: u64) {
        let Some(shared) = SHARED.get() else { return };
        if !LEFT.load(Ordering::Relaxed) {
            shared.used.fetch_add(bytes, Ordering::Relaxed);
            self.own(bytes);
        }
    }

    fn give(&self, bytes: u64) {
        let Some(shared) = SHARED.get() else { return };
        if LEFT.load(Ordering::Relaxed) {
            return;
        }
        // What the end of the process has given back already is no longer in its slot.
        let rest = |used: u64| used.checked_sub(bytes);
        let was_there =
            own().is_none_or(|slot| slot.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).is_ok());
        if was_there {
            shared.give(bytes);
        }
    }

    fn share(&self) -> Option<u64> {
        let limit = LIMIT.load(Ordering::Relaxed);
        if limit == u64::MAX {
            return None;
        }
        let shared = SHARED.get()?;
        let busy = shared.in_use().iter().filter(|slot| slot.used.load(Ordering::Relaxed) > 0).count();
        Some(limit / busy.max(1) as u64)
    }
}

#[pg_schema]
mod lagoon {
    use super::*;

    /// One row for each process that has used the engine; none when the library is not in `shared_preload_libraries`.
    #[pg_extern(volatile, parallel_restricted)]
    #[allow(clippy::type_complexity)]
    fn memory_status()
    -> TableIterator<'static, (name!(pid, i32), name!(used, i64), name!(memory_limit, i64), name!(peak, i64))> {
        let slots = SHARED.get().map_or(&[][..], Shared::in_use);
        let number = |value: &AtomicU64| i64::try_from(value.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let rows = slots.iter().filter_map(move |slot| {
            let pid = slot.pid.load(Ordering::Acquire);
            (pid > 0 && is_alive(pid)).then(|| (pid, number(&slot.used), number(&slot.limit), number(&slot.peak)))
        });
        TableIterator::new(rows.collect::<Vec<_>>())
    }
}
