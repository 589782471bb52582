//! The functions that PostgreSQL calls: handler and validator of `lagoon_parquet`, and the callbacks that the handler names.

use pgrx::{PgBox, PgMemoryContexts, pg_guard, pg_sys};

use super::scan::ScanState;
use super::{analyze, explain, infer, options, plan, statistics};
use crate::lake::rows;
use crate::pg::error::OrRaise;
use crate::pg::hook::Asked;
use crate::pg::node::Node;

macro_rules! version_1 {
    ($($name:ident),*) => {$(
        /// PostgreSQL's calling convention, version 1.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() -> &'static pg_sys::Pg_finfo_record {
            const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }
    )*};
}

version_1!(pg_finfo_lagoon_parquet_handler, pg_finfo_lagoon_parquet_validator, pg_finfo_lagoon_infer_columns);

/// `lagoon.parquet_handler() RETURNS fdw_handler`
///
/// # Safety
/// Called by PostgreSQL.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_parquet_handler(_call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: allocates a node of this type, zeroed.
    let mut routine = unsafe { PgBox::<pg_sys::FdwRoutine>::alloc_node(pg_sys::NodeTag::T_FdwRoutine) };
    routine.GetForeignRelSize = Some(get_foreign_rel_size);
    routine.GetForeignPaths = Some(get_foreign_paths);
    routine.GetForeignPlan = Some(get_foreign_plan);
    routine.GetForeignUpperPaths = Some(get_foreign_upper_paths);
    routine.BeginForeignScan = Some(begin_foreign_scan);
    routine.IterateForeignScan = Some(iterate_foreign_scan);
    routine.ReScanForeignScan = Some(rescan_foreign_scan);
    routine.EndForeignScan = Some(end_foreign_scan);
    routine.ExplainForeignScan = Some(explain_foreign_scan);
    routine.AnalyzeForeignTable = Some(analyze_foreign_table);
    pg_sys::Datum::from(routine.into_pg())
}

/// `lagoon.parquet_validator(text[], oid) RETURNS void`
///
/// # Safety
/// Called by PostgreSQL with these arguments.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_parquet_validator(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the arguments are an array of options and the catalog that they are for.
    unsafe {
        let args = (*call).args.as_ptr();
        let list = pg_sys::untransformRelOptions((*args).value);
        let catalog = pg_sys::Oid::from((*args.add(1)).value.value() as u32);
        options::validate(&options::pairs(list), catalog).or_raise();
    }
    pg_sys::Datum::null()
}

/// `lagoon.infer_columns() RETURNS event_trigger`
///
/// # Safety
/// Called by PostgreSQL.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_infer_columns(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the context of a call is NULL or a node.
    let event = unsafe { Node::new((*call).context) }.and_then(Node::cast::<pg_sys::EventTriggerData>);
    infer::after_ddl(event.is_some()).or_raise();
    pg_sys::Datum::null()
}

/// Whether a foreign table is one of this wrapper.
pub(in crate::lake) fn is_ours(table: pg_sys::Oid) -> bool {
    // SAFETY: a catalog lookup, and a call of the wrapper's handler; an ERROR where it has none.
    is_our_routine(unsafe { &*pg_sys::GetFdwRoutineByRelId(table) })
}

/// The planner's question for the statistics of a column.
pub(in crate::lake) fn answer_statistics(asked: Asked) -> bool {
    statistics::answer(asked, is_our_routine)
}

/// Whether a wrapper's callbacks are these.
fn is_our_routine(routine: &pg_sys::FdwRoutine) -> bool {
    let ours: unsafe extern "C-unwind" fn(_, _, _) = get_foreign_rel_size;
    routine.GetForeignRelSize.is_some_and(|size| std::ptr::fn_addr_eq(size, ours))
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    table: pg_sys::Oid,
) {
    // SAFETY: PostgreSQL's arguments.
    unsafe { plan::size(root, rel, table) }.or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _table: pg_sys::Oid,
) {
    // SAFETY: PostgreSQL's arguments, after get_foreign_rel_size.
    unsafe { plan::paths(root, rel) }
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut std::ffi::c_void,
) {
    // Aggregates and sorts come with the whole-query engine.
    if stage == pg_sys::UpperRelationKind::UPPERREL_FINAL {
        // SAFETY: PostgreSQL's arguments.
        unsafe { plan::final_path(root, input, output, extra) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_plan(
    _root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _table: pg_sys::Oid,
    best: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    conditions: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: PostgreSQL's arguments.
    unsafe { plan::make_plan(rel, best, targets, conditions, outer) }.or_raise()
}

/// The state of a node is an Option in the query's memory, emptied by EndForeignScan and dropped with that memory.
type State = Option<ScanState>;

#[pg_guard]
unsafe extern "C-unwind" fn begin_foreign_scan(node: *mut pg_sys::ForeignScanState, flags: std::ffi::c_int) {
    let explain_only = flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0;
    // SAFETY: PostgreSQL's arguments; the executor's current context is that of the query.
    unsafe {
        let state: State = Some(ScanState::begin(node, explain_only).or_raise());
        (*node).fdw_state = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state).cast();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn iterate_foreign_scan(node: *mut pg_sys::ForeignScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: PostgreSQL's argument, after begin_foreign_scan.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        rows::clear(slot);
        if let Some(state) = &mut *(*node).fdw_state.cast::<State>()
            && state.next(node).or_raise()
        {
            rows::store(slot);
        }
        slot
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: PostgreSQL's argument, after begin_foreign_scan.
    if let Some(state) = unsafe { &mut *(*node).fdw_state.cast::<State>() } {
        state.rescan();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: PostgreSQL's argument; NULL if begin_foreign_scan failed.
    unsafe {
        if let Some(state) = (*node).fdw_state.cast::<State>().as_mut() {
            state.take();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain_foreign_scan(node: *mut pg_sys::ForeignScanState, es: *mut pg_sys::ExplainState) {
    // SAFETY: PostgreSQL's arguments, after begin_foreign_scan.
    unsafe {
        if let Some(Some(state)) = (*node).fdw_state.cast::<State>().as_ref() {
            explain::explain(node, state, es);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn analyze_foreign_table(
    table: pg_sys::Relation,
    acquire: *mut pg_sys::AcquireSampleRowsFunc,
    pages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: PostgreSQL's arguments: an open relation, and where the results go.
    unsafe {
        *pages = analyze::pages(table).or_raise();
        *acquire = Some(acquire_sample_rows);
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn acquire_sample_rows(
    table: pg_sys::Relation,
    level: std::ffi::c_int,
    rows: *mut pg_sys::HeapTuple,
    wanted: std::ffi::c_int,
    total: *mut f64,
    dead: *mut f64,
) -> std::ffi::c_int {
    // SAFETY: PostgreSQL's arguments: an open relation, room for so many rows, and where the results go.
    unsafe {
        let sampled = analyze::acquire(table, level, rows, wanted).or_raise();
        (*total, *dead) = (sampled.table_rows, 0.0);
        sampled.rows
    }
}
