//! `ambulkdelete` and `amvacuumcleanup`.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, IndexBulkDeleteCallback, IndexBulkDeleteResult, IndexVacuumInfo};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;
use lagoon_vector::store::PageStore;

use super::method::AccessMethod;
use crate::pg::error::OrRaise;
use crate::vector::index::column::item_pointer;
use crate::vector::index::pages::{PgPages, Purpose};

/// Removes the rows that PostgreSQL says are dead. Called once or more per VACUUM.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambulkdelete<A: AccessMethod>(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: PostgreSQL passes an open index and a callback with its state.
    unsafe { bulk_delete::<A>(info, stats, callback, state) }.or_raise()
}

/// Reports the size; nothing is left to clean up. `stats` is NULL if no row was dead: then there are no statistics.
#[pg_guard]
pub unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: as above.
    unsafe {
        if !stats.is_null() && !(*info).analyze_only {
            (*stats).num_pages = PgPages::new((*info).index, Purpose::Vacuum).blocks().or_raise();
        }
    }
    stats
}

unsafe fn bulk_delete<A: AccessMethod>(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> Result<*mut IndexBulkDeleteResult, Error> {
    // SAFETY: the caller's.
    let pages = unsafe { PgPages::new((*info).index, Purpose::Vacuum) };
    let is_dead = |tid: Tid| {
        let mut row = item_pointer(tid);
        // SAFETY: the caller's; no page is locked. That of CREATE INDEX CONCURRENTLY sorts, which can end in an ERROR: it
        // becomes a panic here.
        callback.is_some_and(|callback| unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| callback(&mut row, state)) })
    };
    let outcome = A::vacuum(&pages, &is_dead)?;
    // SAFETY: palloc0 gives a zeroed struct in the context of the vacuum.
    unsafe {
        let stats = match stats.is_null() {
            true => pg_sys::palloc0(size_of::<IndexBulkDeleteResult>()).cast(),
            false => stats,
        };
        (*stats).num_pages = pages.blocks()?;
        (*stats).num_index_tuples = outcome.rows as f64;
        (*stats).tuples_removed += outcome.removed as f64;
        Ok(stats)
    }
}
