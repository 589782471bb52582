//! PostgreSQL's hooks for utility statements, plans, statistics of columns, changes of objects, and the ends of transactions and
//! subtransactions.
//! Each is installed once; wings register functions for it in `_PG_init`.
//!
//! The hooks themselves have no pgrx guard: one around `standard_ProcessUtility` would report every ERROR of every utility
//! statement again, without position, context, table and constraint. They hold no values with destructors, so a longjmp may cross
//! them. Registered functions are called in guards.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

use pgrx::{pg_guard, pg_sys};

use super::node::Node;
use super::transaction;

/// A condition for utility statements, and a function for those that meet it. The condition is called without a guard, so it may
/// only read nodes.
type Utility<F> = (fn(Node<'_>) -> bool, F);

static BEFORE_UTILITY: Registered<Utility<fn(Node<'_>)>> = Registered::new();
static AFTER_UTILITY: Registered<Utility<fn()>> = Registered::new();
static AFTER_PLANNING: Registered<Planning> = Registered::new();
static AT_STATISTICS: Registered<fn(Asked) -> bool> = Registered::new();
static AT_OBJECT_ACCESS: Registered<fn(ObjectAccess)> = Registered::new();
static AT_TRANSACTION: Registered<fn(Transaction)> = Registered::new();

static mut NEXT_UTILITY: pg_sys::ProcessUtility_hook_type = None;
static mut NEXT_PLANNER: pg_sys::planner_hook_type = None;
static mut NEXT_STATISTICS: pg_sys::get_relation_stats_hook_type = None;
static mut NEXT_ACCESS: pg_sys::object_access_hook_type = None;

/// A query that concerns a wing, and what is done with its plan.
type Planning = (fn(Node<'_, pg_sys::Query>) -> bool, fn(Planned<'_>));

/// An event in the life of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// It is about to commit: the function may still fail, which aborts the transaction. Not in parallel workers.
    WillCommit,
    /// It has committed: the function must neither fail nor read catalogs.
    Committed,
    /// It was prepared for COMMIT PREPARED, which may come from any session. The same rules apply as for
    /// [`Transaction::Committed`].
    Prepared,
    /// It has aborted. The same rules apply as for [`Transaction::Committed`].
    Aborted,
    /// The subtransaction at this depth (at least 2) has committed into its parent.
    SubtransactionCommitted(i32),
    /// The subtransaction at this depth has aborted.
    SubtransactionAborted(i32),
}

/// A statement that has been planned.
#[derive(Clone, Copy)]
pub struct Planned<'a> {
    /// What was to be planned: a copy, because planning leaves nothing of a query.
    pub query: Node<'a, pg_sys::Query>,
    /// The plan, which may be changed.
    pub statement: Node<'a, pg_sys::PlannedStmt>,
    /// `CURSOR_OPT_...`
    pub options: c_int,
    /// Parameters whose values are known, or NULL.
    pub parameters: pg_sys::ParamListInfo,
}

/// The planner asks for the statistics of a column.
#[derive(Clone, Copy)]
pub struct Asked {
    /// Of the query that reads the column.
    pub root: *mut pg_sys::PlannerInfo,
    /// Of the table, in that query.
    pub entry: *mut pg_sys::RangeTblEntry,
    /// Of the column, from 1.
    pub number: i16,
    answer: *mut pg_sys::VariableStatData,
}

impl Asked {
    /// Gives a row of pg_statistic, which has to live as long as the planning, and whether the user may see the values in it.
    pub fn answer(self, row: pg_sys::HeapTuple, readable: bool) {
        // SAFETY: the planner's own structure, which lives while the hook is called.
        unsafe {
            (*self.answer).statsTuple = row;
            (*self.answer).freefunc = Some(keep);
            (*self.answer).acl_ok = readable;
        }
    }
}

/// The row is not the planner's to release.
unsafe extern "C-unwind" fn keep(_row: pg_sys::HeapTuple) {}

/// An event of `object_access_hook`.
#[derive(Debug, Clone, Copy)]
pub struct ObjectAccess {
    /// Creation, drop or other.
    pub event: pg_sys::ObjectAccessType::Type,
    /// The catalog that the object is in.
    pub class: pg_sys::Oid,
}

/// Registers a function that is called before each utility statement for which `concerns` returns true.
pub fn before_utility(concerns: fn(Node<'_>) -> bool, act: fn(Node<'_>)) {
    take_utility_hook();
    BEFORE_UTILITY.add((concerns, act));
}

/// Registers a function that is called after each utility statement for which `concerns` returned true, unless it has failed.
pub fn after_utility(concerns: fn(Node<'_>) -> bool, act: fn()) {
    take_utility_hook();
    AFTER_UTILITY.add((concerns, act));
}

/// `act` is called after each query that `concerns` names has been planned, unless that has failed. Queries of others may come
/// along.
pub fn after_planning(concerns: fn(Node<'_, pg_sys::Query>) -> bool, act: fn(Planned<'_>)) {
    if AFTER_PLANNING.add((concerns, act)) {
        // SAFETY: one thread; hooks are set while libraries are loaded.
        unsafe {
            NEXT_PLANNER = pg_sys::planner_hook;
            pg_sys::planner_hook = Some(plan);
        }
    }
}

/// Registers a function that is asked for the statistics of columns of foreign tables. It answers and returns true, or returns
/// false; then the catalog is asked.
pub fn at_statistics(act: fn(Asked) -> bool) {
    if AT_STATISTICS.add(act) {
        // SAFETY: one thread; hooks are set while libraries are loaded.
        unsafe {
            NEXT_STATISTICS = pg_sys::get_relation_stats_hook;
            pg_sys::get_relation_stats_hook = Some(statistics);
        }
    }
}

/// Registers a function that is called at every change of an object, without a guard: it must not call PostgreSQL.
pub fn at_object_access(act: fn(ObjectAccess)) {
    if AT_OBJECT_ACCESS.add(act) {
        // SAFETY: one thread; hooks are set while libraries are loaded.
        unsafe {
            NEXT_ACCESS = pg_sys::object_access_hook;
            pg_sys::object_access_hook = Some(access);
        }
    }
}

/// Registers a function that is called when a transaction or subtransaction ends.
pub fn at_transaction(act: fn(Transaction)) {
    if AT_TRANSACTION.add(act) {
        // SAFETY: functions of this library, which is never unloaded.
        unsafe {
            pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(subtransaction_ends), std::ptr::null_mut());
        }
    }
}

/// The functions that are registered at a hook, in order.
struct Registered<F>(Mutex<Vec<F>>);

impl<F: Copy> Registered<F> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Adds a function. Returns whether it is the first.
    fn add(&self, f: F) -> bool {
        let mut registered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registered.push(f);
        registered.len() == 1
    }

    fn is_empty(&self) -> bool {
        self.get(0).is_none()
    }

    fn get(&self, at: usize) -> Option<F> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(at).copied()
    }

    /// The functions. The lock is not held while the caller uses one.
    fn iter(&self) -> impl Iterator<Item = F> {
        (0..).map_while(|at| self.get(at))
    }
}

