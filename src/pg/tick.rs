//! A tick from PostgreSQL's own timer, for engines that must be looked at while they run on the main thread.
//!
//! One-shot: who wants another tick asks again. So an idle session gets no signals, and a thousand short calls within ten
//! milliseconds cost one timer. The handler runs in a signal handler: it may do nothing but touch atomics.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

/// Milliseconds to the next tick.
const PERIOD: c_int = 10;

/// USER_TIMEOUT in utils/timeout.h: the first identifier that extensions may register.
#[cfg(feature = "pg14")]
const USER_TIMEOUT: c_int = 10;
#[cfg(any(feature = "pg15", feature = "pg16"))]
const USER_TIMEOUT: c_int = 12;
#[cfg(any(feature = "pg17", feature = "pg18"))]
const USER_TIMEOUT: c_int = 13;

unsafe extern "C-unwind" {
    // timeout.c; pgrx has no bindings. None of them raises an ERROR, so they may be called below frames of an engine.
    fn RegisterTimeout(id: c_int, handler: extern "C" fn()) -> c_int;
    fn enable_timeout_after(id: c_int, delay_ms: c_int);
    fn get_timeout_active(id: c_int) -> bool;
}

static ID: AtomicI32 = AtomicI32::new(-1);

/// Makes sure that `handler` is called about ten milliseconds from now, if that is not arranged already. One handler a
/// process. Costs a few nanoseconds when a tick is on its way.
pub fn request(handler: extern "C" fn()) {
    let mut id = ID.load(Ordering::Relaxed);
    // SAFETY: main thread, timeouts are initialised in every process that runs SQL; the id is a registered one. Whether it
    // is active is asked of PostgreSQL, which switches all timeouts off after an error.
    unsafe {
        if id < 0 {
            id = RegisterTimeout(USER_TIMEOUT, handler);
            ID.store(id, Ordering::Relaxed);
        }
        if !get_timeout_active(id) {
            enable_timeout_after(id, PERIOD);
        }
    }
}
