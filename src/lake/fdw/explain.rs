//! What EXPLAIN says of a scan.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::scan::ScanState;
use crate::pg::compat;
use crate::pg::node::{List, Node};

/// ExplainForeignScan.
///
/// # Safety
/// Arguments are those of the callback; `state` is that of the node.
pub(super) unsafe fn explain(node: *mut pg_sys::ForeignScanState, state: &ScanState, es: *mut pg_sys::ExplainState) {
    // SAFETY: the caller's.
    let (verbose, analyze, plan) =
        unsafe { ((*es).verbose, (*es).analyze, (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>()) };
    let files = state.plan.file_count;
    if verbose {
        let mut shown = state.plan.shown_files.clone();
        if files > shown.len() {
            shown.push(format!("and {} more", files - shown.len()));
        }
        text(es, c"Parquet files", &shown.join(", "));
        let columns = &state.plan.attributes[..state.plan.delivered];
        let names: Vec<_> = columns.iter().map(|attribute| attribute.column.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        text(es, c"Projection", &names);
    } else {
        integer(es, c"Parquet files", None, files as u64);
    }
    // SAFETY: the lists hold the expressions of this plan node.
    unsafe {
        let pushed = deparse(es, plan, (*plan).fdw_recheck_quals);
        if !pushed.is_empty() {
            text(es, c"Pushed filter", &pushed.join(" AND "));
        }
        if verbose {
            for (kept, reason) in deparse(es, plan, (*plan).scan.plan.qual).iter().zip(&state.plan.reasons) {
                text(es, c"Kept filter", &format!("{kept} ({reason})"));
            }
        }
    }
    if let Some(limit) = state.plan.limit {
        let count = limit.count.map_or_else(|| "all".to_owned(), |count| count.to_string());
        let offset = if limit.offset > 0 { format!(" offset {}", limit.offset) } else { String::new() };
        text(es, c"Limit", &format!("{count}{offset}"));
    }
    if analyze {
        let statistics = state.statistics();
        integer(es, c"Engine rows", None, statistics.rows);
        integer(es, c"Engine batches", None, statistics.batches);
        let read = statistics.row_groups.saturating_sub(statistics.row_groups_pruned);
        integer(es, c"Row groups read", None, read as u64);
        integer(es, c"Row groups pruned", None, statistics.row_groups_pruned as u64);
        if statistics.pages_pruned > 0 {
            integer(es, c"Pages pruned", None, statistics.pages_pruned as u64);
        }
        integer(es, c"Bytes read", None, statistics.bytes);
    }
}

/// Conditions as SQL.
unsafe fn deparse(
    es: *mut pg_sys::ExplainState,
    plan: *mut pg_sys::ForeignScan,
    conditions: *mut pg_sys::List,
) -> Vec<String> {
    // SAFETY: the caller's: conditions of this plan node, over its range table.
    unsafe {
        let context = pg_sys::set_deparse_context_plan((*es).deparse_cxt, plan.cast(), std::ptr::null_mut());
        let several_tables = compat::explains_several_tables(es);
        let sql = |node: Node<'_>| {
            let text = pg_sys::deparse_expression(node.as_ptr(), context, several_tables || (*es).verbose, false);
            CStr::from_ptr(text).to_string_lossy().into_owned()
        };
        List::new(conditions).iter().map(sql).collect()
    }
}

fn text(es: *mut pg_sys::ExplainState, label: &CStr, value: &str) {
    let value = CString::new(value.replace('\0', "")).unwrap_or_default();
    // SAFETY: both strings outlive the call, which copies them.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value.as_ptr(), es) }
}

fn integer(es: *mut pg_sys::ExplainState, label: &CStr, unit: Option<&CStr>, value: u64) {
    let unit = unit.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: as above.
    unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), unit, i64::try_from(value).unwrap_or(i64::MAX), es) }
}
