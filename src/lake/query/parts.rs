//! Parts of a statement in the engine, where the whole stays with PostgreSQL: subqueries and common table expressions that the
//! engine can answer, such as an aggregate over Parquet files that is joined with a large table.
//!
//! The statement is planned a second time, with a table of rows in the place of each part, of as many rows as PostgreSQL
//! expects of it: a named tuplestore, which needs nothing of the catalogs. In the plan the scan of that is the engine's node.

use std::collections::HashSet;
use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, CmdType, NodeTag, RTEKind};

use super::concern::concerns;
use super::insert::name_columns;
use super::plan::{Refusal, node_for};
use super::ship;
use super::translate::{Restrictions, conjunction, looks_around};
use crate::pg::hook::Planned;
use crate::pg::node::{self, List, Node, Step};

/// Levels of queries that are looked through for parts.
const MAX_DEPTH: usize = 16;
/// Numbers of the engine's nodes begin here: beyond those of PostgreSQL's.
const FIRST_NODE: i32 = 1 << 20;

/// A part that the engine answers.
struct Part {
    /// Of the tuplestore.
    name: CString,
    scan: *mut pg_sys::CustomScan,
    /// PostgreSQL's plan of it, with what that depends on.
    statement: *mut pg_sys::PlannedStmt,
}

/// A copy of a query for [`parts`], if there is anything within it that may be a part. To be made before the query is
/// translated, which changes it.
pub(super) fn candidate(query: Node<'_, pg_sys::Query>) -> Option<*mut pg_sys::Query> {
    let is_plain =
        matches!(query.commandType, CmdType::CMD_SELECT | CmdType::CMD_INSERT) && query.rowMarks().len() == 0;
    let mut has_some = false;
    within(query, &mut |inner| has_some |= concerns(inner));
    // SAFETY: a live tree.
    (is_plain && has_some).then(|| unsafe { pg_sys::copyObjectImpl(query.as_ptr().cast()).cast() })
}

/// Plans the statement with those parts of the query in the engine that can be there. False if there is none; the plan is as it
/// was, then.
///
/// # Safety
/// `query` is what [`candidate`] gave for the statement.
pub(super) unsafe fn parts(planned: &Planned<'_>, query: *mut pg_sys::Query) -> Result<bool, Refusal> {
    let mut found = Vec::new();
    // SAFETY: the caller's.
    unsafe {
        let Some(node) = Node::new(query) else { return Ok(false) };
        find(planned, node, 0, &mut found)?;
        if found.is_empty() {
            return Ok(false);
        }
        let statement = pg_sys::standard_planner(query, c"".as_ptr(), planned.options, planned.parameters);
        replace(&raw mut (*statement).planTree, false, &found);
        each((*statement).subplans, &mut |plan| replace(plan, true, &found));
        for part in &found {
            ship::depend(statement, part.statement, true);
        }
        let whole = &mut *planned.statement.as_ptr();
        // What PostgreSQL had planned before it knew of the parts depends on the same, and maybe on more.
        (*statement).relationOids = pg_sys::list_concat_unique_oid((*statement).relationOids, whole.relationOids);
        (*statement).transientPlan |= whole.transientPlan;
        (*statement).dependsOnRole |= whole.dependsOnRole;
        *whole = *statement;
    }
    Ok(true)
}

/// Finds parts below a query, outermost ones first, and puts a table of rows in the place of each.
fn find(
    planned: &Planned<'_>,
    query: Node<'_, pg_sys::Query>,
    depth: usize,
    found: &mut Vec<Part>,
) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let mut seen = in_from(planned, query, depth, found)?;
    let mut failure = None;
    within(query, &mut |inner| {
        if failure.is_some() || !concerns(inner) {
            return;
        }
        let outcome = match seen.insert(inner.as_ptr()) {
            true => part(planned, inner, &Over::nothing(), depth + 1, found.len()),
            false => Ok(None),
        };
        let outcome = outcome.and_then(|part| match part {
            Some(part) => {
                found.push(part);
                Ok(())
            }
            None => find(planned, inner, depth + 1, found),
        });
        failure = outcome.err();
    });
    failure.map_or(Ok(()), Err)
}

