//! The values of the rows that a scan finds, as its snapshot sees them in the table.

use std::ptr;

use pgrx::pg_sys::{self, Datum, EState, ExprContext, IndexInfo, IndexScanDesc, MemoryContext, TupleTableSlot};

use lagoon_vector::page::Tid;
use lagoon_vector::store::Values;
use lagoon_vector::{Error, Result};

use crate::vector::index::column::item_pointer;

/// The functions without pgrx's wrappers, which set a jump point in each call: here one is set for each row.
mod raw {
    use super::{Datum, EState, IndexInfo, MemoryContext, TupleTableSlot, pg_sys};

    unsafe extern "C-unwind" {
        pub fn FormIndexDatum(
            info: *mut IndexInfo,
            slot: *mut TupleTableSlot,
            state: *mut EState,
            values: *mut Datum,
            isnull: *mut bool,
        );
        pub fn FunctionCall2Coll(function: *mut pg_sys::FmgrInfo, collation: pg_sys::Oid, a: Datum, b: Datum) -> Datum;
        pub fn MemoryContextReset(context: MemoryContext);
    }
}

/// The distances of a scan's rows to its query, by the operator. Nothing is opened before the first row is requested.
///
/// Rows are fetched through the scan's own table fetch state, with which PostgreSQL fetches them again when they are
/// returned. So a pin that it keeps between two rows is useful, and is released when PostgreSQL ends or restarts the scan.
/// No other pin is kept.
pub struct ScanValues {
    scan: IndexScanDesc,
    /// The memory context of the scan.
    memory: MemoryContext,
    reader: Option<Reader>,
    /// Whether the query has distances: NULL has none, nor has a zero vector under cosine. None if it is not known yet.
    has_distances: Option<bool>,
}

/// What is needed to read a row. It is in the memory context of its executor state, which is freed with that of the scan,
/// because it is not closed after an ERROR.
#[derive(Clone, Copy)]
struct Reader {
    state: *mut EState,
    context: *mut ExprContext,
    slot: *mut TupleTableSlot,
    info: *mut IndexInfo,
}

impl ScanValues {
    /// The values for a scan, whose memory context is the current one.
    ///
    /// # Safety
    /// `scan` outlives the result. It has a table, a snapshot and a query when it is asked for rows.
    pub unsafe fn new(scan: IndexScanDesc) -> Self {
        // SAFETY: a variable of this process.
        let memory = unsafe { pg_sys::CurrentMemoryContext };
        Self { scan, memory, reader: None, has_distances: None }
    }

    /// Begins another query.
    pub fn rescan(&mut self) {
        self.has_distances = None;
    }

    /// Closes what was opened.
    pub fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            // SAFETY: made by open(), and freed once. The slot is empty.
            unsafe { pg_sys::FreeExecutorState(reader.state) }
        }
    }

    fn open(&mut self) -> Reader {
        *self.reader.get_or_insert_with(|| {
            // SAFETY: the index and the table of the scan are open. What pgrx's wrappers raise leaves memory of the scan only.
            unsafe {
                let heap = (*self.scan).heapRelation;
                let before = pg_sys::MemoryContextSwitchTo(self.memory);
                let state = pg_sys::CreateExecutorState();
                pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
                // A copy, which no resource owner tracks: the scan may end under another one. It includes constraints, which have
                // the missing values of added columns.
                let columns = pg_sys::CreateTupleDescCopyConstr((*heap).rd_att);
                let slot = pg_sys::MakeSingleTupleTableSlot(columns, pg_sys::table_slot_callbacks(heap));
                let context = pg_sys::MakePerTupleExprContext(state);
                (*context).ecxt_scantuple = slot;
                let info = pg_sys::BuildIndexInfo((*self.scan).indexRelation);
                pg_sys::MemoryContextSwitchTo(before);
                Reader { state, context, slot, info }
            }
        })
    }

    /// Whether the operator returns a number for the query and itself.
    fn has_distances(&mut self) -> bool {
        *self.has_distances.get_or_insert_with(|| {
            // SAFETY: the scan has a query, of the type that the operator takes on both sides. An ERROR becomes a panic.
            unsafe {
                let key = &mut *(*self.scan).orderByData;
                let is_null = key.sk_flags & pg_sys::SK_ISNULL as i32 != 0;
                let (query, collation) = (key.sk_argument, key.sk_collation);
                !is_null && !float(pg_sys::FunctionCall2Coll(&mut key.sk_func, collation, query, query)).is_nan()
            }
        })
    }
}

impl Values for ScanValues {
    fn distance(&mut self, tid: Tid) -> Result<Option<f64>> {
        if !self.has_distances() {
            return Ok(Some(f64::NEG_INFINITY)); // the row is returned at once
        }
        let Reader { state, context, slot, info } = self.open();
        let scan = self.scan;
        // SAFETY: the scan has its table open. All frames below are PostgreSQL's, or have nothing to drop; an ERROR becomes a
        // panic here, and the transaction gives back what is pinned.
        unsafe {
            let (heap, fetch) = ((*scan).heapRelation, (*scan).xs_heapfetch);
            let methods = &*(*heap).rd_tableam;
            let (Some(get), Some(clear)) = (methods.index_fetch_tuple, (*(*slot).tts_ops).clear) else {
                return Err(Error::Store("table without rows"));
            };
            let mut row = item_pointer(tid);
            let distance = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                let (mut again, mut value, mut is_null) = (false, Datum::null(), true);
                raw::MemoryContextReset((*context).ecxt_per_tuple_memory);
                if !get(fetch, &mut row, (*scan).xs_snapshot, slot, &mut again, ptr::null_mut()) {
                    return None;
                }
                let before = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = (*context).ecxt_per_tuple_memory;
                raw::FormIndexDatum(info, slot, state, &mut value, &mut is_null);
                let distance = if is_null {
                    f64::NAN
                } else {
                    let key = (*scan).orderByData;
                    let (function, collation) = (&raw mut (*key).sk_func, (*key).sk_collation);
                    float(raw::FunctionCall2Coll(function, collation, value, (*key).sk_argument))
                };
                pg_sys::CurrentMemoryContext = before;
                clear(slot);
                Some(distance)
            });
            Ok(distance)
        }
    }
}

/// A `float8`, which is passed by value.
fn float(datum: Datum) -> f64 {
    f64::from_bits(datum.value() as u64)
}
