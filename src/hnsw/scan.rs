//! Index scans: `ORDER BY column <operator> query`, nearest first.

use std::ffi::c_int;

use pgrx::pg_sys::{self, IndexScanDesc, Relation, ScanDirection, ScanKey};
use pgrx::{PgMemoryContexts, pg_guard};

use lagoon_hnsw::Error;
use lagoon_hnsw::format::Meta;
use lagoon_hnsw::search::{Hit, search};
use lagoon_hnsw::store::PageStore;

use super::pages::{PgPages, Purpose};
use crate::pg::error::OrRaise;
use crate::pg::guc::EF_SEARCH;
use crate::pg::vector::VectorRef;

/// What a scan keeps between calls. Freed with the memory context of the scan: after an ERROR nobody calls amendscan.
#[derive(Default)]
struct Scan {
    /// None until the first row is asked for.
    hits: Option<std::vec::IntoIter<Hit>>,
}

/// Begins a scan; the query comes with amrescan.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambeginscan(index: Relation, keys: c_int, order_bys: c_int) -> IndexScanDesc {
    // SAFETY: PostgreSQL passes an open index.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, keys, order_bys);
        (*scan).opaque = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(Scan::default()).cast();
        scan
    }
}

/// Takes the query, or another one.
#[pg_guard]
pub unsafe extern "C-unwind" fn amrescan(
    scan: IndexScanDesc,
    _keys: ScanKey,
    _key_count: c_int,
    order_bys: ScanKey,
    _order_by_count: c_int,
) {
    // SAFETY: a scan of ours, with room for as many order-by keys as it was begun with.
    unsafe {
        if !order_bys.is_null() && (*scan).numberOfOrderBys > 0 {
            std::ptr::copy(order_bys, (*scan).orderByData, (*scan).numberOfOrderBys as usize);
        }
        (*(*scan).opaque.cast::<Scan>()).hits = None;
    }
}

/// The next row, if there is one.
#[pg_guard]
pub unsafe extern "C-unwind" fn amgettuple(scan: IndexScanDesc, _direction: ScanDirection::Type) -> bool {
    // SAFETY: a scan of ours, begun above.
    unsafe {
        let Some(hit) = next(scan).or_raise() else { return false };
        pgrx::itemptr::item_pointer_set_all(&mut (*scan).xs_heaptid, (hit.tid >> 16) as u32, hit.tid as u16);
        (*scan).xs_recheck = false;
        (*scan).xs_recheckorderby = false;
        true
    }
}

/// Nothing: the memory context frees the scan.
#[pg_guard]
pub unsafe extern "C-unwind" fn amendscan(_scan: IndexScanDesc) {}

unsafe fn next(scan: IndexScanDesc) -> Result<Option<Hit>, Error> {
    // SAFETY: the caller's; nobody else has a reference to the state.
    let state = unsafe { &mut *(*scan).opaque.cast::<Scan>() };
    if state.hits.is_none() {
        // SAFETY: the caller's.
        state.hits = Some(unsafe { first(scan)? }.into_iter());
    }
    Ok(state.hits.as_mut().and_then(Iterator::next))
}

unsafe fn first(scan: IndexScanDesc) -> Result<Vec<Hit>, Error> {
    // SAFETY: the caller's: an open scan with its index, snapshot and keys. The query is a vector unless it is NULL.
    unsafe {
        count_scan((*scan).indexRelation);
        if (*scan).numberOfOrderBys == 0 {
            return Err(Error::ScanWithoutOrder);
        }
        // Rows are returned after the interlock is released, so their space may be used again: only a snapshot that
        // cannot see what comes there later is safe.
        let kind = (*(*scan).xs_snapshot).snapshot_type;
        if kind != pg_sys::SnapshotType::SNAPSHOT_MVCC && kind != pg_sys::SnapshotType::SNAPSHOT_HISTORIC_MVCC {
            return Err(Error::SnapshotNotMvcc);
        }
        let pages = PgPages::new((*scan).indexRelation, Purpose::Use);
        let meta = Meta::read(&pages.read(0)?)?;
        let key = &*(*scan).orderByData;
        let ef = EF_SEARCH.get() as usize;
        // To NULL everything is equally far, and so it is in any direction from the origin.
        if key.sk_flags & pg_sys::SK_ISNULL as c_int != 0 {
            return search(&pages, &vec![0.0; meta.dimensions], ef);
        }
        let query = VectorRef::from_datum(key.sk_argument);
        match meta.metric.prepare(&query) {
            Some(prepared) => search(&pages, &prepared, ef),
            None => search(&pages, &query, ef),
        }
    }
}

/// `pgstat_count_index_scan` of pgstat.h.
unsafe fn count_scan(index: Relation) {
    // SAFETY: the relation is open; pgstat_assoc_relation() sets pgstat_info.
    unsafe {
        if (*index).pgstat_info.is_null() && (*index).pgstat_enabled {
            pg_sys::pgstat_assoc_relation(index);
        }
        if let Some(info) = (*index).pgstat_info.as_mut() {
            info.t_counts.t_numscans += 1;
        }
    }
}
