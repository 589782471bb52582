//! Execution: a scan of the engine as a foreign scan node.

use std::rc::Rc;
use std::sync::Arc;

use lagoon_lake::Result;
use lagoon_lake::exec::{Scan, ScanSpec, Statistics};
use pgrx::pg_sys;

use super::handover;
use super::private::ScanPlan;
use super::relation::Relation;
use crate::lake::decode::Decoder;
use crate::lake::engine;
use crate::lake::parameters::Parameters;
use crate::lake::rows::Rows;
use crate::pg::{guc, wait};

/// The state of one foreign scan node. Dropped by EndForeignScan, or by the query's memory context on ERROR.
pub(super) struct ScanState {
    pub plan: ScanPlan,
    relation: Option<Rc<Relation>>,
    params: Parameters,
    rows: Rows<Scan>,
}

impl ScanState {
    /// BeginForeignScan. Starts nothing: parameters are known only when the first row is asked for.
    ///
    /// # Safety
    /// `node` is that of the callback.
    pub(super) unsafe fn begin(node: *mut pg_sys::ForeignScanState, explain_only: bool) -> Result<Self> {
        // SAFETY: the caller's: the plan node is a ForeignScan that make_plan made.
        unsafe {
            let plan_node = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
            let mut plan = ScanPlan::from_private((*plan_node).fdw_private)?;
            let table = (*(*node).ss.ss_currentRelation).rd_id;
            let relation = if explain_only { None } else { Some(Self::resolved(&mut plan, table)?) };
            let params = Parameters::begin((*plan_node).fdw_exprs, &mut (*node).ss.ps);
            let delivered = plan.attributes.iter().take(plan.delivered);
            let decoders = delivered.map(|attribute| Decoder::new(attribute.clone())).collect();
            let rows = Rows::new(decoders, plan.limit.map_or(0, |limit| limit.offset));
            Ok(Self { plan, relation, params, rows })
        }
    }

    /// What planning has resolved, if this is the execution that it was for.
    fn resolved(plan: &mut ScanPlan, table: pg_sys::Oid) -> Result<Rc<Relation>> {
        match plan.resolved.and_then(handover::take) {
            Some(relation) => Ok(relation),
            None => Self::reload(plan, table).map(Rc::new),
        }
    }

    /// The files as they are now, which may not be as they were when the statement was planned: a numeric column may have
    /// another scale, and then the plan goes on with that. Its filters do not depend on what the files store.
    fn reload(plan: &mut ScanPlan, table: pg_sys::Oid) -> Result<Relation> {
        let relation = Relation::load(table)?;
        for planned in &mut plan.attributes {
            *planned = relation.now(planned)?;
        }
        Ok(relation)
    }

    /// IterateForeignScan: fills the slot with the next row; false at the end.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    pub(super) unsafe fn next(&mut self, node: *mut pg_sys::ForeignScanState) -> Result<bool> {
        let Self { plan, relation, params, rows } = self;
        // SAFETY: the caller's: the slot has a column for every one of the table.
        unsafe {
            rows.next((*node).ss.ss_ScanTupleSlot, &|notify| {
                let Some(relation) = relation.as_deref() else { return Ok(None) };
                start(plan, relation, params, (*node).ss.ps.ps_ExprContext, notify).map(Some)
            })
        }
    }

    /// ReScanForeignScan: from the beginning, with parameters that may have changed.
    pub(super) fn rescan(&mut self) {
        self.rows.rescan();
    }

    /// Counts of all scans of this node.
    pub(super) fn statistics(&self) -> Statistics {
        self.rows.statistics()
    }
}

/// # Safety
/// The context is that of the node.
unsafe fn start(
    plan: &ScanPlan,
    relation: &Relation,
    params: &Parameters,
    context: *mut pg_sys::ExprContext,
    notify: wait::Notify,
) -> Result<Scan> {
    engine::start()?;
    // SAFETY: the caller's.
    let params = unsafe { params.evaluate(context)? };
    let filter = plan.filter.as_ref().map(|filter| filter.bind(params)).transpose()?.map(Arc::new);
    let limit = plan.limit.and_then(|limit| limit.count.map(|count| count.saturating_add(limit.offset)));
    let spec = ScanSpec {
        files: relation.files.clone(),
        columns: plan.attributes.iter().map(|attribute| attribute.column.clone()).collect(),
        projection: (0..plan.delivered).collect(),
        filter,
        limit,
        parallelism: usize::try_from(guc::PARALLELISM.get()).unwrap_or(1),
    };
    Scan::start(&spec, Arc::new(move || notify.wake()))
}
