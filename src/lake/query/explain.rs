//! What EXPLAIN says of a whole query.

use lagoon_lake::Result;
use pgrx::pg_sys;

use super::scan::QueryState;
use crate::lake::explain::{files, lines, statistics};
use crate::pg::compat;

/// ExplainCustomScan.
///
/// # Safety
/// Arguments are those of the callback; `state` is that of the node.
pub(super) unsafe fn explain(
    node: *mut pg_sys::CustomScanState,
    state: &mut QueryState,
    es: *mut pg_sys::ExplainState,
) -> Result<()> {
    files(es, state.plan.file_count, &state.plan.shown_files);
    // SAFETY: the caller's.
    unsafe {
        let has_values = !compat::lacks_parameters((*(*node).ss.ps.state).es_top_eflags);
        if (*es).verbose && has_values {
            lines(es, c"Engine plan", &state.engine_plan(node)?);
        }
        if (*es).analyze {
            statistics(es, &state.statistics());
        }
        state.explain_sent(node, es);
    }
    Ok(())
}
