//! `INSERT ... SELECT`: the SELECT is the engine's, what is inserted is PostgreSQL's.
//!
//! PostgreSQL's node that changes the table stays as it is, and so do defaults, checks, triggers, ON CONFLICT and RETURNING;
//! only what it reads from is another plan. Sequences are asked there, once for each row.

use std::ffi::CStr;

use pgrx::pg_sys::{self, CmdType, NodeTag, RTEKind};

use super::plan::{Refusal, node_for};
use crate::pg::hook::Planned;
use crate::pg::node::{self, List, Node, Step};

/// Puts the engine's plan below the node that inserts.
pub(super) fn insert(planned: &Planned<'_>) -> Result<(), Refusal> {
    let (index, select) = select_of(planned.query)?;
    // SAFETY: a query.
    if unsafe { pg_sys::contain_volatile_functions(select.as_ptr().cast()) } {
        return Err("a volatile function".into());
    }
    // SAFETY: the plan of the statement, which may be changed.
    unsafe {
        let modify = planned.statement.planTree.cast::<pg_sys::ModifyTable>();
        if (*planned.statement.planTree).type_ != NodeTag::T_ModifyTable {
            return Err("an INSERT that is not planned as one".into());
        }
        let standard = (*modify).plan.lefttree;
        let scan = node_for(planned, select, standard, false, &|| reading(planned))?;
        name_columns(scan, pg_sys::Index::try_from(index).unwrap_or(0));
        let shown = List::<pg_sys::TargetEntry>::new((*scan).scan.plan.targetlist);
        let wanted = List::<pg_sys::TargetEntry>::new((*standard).targetlist);
        let own = List::<pg_sys::TargetEntry>::new(planned.query.targetList);
        let mut targets = Vec::new();
        for entry in wanted.iter() {
            let given = own.iter().find(|target| !target.resjunk && target.resno == entry.resno);
            let expr = match given.and_then(|target| target.expr()) {
                Some(expr) => over(expr, index, shown)?,
                // A column that is not named and has no default: NULL, as PostgreSQL has it.
                None if !pg_sys::contain_var_clause((*entry.as_ptr()).expr.cast()) => {
                    pg_sys::copyObjectImpl((*entry.as_ptr()).expr.cast()).cast()
                }
                None => return Err("a column that is not in the INSERT".into()),
            };
            pg_sys::fix_opfuncids(expr);
            let copy = pg_sys::flatCopyTargetEntry(entry.as_ptr());
            (*copy).expr = expr.cast();
            targets.push(copy);
        }
        (*scan).scan.plan.targetlist = node::list(targets);
        (*scan).scan.plan.plan_node_id = (*standard).plan_node_id;
        (*modify).plan.lefttree = scan.cast();
        let statement = &mut *planned.statement.as_ptr();
        statement.parallelModeNeeded = false;
        statement.jitFlags = pg_sys::PGJIT_NONE as _;
        // Nothing else looks at subqueries, if there is nothing else.
        let plain = (*modify).returningLists.is_null()
            && (*modify).withCheckOptionLists.is_null()
            && (*modify).onConflictSet.is_null()
            && (*modify).onConflictWhere.is_null();
        if plain {
            (*modify).plan.initPlan = std::ptr::null_mut();
            statement.subplans = std::ptr::null_mut();
            statement.rewindPlanIDs = std::ptr::null_mut();
        }
        Ok(())
    }
}

/// The SELECT of an INSERT, and its entry in the range table.
fn select_of<'t>(query: Node<'t, pg_sys::Query>) -> Result<(i32, Node<'t, pg_sys::Query>), Refusal> {
    // SAFETY: parts of the query.
    unsafe {
        let from = Node::<pg_sys::FromExpr>::new(query.jointree).ok_or("an INSERT of no SELECT")?;
        let only = from.fromlist().get(0).and_then(Node::cast::<pg_sys::RangeTblRef>).map(|only| only.rtindex);
        let (Some(index), 1, None) = (only, from.fromlist().len(), from.quals()) else {
            return Err("an INSERT of no SELECT".into());
        };
        let entries = List::<pg_sys::RangeTblEntry>::new(query.rtable);
        let entry = usize::try_from(index - 1).ok().and_then(|at| entries.get(at)).ok_or("an entry that is gone")?;
        if entry.rtekind != RTEKind::RTE_SUBQUERY || entry.security_barrier || entry.lateral {
            return Err("an INSERT of no SELECT".into());
        }
        let select = Node::<pg_sys::Query>::new(entry.subquery).ok_or("an INSERT of no SELECT")?;
        take_tables(query, select)?;
        Ok((index, select))
    }
}

