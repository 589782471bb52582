//! The index access method `hnsw`: the graph of [`lagoon_vector::hnsw`] on PostgreSQL's pages.

mod build;
mod cost;
mod info;
mod options;
mod scan;

use std::ffi::CStr;

use pgrx::pg_sys::{Datum, Relation};

use lagoon_vector::hnsw;
use lagoon_vector::page::{Hit, Tid};
use lagoon_vector::{Coder, Error, Method};

use super::am::{self, AccessMethod, Built, IntegerOption, ScanExtent, ScanValues, Vacuumed};
use super::pages::PgPages;
use super::random::seed;
use super::rows::IndexedTable;
use crate::pg::function::sql_functions;

pgrx::extension_sql_file!("../../../../sql/hnsw.sql", name = "hnsw", requires = ["vector", "sparsevec", "bit"]);

sql_functions! {
    fn hnsw_handler(_request: i32) -> Result<Datum, Error> {
        Ok(am::handler::<Hnsw>())
    }

    fn hnsw_wide_support(_nothing: i32) -> Result<Datum, Error> {
        Err(Error::NotCallable("hnsw_wide_support"))
    }
}

/// The access method.
pub struct Hnsw;

impl AccessMethod for Hnsw {
    const METHOD: Method = Method::Hnsw;
    const OPTIONS: &'static [IntegerOption] = &options::OPTIONS;
    const PHASES: &'static [(i64, &'static CStr)] = &build::PHASES;
    const SEQUENTIAL: f64 = 0.0;
    type Scan = hnsw::scan::Scan;

    unsafe fn build(table: &IndexedTable, pages: &PgPages) -> Result<Built, Error> {
        // SAFETY: the caller's.
        unsafe { build::build(table, pages) }
    }

    unsafe fn build_empty(index: Relation, pages: &PgPages) -> Result<(), Error> {
        // SAFETY: the caller's.
        hnsw::build::write_empty(&unsafe { options::meta(index)? }, pages)
    }

    fn coder(pages: &PgPages) -> Result<Coder, Error> {
        hnsw::coder(pages)
    }

    fn insert(pages: &PgPages, code: &[u32], tid: Tid) -> Result<(), Error> {
        hnsw::insert::insert(pages, code, tid, seed())
    }

    fn vacuum(pages: &PgPages, is_dead: &dyn Fn(Tid) -> bool) -> Result<Vacuumed, Error> {
        hnsw::vacuum::vacuum(pages, is_dead).map(|outcome| Vacuumed { rows: outcome.rows, removed: outcome.removed })
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
