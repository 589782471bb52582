//! Execution: a scan of the engine as a foreign scan node. The main thread only waits, decodes and hands out tuples.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lagoon_lake::arrow::array::RecordBatch;
use lagoon_lake::exec::{Poll, Scan, ScanSpec, Statistics, rows_within};
use lagoon_lake::{Error, Result};
use pgrx::{PgMemoryContexts, pg_sys};

use super::handover;
use super::private::ScanPlan;
use super::relation::Relation;
use crate::lake::decode::Decoder;
use crate::lake::{engine, types};
use crate::pg::node::{List, Node};
use crate::pg::{guc, memory, wait};

/// How long the end of a scan waits for its task. The task holds nothing of PostgreSQL's, so this is only tidiness.
const STOP_LIMIT: Duration = Duration::from_millis(50);

/// Bytes of texts that are turned into datums at a time. A row of more is turned alone.
const DECODED_BYTES: usize = 1 << 20;

/// Scans that have not ended, and the bytes that they were given since there were none. When the last one ends after so
/// many, what was freed goes back to the operating system: the engine cannot know of what PostgreSQL made of its batches.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static GIVEN: AtomicU64 = AtomicU64::new(0);
const RELEASE_BYTES: u64 = 16 << 20;

/// The state of one foreign scan node. Dropped by EndForeignScan, or by the query's memory context on ERROR.
pub(super) struct ScanState {
    pub plan: ScanPlan,
    relation: Option<Rc<Relation>>,
    params: Vec<(*mut pg_sys::ExprState, pg_sys::Oid)>,
    decoders: Vec<Decoder>,
    batch_context: pg_sys::MemoryContext,
    notify: wait::Notify,
    scan: Option<Scan>,
    /// What is left of the current batch.
    batch: Option<RecordBatch>,
    /// Rows that are decoded, and the next of them.
    rows: usize,
    next: usize,
    to_skip: u64,
    done: bool,
    /// Of scans before a rescan.
    before: Statistics,
}

