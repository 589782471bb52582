//! `aminsert`: one row.

use pgrx::pg_guard;
use pgrx::pg_sys::{Datum, IndexInfo, IndexUniqueCheck, ItemPointer, Relation};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;

use super::method::AccessMethod;
use crate::pg::error::OrRaise;
use crate::vector::index::column::{Column, tid};
use crate::vector::index::pages::{PgPages, Purpose};

/// Adds a row. The result matters for unique indexes only.
#[pg_guard]
#[allow(clippy::too_many_arguments)] // PostgreSQL's signature
pub unsafe extern "C-unwind" fn aminsert<A: AccessMethod>(
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
    unsafe { insert::<A>(index, *values, *isnull, tid(heap_tid)) }.or_raise();
    false
}

unsafe fn insert<A: AccessMethod>(index: Relation, value: Datum, is_null: bool, tid: Tid) -> Result<(), Error> {
    if is_null {
        return Ok(());
    }
    // SAFETY: the caller's: a value of the column's type. Detoasting is done before any lock of the index is taken.
    unsafe {
        let pages = PgPages::new(index, Purpose::Use);
        match Column::new(index, A::METHOD, A::coder(&pages)?)?.code(value, false)? {
            Some(code) => A::insert(&pages, &code, tid),
            None => Ok(()),
        }
    }
}