/// Makes the common table expressions of an INSERT those of its SELECT.
fn take_tables(query: Node<'_, pg_sys::Query>, select: Node<'_, pg_sys::Query>) -> Result<(), Refusal> {
    if query.cteList().len() == 0 {
        return Ok(());
    }
    if query.hasModifyingCTE {
        return Err("a common table expression that changes something".into());
    }
    let name = |table: Node<'_>| {
        // SAFETY: a string of the node.
        table.cast::<pg_sys::CommonTableExpr>().map(|table| unsafe { CStr::from_ptr(table.ctename) }.to_owned())
    };
    if query.cteList().iter().any(|table| select.cteList().iter().any(|own| name(own) == name(table))) {
        return Err("two common table expressions of one name".into());
    }
    lower(select, 0);
    let select = select.as_ptr();
    // SAFETY: trees of a query that is ours to change.
    unsafe {
        (*select).cteList = pg_sys::list_concat(pg_sys::list_copy((*query.as_ptr()).cteList), (*select).cteList);
        (*select).hasRecursive |= query.hasRecursive;
    }
    Ok(())
}

/// In a query so many levels below one that takes the common table expressions of the query around it: counts levels to those
/// anew.
fn lower(query: Node<'_, pg_sys::Query>, level: u32) {
    // SAFETY: a query is a node.
    let Some(node) = (unsafe { Node::<pg_sys::Node>::new(query.as_ptr().cast()) }) else { return };
    let mut own = true;
    node.walk(&mut |part| {
        if std::mem::take(&mut own) {
            return Step::Into;
        }
        if let Some(query) = part.cast::<pg_sys::Query>() {
            lower(query, level + 1);
            return Step::Over;
        }
        if let Some(entry) = part.cast::<pg_sys::RangeTblEntry>()
            && entry.rtekind == RTEKind::RTE_CTE
            && entry.ctelevelsup == level + 1
        {
            // SAFETY: a tree of a query that is ours to change.
            unsafe { (*entry.as_ptr()).ctelevelsup = level }
        }
        Step::Into
    });
}

/// An expression over the SELECT as one over what the engine delivers.
fn over(node: Node<'_>, index: i32, shown: List<'_, pg_sys::TargetEntry>) -> Result<*mut pg_sys::Node, Refusal> {
    if let Some(var) = node.cast::<pg_sys::Var>() {
        let at = usize::try_from(var.varattno - 1).ok().filter(|_| var.varno == index && var.varlevelsup == 0);
        let target = at.and_then(|at| shown.get(at)).ok_or("an INSERT that looks at something else")?;
        // SAFETY: a tree that lives as long as the plan.
        return Ok(unsafe { pg_sys::copyObjectImpl((*target.as_ptr()).expr.cast()).cast() });
    }
    if node.tag() == NodeTag::T_SubLink {
        return Err("a subquery beside the SELECT of an INSERT".into());
    }
    let mut failure = None;
    let copy = node.map_children(&mut |child| {
        over(child, index, shown).unwrap_or_else(|refusal| {
            failure.get_or_insert(refusal);
            child.as_ptr()
        })
    });
    failure.map_or(Ok(copy), Err)
}

/// Lets EXPLAIN name the columns that the engine delivers as those of this entry of the plan's range table, which has the node's
/// columns.
///
/// # Safety
/// A node that was just made.
pub(super) unsafe fn name_columns(scan: *mut pg_sys::CustomScan, entry: pg_sys::Index) {
    // SAFETY: the caller's.
    unsafe {
        let scan = &mut *scan;
        let delivered = List::<pg_sys::TargetEntry>::new(scan.custom_scan_tlist);
        let shown = List::<pg_sys::TargetEntry>::new(scan.scan.plan.targetlist);
        for (target, number) in shown.iter().zip(1..) {
            let Some(var) = target.expr().and_then(|expr| expr.cast::<pg_sys::Var>()) else { continue };
            let at = usize::try_from(var.varattno - 1).ok();
            if let Some(column) = at.and_then(|at| delivered.get(at)) {
                let named = pg_sys::makeVar(entry as _, number, var.vartype, var.vartypmod, var.varcollid, 0);
                (*column.as_ptr()).expr = named.cast();
            }
        }
        scan.custom_relids = pg_sys::bms_add_member(scan.custom_relids, entry as _);
    }
}

/// PostgreSQL's own plan of what the node that inserts reads, as a statement.
fn reading(planned: &Planned<'_>) -> *mut pg_sys::PlannedStmt {
    // SAFETY: a copy of the plan of an INSERT, before that is changed.
    unsafe {
        let statement: *mut pg_sys::PlannedStmt = pg_sys::copyObjectImpl(planned.statement.as_ptr().cast()).cast();
        let modify = (*statement).planTree;
        let read = (*modify).lefttree;
        (*read).initPlan = pg_sys::list_concat((*read).initPlan, (*modify).initPlan);
        (*statement).planTree = read;
        (*statement).commandType = CmdType::CMD_SELECT;
        (*statement).resultRelations = std::ptr::null_mut();
        (*statement).hasReturning = false;
        statement
    }
}
