//! Planning: rows and widths from the footers, one path a table, LIMIT taken over where nothing is left to do above.

use std::collections::HashMap;
use std::ptr::null_mut;
use std::rc::Rc;

use lagoon_lake::Result;
use lagoon_lake::expr::Expr;
use pgrx::{PgMemoryContexts, pg_sys};

use super::cost;
use super::handover::{self, Ticket};
use super::planned::Planned;
use super::private::{Limit, ScanPlan};
use super::relation::Relation;
use super::statistics;
use crate::lake::expr::Translator;
use crate::lake::source::access;
use crate::pg::compat::{self, Costs};
use crate::pg::guc::{self, Pushdown};
use crate::pg::node::{self, List, Node};

/// A scan that knows its limit decodes nothing ahead of it, so it is cheaper than the same scan under a Limit node.
const LIMIT_GAIN: f64 = 0.9;

/// GetForeignRelSize: files, columns, conditions, rows.
///
/// # Safety
/// Arguments are those of the callback.
pub(super) unsafe fn size(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    table: pg_sys::Oid,
) -> Result<()> {
    // SAFETY: the caller's.
    unsafe { access::check_select(root, rel) };
    let relation = Rc::new(Relation::load(table)?);
    let ticket = handover::offer(&relation);
    // SAFETY: the caller's: both are live for all of planning; conditions are RestrictInfo with a clause.
    unsafe {
        let mut planned = Planned::new(relation, ticket);
        let mut translator = Translator::new((*rel).relid, &planned.relation.attributes);
        for info in List::<pg_sys::RestrictInfo>::new((*rel).baserestrictinfo).iter() {
            let condition = if guc::PUSHDOWN.get() != Pushdown::Off {
                translator.condition(info.clause.cast())
            } else {
                Err("lagoon.pushdown is off".to_owned())
            };
            match condition {
                Ok(filter) => planned.pushed.push((info.as_ptr(), filter)),
                Err(reason) => planned.kept.push((info.as_ptr(), reason)),
            }
        }
        planned.params = translator.params;
        (*rel).tuples = planned.relation.rows() as f64;
        (*rel).pages = planned.relation.pages();
        // Dropped with the planner's memory, also on ERROR. Estimates ask for it.
        let state = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(planned);
        (*rel).fdw_private = state.cast();
        set_widths(rel, table, &*state);
        pg_sys::set_baserel_size_estimates(root, rel);
    }
    Ok(())
}

/// Widths of the columns that are read, where footers know more than PostgreSQL.
unsafe fn set_widths(rel: *mut pg_sys::RelOptInfo, table: pg_sys::Oid, planned: &Planned) {
    // SAFETY: the caller's: the array has a place for every column.
    unsafe {
        let mut used = null_mut();
        pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), (*rel).relid, &mut used);
        for attribute in planned.relation.used(used) {
            if let Some(width) = statistics::width(table, planned, attribute)
                && let Ok(at) = usize::try_from(attribute.number - (*rel).min_attr)
            {
                *(*rel).attr_widths.add(at) = width;
            }
        }
    }
}

/// GetForeignPaths: one way to scan.
///
/// # Safety
/// As [`size`], after it.
pub(super) unsafe fn paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the caller's.
    unsafe {
        let path = compat::foreign_scan_path(root, rel, cost::of(root, rel));
        pg_sys::add_path(rel, path.cast());
    }
}

/// GetForeignUpperPaths for the final step: LIMIT and OFFSET with constants, if nothing else happens above the scan and
/// every condition is pushed.
///
/// # Safety
/// Arguments are those of the callback.
pub(super) unsafe fn final_path(
    root: *mut pg_sys::PlannerInfo,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut std::ffi::c_void,
) {
    // SAFETY: the caller's: `extra` is a FinalPathExtraData at this stage.
    unsafe {
        let parse = &*(*root).parse;
        let extra = extra.cast::<pg_sys::FinalPathExtraData>();
        let simple = parse.commandType == pg_sys::CmdType::CMD_SELECT
            && parse.limitOption == pg_sys::LimitOption::LIMIT_OPTION_COUNT
            && parse.rowMarks.is_null()
            && (*root).rowMarks.is_null()
            && !parse.hasTargetSRFs;
        // No grouping, sorting or join in between: the input is the table itself, with our state.
        let is_table = (*input).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL && !(*input).fdw_private.is_null();
        if guc::PUSHDOWN.get() == Pushdown::Off || extra.is_null() || !(*extra).limit_needed || !simple || !is_table {
            return;
        }
        let sorted = !parse.sortClause.is_null() || !parse.distinctClause.is_null() || parse.hasAggs;
        let grouped = !parse.groupClause.is_null() || !parse.groupingSets.is_null() || parse.hasWindowFuncs;
        let planned = &*(*input).fdw_private.cast::<Planned>();
        if sorted || grouped || !parse.havingQual.is_null() || !planned.kept.is_empty() {
            return;
        }
        let (count, offset) = (Node::new(parse.limitCount), Node::new(parse.limitOffset));
        let (Some(count), Some(offset)) = (constant(count), constant(offset)) else { return };
        let limit = Limit { count, offset: offset.unwrap_or(0) };
        let rows = ((*input).rows - limit.offset as f64).max(0.0);
        let rows = limit.count.map_or(rows, |count| rows.min(count as f64)).max(1.0);
        let Costs { startup, total, .. } = cost::of(root, input);
        let share = ((rows + limit.offset as f64) / (*input).rows.max(1.0)).min(1.0);
        let total = (startup + (total - startup) * share) * LIMIT_GAIN;
        let startup = startup * LIMIT_GAIN;
        let upper = pg_sys::UpperRelationKind::UPPERREL_FINAL as usize;
        let private = limit.to_private();
        let (target, costs) = ((*root).upper_targets[upper], Costs { rows, startup, total });
        let path = compat::foreign_upper_path(root, input, target, costs, private);
        pg_sys::add_path(output, path.cast());
    }
}