// ---------------------------------------------------------------------------------------------------------------------

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

    // planner.c; as above.
    fn standard_planner(
        query: *mut pg_sys::Query,
        text: *const c_char,
        options: c_int,
        parameters: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
}

fn take_utility_hook() {
    if BEFORE_UTILITY.is_empty() && AFTER_UTILITY.is_empty() {
        // SAFETY: one thread; hooks are set while libraries are loaded.
        unsafe {
            NEXT_UTILITY = pg_sys::ProcessUtility_hook;
            pg_sys::ProcessUtility_hook = Some(utility);
        }
    }
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
        let node = (*statement).utilityStmt;
        if concerns(&BEFORE_UTILITY, node) != 0 {
            before(node);
        }
        let after_whom = concerns(&AFTER_UTILITY, node); // computed now, since the statement may free the node
        let next = NEXT_UTILITY.unwrap_or(standard_ProcessUtility);
        next(statement, query, read_only_tree, context, parameters, environment, receiver, completion);
        if after_whom != 0 {
            after(after_whom);
        }
    }
}

/// The registered functions whose condition the statement meets, as bits.
///
/// # Safety
/// `node` is a live node.
unsafe fn concerns<F: Copy>(registered: &Registered<Utility<F>>, node: *mut pg_sys::Node) -> u32 {
    // SAFETY: the caller's.
    let Some(node) = (unsafe { Node::new(node) }) else { return 0 };
    registered.iter().zip(0..u32::BITS).fold(0, |bits, ((concerns, _), at)| bits | u32::from(concerns(node)) << at)
}

