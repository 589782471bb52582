//! Ticks from PostgreSQL's timer, by which engines on the main thread are made to check their limits.
//!
//! The handler re-arms the timer as long as an engine runs, so a tick that comes before an engine is ready for it is never the
//! last one. Nothing stops the timer: it is not re-armed once no engine runs. So an idle session gets no signals, and a thousand
//! short calls within ten milliseconds cost one timer. The handler runs in a signal handler and only accesses atomics.

use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering, compiler_fence};

use super::compat;

/// Milliseconds between two ticks.
const PERIOD: c_int = 10;

unsafe extern "C-unwind" {
    // timeout.c; pgrx has no bindings. None of them raises an ERROR, so they may be called below frames of an engine.
    fn RegisterTimeout(id: c_int, handler: extern "C" fn()) -> c_int;
    fn enable_timeout_after(id: c_int, delay_ms: c_int);
    fn get_timeout_active(id: c_int) -> bool;
}

static ID: AtomicI32 = AtomicI32::new(-1);
/// Number of running engines. The main thread writes it and its signal handler reads it, so no read-modify-write is needed.
static WANTED: AtomicU32 = AtomicU32::new(0);
static HANDLER: OnceLock<fn()> = OnceLock::new();

/// Calls `handler` about every ten milliseconds until [`stop`] has been called as often as this. A process has one handler. It
/// costs a few nanoseconds if the timer is armed already.
pub fn start(handler: fn()) {
    WANTED.store(WANTED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // A tick before this line has not re-armed the timer, which the timer's state shows; a tick after it re-arms the timer.
    compiler_fence(Ordering::SeqCst);
    let mut id = ID.load(Ordering::Relaxed);
    // SAFETY: main thread, timeouts are initialised in every process that runs SQL; the id is a registered one. Whether it
    // is active is asked of PostgreSQL, which switches all timeouts off after an error.
    unsafe {
        if id < 0 {
            HANDLER.get_or_init(|| handler);
            id = RegisterTimeout(compat::USER_TIMEOUT, on_alarm);
            ID.store(id, Ordering::Relaxed);
        }
        if !get_timeout_active(id) {
            enable_timeout_after(id, PERIOD);
        }
    }
}

/// Stops the ticks of one [`start`].
pub fn stop() {
    WANTED.store(WANTED.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
}

/// Called by PostgreSQL in the signal handler of the timer, with the timer disarmed and further alarms blocked.
extern "C" fn on_alarm() {
    if let Some(handler) = HANDLER.get() {
        handler();
    }
    if WANTED.load(Ordering::Relaxed) > 0 {
        // SAFETY: a registered timeout. timeout.c reads its list again after each handler, and sets no second timer.
        unsafe { enable_timeout_after(ID.load(Ordering::Relaxed), PERIOD) }
    }
}
