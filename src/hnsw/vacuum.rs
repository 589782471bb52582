//! `ambulkdelete` and `amvacuumcleanup`.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, IndexBulkDeleteCallback, IndexBulkDeleteResult, IndexVacuumInfo, ItemPointerData};

use lagoon_vector::Error;
use lagoon_vector::hnsw::vacuum::vacuum;
use lagoon_vector::page::Tid;
use lagoon_vector::store::PageStore;

use super::pages::{PgPages, Purpose};
use crate::pg::error::OrRaise;

/// Removes the rows that PostgreSQL says are dead. Called once or more per VACUUM.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambulkdelete(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: PostgreSQL passes an open index and a callback with its state.
    unsafe { remove(info, stats, callback, state) }.or_raise()
}

/// Reports the size. Nothing is left to clean up.
#[pg_guard]
pub unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: as above; stats is NULL when nothing was dead, and then nothing is known.
    unsafe {
        if !stats.is_null() && !(*info).analyze_only {
            (*stats).num_pages = PgPages::new((*info).index, Purpose::Vacuum).blocks().or_raise();
        }
    }
    stats
}

unsafe fn remove(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> Result<*mut IndexBulkDeleteResult, Error> {
    // SAFETY: the caller's.
    let pages = unsafe { PgPages::new((*info).index, Purpose::Vacuum) };
    let is_dead = |tid: Tid| {
        let mut row = ItemPointerData::default();
        pgrx::itemptr::item_pointer_set_all(&mut row, (tid >> 16) as u32, tid as u16);
        // SAFETY: the caller's; the callback only looks, and no page is locked.
        callback.is_some_and(|callback| unsafe { callback(&mut row, state) })
    };
    let outcome = vacuum(&pages, is_dead)?;
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
