//! Index scans: `ORDER BY column <operator> query`, nearest first.

use std::ffi::c_int;

use pgrx::pg_sys::{self, Datum, IndexScanDesc, Relation, ScanDirection, ScanKey};
use pgrx::{PgMemoryContexts, pg_guard};

use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::hnsw::scan::{Hit, Iterative, Limits, Scan};
use lagoon_vector::store::PageStore;
use lagoon_vector::{Error, Space};

use super::column::Column;
use super::pages::{PgPages, Purpose};
use crate::pg::error::OrRaise;
use crate::pg::guc;

/// What a scan keeps between calls. Freed with the memory context of the scan: after an ERROR nobody calls amendscan.
#[derive(Default)]
struct State {
    /// None until the first row is asked for.
    scan: Option<Scan>,
    /// Whether the distances that it gives are those of the operator.
    is_exact: bool,
}

/// Begins a scan; the query comes with amrescan.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambeginscan(index: Relation, keys: c_int, order_bys: c_int) -> IndexScanDesc {
    // SAFETY: PostgreSQL passes an open index. Both arrays live as long as the scan.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, keys, order_bys);
        (*scan).opaque = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(State::default()).cast();
        (*scan).xs_orderbyvals = pg_sys::palloc0(size_of::<Datum>() * order_bys.max(1) as usize).cast();
        (*scan).xs_orderbynulls = pg_sys::palloc0(order_bys.max(1) as usize).cast();
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
        (*(*scan).opaque.cast::<State>()).scan = None;
    }
}

/// The next row, if there is one.
///
/// Where codes are quantised the engine knows a lower bound of the distance only. PostgreSQL then computes the distance
/// itself and puts the rows into order (IndexNextWithReorder() of nodeIndexscan.c).
#[pg_guard]
pub unsafe extern "C-unwind" fn amgettuple(scan: IndexScanDesc, _direction: ScanDirection::Type) -> bool {
    // SAFETY: a scan of ours, begun above, with at least one order-by key where a row is found.
    unsafe {
        let Some((hit, is_exact)) = next(scan).or_raise() else { return false };
        pgrx::itemptr::item_pointer_set_all(&mut (*scan).xs_heaptid, (hit.tid >> 16) as u32, hit.tid as u16);
        (*scan).xs_recheck = false;
        (*scan).xs_recheckorderby = !is_exact;
        *(*scan).xs_orderbyvals = pg_sys::Float8GetDatum(hit.distance);
        *(*scan).xs_orderbynulls = false;
        true
    }
}

/// Nothing: the memory context frees the scan.
#[pg_guard]
pub unsafe extern "C-unwind" fn amendscan(_scan: IndexScanDesc) {}

unsafe fn next(scan: IndexScanDesc) -> Result<Option<(Hit, bool)>, Error> {
    // SAFETY: the caller's; nobody else has a reference to the state.
    unsafe {
        let state = &mut *(*scan).opaque.cast::<State>();
        let pages = PgPages::new((*scan).indexRelation, Purpose::Use);
        if state.scan.is_none() {
            let space = Meta::read(&pages.read(0)?)?.space;
            state.is_exact = space.is_exact();
            state.scan = Some(first(scan, space)?);
        }
        let Some(scan) = &mut state.scan else { return Ok(None) };
        Ok(scan.next(&pages)?.map(|hit| (hit, state.is_exact)))
    }
}

unsafe fn first(scan: IndexScanDesc, space: Space) -> Result<Scan, Error> {
    // SAFETY: the caller's: an open scan with its index, snapshot and keys. The query is of the type of the column.
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
        let key = &*(*scan).orderByData;
        let is_null = key.sk_flags & pg_sys::SK_ISNULL as c_int != 0;
        let query = Column::new((*scan).indexRelation, space)?.query(key.sk_argument, is_null)?;
        let work_mem = pg_sys::work_mem as f64 * 1024.0;
        Ok(Scan::new(
            query,
            Limits {
                ef: guc::EF_SEARCH.get() as usize,
                iterative: match guc::ITERATIVE_SCAN.get() {
                    guc::IterativeScan::Off => Iterative::Off,
                    guc::IterativeScan::RelaxedOrder => Iterative::Relaxed,
                    guc::IterativeScan::StrictOrder => Iterative::Strict,
                },
                max_elements: guc::MAX_SCAN_TUPLES.get() as usize,
                max_memory: (work_mem * guc::SCAN_MEM_MULTIPLIER.get()) as usize,
            },
        ))
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
