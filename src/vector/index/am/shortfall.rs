//! Whether an index scan returns as many rows as a query needs.
//!
//! A scan ends after a limited number of rows, to which filters are applied. A query that needs more would return fewer
//! rows than there are, or none beyond an OFFSET. pgvector's cost estimate ignores that; here such a path costs more than
//! any other plan that is not disabled (`enable_seqscan = off`).

use pgrx::pg_sys::{self, IndexPath, PlannerInfo, RelOptInfo};

use crate::pg::node::{List, Node};

/// The amount that is added to the cost of a path whose scan ends too early: more than real plans cost, less than
/// PostgreSQL adds to disabled ones.
pub const PENALTY: f64 = 5e9;

/// The share of the needed rows that may be missing because estimates are rounded.
const SLACK: f64 = 1e-3;

/// Whether a scan that returns `rows` at most, before filters, returns fewer than the query wants and there are.
///
/// # Safety
/// What the planner passes to amcostestimate, with one ORDER BY key.
pub unsafe fn falls_short(root: *mut PlannerInfo, path: *mut IndexPath, rows: f64) -> bool {
    // SAFETY: the caller's; a setting of this process.
    unsafe {
        let Some(wanted) = wanted(root, path).filter(|_| pg_sys::enable_seqscan) else { return false };
        let tuples = (*(*path).indexinfo).tuples.max(1.0);
        let passing = (passing(root, path) / tuples).min(1.0);
        rows.min(tuples) * passing < wanted * (1.0 - SLACK)
    }
}

/// Number of rows that the query takes from this path, as far as the planner knows; None if the value of a LIMIT is unknown
/// at planning time, or if it applies to other rows than the path's.
unsafe fn wanted(root: *mut PlannerInfo, path: *mut IndexPath) -> Option<f64> {
    // SAFETY: the caller's.
    unsafe {
        let (root, rows) = (&*root, (*path).path.rows);
        let count = Node::new((*root.parse).limitCount);
        let limit = if root.limit_tuples >= 0.0 {
            root.limit_tuples * share_of_parent(root, (*path).path.parent)
        } else if count.is_some_and(|count| !is_null_constant(count)) {
            return None;
        } else if root.tuple_fraction >= 1.0 {
            root.tuple_fraction // as many as EXISTS wants
        } else {
            f64::INFINITY
        };
        Some(limit.min(rows))
    }
}

/// LIMIT ALL.
fn is_null_constant(node: Node<'_>) -> bool {
    node.cast::<pg_sys::Const>().is_some_and(|constant| constant.value().is_none())
}

/// The share of a partition in the rows of the whole table: this share of the result is expected to come from it.
unsafe fn share_of_parent(root: &PlannerInfo, rel: *mut RelOptInfo) -> f64 {
    // SAFETY: the caller's; both arrays are indexed by relid, and NULL where there is nothing.
    unsafe {
        let mut top = rel;
        while (*top).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL && !root.append_rel_array.is_null() {
            let Some(info) = (*root.append_rel_array.add((*top).relid as usize)).as_ref() else { break };
            let parent = *root.simple_rel_array.add(info.parent_relid as usize);
            if parent.is_null() {
                break;
            }
            top = parent;
        }
        if top == rel || (*top).rows <= 0.0 { 1.0 } else { ((*rel).rows / (*top).rows).min(1.0) }
    }
}

/// Number of rows of the table that pass the filters. Filters on the distance itself do not count: rows with the smallest
/// distances come first, so these pass all rows of the scan up to a point; and the planner has only a default estimate for
/// them (a third).
unsafe fn passing(root: *mut PlannerInfo, path: *mut IndexPath) -> f64 {
    // SAFETY: the caller's; lists of the nodes that their names say.
    let (rel, rows, distance, filters) = unsafe {
        let rel = (*path).path.parent;
        let distance: Option<Node<'_>> = List::new((*path).indexorderbys).get(0);
        (rel, (*path).path.rows, distance, List::<pg_sys::RestrictInfo>::new((*rel).baserestrictinfo))
    };
    let Some(distance) = distance else { return rows };
    let is_of_distance = |filter: &Node<'_, pg_sys::RestrictInfo>| {
        let operands = filter.clause().and_then(Node::cast::<pg_sys::OpExpr>).map(|operator| operator.args());
        operands.is_some_and(|operands| operands.iter().any(|operand| operand.equals(distance)))
    };
    let share = |filter: Node<'_, pg_sys::RestrictInfo>| {
        let (join, none) = (pg_sys::JoinType::JOIN_INNER, std::ptr::null_mut());
        // SAFETY: the caller's; a filter of this relation.
        unsafe { pg_sys::clause_selectivity(root, filter.as_ptr().cast(), (*rel).relid as i32, join, none) }
    };
    filters.iter().filter(is_of_distance).fold(rows, |rows, filter| rows / share(filter).max(f64::MIN_POSITIVE))
}
