//! The planner's hook: a statement that reads Parquet files is given to the engine as a whole, if that can answer it.
//!
//! PostgreSQL plans every statement first, so that the range table, what the plan depends on, and rights are as ever; then
//! only the tree of plan nodes is another one.

use pgrx::pg_sys::{self, CmdType, NodeTag};

use super::concern::is_ours;
use super::insert::insert;
use super::parts;
use super::plan::{Refusal, whole};
use crate::lake::fdw::private;
use crate::pg::error::raise;
use crate::pg::guc::{self, Pushdown};
use crate::pg::hook::Planned;
use crate::pg::node::{List, Node};

/// Puts the engine's plan in the place of PostgreSQL's, or notes there why not.
pub(super) fn planned(planned: Planned<'_>) {
    if guc::PUSHDOWN.get() != Pushdown::Full {
        return;
    }
    let candidate = parts::candidate(planned.query);
    let outcome = match planned.query.commandType {
        CmdType::CMD_INSERT => insert(&planned).map(|()| None),
        _ => whole(&planned).map(Some),
    };
    match outcome {
        Ok(None) => {}
        // SAFETY: a plan of the same statement.
        Ok(Some(plan)) => unsafe {
            let statement = planned.statement.as_ptr();
            (*statement).planTree = plan;
            (*statement).subplans = std::ptr::null_mut();
            (*statement).rewindPlanIDs = std::ptr::null_mut();
            (*statement).parallelModeNeeded = false;
            // What PostgreSQL computes on top is not what its costs were about.
            (*statement).jitFlags = pg_sys::PGJIT_NONE as _;
        },
        // SAFETY: the plan of the statement.
        Err(Refusal::Reason(reason)) => unsafe {
            if let Some(query) = candidate
                && let Err(Refusal::Error(error)) = parts::parts(&planned, query)
            {
                raise(&error);
            }
            note(planned.statement, &reason);
        },
        Err(Refusal::Error(error)) => raise(&error),
    }
}

/// Notes in all scans of Parquet files why the statement was not given to the engine.
///
/// # Safety
/// A plan that may be changed.
unsafe fn note(statement: Node<'_, pg_sys::PlannedStmt>, reason: &str) {
    // SAFETY: the caller's.
    unsafe {
        let entries = List::<pg_sys::RangeTblEntry>::new(statement.rtable);
        let mut scans = Vec::new();
        scans_below(statement.planTree, &mut scans);
        for plan in List::<pg_sys::Plan>::new(statement.subplans).iter() {
            scans_below(plan.as_ptr(), &mut scans);
        }
        for scan in scans {
            let entry = usize::try_from((*scan).scan.scanrelid).ok().and_then(|index| index.checked_sub(1));
            if entry.and_then(|index| entries.get(index)).is_some_and(is_ours) {
                (*scan).fdw_private = private::add_reason((*scan).fdw_private, reason);
            }
        }
    }
}

/// The foreign scans of a plan.
///
/// # Safety
/// A live plan, or NULL.
unsafe fn scans_below(plan: *mut pg_sys::Plan, found: &mut Vec<*mut pg_sys::ForeignScan>) {
    // SAFETY: the caller's.
    unsafe {
        let Some(node) = Node::new(plan) else { return };
        pg_sys::check_stack_depth();
        if let Some(scan) = node.cast::<pg_sys::ForeignScan>() {
            found.push(scan.as_ptr());
        }
        scans_below(node.lefttree, found);
        scans_below(node.righttree, found);
        let list = match node.tag() {
            NodeTag::T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            NodeTag::T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            NodeTag::T_SubqueryScan => {
                scans_below((*plan.cast::<pg_sys::SubqueryScan>()).subplan, found);
                std::ptr::null_mut()
            }
            _ => std::ptr::null_mut(),
        };
        for below in List::<pg_sys::Plan>::new(list).iter() {
            scans_below(below.as_ptr(), found);
        }
    }
}
