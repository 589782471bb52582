//! Who may read and write which path.
//!
//! Members of pg_read_server_files (and superusers) read everything that the server's operating system user may read.
//! Everybody else reads below `lagoon.data_directories`, and datasets below the dataset directory. A path is judged twice:
//! as it is written, so that nothing outside is even looked at, and with all symbolic links resolved, which is also the
//! path that is opened. For a foreign table the role is its owner, as for a view.

use std::path::{Component, Path, PathBuf};

use lagoon_file::{RegularFile, Scope};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use crate::pg::guc;

/// The role that the current statement runs as.
pub(super) fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetUserId() }
}

/// The role of that name; invalid for `public`. An ERROR (42704) if there is none.
pub(super) fn role_named(name: &str) -> Result<pg_sys::Oid> {
    if name.eq_ignore_ascii_case("public") {
        return Ok(pg_sys::Oid::INVALID);
    }
    let text = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: a NUL-terminated name; a catalog lookup on the main thread.
    Ok(unsafe { pg_sys::get_role_oid(text.as_ptr(), false) })
}

/// Refuses roles that may not write files on the server.
pub(super) fn check_writer(action: &'static str) -> Result<()> {
    if has_role(current_role(), pg_sys::Oid::from(pg_sys::ROLE_PG_WRITE_SERVER_FILES)) {
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

/// Opens a file that `role` may read. It is judged by its descriptor, so it is this one that is read.
pub(super) fn open(path: &Path, role: pg_sys::Oid) -> Result<RegularFile> {
    let directories = allowed(false);
    let scope = if reads_all(role) { Scope::Anywhere } else { Scope::Beneath(&directories) };
    lagoon_file::open(path, scope).map_err(|error| match error {
        lagoon_file::Error::Outside => denied(&path.to_string_lossy()),
        other => Error::file("open", path, other),
    })
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
    has_role(role, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES))
}

/// Whether `role` may read what it was not granted: all data, or all files.
pub(super) fn reads_data(role: pg_sys::Oid) -> bool {
    has_role(role, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_DATA)) || reads_all(role)
}

/// Whether one role has the rights of another; superusers have those of all.
pub(super) fn has_role(member: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: a catalog lookup on the main thread, inside a transaction.
    unsafe { pg_sys::has_privs_of_role(member, role) }
}

fn denied(path: &str) -> Error {
    Error::PathDenied {
        action: "read",
        path: path.to_owned(),
        hint: "Reading outside lagoon.data_directories needs membership in the role pg_read_server_files.",
    }
}
