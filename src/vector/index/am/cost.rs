//! The cost of a scan, from the share of the index that it reads before the first row. The formula is pgvector's, so that
//! plans are the same, except if a scan [ends too early](super::shortfall).

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Cost, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::Error;

use super::method::{AccessMethod, ScanExtent};
use super::shortfall::{PENALTY, falls_short};
use crate::pg::compat;
use crate::pg::error::OrRaise;
use crate::vector::index::pages::{PgPages, Purpose};

/// The costs of an index path.
#[pg_guard]
#[allow(clippy::too_many_arguments)] // PostgreSQL's signature
pub unsafe extern "C-unwind" fn amcostestimate<A: AccessMethod>(
    root: *mut PlannerInfo,
    path: *mut IndexPath,
    loop_count: f64,
    startup: *mut Cost,
    total: *mut Cost,
    selectivity: *mut Selectivity,
    correlation: *mut f64,
    pages: *mut f64,
) {
    // SAFETY: the planner passes valid pointers, and holds a lock on the index.
    unsafe {
        let estimate = estimate::<A>(root, path, loop_count).or_raise();
        (*startup, *total) = (estimate.startup, estimate.total);
        (*selectivity, *correlation, *pages) = (estimate.selectivity, estimate.correlation, estimate.pages);
    }
}

/// Costs of one path.
struct Estimate {
    /// The cost before the first row.
    startup: f64,
    /// The cost of all rows.
    total: f64,
    /// The share of the rows that the scan returns.
    selectivity: f64,
    /// The correlation of the orders of index and table.
    correlation: f64,
    /// Pages of the index.
    pages: f64,
}

/// The cost of a scan that the index cannot do: without ORDER BY, or by two distances, of which it supports only the first. It is
/// finite because infinity would turn into NaN in other paths.
const NEVER: Estimate =
    Estimate { startup: f64::MAX / 1e10, total: f64::MAX / 1e10, selectivity: 0.0, correlation: 0.0, pages: 0.0 };

unsafe fn estimate<A: AccessMethod>(
    root: *mut PlannerInfo,
    path: *mut IndexPath,
    loop_count: f64,
) -> Result<Estimate, Error> {
    // SAFETY: the caller's.
    unsafe {
        if (*path).indexorderbys.as_ref().is_none_or(|keys| keys.length != 1) {
            compat::disable(path);
            return Ok(NEVER);
        }
        let info = &*(*path).indexinfo;
        let index = pg_sys::index_open(info.indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        // By the metapage: ALTER INDEX changes the options, but not the index before a REINDEX.
        let extent = A::extent(&PgPages::new(index, Purpose::Use), info.tuples);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let ScanExtent { share, rows } = extent?;

        let mut costs = pg_sys::GenericCosts::default();
        pg_sys::genericcostestimate(root, path, loop_count, &mut costs);
        let mut seq_page_cost = 0.0;
        pg_sys::get_tablespace_page_costs(info.reltablespace, std::ptr::null_mut(), &mut seq_page_cost);
        let saved = costs.spc_random_page_cost - seq_page_cost;
        let total = costs.indexTotalCost - A::SEQUENTIAL * costs.numIndexPages * saved;
        let mut startup = total * share;
        // Toasted vectors are not counted here, as they are not in the cost of a sequential scan.
        let (pages, table_pages) = (costs.numIndexPages * share, f64::from((*info.rel).pages));
        if pages > table_pages && share < 0.5 {
            startup -= (1.0 - A::SEQUENTIAL) * pages * saved;
            startup -= (pages - table_pages) * seq_page_cost;
        }
        let penalty = if falls_short(root, path, rows) { PENALTY } else { 0.0 };
        Ok(Estimate {
            startup: startup + penalty,
            total: total + penalty,
            selectivity: costs.indexSelectivity,
            correlation: costs.indexCorrelation,
            pages: costs.numIndexPages,
        })
    }
}
