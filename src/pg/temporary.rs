//! PostgreSQL's temporary files: where they are, and how those are called that it removes when it starts.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use pgrx::pg_sys;

use super::process;

/// The folder for temporary files of this session, relative to the data directory, in which every process of the server is. It
/// is that of one of `temp_tablespaces`, or of the database's tablespace. It may not exist yet.
pub fn folder() -> PathBuf {
    let mut path = [0 as c_char; pg_sys::MAXPGPATH as usize];
    // SAFETY: main thread; the buffer has the size that fd.c writes at most, and ends with a NUL.
    let path = unsafe {
        pg_sys::PrepareTempTablespaces();
        let mut tablespace = pg_sys::GetNextTempTableSpace();
        if tablespace == pg_sys::InvalidOid {
            tablespace = pg_sys::MyDatabaseTableSpace;
        }
        pg_sys::TempTablespacePath(path.as_mut_ptr(), tablespace);
        CStr::from_ptr(path.as_ptr())
    };
    PathBuf::from(path.to_string_lossy().into_owned())
}

/// What the names of this process's files begin with, if `whose` they are. PostgreSQL itself goes on with a number.
pub fn prefix(whose: &str) -> String {
    format!("pgsql_tmp{}.{whose}.", process::id())
}

/// Bytes that the temporary files of this process may have, if `temp_file_limit` says so.
pub fn limit() -> Option<u64> {
    // SAFETY: a variable of this process.
    let kilobytes = unsafe { pg_sys::temp_file_limit };
    u64::try_from(kilobytes).ok().map(|kilobytes| kilobytes << 10)
}
