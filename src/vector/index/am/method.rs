//! The trait of an access method: what differs between them.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys::Relation;

use lagoon_vector::page::{Hit, Tid};
use lagoon_vector::{Coder, Error, Method};

use super::values::ScanValues;
use crate::vector::index::pages::PgPages;
use crate::vector::index::rows::IndexedTable;

/// An access method. Its codes are those of [`Coder`], its pages those of [`PgPages`], and its only scan is
/// `ORDER BY column <operator> query`.
pub trait AccessMethod: 'static {
    /// Its name, for messages.
    const METHOD: Method;
    /// The options in `WITH (...)`.
    const OPTIONS: &'static [IntegerOption];
    /// Numbers and names of the phases of a build in pg_stat_progress_create_index; 1 is PostgreSQL's own "initializing".
    const PHASES: &'static [(i64, &'static CStr)];
    /// Estimated share of the pages of a scan that are sequential on disk, 0 to 1.
    const SEQUENTIAL: f64;
    /// A scan for one query.
    type Scan: 'static;

    /// Fills the pages of a new index, without WAL.
    ///
    /// # Safety
    /// `table` is being indexed, and `pages` are those of its index.
    unsafe fn build(table: &IndexedTable, pages: &PgPages) -> Result<Built, Error>;

    /// Fills the pages of an index without rows, without WAL.
    ///
    /// # Safety
    /// `index` is an open index of this access method.
    unsafe fn build_empty(index: Relation, pages: &PgPages) -> Result<(), Error>;

    /// The coder of an index.
    fn coder(pages: &PgPages) -> Result<Coder, Error>;

    /// Adds a row.
    fn insert(pages: &PgPages, code: &[u32], tid: Tid) -> Result<(), Error>;

    /// Removes the rows for which `is_dead` returns true.
    fn vacuum(pages: &PgPages, is_dead: &dyn Fn(Tid) -> bool) -> Result<Vacuumed, Error>;

    /// The extent of a scan of an index of `rows` rows, under the settings of the session.
    fn extent(pages: &PgPages, rows: f64) -> Result<ScanExtent, Error>;

    /// Begins a scan for the code of a query, under the settings of the session.
    fn scan(coder: Coder, query: Vec<u32>) -> Self::Scan;

    /// The next row, nearest first by the operator.
    fn next(scan: &mut Self::Scan, pages: &PgPages, values: &mut ScanValues) -> Result<Option<Hit>, Error>;
}

/// An option of an index.
pub struct IntegerOption {
    /// Its name in `WITH (name = value)`.
    pub name: &'static CStr,
    /// Its description, for PostgreSQL's table of options.
    pub description: &'static CStr,
    /// The default.
    pub default: c_int,
    /// The minimum.
    pub min: c_int,
    /// The maximum.
    pub max: c_int,
}

/// The result of a build.
pub struct Built {
    /// Rows of the table, as PostgreSQL counts them.
    pub heap_rows: f64,
    /// Rows in the index.
    pub index_rows: u64,
}

/// The result of a vacuum.
pub struct Vacuumed {
    /// Rows left in the index.
    pub rows: u64,
    /// Rows removed from it.
    pub removed: u64,
}

/// The extent of a scan.
pub struct ScanExtent {
    /// The share of the index that it reads before the first row, 0 to 1.
    pub share: f64,
    /// Approximate maximum number of rows that it returns, before filters.
    pub rows: f64,
}
