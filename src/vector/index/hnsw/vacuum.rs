//! `ambulkdelete` and `amvacuumcleanup`.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{IndexBulkDeleteCallback, IndexBulkDeleteResult, IndexVacuumInfo};

use lagoon_vector::hnsw::vacuum::vacuum;

use crate::pg::error::OrRaise;
use crate::vector::index::vacuum::{Outcome, bulk_delete, cleanup};

/// Removes the rows that PostgreSQL says are dead. Called once or more per VACUUM.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambulkdelete(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: PostgreSQL passes an open index and a callback with its state.
    let outcome = unsafe {
        bulk_delete(info, stats, callback, state, |pages, is_dead| {
            vacuum(pages, is_dead).map(|outcome| Outcome { rows: outcome.rows, removed: outcome.removed })
        })
    };
    outcome.or_raise()
}

/// Reports the size. Nothing is left to clean up.
#[pg_guard]
pub unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: as above.
    unsafe { cleanup(info, stats) }.or_raise()
}
