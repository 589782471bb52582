//! The limits of a scan, from the settings of the session.

use pgrx::pg_sys;

use lagoon_vector::hnsw::scan::{Iterative, Limits};

use crate::pg::guc;

/// The limits of a scan that begins now.
pub fn limits() -> Limits {
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
