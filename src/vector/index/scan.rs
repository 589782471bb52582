//! What the callbacks of index scans share. Each access method has its own scan `S`, which begins with the first row.

use std::ffi::c_int;

use pgrx::PgMemoryContexts;
use pgrx::pg_sys::{self, Datum, IndexScanDesc, Relation, ScanKey};

use lagoon_vector::page::Hit;
use lagoon_vector::{Coder, Error, Method};

use super::column::{Column, item_pointer};
use super::values::ScanValues;
use crate::pg::{compat, statistics};

/// What a scan keeps between calls. Freed with the memory context of the scan: after an ERROR nobody calls amendscan.
struct State<S> {
    /// None until the first row is asked for.
    scan: Option<S>,
    values: ScanValues,
}

/// Begins a scan; the query comes with [`rescan`].
///
/// # Safety
/// The index is open.
pub unsafe fn begin<S>(index: Relation, keys: c_int, order_bys: c_int) -> IndexScanDesc {
    // SAFETY: the caller's. Both arrays live as long as the scan.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, keys, order_bys);
        let state = State::<S> { scan: None, values: ScanValues::new(scan) };
        (*scan).opaque = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state).cast();
        (*scan).xs_orderbyvals = pg_sys::palloc0(size_of::<Datum>() * order_bys.max(1) as usize).cast();
        (*scan).xs_orderbynulls = pg_sys::palloc0(order_bys.max(1) as usize).cast();
        scan
    }
}

/// Takes the query, or another one.
///
/// # Safety
/// A scan of `S`, with room for as many order-by keys as it was begun with.
pub unsafe fn rescan<S>(scan: IndexScanDesc, order_bys: ScanKey) {
    // SAFETY: the caller's.
    unsafe {
        if !order_bys.is_null() && (*scan).numberOfOrderBys > 0 {
            std::ptr::copy(order_bys, (*scan).orderByData, (*scan).numberOfOrderBys as usize);
        }
        let state = &mut *(*scan).opaque.cast::<State<S>>();
        state.scan = None;
        state.values.rescan();
    }
}

/// Ends a scan. Its memory goes with its context.
///
/// # Safety
/// A scan of `S`.
pub unsafe fn end<S>(scan: IndexScanDesc) {
    // SAFETY: the caller's.
    let state = unsafe { &mut *(*scan).opaque.cast::<State<S>>() };
    state.scan = None;
    state.values.close();
}

/// Gives the next row, if there is one: `start` makes the scan of a query when there is none yet, `next` the row. It is the
/// next by the operator, too: PostgreSQL need not put rows into order once more.
///
/// # Safety
/// A scan of `S`.
pub unsafe fn give<S>(
    scan: IndexScanDesc,
    start: impl FnOnce() -> Result<S, Error>,
    next: impl FnOnce(&mut S, &mut ScanValues) -> Result<Option<Hit>, Error>,
) -> Result<bool, Error> {
    // SAFETY: the caller's; nobody else has a reference to the state. With a row there is at least one order-by key.
    unsafe {
        let State { scan: started, values } = &mut *(*scan).opaque.cast::<State<S>>();
        let started = match started {
            Some(started) => started,
            None => started.insert(start()?),
        };
        let Some(Hit { tid, distance }) = next(started, values)? else { return Ok(false) };
        (*scan).xs_heaptid = item_pointer(tid);
        (*scan).xs_recheck = false;
        (*scan).xs_recheckorderby = false;
        *(*scan).xs_orderbyvals = pg_sys::Float8GetDatum(distance);
        *(*scan).xs_orderbynulls = false;
        Ok(true)
    }
}

/// The code of what is searched for.
///
/// # Safety
/// An open scan with its index, snapshot and keys. The query is of the type of the column.
pub unsafe fn query(scan: IndexScanDesc, method: Method, coder: Coder) -> Result<Vec<u32>, Error> {
    // SAFETY: the caller's.
    unsafe {
        count_scan((*scan).indexRelation);
        compat::count_search(scan);
        if (*scan).numberOfOrderBys == 0 {
            return Err(Error::ScanWithoutOrder(method));
        }
        // Rows are returned when no lock of the index is held any more, so their space may be used again: only a snapshot that
        // cannot see what comes there later is safe.
        let kind = (*(*scan).xs_snapshot).snapshot_type;
        if kind != pg_sys::SnapshotType::SNAPSHOT_MVCC && kind != pg_sys::SnapshotType::SNAPSHOT_HISTORIC_MVCC {
            return Err(Error::SnapshotNotMvcc(method));
        }
        let key = &*(*scan).orderByData;
        let is_null = key.sk_flags & pg_sys::SK_ISNULL as c_int != 0;
        Column::new((*scan).indexRelation, method, coder)?.query(key.sk_argument, is_null)
    }
}

/// `pgstat_count_index_scan` of pgstat.h.
unsafe fn count_scan(index: Relation) {
    // SAFETY: the relation is open; an ERROR becomes a panic here.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            if let Some(counts) = statistics::counts(index) {
                compat::count_scan(counts);
            }
        });
    }
}
