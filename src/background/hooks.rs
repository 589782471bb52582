//! Hooks in every backend that tell launcher and workers about databases and the extension, under `shared_preload_libraries`.
//!
//! - A worker is a connection, and PostgreSQL refuses to drop, rename, move or copy a database that has one (it ends only
//!   autovacuum workers by itself). So before such a statement the worker is terminated, and kept away until the transaction ends.
//! - When a transaction that created or dropped an extension commits, launcher and worker check the database again.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::state;
use crate::pg::hook::{self, ObjectAccess, Transaction};
use crate::pg::node::{List, Node};
use crate::pg::{database, process, wait};

/// How long a statement waits for a worker to exit; PostgreSQL itself then waits for another five seconds.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What the current transaction has done: created or dropped an extension; created, dropped or changed a database; blocked some.
static EXTENSION_CHANGED: AtomicBool = AtomicBool::new(false);
static DATABASES_CHANGED: AtomicBool = AtomicBool::new(false);
static BLOCKED: AtomicBool = AtomicBool::new(false);

/// From `_PG_init` in the postmaster.
pub fn init() {
    hook::before_utility(concerns_databases, prepare);
    hook::at_object_access(object_changes);
    hook::at_transaction(transaction_ends);
}

fn object_changes(access: ObjectAccess) {
    use pg_sys::ObjectAccessType::{OAT_DROP, OAT_POST_CREATE};
    if access.class == pg_sys::ExtensionRelationId && [OAT_POST_CREATE, OAT_DROP].contains(&access.event) {
        EXTENSION_CHANGED.store(true, Ordering::Relaxed);
    }
}

/// Whether a statement needs a database without connections, or may create one.
fn concerns_databases(node: Node<'_>) -> bool {
    use pg_sys::NodeTag::{T_AlterDatabaseStmt, T_CreatedbStmt, T_DropdbStmt};
    let is_database = |statement: Node<pg_sys::RenameStmt>| statement.renameType == pg_sys::ObjectType::OBJECT_DATABASE;
    match node.tag() {
        T_CreatedbStmt | T_DropdbStmt | T_AlterDatabaseStmt => true,
        _ => node.cast().is_some_and(is_database),
    }
}

/// Before a statement for which [`concerns_databases`] holds.
fn prepare(node: Node<'_>) {
    DATABASES_CHANGED.store(true, Ordering::Relaxed);
    if let Some(oid) = database_to_empty(node).and_then(database::find)
        && database::is_owner(oid)
    {
        evict(oid);
    }
}

/// The database that must have no other connection during the statement.
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

/// Terminates the worker of a database, keeps the next one away until this transaction ends, and waits until it has exited.
fn evict(database: pg_sys::Oid) {
    let (is_kept, worker) = state::block(database, process::id());
    if is_kept {
        BLOCKED.store(true, Ordering::Relaxed);
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
fn transaction_ends(how: Transaction) {
    let is_committed = match how {
        Transaction::Committed | Transaction::Prepared => true,
        Transaction::Aborted => false,
        _ => return,
    };
    if EXTENSION_CHANGED.swap(false, Ordering::Relaxed) && is_committed {
        state::request(process::database()).into_iter().for_each(process::wake);
    }
    let blocked = BLOCKED.swap(false, Ordering::Relaxed);
    let launcher = if blocked { state::unblock(process::id()) } else { 0 };
    if DATABASES_CHANGED.swap(false, Ordering::Relaxed) && is_committed {
        process::wake(state::request_list());
    } else {
        process::wake(launcher);
    }
}
