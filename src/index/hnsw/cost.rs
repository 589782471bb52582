//! What a scan costs.
//!
//! A scan does all its work before the first row, so the cost of starting is what counts: the share of the index that a walk
//! touches. How many elements that are grows with `ef_search` and `m`, and with the logarithm of the number of rows. The
//! formula and its factor 0.55 are pgvector's, so that plans are as there.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Cost, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::Error;

use super::options::{self, Options};
use crate::index::cost::{Estimate, NEVER};
use crate::pg::error::OrRaise;
use crate::pg::guc::EF_SEARCH;

/// Costs of scanning this index as the path says.
#[pg_guard]
#[allow(clippy::too_many_arguments)] // PostgreSQL's signature
pub unsafe extern "C-unwind" fn amcostestimate(
    root: *mut PlannerInfo,
    path: *mut IndexPath,
    loop_count: f64,
    startup: *mut Cost,
    total: *mut Cost,
    selectivity: *mut Selectivity,
    correlation: *mut f64,
    pages: *mut f64,
) {
    // SAFETY: the planner passes valid pointers.
    unsafe {
        let estimate = estimate(root, path, loop_count).or_raise();
        (*startup, *total) = (estimate.startup, estimate.total);
        (*selectivity, *correlation, *pages) = (estimate.selectivity, estimate.correlation, estimate.pages);
    }
}

unsafe fn estimate(root: *mut PlannerInfo, path: *mut IndexPath, loop_count: f64) -> Result<Estimate, Error> {
    // SAFETY: the caller's. The planner holds a lock on the index.
    unsafe {
        if (*path).indexorderbys.is_null() {
            return Ok(NEVER);
        }
        let info = (*path).indexinfo;
        let index = pg_sys::index_open((*info).indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let options = options::of(index);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let share = visited((*info).tuples, options?, f64::from(EF_SEARCH.get()));

        let mut costs = pg_sys::GenericCosts::default();
        pg_sys::genericcostestimate(root, path, loop_count, &mut costs);
        let mut seq_page_cost = 0.0;
        pg_sys::get_tablespace_page_costs((*info).reltablespace, std::ptr::null_mut(), &mut seq_page_cost);
        let mut startup = costs.indexTotalCost * share;
        // Vectors that are out of line are not counted in the cost of a sequential scan: so neither here.
        let (pages, table_pages) = (costs.numIndexPages * share, f64::from((*(*info).rel).pages));
        if pages > table_pages && share < 0.5 {
            startup -= pages * (costs.spc_random_page_cost - seq_page_cost);
            startup -= (pages - table_pages) * seq_page_cost;
        }
        Ok(Estimate {
            startup,
            total: costs.indexTotalCost,
            selectivity: costs.indexSelectivity,
            correlation: costs.indexCorrelation,
            pages: costs.numIndexPages,
        })
    }
}

/// The share of so many rows that a walk measures.
fn visited(rows: f64, options: Options, ef_search: f64) -> f64 {
    if rows <= 0.0 {
        return 1.0;
    }
    let m = options.m as f64;
    let layers = (rows.ln() / m.ln()).trunc();
    let ground = 2.0 * m * ef_search * 0.55 * rows.ln() / (m.ln() * (1.0 + ef_search.ln()));
    ((layers * m + ground) / rows).min(1.0)
}