/// Finds parts that are entries of a FROM clause. Conditions on such a one alone go into it, where the engine may know what to
/// read for them. Returns the queries that were looked at.
fn in_from(
    planned: &Planned<'_>,
    query: Node<'_, pg_sys::Query>,
    depth: usize,
    found: &mut Vec<Part>,
) -> Result<HashSet<*mut pg_sys::Query>, Refusal> {
    let mut seen = HashSet::new();
    // SAFETY: parts of the query.
    let (from, entries) =
        unsafe { (Node::<pg_sys::FromExpr>::new(query.jointree), List::<pg_sys::RangeTblEntry>::new(query.rtable)) };
    let Some(from) = from else { return Ok(seen) };
    let is_free = |entry: &Node<'_, pg_sys::RangeTblEntry>| {
        entry.rtekind == RTEKind::RTE_SUBQUERY && !entry.lateral && !entry.security_barrier
    };
    let entry = |index: i32| usize::try_from(index - 1).ok().and_then(|at| entries.get(at)).filter(is_free);
    let restrictions = Restrictions::of(from, &|index| entry(index).is_some());
    let mut parts = HashSet::new();
    for index in 1..=i32::try_from(entries.len()).unwrap_or(0) {
        // SAFETY: part of the entry.
        let Some(inner) = entry(index).and_then(|entry| unsafe { Node::<pg_sys::Query>::new(entry.subquery) }) else {
            continue;
        };
        if !concerns(inner) {
            continue;
        }
        let is_stable = |condition: &Node<'_>| {
            // SAFETY: an expression of the query.
            unsafe { !pg_sys::contain_volatile_functions(condition.as_ptr()) }
        };
        let conditions = restrictions.on(index);
        let mut outcome = None;
        if !conditions.is_empty() && conditions.iter().all(is_stable) {
            let over = Over { index, conditions: conditions.to_vec() };
            outcome = part(planned, inner, &over, depth + 1, found.len())?;
            if outcome.is_some() {
                parts.insert(index);
            }
        }
        if outcome.is_none() {
            outcome = part(planned, inner, &Over::nothing(), depth + 1, found.len())?;
        }
        found.extend(outcome);
        seen.insert(inner.as_ptr());
    }
    let taken = Restrictions::of(from, &|index| parts.contains(&index));
    // SAFETY: the query is ours to change.
    unsafe {
        (*from.as_ptr()).quals = taken.rest(from.quals()).map_or(std::ptr::null_mut(), Node::as_ptr);
        from.fromlist().iter().for_each(|item| without(item, &taken));
    }
    Ok(seen)
}

/// Takes conditions out of joins.
///
/// # Safety
/// Part of a FROM clause that may be changed.
unsafe fn without(item: Node<'_>, taken: &Restrictions<'_>) {
    let Some(join) = item.cast::<pg_sys::JoinExpr>() else { return };
    // SAFETY: the caller's.
    unsafe {
        pg_sys::check_stack_depth();
        (*join.as_ptr()).quals = taken.rest(join.quals()).map_or(std::ptr::null_mut(), Node::as_ptr);
        join.larg().into_iter().chain(join.rarg()).for_each(|side| without(side, taken));
    }
}

/// Conditions on an entry of a range table.
struct Over<'t> {
    index: i32,
    conditions: Vec<Node<'t>>,
}

impl Over<'_> {
    fn nothing() -> Self {
        Self { index: 0, conditions: Vec::new() }
    }
}

