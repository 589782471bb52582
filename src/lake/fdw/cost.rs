//! What a scan costs, in the planner's unit, which is about what reading a page of a heap takes: some microseconds.
//!
//! A scan has no order and no parameters, and a second one begins anew, so a nested loop pays all of it for each row: joins
//! keep the rows in a hash table, or materialize them.

use lagoon_lake::source::estimate;
use lagoon_lake::types::ColumnType;
use pgrx::pg_sys;

use super::planned::Planned;
use crate::lake::attribute::Attribute;
use crate::pg::compat::Costs;
use crate::pg::node;

/// Before the first row: tasks are started, a file is opened, and pages are read and decompressed ahead.
const STARTUP: f64 = 50.0;
/// What a file costs that is opened, in random accesses.
const FILE: f64 = 1.0;
/// What a value costs that the engine decodes and filters, in operators of PostgreSQL's.
const DECODED: f64 = 0.1;
/// What a value costs that becomes a datum, in operators: one that fits into a datum, one that does not, and one that an input
/// function makes from text.
const FIXED: f64 = 0.2;
const VARIABLE: f64 = 1.0;
const FROM_TEXT: f64 = 4.0;

/// The whole scan.
///
/// # Safety
/// The relation is a table that is being planned, with our state.
pub(super) unsafe fn of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Costs {
    // SAFETY: the caller's; settings are variables of this process.
    unsafe {
        let planned = &*(*rel).fdw_private.cast::<Planned>();
        let (tuples, operator) = ((*rel).tuples, pg_sys::cpu_operator_cost);
        let used = Used::by(rel, planned);
        let files = planned.relation.files.len() as f64 * FILE * pg_sys::random_page_cost;
        let pages = |attribute: &Attribute| {
            estimate::bytes_per_row(&planned.relation.files, &attribute.column.name) / f64::from(pg_sys::BLCKSZ)
        };
        let decoded = |attribute: &Attribute| pages(attribute) * pg_sys::seq_page_cost + DECODED * operator;
        let filter = planned.pushed.len() as f64 * DECODED * operator;
        let engine: f64 = used.read.iter().map(|attribute| decoded(attribute)).sum();
        let values: f64 = used.delivered.iter().map(|attribute| datum(attribute) * operator).sum();
        let mut kept = pg_sys::QualCost::default();
        pg_sys::cost_qual_eval(&mut kept, node::list(planned.kept.iter().map(|(info, _)| *info)), root);
        let target = (*(*rel).reltarget).cost;
        let crossing = crossing(root, rel, planned);
        let startup = STARTUP + kept.startup + target.startup;
        let total = startup
            + files
            + tuples * (engine + filter)
            + crossing * (values + pg_sys::cpu_tuple_cost + kept.per_tuple)
            + (*rel).rows * target.per_tuple;
        Costs { rows: (*rel).rows, startup, total }
    }
}

/// Rows that come out of the engine: all that pass the pushed conditions.
unsafe fn crossing(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, planned: &Planned) -> f64 {
    // SAFETY: the caller's; conditions of this relation alone.
    unsafe {
        if planned.kept.is_empty() {
            return (*rel).rows;
        }
        let pushed = node::list(planned.pushed.iter().map(|(info, _)| *info));
        let inner = pg_sys::JoinType::JOIN_INNER;
        let share = pg_sys::clauselist_selectivity(root, pushed, 0, inner, std::ptr::null_mut());
        ((*rel).tuples * share).max((*rel).rows)
    }
}

/// What a value costs that comes over, in operators.
fn datum(attribute: &Attribute) -> f64 {
    match attribute.column.ty {
        _ if attribute.from_text => FROM_TEXT,
        ColumnType::Text | ColumnType::Bytea | ColumnType::Numeric(_) | ColumnType::Array(_) => VARIABLE,
        _ => FIXED,
    }
}

/// The columns that a scan needs.
struct Used<'a> {
    delivered: Vec<&'a Attribute>,
    /// Those, and what only pushed conditions look at.
    read: Vec<&'a Attribute>,
}

impl<'a> Used<'a> {
    unsafe fn by(rel: *mut pg_sys::RelOptInfo, planned: &'a Planned) -> Self {
        // SAFETY: the caller's: trees of this relation.
        unsafe {
            let mut used = std::ptr::null_mut();
            pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), (*rel).relid, &mut used);
            for (info, _) in &planned.kept {
                pg_sys::pull_varattnos((**info).clause.cast(), (*rel).relid, &mut used);
            }
            let delivered = planned.relation.used(used);
            for (info, _) in &planned.pushed {
                pg_sys::pull_varattnos((**info).clause.cast(), (*rel).relid, &mut used);
            }
            Self { delivered, read: planned.relation.used(used) }
        }
    }
}
