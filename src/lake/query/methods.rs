//! The functions that PostgreSQL calls for a node of a plan, and those that it finds them by.

use std::ffi::c_int;

use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

use super::explain;
use super::scan::QueryState;
use crate::lake::rows;
use crate::pg::error::OrRaise;

/// Tables of functions, which PostgreSQL does not change.
struct Fixed<T>(T);

// SAFETY: only the main thread reads them.
unsafe impl<T> Sync for Fixed<T> {}

static SCAN: Fixed<pg_sys::CustomScanMethods> = Fixed(pg_sys::CustomScanMethods {
    CustomName: c"Lagoon Query".as_ptr(),
    CreateCustomScanState: Some(create_state),
});

static EXEC: Fixed<pg_sys::CustomExecMethods> = Fixed(pg_sys::CustomExecMethods {
    CustomName: c"Lagoon Query".as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(next),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain_scan),
});

/// What a plan node names.
pub(super) fn scan_methods() -> *const pg_sys::CustomScanMethods {
    &raw const SCAN.0
}

/// Makes plans with such nodes readable. Called from `_PG_init`.
pub(super) fn register() {
    // SAFETY: static, with a name of its own.
    unsafe { pg_sys::RegisterCustomScanMethods(scan_methods()) }
}

/// A node in execution. PostgreSQL knows the first field alone.
#[repr(C)]
struct Executed {
    node: pg_sys::CustomScanState,
    /// In the query's memory, emptied by EndCustomScan and dropped with that memory; NULL before BeginCustomScan.
    state: *mut Option<QueryState>,
}

#[pg_guard]
unsafe extern "C-unwind" fn create_state(_plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: zeroed memory of the right size, with its tag.
    unsafe {
        let executed = pg_sys::palloc0(size_of::<Executed>()).cast::<Executed>();
        (*executed).node.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*executed).node.methods = &raw const EXEC.0;
        executed.cast()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(node: *mut pg_sys::CustomScanState, _estate: *mut pg_sys::EState, flags: c_int) {
    let explain_only = flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int != 0;
    // SAFETY: PostgreSQL's arguments; the executor's current context is that of the query.
    unsafe {
        let state = Some(QueryState::begin(node, explain_only).or_raise());
        (*node.cast::<Executed>()).state = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn next(node: *mut pg_sys::CustomScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: PostgreSQL's argument, after begin.
    unsafe {
        rows::clear((*node).ss.ss_ScanTupleSlot);
        if let Some(state) = (*node.cast::<Executed>()).state.as_mut().and_then(Option::as_mut)
            && let Some(slot) = state.row(node).or_raise()
        {
            return slot;
        }
        rows::nothing(&mut (*node).ss)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: PostgreSQL's argument, after begin.
    unsafe {
        if let Some(state) = (*node.cast::<Executed>()).state.as_mut().and_then(Option::as_mut) {
            state.rescan();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: PostgreSQL's argument; NULL if begin failed.
    unsafe {
        if let Some(mut state) = (*node.cast::<Executed>()).state.as_mut().and_then(Option::take) {
            state.end();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain_scan(
    node: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: PostgreSQL's arguments, after begin.
    unsafe {
        if let Some(state) = (*node.cast::<Executed>()).state.as_mut().and_then(Option::as_mut) {
            explain::explain(node, state, es).or_raise();
        }
    }
}
