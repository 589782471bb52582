//! What EXPLAIN says of scans and of whole queries alike.

use std::ffi::{CStr, CString};

use lagoon_lake::exec::Statistics;
use pgrx::pg_sys;

/// Names of files that are shown at most.
pub(super) const MOST_FILES: usize = 10;

/// How many files there are; with VERBOSE the first of them.
pub(super) fn files(es: *mut pg_sys::ExplainState, count: usize, first: &[String]) {
    // SAFETY: the state of an EXPLAIN that is under way.
    if unsafe { (*es).verbose } {
        let mut shown = first.to_vec();
        if count > shown.len() {
            shown.push(format!("and {} more", count - shown.len()));
        }
        text(es, c"Parquet files", &shown.join(", "));
    } else {
        integer(es, c"Parquet files", count as u64);
    }
}

/// What was read and delivered.
pub(super) fn statistics(es: *mut pg_sys::ExplainState, statistics: &Statistics) {
    integer(es, c"Engine rows", statistics.rows);
    integer(es, c"Engine batches", statistics.batches);
    let read = statistics.row_groups.saturating_sub(statistics.row_groups_pruned);
    integer(es, c"Row groups read", read as u64);
    integer(es, c"Row groups pruned", statistics.row_groups_pruned as u64);
    if statistics.pages_pruned > 0 {
        integer(es, c"Pages pruned", statistics.pages_pruned as u64);
    }
    if statistics.rows_skipped > 0 {
        integer(es, c"Rows skipped", statistics.rows_skipped);
    }
    integer(es, c"Bytes read", statistics.bytes);
}

/// A line of text.
pub(super) fn text(es: *mut pg_sys::ExplainState, label: &CStr, value: &str) {
    let value = CString::new(value.replace('\0', "")).unwrap_or_default();
    // SAFETY: both strings outlive the call, which copies them.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value.as_ptr(), es) }
}

/// Several lines under one label.
pub(super) fn lines(es: *mut pg_sys::ExplainState, label: &CStr, lines: &[String]) {
    // SAFETY: the state of an EXPLAIN that is under way.
    if unsafe { (*es).format } != pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT {
        return text(es, label, &lines.join("\n"));
    }
    text(es, label, "");
    let write = |line: &str| {
        let line = CString::new(line.replace('\0', "")).unwrap_or_default();
        // SAFETY: the text that is being written; the string is copied.
        unsafe { pg_sys::appendStringInfoString((*es).str_, line.as_ptr()) }
    };
    // SAFETY: as above.
    let indent = usize::try_from(unsafe { (*es).indent }).unwrap_or(0) + 1;
    for line in lines {
        write(&format!("{:1$}{line}\n", "", 2 * indent));
    }
}

fn integer(es: *mut pg_sys::ExplainState, label: &CStr, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    // SAFETY: as above.
    unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), std::ptr::null(), value, es) }
}
