//! What a scan costs: it reads the share of the lists that `ivfflat.probes` says before the first row. The formula is
//! pgvector's, so that plans are as there.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Cost, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::Error;
use lagoon_vector::ivf::format::Meta;
use lagoon_vector::store::PageStore;

use crate::index::{PgPages, Purpose, cost};
use crate::pg::error::OrRaise;
use crate::pg::guc::PROBES;

/// How many of the pages of a list follow each other on disk, at a guess.
const SEQUENTIAL: f64 = 0.5;

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

unsafe fn estimate(root: *mut PlannerInfo, path: *mut IndexPath, loop_count: f64) -> Result<cost::Estimate, Error> {
    // SAFETY: the caller's. The planner holds a lock on the index.
    unsafe {
        if (*path).indexorderbys.is_null() {
            return Ok(cost::NEVER);
        }
        let info = (*path).indexinfo;
        let index = pg_sys::index_open((*info).indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let meta = PgPages::new(index, Purpose::Use).read(0).and_then(|page| Meta::read(&page));
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let share = (f64::from(PROBES.get()) / f64::from(meta?.lists)).min(1.0);

        let mut costs = pg_sys::GenericCosts::default();
        pg_sys::genericcostestimate(root, path, loop_count, &mut costs);
        let mut seq_page_cost = 0.0;
        pg_sys::get_tablespace_page_costs((*info).reltablespace, std::ptr::null_mut(), &mut seq_page_cost);
        let saved = costs.spc_random_page_cost - seq_page_cost;
        let total = costs.indexTotalCost - SEQUENTIAL * costs.numIndexPages * saved;
        let mut startup = total * share;
        // Vectors that are out of line are not counted in the cost of a sequential scan: so neither here.
        let (pages, table_pages) = (costs.numIndexPages * share, f64::from((*(*info).rel).pages));
        if pages > table_pages && share < 0.5 {
            startup -= (1.0 - SEQUENTIAL) * pages * saved;
            startup -= (pages - table_pages) * seq_page_cost;
        }
        Ok(cost::Estimate {
            startup,
            total,
            selectivity: costs.indexSelectivity,
            correlation: costs.indexCorrelation,
            pages: costs.numIndexPages,
        })
    }
}
