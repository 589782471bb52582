//! What a scan costs.
//!
//! A scan does all its work before the first row, so the cost of starting is what counts: the share of the index that a walk
//! touches. How many elements that are grows with `ef_search` and `m`, and with the logarithm of the number of rows. The
//! formula and its factor 0.55 are pgvector's, so that plans are as there.

use pgrx::pg_guard;
use pgrx::pg_sys::{Cost, IndexOptInfo, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::store::PageStore;

use crate::pg::error::OrRaise;
use crate::pg::guc::{EF_SEARCH, ITERATIVE_SCAN, IterativeScan, MAX_SCAN_TUPLES};
use crate::vector::index::cost::{Reach, estimate};
use crate::vector::index::{PgPages, Purpose};

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
        // Of the index as it is: ALTER INDEX changes options, but nothing in it before a REINDEX.
        let reach = |info: &IndexOptInfo, index| {
            let meta = Meta::read(&PgPages::new(index, Purpose::Use).read(0)?)?;
            Ok(Reach { share: visited(info.tuples, meta.m as f64, f64::from(EF_SEARCH.get())), rows: returned() })
        };
        let estimate = estimate(root, path, loop_count, 0.0, reach).or_raise();
        (*startup, *total) = (estimate.startup, estimate.total);
        (*selectivity, *correlation, *pages) = (estimate.selectivity, estimate.correlation, estimate.pages);
    }
}

/// The rows that a scan gives, at most: its candidates, or when it goes on after them, about those that it measures.
fn returned() -> f64 {
    let candidates = f64::from(EF_SEARCH.get());
    match ITERATIVE_SCAN.get() {
        IterativeScan::Off => candidates,
        IterativeScan::RelaxedOrder | IterativeScan::StrictOrder => candidates.max(f64::from(MAX_SCAN_TUPLES.get())),
    }
}

/// The share of so many rows that a walk measures.
fn visited(rows: f64, m: f64, ef_search: f64) -> f64 {
    if rows <= 0.0 {
        return 1.0;
    }
    let layers = (rows.ln() / m.ln()).trunc();
    let ground = 2.0 * m * ef_search * 0.55 * rows.ln() / (m.ln() * (1.0 + ef_search.ln()));
    ((layers * m + ground) / rows).min(1.0)
}
