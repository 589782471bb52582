//! From a path to files, on behalf of a role.

use std::sync::atomic::Ordering;

use lagoon_lake::Result;
use lagoon_lake::source::files::{self, DataFile, Found};
use pgrx::pg_sys;

use super::access;
use crate::pg::{interrupt, job};

/// The files that a path names, found and judged by the rights of `role`.
pub fn at(path: &str, role: pg_sys::Oid) -> Result<Vec<Found>> {
    files::find(&access::locate(path, role)?, &mut go_on)
}

/// Opens files; those with unknown footers on an engine thread, while this one answers interrupts.
pub fn open(found: Vec<Found>) -> Result<Vec<DataFile>> {
    if let Some(files) = files::remembered(&found) {
        return Ok(files);
    }
    job::run(
        "lagoon footers",
        || {},
        move |cancel| {
            let cancel = cancel.as_atomic();
            files::open(&found, &mut || !cancel.load(Ordering::Relaxed))
        },
    )
}

/// Answers interrupts between two files or directory entries: nothing is on the stack there that must not be jumped out of.
pub fn go_on() -> bool {
    interrupt::check();
    true
}
