//! Index scans: `ORDER BY column <operator> query`, nearest first.

use std::ffi::c_int;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, IndexScanDesc, Relation, ScanDirection, ScanKey};

use lagoon_vector::hnsw::coder;
use lagoon_vector::hnsw::scan::{Iterative, Limits, Scan};
use lagoon_vector::{Error, Method};

use crate::pg::error::OrRaise;
use crate::pg::guc;
use crate::vector::index::{PgPages, Purpose, scan as index_scan};

/// Begins a scan; the query comes with amrescan.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambeginscan(index: Relation, keys: c_int, order_bys: c_int) -> IndexScanDesc {
    // SAFETY: PostgreSQL passes an open index.
    unsafe { index_scan::begin::<Scan>(index, keys, order_bys) }
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
    // SAFETY: a scan that began above.
    unsafe { index_scan::rescan::<Scan>(scan, order_bys) }
}

/// The next row, if there is one.
#[pg_guard]
pub unsafe extern "C-unwind" fn amgettuple(scan: IndexScanDesc, _direction: ScanDirection::Type) -> bool {
    // SAFETY: a scan that began above.
    unsafe { next(scan) }.or_raise()
}

/// Ends a scan.
#[pg_guard]
pub unsafe extern "C-unwind" fn amendscan(scan: IndexScanDesc) {
    // SAFETY: a scan that began above.
    unsafe { index_scan::end::<Scan>(scan) }
}

unsafe fn next(scan: IndexScanDesc) -> Result<bool, Error> {
    // SAFETY: the caller's.
    unsafe {
        let pages = PgPages::new((*scan).indexRelation, Purpose::Use);
        let start = || {
            let coder = coder(&pages)?;
            let query = index_scan::query(scan, Method::Hnsw, coder.clone())?;
            Ok(Scan::new(coder, query, limits()))
        };
        index_scan::give(scan, start, |scan: &mut Scan, values| scan.next(&pages, values))
    }
}

fn limits() -> Limits {
    // SAFETY: a setting of this process.
    let work_mem = unsafe { pg_sys::work_mem } as f64 * 1024.0;
    Limits {
        ef: guc::EF_SEARCH.get() as usize,
        iterative: match guc::ITERATIVE_SCAN.get() {
            guc::IterativeScan::Off => Iterative::Off,
            guc::IterativeScan::RelaxedOrder => Iterative::Relaxed,
            guc::IterativeScan::StrictOrder => Iterative::Strict,
        },
        max_elements: guc::MAX_SCAN_TUPLES.get() as usize,
        max_memory: (work_mem * guc::SCAN_MEM_MULTIPLIER.get()) as usize,
    }
}
