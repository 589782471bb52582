//! The rows of a table, as PostgreSQL gives them to builds of indexes.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexInfo, ItemPointer, Relation, TableScanDesc};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;

use super::column::{self, Column};
use crate::pg::error::OrRaise;

/// What takes a row: its code and its identifier.
pub type Take<'a> = dyn FnMut(&[u32], Tid) -> Result<(), Error> + 'a;

/// Which rows of a table.
pub enum Rows {
    /// All that a new index must hold; what a build asks for.
    All,
    /// So many blocks from this one on, what a build would ask for of these.
    Blocks(u32, u32),
    /// What a scan sees.
    Seen(TableScanDesc),
}

/// Gives `f` the code of each row that is to be in the index; their number as PostgreSQL counts rows of the table.
///
/// # Safety
/// The table and its index are open and locked, `info` is of the index, and `column` reads it.
pub unsafe fn each(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
    rows: Rows,
    column: &Column,
    f: &mut Take<'_>,
) -> f64 {
    let mut state = State { column, f };
    let state = (&raw mut state).cast::<c_void>();
    let null = std::ptr::null_mut();
    // SAFETY: the caller's. The state outlives the scan, which calls back only while it runs, and ends itself.
    unsafe {
        match rows {
            Rows::All => pg_sys::table_index_build_scan(heap, index, info, true, true, Some(give), state, null),
            Rows::Seen(scan) => pg_sys::table_index_build_scan(heap, index, info, true, false, Some(give), state, scan),
            Rows::Blocks(first, count) => pg_sys::table_index_build_range_scan(
                heap,
                index,
                info,
                false,
                true,
                false,
                first,
                count,
                Some(give),
                state,
                null,
            ),
        }
    }
}

struct State<'a> {
    column: &'a Column,
    f: &'a mut Take<'a>,
}

#[pg_guard]
unsafe extern "C-unwind" fn give(
    _index: Relation,
    tid: ItemPointer,
    values: *mut Datum,
    isnull: *mut bool,
    _alive: bool,
    state: *mut c_void,
) {
    // SAFETY: called by the scan above, with its state and one column.
    unsafe {
        let state = &mut *state.cast::<State<'_>>();
        let tid = column::tid(tid);
        if let Some(code) = state.column.code(*values, *isnull).or_raise() {
            (state.f)(&code, tid).or_raise();
        }
    }
}
