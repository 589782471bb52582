//! The utility hook and the end of a transaction, at which wings register: before a utility statement, and where a session
//! is to let go of what it keeps.
//!
//! The utility hook carries no guard of pgrx: that would report every ERROR of a utility statement anew, without position
//! and context. It holds nothing with a destructor, so a longjmp may pass over it.

use std::ffi::{c_char, c_void};
use std::sync::{Once, OnceLock};

use pgrx::{pg_guard, pg_sys};

use super::node::Node;

static AFTER_TRANSACTION: OnceLock<fn()> = OnceLock::new();
static AT_DISCARD: OnceLock<fn()> = OnceLock::new();
static BEFORE_UTILITY: OnceLock<unsafe fn(*mut pg_sys::Node)> = OnceLock::new();
static INSTALLED: Once = Once::new();
static mut NEXT_UTILITY: pg_sys::ProcessUtility_hook_type = None;

unsafe extern "C-unwind" {
    // utility.c; pgrx's own binding of it is guarded.
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        receiver: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// From now on `f` is called when a transaction has ended, whichever way. It must not fail and cannot look anything up.
pub fn after_transaction(f: fn()) {
    if AFTER_TRANSACTION.set(f).is_ok() {
        // SAFETY: main thread; registered once a process.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut()) }
    }
}

/// From `_PG_init`: `f` is called after `DISCARD ALL`.
pub fn at_discard_all(f: fn()) {
    if AT_DISCARD.set(f).is_ok() {
        install();
    }
}

/// From `_PG_init`: `f` is called with the node of each utility statement, before it runs. No guard is around it: what can
/// fail in it is behind guarded functions of its own.
pub fn before_utility(f: unsafe fn(*mut pg_sys::Node)) {
    if BEFORE_UTILITY.set(f).is_ok() {
        install();
    }
}

fn install() {
    // SAFETY: one thread; hooks are set while libraries are loaded.
    INSTALLED.call_once(|| unsafe {
        NEXT_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(utility);
    });
}

unsafe extern "C-unwind" fn utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: a planned statement has a utility node here; the next hook gets what we got.
    unsafe {
        if let Some(before) = BEFORE_UTILITY.get() {
            before((*statement).utilityStmt);
        }
        let discards = is_discard_all((*statement).utilityStmt);
        let next = NEXT_UTILITY.unwrap_or(standard_ProcessUtility);
        next(statement, query, read_only_tree, context, parameters, environment, receiver, completion);
        if discards {
            discard();
        }
    }
}

unsafe fn is_discard_all(node: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's: a node, or NULL.
    unsafe { Node::new(node) }
        .and_then(Node::cast::<pg_sys::DiscardStmt>)
        .is_some_and(|statement| statement.target == pg_sys::DiscardMode::DISCARD_ALL)
}

#[pg_guard]
unsafe extern "C-unwind" fn discard() {
    AT_DISCARD.get().into_iter().for_each(|f| f());
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT};
    use pg_sys::XactEvent::{XACT_EVENT_PARALLEL_COMMIT, XACT_EVENT_PREPARE};
    let ends = [XACT_EVENT_COMMIT, XACT_EVENT_ABORT, XACT_EVENT_PREPARE, XACT_EVENT_PARALLEL_COMMIT];
    if ends.contains(&event) || event == XACT_EVENT_PARALLEL_ABORT {
        AFTER_TRANSACTION.get().into_iter().for_each(|f| f());
    }
}
