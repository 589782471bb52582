//! Execution: a query of the engine as a custom scan node.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use lagoon_lake::query::{Options, Prepared, Query, Shipment, Statistics, Table, explain, outputs};
use lagoon_lake::source::table::TableColumn;
use lagoon_lake::trust::Trust;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::private::{Output, PlannedTable, QueryPlan, delivers};
use super::ship::{self, Sent};
use crate::lake::attribute::Attribute;
use crate::lake::decode::Decoder;
use crate::lake::engine;
use crate::lake::fdw::handover;
use crate::lake::fdw::relation::Relation;
use crate::lake::memory;
use crate::lake::parameters::Parameters;
use crate::lake::rows::{self, Rows};
use crate::pg::{guc, log, wait};

/// The state of one node. Dropped by EndCustomScan, or by the query's memory context on ERROR.
pub(super) struct QueryState {
    pub plan: QueryPlan,
    /// None where EXPLAIN alone wants to know.
    tables: Option<Vec<Table>>,
    /// The engine's plan, if this is the execution that planning was for and it has not begun.
    prepared: Cell<Option<Prepared>>,
    params: Parameters,
    /// What PostgreSQL sends, once it has, or its own plan; none if there is nothing to be sent.
    sent: Option<Sent>,
    rows: Rows<Query>,
}

impl QueryState {
    /// BeginCustomScan. Starts nothing: parameters are known only when the first row is asked for.
    ///
    /// # Safety
    /// `node` is that of the callback.
    pub(super) unsafe fn begin(node: *mut pg_sys::CustomScanState, explain_only: bool) -> Result<Self> {
        // SAFETY: the caller's: the plan node is a CustomScan that whole() made.
        unsafe {
            let plan_node = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
            let mut plan = QueryPlan::from_private((*plan_node).custom_private)?;
            let tables = if explain_only { None } else { Some(resolve(&mut plan)?) };
            let prepared = plan.prepared.filter(|_| !explain_only).and_then(handover::take).and_then(Rc::into_inner);
            let params = Parameters::begin((*plan_node).custom_exprs, &mut (*node).ss.ps);
            let decoders = plan.outputs.iter().zip(1..);
            let decoders =
                decoders.map(|(output, number)| Decoder::new(attribute(output, number)).with_digits(output.digits));
            let rows = Rows::new(decoders.collect(), 0);
            Ok(Self { plan, tables, prepared: Cell::new(prepared), params, sent: None, rows })
        }
    }

    /// The next row, from the engine or from PostgreSQL's own plan: the slot that has it, or none at the end.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state, and its slot is empty.
    pub(super) unsafe fn row(
        &mut self,
        node: *mut pg_sys::CustomScanState,
    ) -> Result<Option<*mut pg_sys::TupleTableSlot>> {
        // SAFETY: the caller's.
        unsafe {
            if let Some(slot) = self.instead(node)? {
                return Ok(Some(slot));
            }
            match self.next(node) {
                Ok(true) => {
                    rows::store((*node).ss.ss_ScanTupleSlot);
                    Ok(Some(rows::project(&mut (*node).ss)))
                }
                Ok(false) => Ok(None),
                Err(error) if self.take_over(node, &error) => self.instead(node),
                Err(error) => Err(error),
            }
        }
    }

    /// The next row as PostgreSQL's own plan gives it, if that has taken over: in the node's slot, which is empty at the end.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    unsafe fn instead(&mut self, node: *mut pg_sys::CustomScanState) -> Result<Option<*mut pg_sys::TupleTableSlot>> {
        // SAFETY: the caller's; the slot has a column for everything that the statement shows.
        unsafe {
            if self.sent.is_none() && self.tables.is_some() && !self.plan.shipments.is_empty() {
                self.sent = Some(ship::send(&self.plan, (*node).ss.ps.state)?);
            }
            let Some(Sent::Instead(running, _)) = &self.sent else { return Ok(None) };
            let slot = (*node).ss.ps.ps_ResultTupleSlot;
            running.next_into(slot);
            Ok(Some(slot))
        }
    }

    /// Fills the slot with the next row; false at the end.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    unsafe fn next(&mut self, node: *mut pg_sys::CustomScanState) -> Result<bool> {
        let Self { plan, tables, prepared, params, sent, rows } = self;
        let shipments = match sent {
            Some(Sent::Shipments(shipments, _)) => shipments.as_slice(),
            _ => &[],
        };
        // SAFETY: the caller's: the slot has a column for every one that is delivered.
        unsafe {
            rows.next((*node).ss.ss_ScanTupleSlot, &|notify| {
                let Some(tables) = tables.as_deref() else { return Ok(None) };
                if let Some(prepared) = prepared.take() {
                    engine::start()?;
                    return Query::run(prepared, Arc::new(move || notify.wake())).map(Some);
                }
                start(plan, tables, shipments, params, (*node).ss.ps.ps_ExprContext, notify).map(Some)
            })
        }
    }

    /// Lets PostgreSQL's own plan take over from an engine that found no value for a call, unless a row has been given away
    /// already. PostgreSQL may have a value where the engine has none, such as an infinite numeric, or not need it, since it
    /// evaluates in another order; and if it fails, then in its own words. False if the error is to be raised.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    unsafe fn take_over(&mut self, node: *mut pg_sys::CustomScanState, error: &Error) -> bool {
        // What the engine cannot plan once parameters are known is PostgreSQL's, too.
        let may_have_a_value = match error {
            Error::Function(_) | Error::OutOfRange { .. } | Error::NotSupported { .. } => true,
            Error::Internal { .. } => {
                log::log(format!("lagoon: PostgreSQL's own plan takes over: {error}"));
                true
            }
            _ => false,
        };
        if !may_have_a_value || self.rows.has_given() || self.plan.instead.is_null() {
            return false;
        }
        self.rows.stop();
        // SAFETY: the caller's.
        unsafe {
            self.end();
            self.sent = Some(Sent::Instead(ship::instead(&self.plan, (*node).ss.ps.state), error.to_string()));
        }
        true
    }

    /// ReScanCustomScan: from the beginning, with parameters that may have changed. What was sent has not: it knows none of
    /// those.
    ///
    /// # Safety
    /// The execution has not ended.
    pub(super) unsafe fn rescan(&mut self) {
        if matches!(self.sent, Some(Sent::Instead(..))) {
            // SAFETY: the caller's.
            unsafe { self.end() }
        }
        self.rows.rescan();
    }

    /// Ends what PostgreSQL has begun for it.
    ///
    /// # Safety
    /// As for [`Self::rescan`].
    pub(super) unsafe fn end(&mut self) {
        if let Some(sent) = self.sent.take() {
            // SAFETY: the caller's.
            unsafe { sent.end() }
        }
    }

    /// What EXPLAIN shows of what PostgreSQL sends.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    pub(super) unsafe fn explain_sent(&self, node: *mut pg_sys::CustomScanState, es: *mut pg_sys::ExplainState) {
        if !self.plan.shipments.is_empty() || self.sent.is_some() {
            // SAFETY: the caller's.
            unsafe { ship::explain(&self.plan, self.sent.as_ref(), (*node).ss.ps.state, es) }
        }
    }

    /// Counts of all runs of this node.
    pub(super) fn statistics(&self) -> Statistics {
        self.rows.statistics()
    }

    /// The engine's plan, a line each. Values of parameters are in it, where there are some.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    pub(super) unsafe fn engine_plan(&mut self, node: *mut pg_sys::CustomScanState) -> Result<Vec<String>> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => resolve(&mut self.plan)?,
        };
        // SAFETY: the caller's.
        let params = unsafe { self.params.evaluate((*node).ss.ps.ps_ExprContext)? };
        let (rel, of_engine) = (self.plan.rel.bind(&params)?, tables.clone());
        let (sent, options) = (sent_columns(&self.plan), options());
        let lines = engine::plan(move || explain(&rel, &of_engine, &sent, &options));
        self.tables = Some(tables);
        lines
    }
}

