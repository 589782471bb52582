//! `lagoon.verify_index`: the engine's checks, and the table's rows against those of the index.

use std::collections::HashSet;
use std::ffi::{CStr, c_void};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, ItemPointer, Oid, Relation};

use lagoon_hnsw::Error;
use lagoon_hnsw::format::Tid;
use lagoon_hnsw::verify::{Report, verify};

use super::column::{self, Column};
use super::pages::{PgPages, Purpose};
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
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the table is locked before its index, as everywhere; both are open until the end, or the ERROR.
    unsafe {
        let table = pg_sys::IndexGetRelation(oid, true);
        if table == Oid::INVALID {
            return Err(Error::NotHnsw(name_of(oid)));
        }
        let heap = pg_sys::relation_open(table, lock);
        let index = pg_sys::relation_open(oid, lock);
        let outcome = check(oid, table, heap, index);
        pg_sys::relation_close(index, lock);
        pg_sys::relation_close(heap, lock);
        outcome
    }
}

unsafe fn check(oid: Oid, table: Oid, heap: Relation, index: Relation) -> Result<Report, Error> {
    // SAFETY: the caller's: both are open and belong together.
    unsafe {
        if (*(*index).rd_rel).relkind != pg_sys::RELKIND_INDEX as std::ffi::c_char || !is_hnsw(index) {
            return Err(Error::NotHnsw(name_of(oid)));
        }
        let read = pg_sys::ACL_SELECT as pg_sys::AclMode;
        if pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), read) != pg_sys::AclResult::ACLCHECK_OK {
            return Err(Error::PermissionDenied(name_of(table)));
        }
        let is_foreign_temporary = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_TEMP as std::ffi::c_char
            && !(*index).rd_islocaltemp;
        let info = (*index).rd_index;
        if is_foreign_temporary || !(*info).indisvalid || !(*info).indisready {
            return Err(Error::Unreadable(name_of(oid)));
        }
        // The table first: what this snapshot sees is in the index by then, and stays.
        let rows = rows_of(heap, index, Column::new(index, column::meta(index)?.space)?);
        let mut report = verify(&PgPages::new(index, Purpose::Use))?;
        report.compare_heap(&rows);
        Ok(report)
    }
}

/// Whether the handler of the index is ours, whatever the access method is called.
unsafe fn is_hnsw(index: Relation) -> bool {
    // SAFETY: the caller's; get_func_name() gives a palloced string or NULL.
    unsafe {
        let handler = pg_sys::get_func_name((*index).rd_amhandler);
        !handler.is_null() && CStr::from_ptr(handler) == c"hnsw_handler"
    }
}

fn name_of(oid: Oid) -> String {
    // SAFETY: a lookup in the system cache; a palloced string or NULL.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        if name.is_null() { oid.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
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
