//! What a scan costs: it reads the share of the lists that `ivfflat.probes` says before the first row.

use pgrx::pg_guard;
use pgrx::pg_sys::{Cost, IndexOptInfo, IndexPath, PlannerInfo, Selectivity};

use lagoon_vector::ivf::format::Meta;
use lagoon_vector::store::PageStore;

use crate::pg::error::OrRaise;
use crate::pg::guc::{IVFFLAT_ITERATIVE_SCAN, IvfflatIterativeScan, MAX_PROBES, PROBES};
use crate::vector::index::cost::{Reach, estimate};
use crate::vector::index::{PgPages, Purpose};

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
        let reach = |info: &IndexOptInfo, index| {
            let lists = f64::from(Meta::read(&PgPages::new(index, Purpose::Use).read(0)?)?.lists);
            let of_lists = |probes: i32| (f64::from(probes) / lists).min(1.0);
            Ok(Reach { share: of_lists(PROBES.get()), rows: info.tuples * of_lists(probes_in_all()) })
        };
        let estimate = estimate(root, path, loop_count, SEQUENTIAL, reach).or_raise();
        (*startup, *total) = (estimate.startup, estimate.total);
        (*selectivity, *correlation, *pages) = (estimate.selectivity, estimate.correlation, estimate.pages);
    }
}

/// Lists that a scan reads when all of its rows are asked for.
fn probes_in_all() -> i32 {
    match IVFFLAT_ITERATIVE_SCAN.get() {
        IvfflatIterativeScan::Off => PROBES.get(),
        IvfflatIterativeScan::RelaxedOrder => MAX_PROBES.get().max(PROBES.get()),
    }
}
