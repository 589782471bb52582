//! What the callbacks of vacuum share.

use std::ffi::c_void;

use pgrx::pg_sys::{self, IndexBulkDeleteCallback, IndexBulkDeleteResult, IndexVacuumInfo, ItemPointerData};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;
use lagoon_vector::store::PageStore;

use super::pages::{PgPages, Purpose};

/// Rows that stay, and rows that were removed.
pub struct Outcome {
    /// Rows left in the index.
    pub rows: u64,
    /// Rows removed from it.
    pub removed: u64,
}

/// `ambulkdelete`: `vacuum` removes the rows for which the function says so.
///
/// # Safety
/// What PostgreSQL passes: an open index, and a callback with its state.
pub unsafe fn bulk_delete(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
    vacuum: impl FnOnce(&PgPages, &dyn Fn(Tid) -> bool) -> Result<Outcome, Error>,
) -> Result<*mut IndexBulkDeleteResult, Error> {
    // SAFETY: the caller's.
    let pages = unsafe { PgPages::new((*info).index, Purpose::Vacuum) };
    let is_dead = |tid: Tid| {
        let mut row = ItemPointerData::default();
        pgrx::itemptr::item_pointer_set_all(&mut row, (tid >> 16) as u32, tid as u16);
        // SAFETY: the caller's; no page is locked. That of CREATE INDEX CONCURRENTLY sorts, which can end in an ERROR: it
        // becomes a panic here.
        callback.is_some_and(|callback| unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| callback(&mut row, state)) })
    };
    let outcome = vacuum(&pages, &is_dead)?;
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

/// `amvacuumcleanup`: reports the size.
///
/// # Safety
/// As above; `stats` is NULL when nothing was dead, and then nothing is known.
pub unsafe fn cleanup(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
) -> Result<*mut IndexBulkDeleteResult, Error> {
    // SAFETY: the caller's.
    unsafe {
        if !stats.is_null() && !(*info).analyze_only {
            (*stats).num_pages = PgPages::new((*info).index, Purpose::Vacuum).blocks()?;
        }
    }
    Ok(stats)
}
