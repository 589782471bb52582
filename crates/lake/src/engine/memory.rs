//! Memory that scans take for what files claim: asked for before it is taken, so that what cannot be had is an error.
//!
//! Counted is what grows with the data: the pages that were read and what they decompress to. What decoding adds to that, a
//! batch for each task and those that wait for the consumer, is bounded by `exec::BATCH_BYTES` and not counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// What a piece of ordinary size takes: it is counted, and not refused because other scans of the session have much. Pieces
/// get smaller the more scans there are.
const SMALL: u64 = 16 << 20;

/// Until the server says otherwise.
const DEFAULT_LIMIT: u64 = 1 << 30;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static LIMIT: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT);
static EXHAUSTED: AtomicBool = AtomicBool::new(false);
static SHORT: AtomicBool = AtomicBool::new(false);

/// Bytes that all scans of this process together may take.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// The limit.
pub fn limit() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// Tells scans that the process ran out of memory and lives on what was kept for that: they end with an error. To be called
/// by an allocator: it allocates nothing.
pub fn run_short() {
    SHORT.store(true, Ordering::Relaxed);
}

/// Whether [`run_short`] was called since the last [`recovered`].
pub fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed)
}

/// There is memory again.
pub fn recovered() {
    SHORT.store(false, Ordering::Relaxed);
}

thread_local! {
    static CANNOT_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Whether an allocation that fails on this thread would end the process: true on threads of the engine, but for what this
/// crate asks for in a way that can fail.
pub fn cannot_fail() -> bool {
    CANNOT_FAIL.try_with(Cell::get).unwrap_or(false)
}

/// A thread of the engine could not get memory, and stands still for ever.
pub fn exhausted() {
    EXHAUSTED.store(true, Ordering::Relaxed);
}

/// Whether [`exhausted`] was ever called.
pub fn is_exhausted() -> bool {
    EXHAUSTED.load(Ordering::Relaxed)
}

/// Marks this thread as one of the engine's.
pub(crate) fn enter_engine() {
    CANNOT_FAIL.set(true);
}

/// Runs something whose allocations may fail.
pub(crate) fn fallible<T>(f: impl FnOnce() -> T) -> T {
    let before = CANNOT_FAIL.replace(false);
    let outcome = f();
    CANNOT_FAIL.set(before);
    outcome
}

/// Bytes that were taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(u64);

impl Drop for Permit {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Takes bytes of the limit, if they can be had of the operating system as well. `what` says what for.
pub(crate) fn take(bytes: u64, what: &dyn Fn() -> String) -> Result<Permit> {
    let limit = limit();
    let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| bytes <= SMALL || *sum <= limit);
    if TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
        return Err(Error::ScanMemory { message: format!("{} needs {bytes} bytes more", what()) });
    }
    let permit = Permit(bytes);
    check_room(bytes)?;
    Ok(permit)
}

/// Whether so many bytes can be had at once, now.
fn check_room(bytes: u64) -> Result<()> {
    let mut room = Vec::<u8>::new();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    if is_short() || fallible(|| room.try_reserve_exact(size)).is_err() {
        return Err(Error::Memory { message: format!("could not allocate {bytes} bytes") });
    }
    Ok(())
}
