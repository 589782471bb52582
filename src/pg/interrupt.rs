//! Cancel, termination and timeouts, as seen from code that must not be jumped out of.
//!
//! PostgreSQL answers an interrupt with a longjmp. That must never cross frames of wasmtime, DataFusion or ONNX Runtime,
//! so such code runs with interrupts held and asks [`pending`]; the ERROR is raised by [`check`] when those frames are gone.

use pgrx::pg_sys;

/// Whether a cancel, a termination or a timeout waits to be answered.
pub fn pending() -> bool {
    // SAFETY: both are flags of this process, set by signal handlers and read as volatile.
    unsafe { std::ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 }
}

/// Answers what is pending: raises the ERROR (57014, 57P01, ...) as a Rust panic, so destructors run.
pub fn check() {
    if pending() {
        // SAFETY: called on the main thread; pgrx turns the longjmp into a panic.
        unsafe { pg_sys::ProcessInterrupts() }
    }
}

/// Runs `f` with interrupts held, for frames that no longjmp may cross.
pub fn held<T>(f: impl FnOnce() -> T) -> T {
    struct Hold;
    impl Drop for Hold {
        fn drop(&mut self) {
            // SAFETY: as below. An ERROR in between has set the count to zero: never go below.
            unsafe { pg_sys::InterruptHoldoffCount = pg_sys::InterruptHoldoffCount.saturating_sub(1) }
        }
    }
    // SAFETY: a counter of this process, used by the main thread only (HOLD_INTERRUPTS in miscadmin.h).
    unsafe { pg_sys::InterruptHoldoffCount += 1 }
    let _hold = Hold;
    f()
}
