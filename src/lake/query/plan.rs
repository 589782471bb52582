//! From a translated statement to a plan: the engine is asked whether it can answer it, and for which columns.

use std::ffi::{CStr, c_int};
use std::rc::Rc;

use lagoon_lake::Error;
use lagoon_lake::query::{Output as Delivery, Prepared, prepare};
use pgrx::PgMemoryContexts;
use pgrx::pg_sys::{self, NodeTag};

use super::methods;
use super::private::{Output, PlannedShipment, PlannedTable, QueryPlan, delivers};
use super::scan::options;
use super::ship;
use super::translate::{Shipped, Statement, Translator, has_averages};
use crate::lake::engine;
use crate::lake::explain::MOST_FILES;
use crate::lake::expr::Reason;
use crate::lake::fdw::handover::{self, Ticket};
use crate::pg::hook::Planned;
use crate::pg::node::{self, List, Node, Step};

/// Why there is no plan: what PostgreSQL does instead, or an error.
pub(super) enum Refusal {
    Reason(Reason),
    Error(Error),
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

/// The plan for the whole of a statement, with the costs of PostgreSQL's own.
pub(super) fn whole(planned: &Planned<'_>) -> Result<*mut pg_sys::Plan, Refusal> {
    // SAFETY: a query.
    if unsafe { pg_sys::contain_volatile_functions(planned.query.as_ptr().cast()) } {
        return Err("a volatile function".into());
    }
    // SAFETY: a copy of PostgreSQL's own plan, before that is changed.
    let standard = || unsafe { pg_sys::copyObjectImpl(planned.statement.as_ptr().cast()).cast() };
    let scan = node_for(planned, planned.query, planned.statement.planTree, true, &standard)?;
    let mut top: *mut pg_sys::Plan = scan.cast();
    // As standard_planner does it: rows are kept for those who want to go backwards.
    if planned.options & pg_sys::CURSOR_OPT_SCROLL as c_int != 0 {
        // SAFETY: a plan that was just made.
        unsafe {
            top = pg_sys::materialize_finished_plan(top);
            (*(*top).lefttree).plan_node_id = 1;
        }
    }
    Ok(top)
}

/// The plan node for a query of the statement, in the place of PostgreSQL's own plan of that. `is_first`: its range table begins
/// the plan's. `instead` gives PostgreSQL's plan as a statement.
pub(super) fn node_for(
    planned: &Planned<'_>,
    query: Node<'_, pg_sys::Query>,
    standard: *mut pg_sys::Plan,
    is_first: bool,
    instead: &dyn Fn() -> *mut pg_sys::PlannedStmt,
) -> Result<*mut pg_sys::CustomScan, Refusal> {
    // SAFETY: a plan of the statement.
    let cost = unsafe { (*standard).total_cost };
    let mut translator = Translator::new(planned.parameters, cost);
    let Answerable { statement, columns, prepared } = answerable(&mut translator, query)?;
    if translator.tables.is_empty() {
        return Err("nothing is read from Parquet files".into());
    }
    let mut plan = QueryPlan {
        rel: statement.rel,
        tables: Vec::new(),
        prepared: None,
        shipments: Vec::new(),
        instead: instead(),
        outputs: columns,
        file_count: 0,
        shown_files: Vec::new(),
    };
    for shipped in &translator.shipments {
        let Shipped { name, statement, types, columns } = shipped.clone();
        // SAFETY: two plans that nothing uses yet.
        unsafe { ship::depend(planned.statement.as_ptr(), statement, false) };
        plan.shipments.push(PlannedShipment { name, statement, types, columns });
    }
    let mut tickets: Vec<Ticket> = Vec::new();
    for table in &translator.tables {
        let ticket = handover::offer(&table.relation);
        let resolved = ticket.as_ref().map(Ticket::number);
        plan.tables.push(PlannedTable { oid: table.oid, attributes: table.attributes.clone(), resolved });
        tickets.extend(ticket);
        plan.file_count += table.relation.files.len();
        let room = MOST_FILES - plan.shown_files.len();
        plan.shown_files.extend(table.relation.shown_files().into_iter().take(room));
    }
    // What it is over and what it compares with is known already.
    if translator.params.is_empty() && translator.shipments.is_empty() {
        let ticket = handover::offer(&Rc::new(prepared));
        plan.prepared = ticket.as_ref().map(Ticket::number);
        tickets.extend(ticket);
    }
    let private = plan.to_private()?;
    // SAFETY: new nodes, and those of the translated query, which live as long as the plan.
    unsafe {
        // Entries go with the planner's memory.
        PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(tickets);
        let mut scan = pgrx::PgBox::<pg_sys::CustomScan>::alloc_node(NodeTag::T_CustomScan);
        let standard = &*standard;
        scan.scan.plan.startup_cost = standard.startup_cost;
        scan.scan.plan.total_cost = standard.total_cost;
        scan.scan.plan.plan_rows = standard.plan_rows;
        scan.scan.plan.plan_width = standard.plan_width;
        scan.scan.plan.targetlist = node::list(statement.targets.iter().map(|target| {
            let entry = pg_sys::copyObjectImpl(target.entry.as_ptr().cast()).cast::<pg_sys::TargetEntry>();
            (*entry).expr = target.expr;
            pg_sys::fix_opfuncids(entry.cast());
            entry
        }));
        let shown = statement.delivered.iter().zip(1..);
        scan.custom_scan_tlist = node::list(shown.map(|(column, number)| {
            pg_sys::makeTargetEntry(shown_as(column.node, is_first), number, std::ptr::null_mut(), false)
        }));
        for param in &translator.params {
            pg_sys::fix_opfuncids(param.cast());
        }
        scan.custom_exprs = node::list(translator.params.iter().copied());
        scan.custom_private = private;
        if is_first {
            scan.custom_relids = relids(query);
        }
        scan.methods = methods::scan_methods();
        Ok(scan.into_pg())
    }
}

/// A statement that the engine can answer.
struct Answerable<'t> {
    statement: Statement<'t>,
    columns: Vec<Output>,
    prepared: Prepared,
}

