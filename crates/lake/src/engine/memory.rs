//! Memory that queries take for what files hold: asked for before it is taken, so that what cannot be had is an error.
//!
//! Counted is what grows with the data: the pages that were read and what they decompress to, and, by way of
//! [`super::pool`], what sorts, groups and joins keep. What decoding adds to that, a batch for each task and those that wait
//! for the consumer, is bounded by `exec::BATCH_BYTES` and not counted.
//!
//! There are two limits: one of this process, and one of all processes together, which the [`Server`] knows.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// What a piece of ordinary size takes: it is counted, and not refused because others of this process have much. Pieces get
/// smaller the more scans there are.
const SMALL: u64 = 16 << 20;

/// Until the server says otherwise.
const DEFAULT_LIMIT: u64 = 1 << 30;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static LIMIT: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT);
static EXHAUSTED: AtomicBool = AtomicBool::new(false);
static SHORT: AtomicBool = AtomicBool::new(false);

/// The memory of all processes together.
pub trait Server: Sync {
    /// Takes bytes; false if there are not so many left. Called from any thread.
    fn take(&self, bytes: u64) -> bool;
    /// Takes bytes that were allocated already.
    fn count(&self, bytes: u64);
    /// Gives bytes back.
    fn give(&self, bytes: u64);
    /// What one process may have of what all may have, as things are; `None` if there is no limit.
    fn share(&self) -> Option<u64>;
}

static SERVER: OnceLock<&'static dyn Server> = OnceLock::new();

/// Sets who knows the memory of all processes. To be called before any is taken.
pub fn set_server(server: &'static dyn Server) {
    let _ = SERVER.set(server); // the same each time
}

/// Bytes that all queries of this process together may take.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// What this process may take: its limit, or its share of that of all processes.
pub fn limit() -> u64 {
    let own = LIMIT.load(Ordering::Relaxed);
    SERVER.get().and_then(|server| server.share()).map_or(own, |share| share.min(own))
}

/// What is taken.
pub fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
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

/// Whose limit does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// That of this process.
    Own,
    /// That of all processes together.
    Server,
    /// There is no more.
    Exhausted,
}

impl Refusal {
    /// The error of somebody who needs memory. `what` says how much, for what.
    pub(crate) fn error(self, what: String) -> Error {
        match self {
            Self::Own => Error::MemoryLimit { message: what },
            Self::Server => Error::TotalMemoryLimit { message: what },
            Self::Exhausted => Error::Memory { message: what },
        }
    }
}

/// Bytes that were taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(u64);

impl Drop for Permit {
    fn drop(&mut self) {
        give(self.0);
    }
}

/// Takes bytes for pages, if they can be had of the operating system as well. `what` says what for.
pub(crate) fn take(bytes: u64, what: &dyn Fn() -> String) -> Result<Permit> {
    let limit = if bytes <= SMALL { u64::MAX } else { LIMIT.load(Ordering::Relaxed) };
    match try_take(bytes, limit) {
        Ok(()) => Ok(Permit(bytes)),
        Err(refusal) => Err(refusal.error(format!("{} needs {bytes} bytes more", what()))),
    }
}

/// Takes bytes for what is kept, until [`give`].
pub(crate) fn try_keep(bytes: u64) -> std::result::Result<(), Refusal> {
    try_take(bytes, LIMIT.load(Ordering::Relaxed))
}

/// Counts bytes that were allocated already, until [`give`].
pub(crate) fn count(bytes: u64) {
    TAKEN.fetch_add(bytes, Ordering::Relaxed);
    if let Some(server) = SERVER.get() {
        server.count(bytes);
    }
}

/// Gives back what was taken or counted.
pub(crate) fn give(bytes: u64) {
    TAKEN.fetch_sub(bytes, Ordering::Relaxed);
    if let Some(server) = SERVER.get() {
        server.give(bytes);
    }
}

fn try_take(bytes: u64, limit: u64) -> std::result::Result<(), Refusal> {
    let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= limit);
    if TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
        return Err(Refusal::Own);
    }
    if SERVER.get().is_some_and(|server| !server.take(bytes)) {
        TAKEN.fetch_sub(bytes, Ordering::Relaxed);
        return Err(Refusal::Server);
    }
    if !has_room(bytes) {
        give(bytes);
        return Err(Refusal::Exhausted);
    }
    Ok(())
}

/// Whether so many bytes can be had at once, now.
fn has_room(bytes: u64) -> bool {
    let mut room = Vec::<u8>::new();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    !is_short() && fallible(|| room.try_reserve_exact(size)).is_ok()
}
