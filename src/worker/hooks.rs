//! How workers learn what happens to databases and to the extension: hooks in every backend, under `shared_preload_libraries`.
//!
//! - A worker is a connection, and PostgreSQL refuses to drop, rename, move or copy a database that has one (it ends only
//!   autovacuum by itself). So before such a statement the worker is asked to leave, and kept away until the transaction ends.
//! - When a transaction that created or dropped an extension commits, launcher and worker look again.
//!
//! The hooks themselves are no `pg_guard` shells: a guard around `standard_ProcessUtility` would catch every ERROR of every
//! utility statement and report it again without its cursor position, context, table and constraint. They hold nothing with
//! a destructor, so that a longjmp may pass over them; what can fail is behind guarded functions of their own.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgrx::{pg_guard, pg_sys};

use super::state;
use crate::pg::node::{List, Node};
use crate::pg::{database, hook, process, wait};

/// How long a statement waits for a worker to leave; PostgreSQL itself then waits for another five seconds.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// Of the present transaction: an extension was created or dropped; a database came, went or changed; some are parked.
static EXTENSION_CHANGED: AtomicBool = AtomicBool::new(false);
static DATABASES_CHANGED: AtomicBool = AtomicBool::new(false);
static PARKED: AtomicBool = AtomicBool::new(false);

static mut NEXT_ACCESS: pg_sys::object_access_hook_type = None;

/// Puts our hooks before those that are there; from `_PG_init` in the postmaster.
pub fn init() {
    hook::before_utility(before);
    // SAFETY: one thread; hooks are set while libraries are loaded.
    unsafe {
        NEXT_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(access);
        pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
    }
}

unsafe fn before(node: *mut pg_sys::Node) {
    // SAFETY: a planned statement has a utility node.
    unsafe {
        if concerns_databases(node) {
            prepare(node);
        }
    }
}

unsafe extern "C-unwind" fn access(
    event: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    argument: *mut c_void,
) {
    if class == pg_sys::ExtensionRelationId
        && (event == pg_sys::ObjectAccessType::OAT_POST_CREATE || event == pg_sys::ObjectAccessType::OAT_DROP)
    {
        EXTENSION_CHANGED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the next hook gets what we got.
    unsafe {
        if let Some(next) = NEXT_ACCESS {
            next(event, class, object, sub, argument);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if matches!(event, XACT_EVENT_COMMIT | XACT_EVENT_PREPARE | XACT_EVENT_ABORT) {
        after_transaction(event != XACT_EVENT_ABORT);
    }
}

/// The statements before which a database must be empty, or after which there may be another one.
unsafe fn concerns_databases(node: *mut pg_sys::Node) -> bool {
    use pg_sys::NodeTag::{T_AlterDatabaseStmt, T_CreatedbStmt, T_DropdbStmt};
    let is_database = |statement: Node<pg_sys::RenameStmt>| statement.renameType == pg_sys::ObjectType::OBJECT_DATABASE;
    // SAFETY: the caller's: a node.
    unsafe { Node::new(node) }.is_some_and(|node| match node.tag() {
        T_CreatedbStmt | T_DropdbStmt | T_AlterDatabaseStmt => true,
        _ => node.cast().is_some_and(is_database),
    })
}

#[pg_guard]
unsafe extern "C-unwind" fn prepare(node: *mut pg_sys::Node) {
    DATABASES_CHANGED.store(true, Ordering::Relaxed);
    // SAFETY: a node for which `concerns_databases` holds; its strings live as long as the statement.
    let name = unsafe { Node::new(node) }.and_then(database_to_empty);
    if let Some(oid) = name.and_then(database::find)
        && database::is_owner(oid)
    {
        send_away(oid);
    }
}

/// Which database the statement wants to be alone with.
fn database_to_empty(node: Node<'_>) -> Option<&CStr> {
    let name = if let Some(statement) = node.cast::<pg_sys::DropdbStmt>() {
        statement.dbname
    } else if let Some(statement) = node.cast::<pg_sys::RenameStmt>() {
        statement.subname
    } else if let Some(statement) = node.cast::<pg_sys::AlterDatabaseStmt>() {
        option(statement.options(), c"tablespace")?;
        statement.dbname
    } else {
        return option(node.cast::<pg_sys::CreatedbStmt>()?.options(), c"template");
    };
    // SAFETY: a string of the statement, or null.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
}

/// The text of an option of a statement.
fn option<'a>(options: List<'a>, name: &CStr) -> Option<&'a CStr> {
    let mut options = options.iter().filter_map(Node::cast::<pg_sys::DefElem>);
    options.find(|option| option.name() == name && !option.arg.is_null()).map(|option| option.text())
}

/// Asks the worker of a database to leave, keeps the next one away until this transaction ends, waits until it is gone.
fn send_away(database: pg_sys::Oid) {
    let (is_kept, worker) = state::park(database, process::id());
    if is_kept {
        PARKED.store(true, Ordering::Relaxed);
    }
    if worker == 0 {
        return;
    }
    process::terminate(worker);
    let end = Instant::now() + LEAVE_LIMIT;
    while process::is_alive(worker) && Instant::now() < end {
        wait::sleep(Duration::from_millis(5), || false);
    }
}

/// Tells launcher and workers what this transaction did.
fn after_transaction(is_committed: bool) {
    if EXTENSION_CHANGED.swap(false, Ordering::Relaxed) && is_committed {
        state::ask(process::database()).into_iter().for_each(process::wake);
    }
    let parked = PARKED.swap(false, Ordering::Relaxed);
    let launcher = if parked { state::unpark(process::id()) } else { 0 };
    if DATABASES_CHANGED.swap(false, Ordering::Relaxed) && is_committed {
        process::wake(state::ask_for_list());
    } else {
        process::wake(launcher);
    }
}
