//! Index scans: `ORDER BY column <operator> query`, nearest first. The search begins when the first row is requested.

use std::ffi::c_int;

use pgrx::pg_sys::{self, Datum, IndexScanDesc, Relation, ScanDirection, ScanKey};
use pgrx::{PgMemoryContexts, pg_guard};

use lagoon_vector::page::Hit;
use lagoon_vector::{Coder, Error, Method};

use super::method::AccessMethod;
use super::values::ScanValues;
use crate::pg::error::OrRaise;
use crate::pg::{compat, statistics};
use crate::vector::index::column::{Column, item_pointer};
use crate::vector::index::pages::{PgPages, Purpose};

/// Begins a scan; the query comes with [`amrescan`].
#[pg_guard]
pub unsafe extern "C-unwind" fn ambeginscan<A: AccessMethod>(
    index: Relation,
    keys: c_int,
    order_bys: c_int,
) -> IndexScanDesc {
    // SAFETY: PostgreSQL passes an open index. Both arrays live as long as the scan.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, keys, order_bys);
        let state = State::<A> { scan: None, values: ScanValues::new(scan) };
        (*scan).opaque = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state).cast();
        (*scan).xs_orderbyvals = pg_sys::palloc0(size_of::<Datum>() * order_bys.max(1) as usize).cast();
        (*scan).xs_orderbynulls = pg_sys::palloc0(order_bys.max(1) as usize).cast();
        scan
    }
}

/// Sets the query, or another one.
#[pg_guard]
pub unsafe extern "C-unwind" fn amrescan<A: AccessMethod>(
    scan: IndexScanDesc,
    _keys: ScanKey,
    _key_count: c_int,
    order_bys: ScanKey,
    _order_by_count: c_int,
) {
    // SAFETY: a scan that began above, with room for as many order-by keys as it was begun with.
    unsafe {
        if !order_bys.is_null() && (*scan).numberOfOrderBys > 0 {
            std::ptr::copy(order_bys, (*scan).orderByData, (*scan).numberOfOrderBys as usize);
        }
        let state = State::<A>::of(scan);
        state.scan = None;
        state.values.rescan();
    }
}

/// The next row, if there is one.
#[pg_guard]
pub unsafe extern "C-unwind" fn amgettuple<A: AccessMethod>(
    scan: IndexScanDesc,
    _direction: ScanDirection::Type,
) -> bool {
    // SAFETY: a scan that began above.
    unsafe { next::<A>(scan) }.or_raise()
}

/// Ends a scan. Its memory is freed with its context.
#[pg_guard]
pub unsafe extern "C-unwind" fn amendscan<A: AccessMethod>(scan: IndexScanDesc) {
    // SAFETY: a scan that began above.
    let state = unsafe { State::<A>::of(scan) };
    state.scan = None;
    state.values.close();
}

/// The state of a scan between calls. It is freed with the memory context of the scan, because amendscan is not called
/// after an ERROR.
struct State<A: AccessMethod> {
    /// None until the first row is requested.
    scan: Option<A::Scan>,
    values: ScanValues,
}

impl<A: AccessMethod> State<A> {
    /// # Safety
    /// A scan of `A`, of whose state there is no other reference.
    unsafe fn of<'a>(scan: IndexScanDesc) -> &'a mut Self {
        // SAFETY: the caller's.
        unsafe { &mut *(*scan).opaque.cast() }
    }
}

/// Finds the next row. Rows come in the order of the operator, so PostgreSQL need not sort them again.
unsafe fn next<A: AccessMethod>(scan: IndexScanDesc) -> Result<bool, Error> {
    // SAFETY: the caller's. With a row there is at least one order-by key.
    unsafe {
        let pages = PgPages::new((*scan).indexRelation, Purpose::Use);
        let State { scan: started, values } = State::<A>::of(scan);
        let started = match started {
            Some(started) => started,
            None => {
                let coder = A::coder(&pages)?;
                let query = query(scan, A::METHOD, coder.clone())?;
                started.insert(A::scan(coder, query))
            }
        };
        let Some(Hit { tid, distance }) = A::next(started, &pages, values)? else { return Ok(false) };
        (*scan).xs_heaptid = item_pointer(tid);
        (*scan).xs_recheck = false;
        (*scan).xs_recheckorderby = false;
        *(*scan).xs_orderbyvals = pg_sys::Float8GetDatum(distance);
        *(*scan).xs_orderbynulls = false;
        Ok(true)
    }
}

/// The code of the query.
unsafe fn query(scan: IndexScanDesc, method: Method, coder: Coder) -> Result<Vec<u32>, Error> {
    // SAFETY: the caller's: an open scan with its index, snapshot and keys. The query is of the type of the column.
    unsafe {
        count_scan((*scan).indexRelation);
        compat::count_search(scan);
        if (*scan).numberOfOrderBys == 0 {
            return Err(Error::ScanWithoutOrder(method));
        }
        // Rows are returned without a lock on the index, so their line pointers may be reused: only a snapshot that does
        // not see what is stored there later is safe.
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