#[pg_guard]
unsafe extern "C-unwind" fn before(node: *mut pg_sys::Node) {
    // SAFETY: the statement that is about to run.
    let Some(node) = (unsafe { Node::new(node) }) else { return };
    BEFORE_UTILITY.iter().filter(|(concerns, _)| concerns(node)).for_each(|(_, act)| act(node));
}

#[pg_guard]
unsafe extern "C-unwind" fn after(whom: u32) {
    AFTER_UTILITY.iter().zip(0..).filter(|(_, at)| whom >> at & 1 != 0).for_each(|((_, act), _)| act());
}

unsafe extern "C-unwind" fn plan(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: the next hook gets what we got.
    unsafe {
        let before = kept(query);
        let statement = NEXT_PLANNER.unwrap_or(standard_planner)(query, text, options, parameters);
        if !before.is_null() {
            planned(before, statement, options, parameters);
        }
        statement
    }
}

/// A copy of the query, in the current memory context, if somebody wants to see it later; else NULL.
#[pg_guard]
unsafe extern "C-unwind" fn kept(query: *mut pg_sys::Query) -> *mut pg_sys::Query {
    // SAFETY: the query that is about to be planned.
    let Some(node) = (unsafe { Node::new(query) }) else { return std::ptr::null_mut() };
    if AFTER_PLANNING.iter().any(|(concerns, _)| concerns(node)) {
        // SAFETY: as above.
        return unsafe { pg_sys::copyObjectImpl(query.cast()).cast() };
    }
    std::ptr::null_mut()
}

#[pg_guard]
unsafe extern "C-unwind" fn planned(
    query: *mut pg_sys::Query,
    statement: *mut pg_sys::PlannedStmt,
    options: c_int,
    parameters: pg_sys::ParamListInfo,
) {
    // SAFETY: the copy, and the plan of what it is a copy of.
    let (Some(query), Some(statement)) = (unsafe { (Node::new(query), Node::new(statement)) }) else { return };
    AFTER_PLANNING.iter().for_each(|(_, act)| act(Planned { query, statement, options, parameters }));
}

unsafe extern "C-unwind" fn statistics(
    root: *mut pg_sys::PlannerInfo,
    entry: *mut pg_sys::RangeTblEntry,
    number: pg_sys::AttrNumber,
    answer: *mut pg_sys::VariableStatData,
) -> bool {
    // SAFETY: the next hook gets what we got; the entry is live.
    unsafe {
        if NEXT_STATISTICS.is_some_and(|next| next(root, entry, number, answer)) {
            return true;
        }
        let is_foreign = (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && (*entry).relkind as u8 == pg_sys::RELKIND_FOREIGN_TABLE;
        is_foreign && number > 0 && asked(root, entry, number, answer)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn asked(
    root: *mut pg_sys::PlannerInfo,
    entry: *mut pg_sys::RangeTblEntry,
    number: pg_sys::AttrNumber,
    answer: *mut pg_sys::VariableStatData,
) -> bool {
    AT_STATISTICS.iter().any(|act| act(Asked { root, entry, number, answer }))
}

unsafe extern "C-unwind" fn access(
    event: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    argument: *mut c_void,
) {
    AT_OBJECT_ACCESS.iter().for_each(|act| act(ObjectAccess { event, class }));
    // SAFETY: the next hook gets what we got.
    unsafe {
        if let Some(next) = NEXT_ACCESS {
            next(event, class, object, sub, argument);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    use pg_sys::XactEvent::*;
    let what = match event {
        XACT_EVENT_PRE_COMMIT => Transaction::WillCommit,
        XACT_EVENT_COMMIT | XACT_EVENT_PARALLEL_COMMIT => Transaction::Committed,
        XACT_EVENT_PREPARE => Transaction::Prepared,
        XACT_EVENT_ABORT | XACT_EVENT_PARALLEL_ABORT => Transaction::Aborted,
        _ => return,
    };
    AT_TRANSACTION.iter().for_each(|act| act(what));
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_ends(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    let what = match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => Transaction::SubtransactionCommitted(transaction::level()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => Transaction::SubtransactionAborted(transaction::level()),
        _ => return,
    };
    AT_TRANSACTION.iter().for_each(|act| act(what));
}
