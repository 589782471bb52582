//! Handling of cancel, termination, timeouts and process signal barriers, in code that a longjmp must not cross.
//!
//! PostgreSQL handles an interrupt with a longjmp, which must never cross frames of wasmtime, DataFusion or ONNX Runtime. There
//! are three ways to handle one. All of them absorb the barriers that `DROP DATABASE` waits for:
//!
//! - [`check`] if only our own frames are on the stack: it raises the ERROR, and destructors run.
//! - [`ends_statement`] in a callback from an engine on the main thread: it handles everything, but keeps the ERROR, which
//!   [`check`] raises when the engine has returned.
//! - [`pending`] and later [`check`] if an engine can stop at once and without cost.
//!
//! Everything that keeps the main thread busy for more than ten milliseconds calls one of them meanwhile.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};

use super::compat;

/// Whether an interrupt is pending. It is a plain read, for tight loops.
pub fn pending() -> bool {
    // SAFETY: a flag of this process, set by signal handlers and read as volatile.
    unsafe { std::ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 }
}

/// Handles pending interrupts (CHECK_FOR_INTERRUPTS). An ERROR (57014, 57P01, ...) is raised as a Rust panic, so destructors run.
pub fn check() {
    if HAS_KEPT.load(Ordering::Relaxed)
        && let Some(error) = take_kept()
    {
        error.rethrow();
    }
    if pending() {
        // SAFETY: called on the main thread; pgrx turns the longjmp into a panic.
        unsafe { pg_sys::ProcessInterrupts() }
    }
}

/// Handles pending interrupts below frames that neither a longjmp nor a panic may cross. If it returns true, the statement must
/// end: the caller stops the engine, and calls [`check`] when it has returned, which raises the ERROR. If interrupts are held,
/// PostgreSQL itself keeps a cancel back; then [`check`] raises nothing, and the caller must raise 57014 itself.
pub fn ends_statement() -> bool {
    if !pending() {
        return has_kept();
    }
    // SAFETY: variables of this process, read on its main thread.
    let (dies, is_canceled, is_held) = unsafe {
        (
            compat::ends_session(),
            std::ptr::read_volatile(&raw const pg_sys::QueryCancelPending) != 0,
            pg_sys::InterruptHoldoffCount != 0 || pg_sys::CritSectionCount != 0,
        )
    };
    // FATAL exits where it is raised, which must be outside of the engine.
    if dies || is_held {
        return dies || is_canceled;
    }
    let error = PgTryBuilder::new(|| {
        // SAFETY: nothing is held, as at any CHECK_FOR_INTERRUPTS; pgrx turns the longjmp into a panic, which ends here.
        unsafe { pg_sys::ProcessInterrupts() };
        None
    })
    .catch_others(Some)
    .execute();
    let ends = error.is_some();
    error.into_iter().for_each(keep);
    ends
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

// ---------------------------------------------------------------------------------------------------------------------

/// Whether [`KEPT`] has something, so that [`check`] is one read.
static HAS_KEPT: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The ERROR that ends the statement that began at this time.
    static KEPT: RefCell<Option<(pg_sys::TimestampTz, CaughtError)>> = const { RefCell::new(None) };
}

fn statement() -> pg_sys::TimestampTz {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

fn keep(error: CaughtError) {
    KEPT.set(Some((statement(), error)));
    HAS_KEPT.store(true, Ordering::Relaxed);
}

fn has_kept() -> bool {
    HAS_KEPT.load(Ordering::Relaxed)
        && KEPT.with_borrow(|kept| kept.as_ref().is_some_and(|(begun, _)| *begun == statement()))
}

/// The kept ERROR, unless another one has ended its statement meanwhile.
fn take_kept() -> Option<CaughtError> {
    HAS_KEPT.store(false, Ordering::Relaxed);
    KEPT.take().filter(|(begun, _)| *begun == statement()).map(|(_, error)| error)
}
