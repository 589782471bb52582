//! The share of the graph that a scan reads.
//!
//! A scan does all its work before the first row, so the startup cost matters: the share of the index that a walk visits.
//! The number of elements grows with `ef_search` and `m`, and with the logarithm of the number of rows. The formula and its
//! factor 0.55 are pgvector's, so that plans are the same.

use lagoon_vector::Error;
use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::store::PageStore;

use crate::pg::guc::{EF_SEARCH, ITERATIVE_SCAN, IterativeScan, MAX_SCAN_TUPLES};
use crate::vector::index::am::ScanExtent;
use crate::vector::index::pages::PgPages;

/// The extent of a scan of an index of `rows` rows.
pub fn extent(pages: &PgPages, rows: f64) -> Result<ScanExtent, Error> {
    let meta = Meta::read(&pages.read(0)?)?;
    Ok(ScanExtent { share: visited(rows, meta.m as f64, f64::from(EF_SEARCH.get())), rows: returned() })
}

/// Maximum number of rows that a scan returns: its candidates, or if it is iterative, about the number of rows that it visits.
fn returned() -> f64 {
    let candidates = f64::from(EF_SEARCH.get());
    match ITERATIVE_SCAN.get() {
        IterativeScan::Off => candidates,
        IterativeScan::RelaxedOrder | IterativeScan::StrictOrder => candidates.max(f64::from(MAX_SCAN_TUPLES.get())),
    }
}

/// The share of the rows that a walk visits.
fn visited(rows: f64, m: f64, ef_search: f64) -> f64 {
    if rows <= 0.0 {
        return 1.0;
    }
    let layers = (rows.ln() / m.ln()).trunc();
    let ground = 2.0 * m * ef_search * 0.55 * rows.ln() / (m.ln() * (1.0 + ef_search.ln()));
    ((layers * m + ground) / rows).min(1.0)
}