/// The engine's node for a query at this depth and the conditions over it, if there can be one; then a table of rows stands in
/// its place.
fn part(
    planned: &Planned<'_>,
    query: Node<'_, pg_sys::Query>,
    over: &Over<'_>,
    depth: usize,
    number: usize,
) -> Result<Option<Part>, Refusal> {
    // SAFETY: copies of a live tree, which is ours to change, and what becomes of them.
    unsafe {
        let is_part = is_worth_it(query)
            && !looks_around(query, depth)
            && !pg_sys::contain_volatile_functions(query.as_ptr().cast());
        if !is_part {
            return Ok(None);
        }
        let copy = || {
            let copy = pg_sys::copyObjectImpl(query.as_ptr().cast()).cast::<pg_sys::Query>();
            if over.conditions.is_empty() { copy } else { restricted(copy, over) }
        };
        let statement = pg_sys::standard_planner(copy(), c"".as_ptr(), 0, planned.parameters);
        let (Some(own), Some(translated)) = (Node::new(statement), Node::new(copy())) else { return Ok(None) };
        let own = Planned { query: translated, statement: own, options: 0, parameters: planned.parameters };
        let standard = || pg_sys::copyObjectImpl(statement.cast()).cast();
        let scan = match node_for(&own, translated, (*statement).planTree, false, &standard) {
            Ok(scan) => scan,
            Err(Refusal::Reason(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let name = CString::new(format!("lagoon part {number}")).unwrap_or_default();
        *query.as_ptr() = rows_of(query, &name, (*(*statement).planTree).plan_rows);
        Ok(Some(Part { name, scan, statement }))
    }
}

/// Whether a query does more than PostgreSQL would take into the query around it, conditions and order of joins included.
fn is_worth_it(query: Node<'_, pg_sys::Query>) -> bool {
    query.hasAggs
        || query.hasWindowFuncs
        || !query.groupClause.is_null()
        || !query.groupingSets.is_null()
        || !query.distinctClause.is_null()
        || query.limitCount().is_some()
        || query.setOperations().is_some()
}

/// `SELECT * FROM (query) WHERE` the conditions.
///
/// # Safety
/// In the planner's memory.
unsafe fn restricted(query: *mut pg_sys::Query, over: &Over<'_>) -> *mut pg_sys::Query {
    // SAFETY: new nodes over a query of their own and copies of live conditions.
    unsafe {
        let result = select(&*query);
        let mut entry = pgrx::PgBox::<pg_sys::RangeTblEntry>::alloc_node(NodeTag::T_RangeTblEntry);
        entry.rtekind = RTEKind::RTE_SUBQUERY;
        entry.subquery = query;
        entry.inFromCl = true;
        entry.eref = pg_sys::makeAlias(c"part".as_ptr(), names(&*query));
        (*result).rtable = node::list([entry.into_pg()]);
        let copies = over.conditions.iter().map(|condition| {
            let copy: *mut pg_sys::Node = pg_sys::copyObjectImpl(condition.as_ptr().cast()).cast();
            pg_sys::ChangeVarNodes(copy, over.index, 1, 0);
            copy
        });
        let condition = conjunction(copies.filter_map(|copy| Node::new(copy)));
        (*(*result).jointree).quals = condition.map_or(std::ptr::null_mut(), Node::as_ptr);
        result
    }
}

/// A query of all columns of its only entry, which has those of another query; without the entry.
///
/// # Safety
/// In the planner's memory.
unsafe fn select(query: &pg_sys::Query) -> *mut pg_sys::Query {
    // SAFETY: new nodes over parts of a live tree.
    unsafe {
        let mut result = pgrx::PgBox::<pg_sys::Query>::alloc_node(NodeTag::T_Query);
        let targets = shown(query).zip(1..).filter_map(|(target, number)| {
            let expr = target.expr()?;
            let var = pg_sys::makeVar(1, number, expr.type_of(), expr.typmod(), expr.collation(), 0);
            Some(pg_sys::makeTargetEntry(var.cast(), number, target.resname, false))
        });
        result.targetList = node::list(targets);
        let mut reference = pgrx::PgBox::<pg_sys::RangeTblRef>::alloc_node(NodeTag::T_RangeTblRef);
        reference.rtindex = 1;
        result.commandType = CmdType::CMD_SELECT;
        result.canSetTag = query.canSetTag;
        result.jointree = pg_sys::makeFromExpr(node::list([reference.into_pg()]), std::ptr::null_mut());
        result.into_pg()
    }
}

/// What a query shows.
///
/// # Safety
/// A live query.
unsafe fn shown<'t>(query: &pg_sys::Query) -> impl Iterator<Item = Node<'t, pg_sys::TargetEntry>> {
    // SAFETY: the caller's.
    unsafe { List::<pg_sys::TargetEntry>::new(query.targetList) }.iter().filter(|target| !target.resjunk)
}

/// Names of what a query shows.
///
/// # Safety
/// A live query.
unsafe fn names(query: &pg_sys::Query) -> *mut pg_sys::List {
    // SAFETY: the caller's; names are strings or NULL.
    unsafe {
        node::list(shown(query).map(|target| {
            let name = if target.resname.is_null() { c"?column?" } else { CStr::from_ptr(target.resname) };
            node::string(&name.to_string_lossy())
        }))
    }
}

/// `SELECT * FROM` a tuplestore of that name, with the columns of the query and so many rows.
///
/// # Safety
/// In the planner's memory; the name is copied.
unsafe fn rows_of(query: Node<'_, pg_sys::Query>, name: &CStr, rows: f64) -> pg_sys::Query {
    // SAFETY: new nodes over parts of a live tree.
    unsafe {
        let result = select(&query);
        let mut entry = pgrx::PgBox::<pg_sys::RangeTblEntry>::alloc_node(NodeTag::T_RangeTblEntry);
        for expr in shown(&query).filter_map(|target| target.expr()) {
            entry.coltypes = pg_sys::lappend_oid(entry.coltypes, expr.type_of());
            entry.coltypmods = pg_sys::lappend_int(entry.coltypmods, expr.typmod());
            entry.colcollations = pg_sys::lappend_oid(entry.colcollations, expr.collation());
        }
        entry.rtekind = RTEKind::RTE_NAMEDTUPLESTORE;
        entry.enrname = pg_sys::pstrdup(name.as_ptr());
        entry.enrtuples = rows;
        entry.inFromCl = true;
        entry.eref = pg_sys::makeAlias(c"part".as_ptr(), names(&query));
        (*result).rtable = node::list([entry.into_pg()]);
        *result
    }
}

/// Shows `f` the queries right within another one.
fn within(query: Node<'_, pg_sys::Query>, f: &mut dyn FnMut(Node<'_, pg_sys::Query>)) {
    // SAFETY: a query is a node.
    let Some(node) = (unsafe { Node::<pg_sys::Node>::new(query.as_ptr().cast()) }) else { return };
    let mut own = true;
    node.walk(&mut |part| {
        if std::mem::take(&mut own) {
            return Step::Into;
        }
        match part.cast::<pg_sys::Query>() {
            Some(inner) => {
                f(inner);
                Step::Over
            }
            None => Step::Into,
        }
    });
}

/// Puts the engine's nodes in the place of scans of tuplestores, in a plan and below it. `again`: the plan may be run more
/// than once.
///
/// # Safety
/// The place of a plan that may be changed, or of NULL.
unsafe fn replace(place: *mut *mut pg_sys::Plan, again: bool, parts: &[Part]) {
    // SAFETY: the caller's; every node has the layout that its tag says.
    unsafe {
        pg_sys::check_stack_depth();
        let plan = *place;
        if plan.is_null() {
            return;
        }
        let (mut left, mut right) = (again, again);
        match (*plan).type_ {
            NodeTag::T_NamedTuplestoreScan => {
                let name = CStr::from_ptr((*plan.cast::<pg_sys::NamedTuplestoreScan>()).enrname);
                let Some(part) = parts.iter().find(|part| part.name.as_c_str() == name) else { return };
                *place = over(plan.cast(), part, again);
                return;
            }
            NodeTag::T_NestLoop | NodeTag::T_RecursiveUnion => right = true,
            NodeTag::T_SubqueryScan => {
                let scan = plan.cast::<pg_sys::SubqueryScan>();
                replace(&raw mut (*scan).subplan, again, parts);
            }
            NodeTag::T_Append => {
                let append = plan.cast::<pg_sys::Append>();
                each((*append).appendplans, &mut |plan| replace(plan, again, parts));
            }
            NodeTag::T_MergeAppend => {
                let append = plan.cast::<pg_sys::MergeAppend>();
                each((*append).mergeplans, &mut |plan| replace(plan, again, parts));
            }
            // They keep what they have read.
            NodeTag::T_Material | NodeTag::T_Sort => left = false,
            _ => {}
        }
        replace(&raw mut (*plan).lefttree, left, parts);
        replace(&raw mut (*plan).righttree, right, parts);
    }
}

/// Calls `f` for the place of each plan of a list.
///
/// # Safety
/// A list of plans, or NIL.
unsafe fn each(list: *mut pg_sys::List, f: &mut dyn FnMut(*mut *mut pg_sys::Plan)) {
    // SAFETY: the caller's; elements are pointers to plans.
    unsafe {
        let count = list.as_ref().map_or(0, |list| usize::try_from(list.length).unwrap_or(0));
        (0..count).for_each(|at| f((&raw mut (*(*list).elements.add(at)).ptr_value).cast()));
    }
}

/// A scan of a part's rows, which tests and computes what that of the tuplestore was to.
///
/// # Safety
/// A scan that may be changed.
unsafe fn over(scan: *mut pg_sys::NamedTuplestoreScan, part: &Part, again: bool) -> *mut pg_sys::Plan {
    // SAFETY: the caller's, and nodes of our own.
    unsafe {
        let mut source: *mut pg_sys::Plan = part.scan.cast();
        name_columns(part.scan, (*scan).scan.scanrelid);
        (*source).plan_node_id = FIRST_NODE + (*scan).scan.plan.plan_node_id;
        if again {
            source = pg_sys::materialize_finished_plan(source);
            let below = List::<pg_sys::TargetEntry>::new((*source).targetlist);
            (*source).targetlist = node::list(below.iter().zip(1..).filter_map(|(target, number)| {
                let expr = target.expr()?;
                let var =
                    pg_sys::makeVar(pg_sys::OUTER_VAR as _, number, expr.type_of(), expr.typmod(), expr.collation(), 0);
                Some(pg_sys::makeTargetEntry(var.cast(), number, target.resname, false))
            }));
            (*source).plan_node_id = 2 * FIRST_NODE + (*scan).scan.plan.plan_node_id;
        }
        let mut above = pgrx::PgBox::<pg_sys::SubqueryScan>::alloc_node(NodeTag::T_SubqueryScan);
        above.scan = (*scan).scan;
        above.scan.plan.type_ = NodeTag::T_SubqueryScan;
        above.scan.plan.startup_cost += (*source).startup_cost;
        above.scan.plan.total_cost += (*source).total_cost;
        above.subplan = source;
        above.scanstatus = pg_sys::SubqueryScanStatus::SUBQUERY_SCAN_NONTRIVIAL;
        above.into_pg().cast()
    }
}
