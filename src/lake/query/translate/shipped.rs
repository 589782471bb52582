//! Tables and queries that PostgreSQL reads itself, whose rows are sent to the engine.
//!
//! What is sent is a query of its own, planned by PostgreSQL: an entry of a FROM clause with the columns that are used and
//! the conditions on it alone, or a whole subquery that reads no Parquet file. So indexes, rights, row security and snapshots
//! are as ever. Only its estimate decides whether it pays.

use std::ffi::CStr;

use lagoon_lake::expr::Type;
use lagoon_lake::query::{Output, Rel};
use pgrx::pg_sys::{self, CmdType, NodeTag, Oid, RTEKind};

use super::current::Current;
use super::elsewhere::{conjunction, looks_around, reads_elsewhere, walk};
use super::scope::{Around, Row};
use super::{Result, Translator, targets, type_of};
use crate::lake::expr::operator::type_name;
use crate::lake::types;
use crate::pg::node::{self, Node, Step};
use crate::pg::{compat, guc};

/// Bytes that all rows of one query may take, as PostgreSQL estimates them.
const MOST_BYTES: f64 = (64u64 << 20) as f64;
/// What costs less is sent whatever the whole statement costs PostgreSQL: some ten milliseconds.
const SMALL_COST: f64 = 10_000.0;
/// Names of tables that are shown of one query.
const MOST_NAMES: usize = 3;

/// A query whose rows PostgreSQL sends.
#[derive(Clone)]
pub(in crate::lake::query) struct Shipped {
    /// What it reads, for EXPLAIN and errors.
    pub name: String,
    /// Its plan.
    pub statement: *mut pg_sys::PlannedStmt,
    pub types: Vec<Oid>,
    pub columns: Vec<Output>,
}

/// What is known of a query that was to be sent before.
pub(super) struct Tried {
    query: *mut pg_sys::Query,
    outcome: Result<Shipped>,
}

impl Translator {
    /// An entry of a FROM clause that [`is_shipped`](super::elsewhere::is_shipped).
    pub(super) fn shipped_entry<'t>(
        &mut self,
        current: &Current<'t>,
        index: i32,
        depth: usize,
    ) -> Result<(Rel, Row<'t>)> {
        let columns = current.used(index);
        let mut row = Row::default();
        for (number, var) in &columns {
            if *number <= 0 {
                return Err("a system column or whole row".to_owned());
            }
            row.push_var(index, *number, type_of(*var)?);
        }
        let query = query_over(current, index, &columns)?;
        Ok((self.ship(query, depth)?, row))
    }

    /// A query within another one that reads no Parquet file and looks at nothing around it. None if it has to be translated.
    pub(super) fn shipped_query<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        around: Around<'_, 't>,
    ) -> Option<(Rel, Vec<Type>)> {
        if around.depth == 0 || !reads_elsewhere(query) {
            return None;
        }
        let shown = targets(query).filter(|target| !target.resjunk).filter_map(|target| target.expr());
        let types = shown.map(type_of).collect::<Result<Vec<_>>>().ok()?;
        // What cannot be sent whole may go in parts.
        Some((self.ship(query, around.depth).ok()?, types))
    }

    /// The rows of a query at this depth.
    fn ship(&mut self, query: Node<'_, pg_sys::Query>, depth: usize) -> Result<Rel> {
        let is_known = |tried: &&Tried| {
            // SAFETY: a copy of a query, and a query.
            unsafe { pg_sys::equal(tried.query.cast(), query.as_ptr().cast()) }
        };
        let outcome = match self.tried.iter().find(is_known) {
            Some(tried) => tried.outcome.clone(),
            None => {
                let outcome = self.plan_shipment(query, depth);
                // SAFETY: a copy, because the query may be changed.
                let query = unsafe { pg_sys::copyObjectImpl(query.as_ptr().cast()).cast() };
                self.tried.push(Tried { query, outcome: outcome.clone() });
                outcome
            }
        };
        let shipped = outcome?;
        let columns = shipped.types.iter().filter_map(|oid| types::expression(*oid)).collect();
        let shipment = match self.shipments.iter().position(|other| other.statement == shipped.statement) {
            Some(shipment) => shipment,
            None => {
                self.shipments.push(shipped);
                self.shipments.len() - 1
            }
        };
        Ok(Rel::Shipped { shipment, columns })
    }

    fn plan_shipment(&self, query: Node<'_, pg_sys::Query>, depth: usize) -> Result<Shipped> {
        let most = f64::from(guc::SHIP_ROWS.get());
        let name = names(query);
        if most < 1.0 {
            return Err(format!("{name} is not in Parquet files"));
        }
        if looks_around(query, depth) {
            return Err(format!("{name} is not in Parquet files, and is asked for anew for each row"));
        }
        let (mut types, mut columns) = (Vec::new(), Vec::new());
        for target in targets(query).filter(|target| !target.resjunk) {
            let expr = target.expr().ok_or("nothing")?;
            let (oid, typmod) = (expr.type_of(), expr.typmod());
            let (ty, has_digits) = types::sent(oid, typmod).ok_or_else(|| {
                format!("a value of type {} of {name}, which is not in Parquet files", type_name(oid))
            })?;
            types.push(oid);
            columns.push((ty, has_digits));
        }
        let mut next = columns.len();
        let columns = columns.into_iter().map(|(ty, has_digits)| {
            let digits = has_digits.then_some(next);
            next += usize::from(has_digits);
            Output { ty, digits }
        });
        let columns = columns.collect();
        // SAFETY: planning changes its argument, so that is a copy. There is no text of it.
        let (statement, plan) = unsafe {
            let copy = pg_sys::copyObjectImpl(query.as_ptr().cast()).cast();
            let statement = pg_sys::planner(copy, c"".as_ptr(), 0, self.parameters);
            (statement, &*(*statement).planTree)
        };
        let rows = plan.plan_rows;
        if rows > most {
            return Err(format!("{name} is not in Parquet files, and its {rows:.0} rows are too many to be sent"));
        }
        if rows * f64::from(plan.plan_width) > MOST_BYTES {
            return Err(format!("{name} is not in Parquet files, and its rows are too long to be sent"));
        }
        if plan.total_cost > SMALL_COST.max(self.cost) {
            return Err(format!("{name} is not in Parquet files, and reading it costs too much"));
        }
        Ok(Shipped { name, statement, types, columns })
    }
}

