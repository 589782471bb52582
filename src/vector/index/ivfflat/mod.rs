//! The index access method `ivfflat`: the lists of [`lagoon_vector::ivf`] on PostgreSQL's pages.

mod build;
mod cost;
mod info;
mod options;
mod sample;
mod scan;

use std::ffi::CStr;

use pgrx::pg_sys::{Datum, Relation};

use lagoon_vector::ivf;
use lagoon_vector::page::{Hit, Tid};
use lagoon_vector::{Coder, Error, Method};

use super::am::{self, AccessMethod, Built, IntegerOption, ScanExtent, ScanValues, Vacuumed};
use super::pages::PgPages;
use super::random::seed;
use super::rows::IndexedTable;
use crate::pg::function::sql_functions;

pgrx::extension_sql_file!("../../../../sql/ivfflat.sql", name = "ivfflat", requires = ["vector", "halfvec", "bit"]);

sql_functions! {
    fn ivfflat_handler(_request: i32) -> Result<Datum, Error> {
        Ok(am::handler::<Ivfflat>())
    }

    fn ivfflat_wide_support(_nothing: i32) -> Result<Datum, Error> {
        Err(Error::NotCallable("ivfflat_wide_support"))
    }
}

/// The access method.
pub struct Ivfflat;

impl AccessMethod for Ivfflat {
    const METHOD: Method = Method::Ivfflat;
    const OPTIONS: &'static [IntegerOption] = &options::OPTIONS;
    const PHASES: &'static [(i64, &'static CStr)] = &build::PHASES;
    const SEQUENTIAL: f64 = 0.5;
    type Scan = ivf::scan::Scan;

    unsafe fn build(table: &IndexedTable, pages: &PgPages) -> Result<Built, Error> {
        // SAFETY: the caller's.
        unsafe { build::build(table, pages) }
    }

    unsafe fn build_empty(index: Relation, pages: &PgPages) -> Result<(), Error> {
        // SAFETY: the caller's.
        let meta = unsafe { options::meta(index)? };
        ivf::build::write_empty(&Coder::plain(meta.space), meta.lists, pages, seed())
    }

    fn coder(pages: &PgPages) -> Result<Coder, Error> {
        ivf::coder(pages)
    }

    fn insert(pages: &PgPages, code: &[u32], tid: Tid) -> Result<(), Error> {
        ivf::insert::insert(pages, code, tid)
    }

    fn vacuum(pages: &PgPages, is_dead: &dyn Fn(Tid) -> bool) -> Result<Vacuumed, Error> {
        ivf::vacuum::vacuum(pages, is_dead).map(|outcome| Vacuumed { rows: outcome.rows, removed: outcome.removed })
    }

    fn extent(pages: &PgPages, rows: f64) -> Result<ScanExtent, Error> {
        cost::extent(pages, rows)
    }

    fn scan(coder: Coder, query: Vec<u32>) -> Self::Scan {
        Self::Scan::new(coder, query, scan::limits())
    }

    fn next(scan: &mut Self::Scan, pages: &PgPages, values: &mut ScanValues) -> Result<Option<Hit>, Error> {
        scan.next(pages, values)
    }
}