/// Translates the statement in such a way that the engine can deliver all that it is asked for.
fn answerable<'t>(translator: &mut Translator, query: Node<'t, pg_sys::Query>) -> Result<Answerable<'t>, Refusal> {
    // SAFETY: part of the query.
    let targets = unsafe { List::<pg_sys::TargetEntry>::new(query.targetList) };
    // An average is a quotient of each group, and PostgreSQL needs that of fewer groups: those that are left at the end.
    let averages = |target: Node<'_, pg_sys::TargetEntry>| target.expr().is_some_and(has_averages);
    let mut split: Vec<bool> = targets.iter().map(|target| may_split(query) && averages(target)).collect();
    loop {
        // What is left to split grows smaller each time.
        match attempt(translator, query, &split)? {
            Attempt::Done(done) => return Ok(*done),
            Attempt::Split(at) if split.get(at) == Some(&false) && may_split(query) => split[at] = true,
            Attempt::Split(_) => return Err("a column whose digits the engine does not know".into()),
            Attempt::Refused(reason) if !may_split(query) || split.iter().all(|split| *split) => {
                return Err(reason.into());
            }
            Attempt::Refused(_) => split.fill(true),
        }
    }
}

/// Whether PostgreSQL may compute entries of the target list of what the engine delivers: DISTINCT is over all of them.
fn may_split(query: Node<'_, pg_sys::Query>) -> bool {
    query.distinctClause.is_null() || query.hasDistinctOn
}

enum Attempt<'t> {
    Done(Box<Answerable<'t>>),
    /// The entry of the target list whose values cannot be delivered as they are.
    Split(usize),
    Refused(Reason),
}

