//! What a scan costs: it reads the share of the lists that `ivfflat.probes` says before the first row.

use pgrx::pg_guard;
use pgrx::pg_sys::{Cost, IndexOptInfo, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::ivf::format::Meta;
use lagoon_vector::store::PageStore;

use crate::index::cost::estimate;
use crate::index::{PgPages, Purpose};
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
        let share = |_: &IndexOptInfo, index| {
            let meta = Meta::read(&PgPages::new(index, Purpose::Use).read(0)?)?;
            Ok((f64::from(PROBES.get()) / f64::from(meta.lists)).min(1.0))
        };
        let estimate = estimate(root, path, loop_count, SEQUENTIAL, share).or_raise();
        (*startup, *total) = (estimate.startup, estimate.total);
        (*selectivity, *correlation, *pages) = (estimate.selectivity, estimate.correlation, estimate.pages);
    }
}
