//! What a scan costs.
//!
//! A scan does all its work before the first row, so the cost of starting is what counts: reading and measuring every element
//! that the walk visits. How many that are grows with `ef_search` and `m`, and with the logarithm of the number of rows;
//! the factor 0.55 was fitted by pgvector's authors to such walks and keeps our plans close to theirs.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Cost, IndexPath, PlannerInfo, Selectivity};

use lagoon_hnsw::Error;

use super::options::{self, Options};
use crate::pg::error::OrRaise;
use crate::pg::guc::EF_SEARCH;

/// Costs of one path.
struct Estimate {
    startup: f64,
    total: f64,
    selectivity: f64,
    correlation: f64,
    pages: f64,
}

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
            // The only thing that it can do is order. Infinity would overflow into other paths as NaN; this is enough.
            let never = f64::MAX / 1e10;
            return Ok(Estimate { startup: never, total: never, selectivity: 0.0, correlation: 0.0, pages: 0.0 });
        }
        let info = (*path).indexinfo;
        let index = pg_sys::index_open((*info).indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let options = options::of(index);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let rows = (*info).tuples.max(1.0);
        let share = visited(rows, options?, f64::from(EF_SEARCH.get())) / rows;

        let mut costs = pg_sys::GenericCosts { numIndexTuples: rows, ..Default::default() };
        pg_sys::genericcostestimate(root, path, loop_count, &mut costs);
        // Of the whole index, what the walk touches; once warm it is rather read than sought.
        let random = costs.spc_random_page_cost.max(f64::MIN_POSITIVE);
        let io = costs.numIndexPages * share * (random + pg_sys::seq_page_cost) / 2.0;
        let cpu = (costs.indexTotalCost - costs.numIndexPages * random).max(0.0) * share;
        // The table's rows are measured by a sequential scan too, and that has to read vectors that are out of line, which
        // the planner does not count: never let our start cost more than most of reading the table.
        let table = f64::from((*(*info).rel).pages) * pg_sys::seq_page_cost
            + (*(*info).rel).tuples.max(0.0) * (pg_sys::cpu_tuple_cost + pg_sys::cpu_operator_cost);
        let startup = (io + cpu).min(0.5 * table.max(1.0));
        Ok(Estimate {
            startup,
            total: startup.max(costs.indexTotalCost),
            selectivity: costs.indexSelectivity,
            correlation: costs.indexCorrelation,
            pages: costs.numIndexPages,
        })
    }
}

/// Elements that a walk measures.
fn visited(rows: f64, options: Options, ef_search: f64) -> f64 {
    let m = options.m as f64;
    let upper_layers = rows.ln() / m.ln() * m;
    let ground = 2.0 * m * ef_search * (0.55 * rows.ln() / (m.ln() * (1.0 + ef_search.ln()))).min(1.0);
    (upper_layers + ground).min(rows)
}
