//! What both kinds of builds share: memory, progress, interrupts.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use pgrx::PgLogLevel;
use pgrx::pg_sys::{self, Oid};

use lagoon_vector::memory::{Memory, TemporaryFile};
use lagoon_vector::{Coder, Error};

use crate::pg::{interrupt, log};

/// Bytes of `maintenance_work_mem` that are reserved for stacks, heaps and visited sets of threads, as in pgvector's
/// parallel builds.
const RESERVE: usize = 3 << 20;

/// The memory of a build: within `maintenance_work_mem`, then in a temporary file, within `temp_file_limit`.
pub fn memory(threads: usize) -> Memory {
    // SAFETY: settings of this process.
    let (limit, file_limit) =
        unsafe { (pg_sys::maintenance_work_mem as usize * 1024, usize::try_from(pg_sys::temp_file_limit).ok()) };
    let limit = if threads > 0 { limit.saturating_sub(RESERVE) } else { limit };
    Memory::new(limit, TemporaryFile { path: temporary_file(), limit_kilobytes: file_limit })
}

/// The path of a temporary file in the next of `temp_tablespaces` (OpenTemporaryFile() of fd.c), relative to the data
/// directory, under a name that PostgreSQL removes when it starts.
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

/// Handles interrupts during the computations of a build.
pub fn poll() -> Result<(), Error> {
    interrupt::check();
    Ok(())
}

/// Sets a column of pg_stat_progress_create_index.
pub fn progress(parameter: u32, value: i64) {
    // SAFETY: a parameter of the command that is under way; nothing happens when there is none.
    unsafe { pg_sys::pgstat_progress_update_param(parameter as i32, value) }
}

/// Sets the phase, a number of [`AccessMethod::PHASES`](super::am::AccessMethod::PHASES).
pub fn progress_phase(phase: i64) {
    progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, phase);
}

/// Reports that an index is built again with finer codes. Returns their coder.
pub fn rebuild_with(coarse: &Coder, finer: Coder) -> Coder {
    let (coarse, fine) = (coarse.space.form.name(), finer.space.form.name());
    log::at(PgLogLevel::DEBUG1, format!("codes of {coarse} are too coarse, building again with {fine}"));
    finer
}
