//! A time limit for work in a background process, where statement_timeout has no effect.

use std::ffi::c_int;
use std::time::Duration;

/// The timeout whose handler PostgreSQL registers in every process that runs SQL (utils/timeout.h, all supported versions).
const STATEMENT_TIMEOUT: c_int = 3;

unsafe extern "C-unwind" {
    // timeout.c; pgrx has no bindings. None of them raises an ERROR.
    fn enable_timeout_after(id: c_int, delay_ms: c_int);
    fn disable_timeout(id: c_int, keep_indicator: bool);
    fn get_timeout_active(id: c_int) -> bool;
}

/// Cancels the work of this process (57014) when the limit is exceeded, until it is dropped. Not for backends: their
/// statement_timeout uses the same timer.
pub struct Limit(());

impl Limit {
    /// Starts the timer.
    pub fn start(limit: Duration) -> Self {
        let millis = c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX).max(1);
        // SAFETY: main thread of a process that runs SQL.
        unsafe { enable_timeout_after(STATEMENT_TIMEOUT, millis) };
        Self(())
    }

    /// Whether the limit is exceeded. It asks the timer, which uses the wall clock, because another clock might differ.
    pub fn is_over(&self) -> bool {
        // SAFETY: reads a table of this process.
        unsafe { !get_timeout_active(STATEMENT_TIMEOUT) }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: as above; does nothing when the timer is not active any more.
        unsafe { disable_timeout(STATEMENT_TIMEOUT, true) };
    }
}
