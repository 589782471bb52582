//! `lagoon.verify_index`: the engine's checks, and the table's rows against those of the index.

use std::collections::HashSet;
use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, ItemPointer, Oid, Relation};

use lagoon_vector::Error;
use lagoon_vector::hnsw::verify::{Report, verify};
use lagoon_vector::page::Tid;

use super::column::{self, Column};
use super::open::Opened;
use crate::pg::error::OrRaise;

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::iter::TableIterator;
    use pgrx::{PgRelation, name, pg_extern};

    use crate::pg::error::OrRaise;

    /// Verifies an hnsw index: one row per check. Reads the whole index and its table; inserts and vacuums of the index wait.
    #[pg_extern(volatile, parallel_unsafe)]
    fn verify_index(
        index: PgRelation,
    ) -> TableIterator<'static, (name!(check_name, String), name!(passed, bool), name!(detail, String))> {
        let oid = index.oid();
        drop(index);
        let report = super::report(oid).or_raise();
        TableIterator::new(report.checks.into_iter().map(|check| (check.name.to_owned(), check.passed, check.detail)))
    }
}

fn report(oid: Oid) -> Result<Report, Error> {
    let opened = Opened::new(oid)?;
    // SAFETY: both are open and belong together. The table first: what this snapshot sees is in the index by then, and stays.
    let rows = unsafe {
        let column = Column::new(opened.index, column::meta(opened.index)?.space)?;
        rows_of(opened.heap, opened.index, column)
    };
    let mut report = verify(&opened.pages())?;
    report.compare_heap(&rows);
    Ok(report)
}

struct Rows {
    column: Column,
    tids: HashSet<Tid>,
}

/// The rows that a scan of the table sees and that must be in the index: the predicate holds, the vector is indexable.
/// As amcheck does it, through the code that builds indexes, but with an MVCC snapshot.
unsafe fn rows_of(heap: Relation, index: Relation, column: Column) -> HashSet<Tid> {
    let mut rows = Rows { column, tids: HashSet::new() };
    // SAFETY: the caller's. The scan ends itself inside table_index_build_scan().
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot());
        let info = pg_sys::BuildIndexInfo(index);
        (*info).ii_Concurrent = true; // says that the snapshot is an MVCC one
        (*info).ii_Unique = false;
        let scan = pg_sys::table_beginscan_strat(heap, snapshot, 0, std::ptr::null_mut(), true, true);
        let state: *mut Rows = &mut rows;
        pg_sys::table_index_build_scan(heap, index, info, true, false, Some(row_callback), state.cast(), scan);
        pg_sys::UnregisterSnapshot(snapshot);
    }
    rows.tids
}

#[pg_guard]
unsafe extern "C-unwind" fn row_callback(
    _index: Relation,
    tid: ItemPointer,
    values: *mut Datum,
    isnull: *mut bool,
    _alive: bool,
    state: *mut c_void,
) {
    // SAFETY: called by the scan above, with its state and one column.
    unsafe {
        let rows = &mut *state.cast::<Rows>();
        let tid = column::tid(tid);
        if rows.column.code(*values, *isnull).or_raise().is_some() {
            rows.tids.insert(tid);
        }
    }
}
