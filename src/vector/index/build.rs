//! What every build does around its own work: memory, progress, WAL.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use pgrx::PgLogLevel;
use pgrx::pg_sys::{self, IndexBuildResult, Oid, Relation};

use lagoon_vector::memory::{Memory, TemporaryFile};
use lagoon_vector::{Coder, Error};

use crate::pg::{compat, interrupt, log};

/// Of `maintenance_work_mem`, what is left for the stacks, heaps and visited sets of threads. As in pgvector, which sets it
/// aside for the same in its parallel builds.
const RESERVE: usize = 3 << 20;

/// Memory within `maintenance_work_mem`, then a temporary file where PostgreSQL would make one, within `temp_file_limit`.
pub fn memory(threads: usize) -> Memory {
    // SAFETY: settings of this process.
    let (limit, file_limit) =
        unsafe { (pg_sys::maintenance_work_mem as usize * 1024, usize::try_from(pg_sys::temp_file_limit).ok()) };
    let limit = if threads > 0 { limit.saturating_sub(RESERVE) } else { limit };
    Memory::new(limit, TemporaryFile { path: temporary_file(), limit_kilobytes: file_limit })
}

/// In the folder of `temp_tablespaces` that is next (OpenTemporaryFile() of fd.c), relative to the data directory, under a name
/// that PostgreSQL removes when it starts.
fn temporary_file() -> PathBuf {
    let mut folder = [0 as c_char; pg_sys::MAXPGPATH as usize];
    // SAFETY: inside the transaction of the build; the path fits, and is terminated.
    let folder = unsafe {
        pg_sys::PrepareTempTablespaces();
        let next = pg_sys::GetNextTempTableSpace();
        let tablespace = if next == Oid::INVALID { pg_sys::MyDatabaseTableSpace } else { next };
        pg_sys::TempTablespacePath(folder.as_mut_ptr(), tablespace);
        CStr::from_ptr(folder.as_ptr()).to_string_lossy().into_owned()
    };
    PathBuf::from(folder).join(format!("pgsql_tmp{}.lagoon", std::process::id()))
}

/// Answers interrupts in the middle of what a build computes.
pub fn poll() -> Result<(), Error> {
    interrupt::check();
    Ok(())
}

/// Sets a column of pg_stat_progress_create_index.
pub fn progress(parameter: u32, value: i64) {
    // SAFETY: a parameter of the command that is under way; nothing happens when there is none.
    unsafe { pg_sys::pgstat_progress_update_param(parameter as i32, value) }
}

/// What `ambuild` returns.
pub fn result(heap_rows: f64, index_rows: u64) -> *mut IndexBuildResult {
    // SAFETY: palloc0 gives a zeroed struct.
    unsafe {
        let result: *mut IndexBuildResult = pg_sys::palloc0(size_of::<IndexBuildResult>()).cast();
        (*result).heap_tuples = heap_rows;
        (*result).index_tuples = index_rows as f64;
        result
    }
}

/// `RelationNeedsWAL` of rel.h.
///
/// # Safety
/// The relation is open.
pub unsafe fn needs_wal(index: Relation) -> bool {
    // SAFETY: the caller's. wal_level is a setting of the server.
    unsafe {
        let is_permanent = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_PERMANENT as c_char;
        let is_archived = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
        let new_files = compat::new_files_subtransaction(index);
        let is_old = (*index).rd_createSubid == 0 && new_files == 0; // InvalidSubTransactionId
        is_permanent && (is_archived || is_old)
    }
}

/// Writes what a build has written to the WAL, if that is needed.
///
/// # Safety
/// The index is open, and `pages` are its pages.
pub unsafe fn log_all(index: Relation, pages: &super::PgPages) -> Result<(), Error> {
    // SAFETY: the caller's.
    if unsafe { needs_wal(index) } { pages.log_all() } else { Ok(()) }
}

/// Says that an index is built once more, with finer codes, which are the result.
pub fn again(coarse: &Coder, finer: Coder) -> Coder {
    let (coarse, fine) = (coarse.space.form.name(), finer.space.form.name());
    log::at(PgLogLevel::DEBUG1, format!("codes of {coarse} are too coarse, building again with {fine}"));
    finer
}
