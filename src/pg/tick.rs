//! Ticks from PostgreSQL's own timer, for engines that must be looked at while they run on the main thread.
//!
//! The timer arms itself again from its handler as long as somebody wants ticks, so a tick that comes before an engine is
//! ready for it is never the last one. Nobody stops the timer: it ends by itself with the first tick that nobody wants, so
//! an idle session gets no signals, and a thousand short calls within ten milliseconds cost one timer. The handler runs in
//! a signal handler: it may do nothing but touch atomics.

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
/// Engines that run. Written by the main thread, read by its signal handler: no read-modify-write is needed.
static WANTED: AtomicU32 = AtomicU32::new(0);
static HANDLER: OnceLock<fn()> = OnceLock::new();

/// From here on `handler` is called about every ten milliseconds, until [`stop`] has been called as often as this. One
/// handler a process. Costs a few nanoseconds when a tick is on its way.
pub fn start(handler: fn()) {
    WANTED.store(WANTED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // A tick before this line was the last one, which the timer's state shows; one after it arms the timer again.
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

/// Ends what [`start`] began.
pub fn stop() {
    WANTED.store(WANTED.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
}

/// Called by PostgreSQL in the signal handler of the timer, with the timer disarmed and further alarms blocked.
extern "C" fn on_alarm() {
    if let Some(handler) = HANDLER.get() {
        handler();
    }
    if WANTED.load(Ordering::Relaxed) > 0 {
        // SAFETY: a registered timeout. timeout.c looks at its list anew after each handler, and sets no second timer.
        unsafe { enable_timeout_after(ID.load(Ordering::Relaxed), PERIOD) }
    }
}