/// # Safety
/// The context is that of the node.
unsafe fn start(
    plan: &QueryPlan,
    tables: &[Table],
    shipments: &[Shipment],
    params: &Parameters,
    context: *mut pg_sys::ExprContext,
    notify: wait::Notify,
) -> Result<Query> {
    engine::start()?;
    // SAFETY: the caller's.
    let params = unsafe { params.evaluate(context)? };
    let rel = plan.rel.bind(&params)?;
    let (tables, shipments, options) = (tables.to_vec(), shipments.to_vec(), options());
    engine::plan(move || Query::start(&rel, &tables, &shipments, &options, Arc::new(move || notify.wake())))
}

/// The columns of what PostgreSQL sends.
fn sent_columns(plan: &QueryPlan) -> Vec<Vec<lagoon_lake::query::Output>> {
    plan.shipments.iter().map(|shipment| shipment.columns.clone()).collect()
}

/// How the session wants queries to run.
pub(super) fn options() -> Options {
    Options {
        parallelism: usize::try_from(guc::PARALLELISM.get()).unwrap_or(1),
        memory: memory::limit(),
        spill: Some(Arc::new(engine::place())),
    }
}

/// The tables as they are now: what planning has resolved, if this is the execution that it was for.
fn resolve(plan: &mut QueryPlan) -> Result<Vec<Table>> {
    let (mut has_changed, mut is_known) = (false, true);
    let mut tables = Vec::new();
    for table in &mut plan.tables {
        let relation = match table.resolved.and_then(handover::take) {
            Some(relation) => relation,
            None => {
                is_known = false;
                reload(table, &mut has_changed).map(Rc::new)?
            }
        };
        tables.push(table.table(&relation));
    }
    // The engine's plan is of those files that planning has found.
    plan.prepared = plan.prepared.filter(|_| is_known);
    if has_changed {
        retype(plan, &tables)?;
    }
    Ok(tables)
}

/// The files as they are now, which may not be as they were when the statement was planned: a numeric column may have another
/// scale.
fn reload(table: &mut PlannedTable, has_changed: &mut bool) -> Result<Relation> {
    let relation = Relation::load(table.oid)?;
    for planned in &mut table.attributes {
        let now = relation.now(planned)?;
        *has_changed |= now.column.ty != planned.column.ty;
        *planned = now;
    }
    Ok(relation)
}

/// The columns that the tree gives now that those of the tables have other types. What PostgreSQL does with them stays, so
/// each has to be one that can be delivered, as before.
fn retype(plan: &mut QueryPlan, tables: &[Table]) -> Result<()> {
    let (rel, tables, sent) = (plan.rel.clone(), tables.to_vec(), sent_columns(plan));
    let columns = engine::plan(move || outputs(&rel, &tables, &sent))?;
    for (output, column) in plan.outputs.iter_mut().zip(columns) {
        match column.filter(|column| delivers(&column.ty, output.type_oid)) {
            Some(column) => (output.ty, output.digits) = (column.ty, column.digits),
            None => return Err(Error::FileChanged { path: plan.shown_files.first().cloned().unwrap_or_default() }),
        }
    }
    Ok(())
}

/// An output as a column to decode.
fn attribute(output: &Output, number: i16) -> Attribute {
    Attribute {
        number,
        type_oid: output.type_oid,
        typmod: output.typmod,
        from_text: false,
        column: TableColumn {
            name: output.name.clone(),
            ty: output.ty.clone(),
            trust: Trust { order: false, nulls: false },
        },
    }
}