/// A constant of LIMIT or OFFSET: `Some(None)` if there is none or it is NULL, `None` if it cannot be taken over.
fn constant(node: Option<Node<'_>>) -> Option<Option<u64>> {
    let Some(node) = node else { return Some(None) };
    // Both are of type bigint after parse analysis.
    let Some(value) = node.cast::<pg_sys::Const>()?.value() else { return Some(None) };
    u64::try_from(value.value() as i64).ok().map(Some) // negative: PostgreSQL's own ERROR
}

/// GetForeignPlan: the scan node.
///
/// # Safety
/// Arguments are those of the callback.
pub(super) unsafe fn make_plan(
    rel: *mut pg_sys::RelOptInfo,
    best: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    conditions: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> Result<*mut pg_sys::ForeignScan> {
    // SAFETY: the caller's: `rel` is a table with our state; conditions are RestrictInfo.
    unsafe {
        let planned = &*(*rel).fdw_private.cast::<Planned>();
        let mut pushed = Vec::new();
        let (mut quals, mut rechecks) = (Vec::new(), Vec::new());
        let mut plan = ScanPlan::default();
        // Conditions may be many, so they are not searched for one by one.
        let known_pushed: HashMap<_, _> = planned.pushed.iter().map(|(info, filter)| (*info, filter)).collect();
        let known_kept: HashMap<_, _> = planned.kept.iter().map(|(info, reason)| (*info, reason)).collect();
        for info in List::<pg_sys::RestrictInfo>::new(conditions).iter().filter(|info| !info.pseudoconstant) {
            if let Some(filter) = known_pushed.get(&info.as_ptr()) {
                pushed.push((*filter).clone());
                rechecks.push(info.clause);
            } else {
                let known = known_kept.get(&info.as_ptr()).map(|why| (*why).clone());
                plan.reasons.push(known.unwrap_or_else(|| "not a condition of the table alone".to_owned()));
                quals.push(info.clause);
            }
        }
        let mut used = null_mut();
        pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), (*rel).relid, &mut used);
        for qual in &quals {
            pg_sys::pull_varattnos(qual.cast(), (*rel).relid, &mut used);
        }
        let is_used =
            |number: i16| pg_sys::bms_is_member(i32::from(number) - pg_sys::FirstLowInvalidHeapAttributeNumber, used);
        let whole_row = is_used(0);
        let all = &planned.relation.attributes;
        let mut order: Vec<usize> = (0..all.len()).filter(|i| whole_row || is_used(all[*i].number)).collect();
        plan.delivered = order.len();
        let mut positions = vec![None; all.len()];
        order.iter().enumerate().for_each(|(position, i)| positions[*i] = Some(position));
        for filter in &pushed {
            filter.visit_columns(&mut |column| {
                if let Some(position @ None) = positions.get_mut(column) {
                    *position = Some(order.len());
                    order.push(column);
                }
            });
        }
        plan.attributes = order.iter().map(|i| all[*i].clone()).collect();
        if !pushed.is_empty() {
            let position = |column: usize| positions.get(column).copied().flatten().unwrap_or(column);
            plan.filter = Some(Expr::And(pushed.iter().map(|filter| filter.map_columns(&position)).collect()));
        }
        plan.resolved = planned.ticket.as_ref().map(Ticket::number);
        plan.file_count = planned.relation.files.len();
        plan.shown_files = planned.relation.shown_files();
        plan.limit = Limit::from_private((*best).fdw_private);
        Ok(pg_sys::make_foreignscan(
            targets,
            node::list(quals),
            (*rel).relid,
            node::list(planned.params.iter().copied()),
            plan.to_private()?,
            null_mut(),
            node::list(rechecks),
            outer,
        ))
    }
}
