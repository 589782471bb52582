//! Who may read and write which path.
//!
//! Members of pg_read_server_files (and superusers) read everything that the server's operating system user may read.
//! Everybody else reads below `lagoon.data_directories`, and datasets below the dataset directory. A path is judged twice:
//! as it is written, so that nothing outside is even looked at, and with all symbolic links resolved, which is also the
//! path that is opened. For a foreign table the role is its owner, as for a view.

use std::path::{Component, Path, PathBuf};

use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use crate::pg::guc;

/// The role that the current statement runs as.
pub(super) fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetUserId() }
}

/// Refuses roles that may not write files on the server.
pub(super) fn check_writer(action: &'static str) -> Result<()> {
    if has_role(current_role(), pg_sys::ROLE_PG_WRITE_SERVER_FILES) {
        return Ok(());
    }
    Err(Error::RoleDenied { action, hint: "It needs membership in the role pg_write_server_files." })
}

/// Refuses a path, which may be a pattern, that `role` may not read whatever it leads to.
pub(super) fn check_pattern(path: &str, role: pg_sys::Oid, dataset: bool) -> Result<()> {
    if !path.starts_with('/') {
        return Err(Error::RelativePath { path: path.to_owned() });
    }
    if reads_all(role) {
        return Ok(());
    }
    let given = Path::new(path);
    let climbs = given.components().any(|part| matches!(part, Component::ParentDir));
    if !climbs && allowed(dataset).iter().any(|directory| given.starts_with(directory)) {
        return Ok(());
    }
    Err(denied(path))
}

/// The file with all symbolic links resolved, if `role` may read it.
pub(super) fn resolve(path: &Path, role: pg_sys::Oid, dataset: bool) -> Result<PathBuf> {
    let resolved = std::fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::MissingFile { path: path.to_owned() },
        std::io::ErrorKind::PermissionDenied => Error::FilePermission { path: path.to_owned() },
        _ => Error::Io { action: "resolve", path: path.to_owned(), message: error.to_string() },
    })?;
    if reads_all(role) {
        return Ok(resolved);
    }
    let inside = |directory: &PathBuf| std::fs::canonicalize(directory).is_ok_and(|real| resolved.starts_with(real));
    if allowed(dataset).iter().any(inside) { Ok(resolved) } else { Err(denied(&path.to_string_lossy())) }
}

/// Where ingest writes.
pub(super) fn dataset_directory() -> PathBuf {
    match guc::text(&guc::DATASET_DIRECTORY) {
        configured if configured.is_empty() => data_directory().join("lagoon/datasets"),
        configured => PathBuf::from(configured),
    }
}

fn data_directory() -> PathBuf {
    // SAFETY: set once at server start, a NUL-terminated string.
    let directory = unsafe { std::ffi::CStr::from_ptr(pg_sys::DataDir) };
    PathBuf::from(directory.to_string_lossy().into_owned())
}

fn allowed(dataset: bool) -> Vec<PathBuf> {
    let configured = guc::text(&guc::DATA_DIRECTORIES);
    let mut directories: Vec<_> = configured
        .split(',')
        .map(str::trim)
        .filter(|directory| directory.starts_with('/'))
        .map(PathBuf::from)
        .collect();
    if dataset {
        directories.push(dataset_directory());
    }
    directories
}

fn reads_all(role: pg_sys::Oid) -> bool {
    has_role(role, pg_sys::ROLE_PG_READ_SERVER_FILES)
}

fn has_role(member: pg_sys::Oid, role: u32) -> bool {
    // SAFETY: a catalog lookup on the main thread, inside a transaction. True for superusers.
    unsafe { pg_sys::has_privs_of_role(member, pg_sys::Oid::from(role)) }
}

fn denied(path: &str) -> Error {
    Error::PathDenied {
        action: "read",
        path: path.to_owned(),
        hint: "Reading outside lagoon.data_directories needs membership in the role pg_read_server_files.",
    }
}