fn attempt<'t>(
    translator: &mut Translator,
    query: Node<'t, pg_sys::Query>,
    split: &[bool],
) -> Result<Attempt<'t>, Refusal> {
    let statement = translator.statement(query, split)?;
    let table = |table: &super::translate::Table| {
        PlannedTable { oid: table.oid, attributes: table.attributes.clone(), resolved: None }.table(&table.relation)
    };
    let tables: Vec<_> = translator.tables.iter().map(table).collect();
    let shipments: Vec<_> = translator.shipments.iter().map(|shipped| shipped.columns.clone()).collect();
    let (rel, of_engine, options) = (statement.rel.clone(), tables.clone(), options());
    let (columns, prepared) = match engine::plan(move || prepare(&rel, &of_engine, &shipments, &options)) {
        Ok(planned) => planned,
        Err(Error::NotSupported { message, .. }) => return Ok(Attempt::Refused(message)),
        // What fails already with constants may never be computed; PostgreSQL knows.
        Err(
            error @ (Error::Function(_)
            | Error::NegativeLimit { .. }
            | Error::NegativeFrame { .. }
            | Error::NullFrame { .. }),
        ) => return Ok(Attempt::Refused(error.to_string())),
        Err(error) => return Err(Refusal::Error(error)),
    };
    if columns.len() != statement.delivered.len() {
        return Err("the engine has other columns".into());
    }
    let mut delivered = Vec::new();
    for (column, output) in statement.delivered.iter().zip(columns) {
        let whole = column.whole;
        let Some(Delivery { ty, digits }) = output else {
            return match whole {
                Some(at) => Ok(Attempt::Split(at)),
                None => Err("a column whose digits the engine does not know".into()),
            };
        };
        let type_oid = column.node.type_of();
        if !delivers(&ty, type_oid) {
            return Err(format!("the engine has {ty} for a column").into());
        }
        let name = whole.map_or_else(|| "?column?".to_owned(), |at| name(query, at));
        delivered.push(Output { type_oid, typmod: column.node.typmod(), name, ty, digits });
    }
    Ok(Attempt::Done(Box::new(Answerable { statement, columns: delivered, prepared })))
}

/// What an entry of the target list is called, for errors.
fn name(query: Node<'_, pg_sys::Query>, at: usize) -> String {
    // SAFETY: part of the query; a string or NULL.
    unsafe {
        let targets = List::<pg_sys::TargetEntry>::new(query.targetList);
        let name = targets.get(at).map_or(std::ptr::null_mut(), |target| target.resname);
        if name.is_null() { "?column?".to_owned() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// What EXPLAIN shows of a delivered column: itself, where PostgreSQL can write that without the query around it.
///
/// # Safety
/// In the planner's memory.
unsafe fn shown_as(node: Node<'_>, is_first: bool) -> *mut pg_sys::Expr {
    let needs_query = node.walk(&mut |part| match part.tag() {
        NodeTag::T_SubLink | NodeTag::T_WindowFunc => Step::Stop,
        NodeTag::T_Var => match part.cast::<pg_sys::Var>() {
            Some(var) if var.varlevelsup == 0 && is_first => Step::Over,
            _ => Step::Stop,
        },
        _ => Step::Into,
    });
    // SAFETY: new nodes.
    unsafe {
        if needs_query {
            pg_sys::makeNullConst(node.type_of(), node.typmod(), node.collation()).cast()
        } else {
            pg_sys::copyObjectImpl(node.as_ptr().cast()).cast()
        }
    }
}

/// The entries of the range table whose names EXPLAIN may show.
///
/// # Safety
/// A query whose range table begins the plan's.
unsafe fn relids(query: Node<'_, pg_sys::Query>) -> *mut pg_sys::Bitmapset {
    // SAFETY: the caller's.
    unsafe {
        let entries = List::<pg_sys::RangeTblEntry>::new(query.rtable);
        let named = entries.iter().zip(1..).filter(|(entry, _)| {
            use pg_sys::RTEKind::*;
            matches!(entry.rtekind, RTE_RELATION | RTE_SUBQUERY | RTE_VALUES | RTE_CTE)
        });
        named.fold(std::ptr::null_mut(), |set, (_, index)| pg_sys::bms_add_member(set, index))
    }
}
