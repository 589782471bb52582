//! What EXPLAIN says of a scan.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::scan::ScanState;
use crate::lake::explain::{files, statistics, text};
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
    files(es, state.plan.file_count, &state.plan.shown_files);
    if verbose {
        let columns = &state.plan.attributes[..state.plan.delivered];
        let names: Vec<_> = columns.iter().map(|attribute| attribute.column.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        text(es, c"Projection", &names);
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
    if verbose && let Some(reason) = &state.plan.not_whole {
        text(es, c"Not whole", reason);
    }
    if analyze {
        statistics(es, &state.statistics());
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
