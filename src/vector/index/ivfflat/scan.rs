//! The limits of a scan, from the settings of the session.

use pgrx::pg_sys;

use lagoon_vector::ivf::scan::Limits;

use crate::pg::guc;

/// The limits of a scan that begins now.
pub fn limits() -> Limits {
    Limits {
        probes: guc::PROBES.get() as usize,
        max_probes: guc::MAX_PROBES.get() as usize,
        iterative: guc::IVFFLAT_ITERATIVE_SCAN.get() == guc::IvfflatIterativeScan::RelaxedOrder,
        // SAFETY: a setting of this process.
        max_memory: unsafe { pg_sys::work_mem } as usize * 1024,
    }
}
