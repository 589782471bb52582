//! `ambuild`, `ambuildempty` and `ambuildphasename`: an access method fills pages, and then all of them are logged at once.

use std::ffi::c_char;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, IndexBuildResult, IndexInfo, Relation};

use lagoon_vector::Error;

use super::method::{AccessMethod, Built};
use crate::pg::compat;
use crate::pg::error::OrRaise;
use crate::vector::index::pages::{PgPages, Purpose};
use crate::vector::index::rows::IndexedTable;

/// Builds an index over a table.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuild<A: AccessMethod>(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
) -> *mut IndexBuildResult {
    // SAFETY: PostgreSQL passes an open table, an open empty index and its description.
    unsafe { build::<A>(heap, index, info) }.or_raise()
}

/// Writes the empty index from which an unlogged one starts again after a crash.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildempty<A: AccessMethod>(index: Relation) {
    // SAFETY: PostgreSQL passes an open index whose init fork is empty.
    let outcome = unsafe {
        let pages = PgPages::init_fork(index);
        A::build_empty(index, &pages).and_then(|()| pages.log_all())
    };
    outcome.or_raise();
}

/// The names of the phases in pg_stat_progress_create_index.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildphasename<A: AccessMethod>(phase: i64) -> *mut c_char {
    let initializing = (i64::from(pg_sys::PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE), c"initializing");
    let mut phases = std::iter::once(&initializing).chain(A::PHASES);
    match phases.find(|(number, _)| *number == phase) {
        Some((_, name)) => name.as_ptr().cast_mut(), // PostgreSQL only reads it
        None => std::ptr::null_mut(),
    }
}

unsafe fn build<A: AccessMethod>(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
) -> Result<*mut IndexBuildResult, Error> {
    // SAFETY: the caller's; palloc0 gives a zeroed struct.
    unsafe {
        let pages = PgPages::new(index, Purpose::Build);
        let Built { heap_rows, index_rows } = A::build(&IndexedTable::new(heap, index, info), &pages)?;
        if needs_wal(index) {
            pages.log_all()?;
        }
        let result: *mut IndexBuildResult = pg_sys::palloc0(size_of::<IndexBuildResult>()).cast();
        (*result).heap_tuples = heap_rows;
        (*result).index_tuples = index_rows as f64;
        Ok(result)
    }
}

/// `RelationNeedsWAL` of rel.h.
unsafe fn needs_wal(index: Relation) -> bool {
    // SAFETY: the caller's: an open index. wal_level is a setting of the server.
    unsafe {
        let is_permanent = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_PERMANENT as c_char;
        let is_archived = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
        let new_files = compat::new_files_subtransaction(index);
        let is_old = (*index).rd_createSubid == 0 && new_files == 0; // InvalidSubTransactionId
        is_permanent && (is_archived || is_old)
    }
}
