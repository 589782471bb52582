//! How many of the lists a scan reads: before the first row, the share that `ivfflat.probes` says.

use lagoon_vector::Error;
use lagoon_vector::ivf::format::Meta;
use lagoon_vector::store::PageStore;

use crate::pg::guc::{IVFFLAT_ITERATIVE_SCAN, IvfflatIterativeScan, MAX_PROBES, PROBES};
use crate::vector::index::am::ScanExtent;
use crate::vector::index::pages::PgPages;

/// What a scan reads of an index of so many rows.
pub fn extent(pages: &PgPages, rows: f64) -> Result<ScanExtent, Error> {
    let lists = f64::from(Meta::read(&pages.read(0)?)?.lists);
    let of_lists = |probes: i32| (f64::from(probes) / lists).min(1.0);
    Ok(ScanExtent { share: of_lists(PROBES.get()), rows: rows * of_lists(probes_in_all()) })
}

/// Lists that a scan reads when all of its rows are asked for.
fn probes_in_all() -> i32 {
    match IVFFLAT_ITERATIVE_SCAN.get() {
        IvfflatIterativeScan::Off => PROBES.get(),
        IvfflatIterativeScan::RelaxedOrder => MAX_PROBES.get().max(PROBES.get()),
    }
}
