//! The share of the lists that a scan reads before the first row, from `ivfflat.probes`.

use lagoon_vector::Error;
use lagoon_vector::ivf::format::Meta;
use lagoon_vector::store::PageStore;

use crate::pg::guc::{IVFFLAT_ITERATIVE_SCAN, IvfflatIterativeScan, MAX_PROBES, PROBES};
use crate::vector::index::am::ScanExtent;
use crate::vector::index::pages::PgPages;

/// The extent of a scan of an index of `rows` rows.
pub fn extent(pages: &PgPages, rows: f64) -> Result<ScanExtent, Error> {
    let lists = f64::from(Meta::read(&pages.read(0)?)?.lists);
    let of_lists = |probes: i32| (f64::from(probes) / lists).min(1.0);
    Ok(ScanExtent { share: of_lists(PROBES.get()), rows: rows * of_lists(probes_in_all()) })
}

/// Number of lists that a scan reads if all of its rows are requested.
fn probes_in_all() -> i32 {
    match IVFFLAT_ITERATIVE_SCAN.get() {
        IvfflatIterativeScan::Off => PROBES.get(),
        IvfflatIterativeScan::RelaxedOrder => MAX_PROBES.get().max(PROBES.get()),
    }
}
