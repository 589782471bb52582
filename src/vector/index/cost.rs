//! What a scan costs, given the share of the index that it reads before the first row. The formula is pgvector's, so that plans
//! are as there, but where a scan [ends too early](super::demand).

use pgrx::pg_sys::{self, IndexOptInfo, IndexPath, PlannerInfo, Relation};

use lagoon_vector::Error;

use super::demand::{TOO_SHORT, is_too_short};
use crate::pg::compat;

/// What a scan does.
pub struct Reach {
    /// The share of the index that it reads before the first row, 0 to 1.
    pub share: f64,
    /// Rows that it gives, about and at most, before filters.
    pub rows: f64,
}

/// Costs of one path.
pub struct Estimate {
    /// Before the first row.
    pub startup: f64,
    /// Of all rows.
    pub total: f64,
    /// The share of the rows that the scan returns.
    pub selectivity: f64,
    /// Of the order of the index and that of the table.
    pub correlation: f64,
    /// Pages of the index.
    pub pages: f64,
}

/// Of a scan that an index cannot do: without ORDER BY, or by two distances, of which it knows the first only. Infinity would
/// overflow into other paths as NaN; this is enough.
const NEVER: Estimate =
    Estimate { startup: f64::MAX / 1e10, total: f64::MAX / 1e10, selectivity: 0.0, correlation: 0.0, pages: 0.0 };

/// Costs of a path. `sequential` is the share of its pages that follow each other on disk; `reach` says what a scan does.
///
/// # Safety
/// What the planner passes to amcostestimate: it holds a lock on the index.
pub unsafe fn estimate(
    root: *mut PlannerInfo,
    path: *mut IndexPath,
    loop_count: f64,
    sequential: f64,
    reach: impl FnOnce(&IndexOptInfo, Relation) -> Result<Reach, Error>,
) -> Result<Estimate, Error> {
    // SAFETY: the caller's.
    unsafe {
        if (*path).indexorderbys.as_ref().is_none_or(|keys| keys.length != 1) {
            compat::disable(path);
            return Ok(NEVER);
        }
        let info = &*(*path).indexinfo;
        let index = pg_sys::index_open(info.indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let reach = reach(info, index);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let Reach { share, rows } = reach?;

        let mut costs = pg_sys::GenericCosts::default();
        pg_sys::genericcostestimate(root, path, loop_count, &mut costs);
        let mut seq_page_cost = 0.0;
        pg_sys::get_tablespace_page_costs(info.reltablespace, std::ptr::null_mut(), &mut seq_page_cost);
        let saved = costs.spc_random_page_cost - seq_page_cost;
        let total = costs.indexTotalCost - sequential * costs.numIndexPages * saved;
        let mut startup = total * share;
        // Vectors that are out of line are not counted in the cost of a sequential scan: so neither here.
        let (pages, table_pages) = (costs.numIndexPages * share, f64::from((*info.rel).pages));
        if pages > table_pages && share < 0.5 {
            startup -= (1.0 - sequential) * pages * saved;
            startup -= (pages - table_pages) * seq_page_cost;
        }
        let penalty = if is_too_short(root, path, rows) { TOO_SHORT } else { 0.0 };
        Ok(Estimate {
            startup: startup + penalty,
            total: total + penalty,
            selectivity: costs.indexSelectivity,
            correlation: costs.indexCorrelation,
            pages: costs.numIndexPages,
        })
    }
}