impl Drop for ScanState {
    fn drop(&mut self) {
        self.stop();
        self.batch = None;
        if OPEN.fetch_sub(1, Ordering::Relaxed) == 1 && GIVEN.swap(0, Ordering::Relaxed) >= RELEASE_BYTES {
            memory::release();
        }
    }
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
            let expressions: List<'_> = List::new((*plan_node).fdw_exprs);
            let states = pg_sys::ExecInitExprList((*plan_node).fdw_exprs, &mut (*node).ss.ps);
            let states = List::<pg_sys::ExprState>::new(states);
            let delivered = plan.attributes.iter().take(plan.delivered);
            let decoders = delivered.map(|attribute| Decoder::new(attribute.clone())).collect();
            let batch_context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"lagoon batch".as_ptr(),
                0,
                8 * 1024,
                8 * 1024 * 1024,
            );
            let to_skip = plan.limit.map_or(0, |limit| limit.offset);
            let notify = wait::notify();
            OPEN.fetch_add(1, Ordering::Relaxed);
            Ok(Self {
                plan,
                relation,
                params: states.iter().map(Node::as_ptr).zip(expressions.iter().map(Node::type_of)).collect(),
                decoders,
                batch_context,
                notify,
                scan: None,
                batch: None,
                rows: 0,
                next: 0,
                to_skip,
                done: false,
                before: Statistics::default(),
            })
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
            let Some(now) = relation.attributes.iter().find(|now| now.is_declared_as(planned)) else {
                let path = relation.files.first().map(|file| file.location().to_string()).unwrap_or_default();
                return Err(Error::FileChanged { path });
            };
            *planned = now.clone();
        }
        Ok(relation)
    }

    /// IterateForeignScan: fills the slot with the next row; false at the end.
    ///
    /// # Safety
    /// `node` is that of the callback, with this state.
    pub(super) unsafe fn next(&mut self, node: *mut pg_sys::ForeignScanState) -> Result<bool> {
        while self.next == self.rows {
            // SAFETY: the caller's.
            if self.done || !unsafe { self.next_rows(node)? } {
                self.done = true;
                return Ok(false);
            }
        }
        let row = self.next;
        self.next += 1;
        // SAFETY: the slot has room for every column of the table, and every decoder has `rows` values.
        unsafe {
            let slot = (*node).ss.ss_ScanTupleSlot;
            for decoder in &self.decoders {
                *(*slot).tts_values.add(decoder.slot_index) = *decoder.values.get_unchecked(row);
                *(*slot).tts_isnull.add(decoder.slot_index) =
                    !decoder.nulls.is_empty() && *decoder.nulls.get_unchecked(row);
            }
        }
        Ok(true)
    }

    unsafe fn next_batch(&mut self, node: *mut pg_sys::ForeignScanState) -> Result<bool> {
        if self.scan.is_none() {
            // SAFETY: the caller's.
            unsafe { self.start(node)? };
        }
        let Some(scan) = &mut self.scan else { return Ok(false) };
        let batch = wait::until(&self.notify, || {
            memory::die_if_exhausted();
            match scan.poll() {
                Ok(Poll::Pending) => None,
                other => Some(other),
            }
        })?;
        let Poll::Batch(mut batch) = batch else { return Ok(false) };
        GIVEN.fetch_add(batch.get_array_memory_size() as u64, Ordering::Relaxed);
        if self.to_skip > 0 {
            let skipped = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(batch.num_rows());
            self.to_skip -= skipped as u64;
            batch = batch.slice(skipped, batch.num_rows() - skipped);
        }
        self.batch = Some(batch);
        Ok(true)
    }

    /// Decodes as many rows of the current batch, or of the next, as do not take too much memory together; false at the end.
    unsafe fn next_rows(&mut self, node: *mut pg_sys::ForeignScanState) -> Result<bool> {
        let batch = loop {
            match self.batch.take() {
                Some(batch) if batch.num_rows() > 0 => break batch,
                // SAFETY: the caller's.
                _ if unsafe { !self.next_batch(node)? } => return Ok(false),
                _ => {}
            }
        };
        let count = rows_within(&batch, DECODED_BYTES);
        let rest = batch.slice(count, batch.num_rows() - count);
        let batch = batch.slice(0, count);
        // SAFETY: our own context, as old as this state; the slot is that of the node.
        unsafe {
            pg_sys::MemoryContextReset(self.batch_context);
            let slot = (*node).ss.ss_ScanTupleSlot;
            let columns = (*(*slot).tts_tupleDescriptor).natts as usize;
            std::slice::from_raw_parts_mut((*slot).tts_isnull, columns).fill(true);
        }
        // SAFETY: the context outlives the closure.
        unsafe {
            PgMemoryContexts::For(self.batch_context).switch_to(|_| {
                self.decoders.iter_mut().enumerate().try_for_each(|(i, decoder)| decoder.decode(&batch, i))
            })?;
        }
        self.batch = Some(rest);
        self.rows = count;
        self.next = 0;
        Ok(true)
    }

    unsafe fn start(&mut self, node: *mut pg_sys::ForeignScanState) -> Result<()> {
        let Some(relation) = &self.relation else { return Ok(()) };
        engine::start()?;
        // SAFETY: the caller's: expressions belong to the node, whose context evaluates them.
        let params = unsafe { self.evaluate((*node).ss.ps.ps_ExprContext)? };
        let filter = self.plan.filter.as_ref().map(|filter| filter.bind(params)).transpose()?.map(Arc::new);
        let limit = self.plan.limit.and_then(|limit| limit.count.map(|count| count.saturating_add(limit.offset)));
        let spec = ScanSpec {
            files: relation.files.clone(),
            columns: self.plan.attributes.iter().map(|attribute| attribute.column.clone()).collect(),
            projection: (0..self.plan.delivered).collect(),
            filter,
            limit,
            parallelism: usize::try_from(guc::PARALLELISM.get()).unwrap_or(1),
        };
        let notify = self.notify.clone();
        self.scan = Some(Scan::start(&spec, Arc::new(move || notify.wake()))?);
        Ok(())
    }

    unsafe fn evaluate(&self, context: *mut pg_sys::ExprContext) -> Result<Vec<lagoon_lake::expr::Value>> {
        let evaluate = |(state, oid): &(*mut pg_sys::ExprState, pg_sys::Oid)| {
            let mut is_null = false;
            // SAFETY: the caller's; the result has the expression's type. It is copied before the context is reset.
            unsafe {
                let datum = pg_sys::ExecEvalExpr(*state, context, &mut is_null);
                types::value(*oid, datum, is_null)
            }
        };
        // SAFETY: the context is that of the node and lives as long as it.
        let memory = unsafe { (*context).ecxt_per_tuple_memory };
        // SAFETY: as above.
        unsafe { PgMemoryContexts::For(memory).switch_to(|_| self.params.iter().map(evaluate).collect()) }
    }

    /// ReScanForeignScan: from the beginning, with parameters that may have changed.
    pub(super) fn rescan(&mut self) {
        self.before = self.statistics();
        self.stop();
        self.batch = None;
        self.rows = 0;
        self.next = 0;
        self.done = false;
        self.to_skip = self.plan.limit.map_or(0, |limit| limit.offset);
    }

    /// Counts of all scans of this node.
    pub(super) fn statistics(&self) -> Statistics {
        let now = self.scan.as_ref().map(Scan::statistics).unwrap_or_default();
        Statistics {
            files: self.before.files + now.files,
            row_groups: self.before.row_groups + now.row_groups,
            row_groups_pruned: self.before.row_groups_pruned + now.row_groups_pruned,
            pages_pruned: self.before.pages_pruned + now.pages_pruned,
            bytes: self.before.bytes + now.bytes,
            rows: self.before.rows + now.rows,
            batches: self.before.batches + now.batches,
        }
    }

    fn stop(&mut self) {
        if let Some(mut scan) = self.scan.take() {
            scan.cancel(STOP_LIMIT);
        }
    }
}

// ExecClearTuple of tuptable.h and ExecStoreVirtualTuple of execTuples.c, written out: a guarded call for each row would
// cost more than the row.

/// Empties a slot.
///
/// # Safety
/// `slot` is a live slot. Its clear function only frees memory and raises nothing.
pub(super) unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: the caller's.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
    }
}

/// Marks an empty slot whose values are filled in as holding a row.
///
/// # Safety
/// `slot` is a live slot, and all its values are set.
pub(super) unsafe fn store(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: the caller's.
    unsafe {
        (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
    }
}
