//! `aminsert`: one row.

use std::hash::{BuildHasher, Hasher, RandomState};

use pgrx::pg_guard;
use pgrx::pg_sys::{Datum, IndexInfo, IndexUniqueCheck, ItemPointer, Relation};

use lagoon_hnsw::format::{Meta, Tid};
use lagoon_hnsw::insert::insert;
use lagoon_hnsw::store::PageStore;
use lagoon_hnsw::{Error, Metric};

use super::column;
use super::pages::{PgPages, Purpose};
use crate::pg::error::OrRaise;

/// Adds a row. The result matters for unique indexes only.
#[pg_guard]
#[allow(clippy::too_many_arguments)] // PostgreSQL's signature
pub unsafe extern "C-unwind" fn aminsert(
    index: Relation,
    values: *mut Datum,
    isnull: *mut bool,
    heap_tid: ItemPointer,
    _heap: Relation,
    _check_unique: IndexUniqueCheck::Type,
    _index_unchanged: bool,
    _info: *mut IndexInfo,
) -> bool {
    // SAFETY: PostgreSQL passes an open index, one value and one flag, and the row's identifier.
    unsafe { insert_row(index, *values, *isnull, column::tid(heap_tid)) }.or_raise();
    false
}

unsafe fn insert_row(index: Relation, value: Datum, is_null: bool, tid: Tid) -> Result<(), Error> {
    if is_null {
        return Ok(());
    }
    // SAFETY: the caller's.
    let pages = unsafe { PgPages::new(index, Purpose::Use) };
    let metric = metric(&pages)?;
    // SAFETY: the column is of type vector; detoasting is done before any lock of the index is taken.
    unsafe { column::with_value(value, false, metric, |vector| insert(&pages, vector, tid, seed()))? };
    Ok(())
}

fn metric(pages: &PgPages) -> Result<Metric, Error> {
    Ok(Meta::read(&pages.read(0)?)?.metric)
}

/// Makes a random level.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
