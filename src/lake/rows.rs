//! Record batches of the engine as tuples in slots: what scans and whole queries have in common. The main thread only waits,
//! decodes and hands out.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lagoon_lake::Result;
use lagoon_lake::arrow::array::RecordBatch;
use lagoon_lake::exec::{Poll, Scan, Statistics, rows_within};
use lagoon_lake::query::Query;
use pgrx::{PgMemoryContexts, pg_sys};

use super::decode::Decoder;
use crate::pg::{memory, wait};

/// How long the end of a scan waits for its tasks. They hold nothing of PostgreSQL's, so this is only tidiness.
const STOP_LIMIT: Duration = Duration::from_millis(50);

/// Bytes of texts that are turned into datums at a time. A row of more is turned alone.
const DECODED_BYTES: usize = 1 << 20;

/// Nodes that have not ended, and the bytes that they were given since there were none. When the last one ends after so
/// many, what was freed goes back to the operating system: the engine cannot know of what PostgreSQL made of its batches.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static GIVEN: AtomicU64 = AtomicU64::new(0);
const RELEASE_BYTES: u64 = 16 << 20;

/// What gives batches.
pub(super) trait Source {
    /// The next one, if there is one. Never blocks.
    fn poll(&mut self) -> Result<Poll>;
    /// Ends it, and waits for the end, for `limit` at most.
    fn cancel(&mut self, limit: Duration) -> bool;
    /// Counts so far.
    fn statistics(&self) -> Statistics;
}

macro_rules! sources {
    ($($source:ident),*) => {$(
        impl Source for $source {
            fn poll(&mut self) -> Result<Poll> {
                $source::poll(self)
            }

            fn cancel(&mut self, limit: Duration) -> bool {
                $source::cancel(self, limit)
            }

            fn statistics(&self) -> Statistics {
                $source::statistics(self)
            }
        }
    )*};
}

sources!(Scan, Query);

/// The rows of one plan node. To be dropped when the node ends, or with the query's memory context on ERROR.
pub(super) struct Rows<S: Source> {
    pub decoders: Vec<Decoder>,
    batch_context: pg_sys::MemoryContext,
    notify: wait::Notify,
    source: Option<S>,
    /// What is left of the current batch.
    batch: Option<RecordBatch>,
    /// Rows that are decoded, and the next of them.
    decoded: usize,
    next: usize,
    /// Rows that are left out at the beginning, and how many of them are still to come.
    skipped: u64,
    to_skip: u64,
    done: bool,
    /// Whether rows have been handed out since the beginning.
    has_given: bool,
    /// Of sources before a rescan.
    before: Statistics,
}

impl<S: Source> Drop for Rows<S> {
    fn drop(&mut self) {
        self.stop();
        self.batch = None;
        if OPEN.fetch_sub(1, Ordering::Relaxed) == 1 && GIVEN.swap(0, Ordering::Relaxed) >= RELEASE_BYTES {
            memory::release();
        }
    }
}