/// What a query reads: its first tables, or functions.
fn names(query: Node<'_, pg_sys::Query>) -> String {
    let mut names: Vec<String> = Vec::new();
    walk(query, &mut |part| {
        let Some(entry) = part.cast::<pg_sys::RangeTblEntry>() else { return Step::Into };
        // SAFETY: a catalog lookup of a table that the statement has locked; strings of the tree.
        let name = unsafe {
            match entry.rtekind {
                RTEKind::RTE_RELATION if entry.relkind as u8 == pg_sys::RELKIND_VIEW => std::ptr::null_mut(),
                RTEKind::RTE_RELATION => pg_sys::get_rel_name(entry.relid),
                RTEKind::RTE_FUNCTION | RTEKind::RTE_TABLEFUNC => (*entry.eref).aliasname,
                _ => std::ptr::null_mut(),
            }
        };
        if !name.is_null() {
            // SAFETY: a string.
            let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > MOST_NAMES { Step::Stop } else { Step::Into }
    });
    if names.len() > MOST_NAMES {
        names.truncate(MOST_NAMES);
        names.push("...".to_owned());
    }
    names.join(", ")
}

/// A query of these columns of an entry, for the rows that fulfil the conditions on it.
fn query_over<'t>(current: &Current<'t>, index: i32, columns: &[(i16, Node<'t>)]) -> Result<Node<'t, pg_sys::Query>> {
    let (around, entry) = (current.query(), current.entry(index)?);
    // SAFETY: new nodes over copies, in the current memory context.
    unsafe {
        let copy = |node: Node<'_>| pg_sys::copyObjectImpl(node.as_ptr().cast()).cast::<pg_sys::Node>();
        let mut query = pgrx::PgBox::<pg_sys::Query>::alloc_node(NodeTag::T_Query);
        query.commandType = CmdType::CMD_SELECT;
        query.canSetTag = true;
        // A policy of row security may have subqueries.
        query.hasSubLinks = around.hasSubLinks || entry.securityQuals().len() > 0;
        query.hasRowSecurity = around.hasRowSecurity;
        let only: *mut pg_sys::RangeTblEntry = pg_sys::copyObjectImpl(entry.as_ptr().cast()).cast();
        // The conditions of its row security are on itself.
        pg_sys::ChangeVarNodes((*only).securityQuals.cast(), index, 1, 0);
        compat::copy_rights(around.as_ptr(), entry.as_ptr(), query.as_ptr(), only);
        query.rtable = node::list([only]);
        let mut reference = pgrx::PgBox::<pg_sys::RangeTblRef>::alloc_node(NodeTag::T_RangeTblRef);
        reference.rtindex = 1;
        let conditions = current.restrictions().on(index).iter().filter_map(|condition| Node::new(copy(*condition)));
        let condition = conjunction(conditions).map_or(std::ptr::null_mut(), Node::as_ptr);
        pg_sys::ChangeVarNodes(condition, index, 1, 0);
        query.jointree = pg_sys::makeFromExpr(node::list([reference.into_pg()]), condition);
        query.targetList = node::list(columns.iter().zip(1..).map(|((_, var), number)| {
            let var = copy(*var);
            // It may be a subquery's that looks at the entry.
            (*var.cast::<pg_sys::Var>()).varlevelsup = 0;
            pg_sys::ChangeVarNodes(var, index, 1, 0);
            pg_sys::makeTargetEntry(var.cast(), number, std::ptr::null_mut(), false)
        }));
        Node::new(query.into_pg()).ok_or_else(|| "nothing".to_owned())
    }
}