impl<S: Source> Rows<S> {
    /// For a node that begins; the current memory context is that of its query. Starts nothing: parameters are known only when
    /// the first row is asked for. The first `skipped` rows are left out.
    pub(super) fn new(decoders: Vec<Decoder>, skipped: u64) -> Self {
        // SAFETY: a child of the query's context, which outlives it.
        let batch_context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"lagoon batch".as_ptr(),
                0,
                8 * 1024,
                8 * 1024 * 1024,
            )
        };
        let notify = wait::notify();
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self {
            decoders,
            batch_context,
            notify,
            source: None,
            batch: None,
            decoded: 0,
            next: 0,
            skipped,
            to_skip: skipped,
            done: false,
            has_given: false,
            before: Statistics::default(),
        }
    }

    /// Fills the slot with the next row; false at the end. `start` starts the source, if there is none; nothing comes if it
    /// gives none.
    ///
    /// # Safety
    /// An empty slot with a column for every decoder.
    #[inline]
    pub(super) unsafe fn next(
        &mut self,
        slot: *mut pg_sys::TupleTableSlot,
        start: &dyn Fn(wait::Notify) -> Result<Option<S>>,
    ) -> Result<bool> {
        while self.next == self.decoded {
            // SAFETY: the caller's.
            if self.done || !unsafe { self.next_rows(slot, start)? } {
                self.done = true;
                return Ok(false);
            }
        }
        let row = self.next;
        self.next += 1;
        // SAFETY: the slot has room for every column, and every decoder has `decoded` values.
        unsafe {
            for decoder in &self.decoders {
                *(*slot).tts_values.add(decoder.slot_index) = *decoder.values.get_unchecked(row);
                *(*slot).tts_isnull.add(decoder.slot_index) =
                    !decoder.nulls.is_empty() && *decoder.nulls.get_unchecked(row);
            }
        }
        Ok(true)
    }

    /// Decodes as many rows of the current batch, or of the next, as do not take too much memory together; false at the end.
    unsafe fn next_rows(
        &mut self,
        slot: *mut pg_sys::TupleTableSlot,
        start: &dyn Fn(wait::Notify) -> Result<Option<S>>,
    ) -> Result<bool> {
        let batch = loop {
            match self.batch.take() {
                Some(batch) if batch.num_rows() > 0 => break batch,
                _ if !self.next_batch(start)? => return Ok(false),
                _ => {}
            }
        };
        let count = rows_within(&batch, DECODED_BYTES);
        let rest = batch.slice(count, batch.num_rows() - count);
        let batch = batch.slice(0, count);
        // SAFETY: our own context, as old as this state; the slot is that of the node.
        unsafe {
            pg_sys::MemoryContextReset(self.batch_context);
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
        self.decoded = count;
        self.next = 0;
        self.has_given = true;
        Ok(true)
    }

    fn next_batch(&mut self, start: &dyn Fn(wait::Notify) -> Result<Option<S>>) -> Result<bool> {
        if self.source.is_none() {
            self.source = start(self.notify.clone())?;
        }
        let Some(source) = &mut self.source else { return Ok(false) };
        let batch = wait::until(&self.notify, || {
            memory::die_if_exhausted();
            match source.poll() {
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

    /// From the beginning, with a source that is started anew.
    pub(super) fn rescan(&mut self) {
        self.before = self.statistics();
        self.stop();
        self.batch = None;
        self.decoded = 0;
        self.next = 0;
        self.done = false;
        self.has_given = false;
        self.to_skip = self.skipped;
    }

    /// Whether a row has been handed out since the beginning.
    pub(super) fn has_given(&self) -> bool {
        self.has_given
    }

    /// Counts of all sources of this node.
    pub(super) fn statistics(&self) -> Statistics {
        let now = self.source.as_ref().map(Source::statistics).unwrap_or_default();
        self.before.and(now)
    }

    /// Ends what gives batches.
    pub(super) fn stop(&mut self) {
        if let Some(mut source) = self.source.take() {
            source.cancel(STOP_LIMIT);
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

/// The row that a node gives: that of its scan slot, or what its target list makes of it (ExecProject of executor.h).
///
/// # Safety
/// The node of a scan whose slot holds a row.
pub(super) unsafe fn project(node: &mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's.
    unsafe {
        let Some(projection) = node.ps.ps_ProjInfo.as_mut() else { return node.ss_ScanTupleSlot };
        let context = projection.pi_exprContext;
        pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
        (*context).ecxt_scantuple = node.ss_ScanTupleSlot;
        let state = &raw mut projection.pi_state;
        let slot = (*state).resultslot;
        clear(slot);
        if let Some(evaluate) = (*state).evalfunc {
            let before = pg_sys::MemoryContextSwitchTo((*context).ecxt_per_tuple_memory);
            let mut is_null = false;
            pg_sys::ffi::pg_guard_ffi_boundary(|| evaluate(state, context, &mut is_null));
            pg_sys::MemoryContextSwitchTo(before);
        }
        store(slot);
        slot
    }
}

/// What a node gives at the end: an empty slot.
///
/// # Safety
/// The node of a scan.
pub(super) unsafe fn nothing(node: &mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's.
    unsafe {
        let slot = match node.ps.ps_ProjInfo.as_ref() {
            Some(projection) => projection.pi_state.resultslot,
            None => node.ss_ScanTupleSlot,
        };
        clear(slot);
        slot
    }
}
