//! The rows of a table, as PostgreSQL gives them to builds of indexes.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexInfo, ItemPointer, Relation, TableScanDesc};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;
use lagoon_vector::sample::Sample;

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
    // SAFETY: the caller's.
    unsafe {
        values(heap, index, info, rows, &mut |value, is_null, tid| match column.code(value, is_null)? {
            Some(code) => f(&code, tid),
            None => Ok(()),
        })
    }
}

/// Lets a sample draw from the elements of dense values.
///
/// # Safety
/// As for [`each`].
pub unsafe fn sample(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
    rows: Rows,
    column: &Column,
    sample: &mut Sample<f32>,
) {
    // SAFETY: the caller's.
    unsafe {
        values(heap, index, info, rows, &mut |value, is_null, _| {
            if is_null {
                return Ok(());
            }
            match sample.draw() {
                Some(place) => column.elements(value, |elements| sample.put(place, elements)),
                None => Ok(()), // and it is not even detoasted
            }
        });
    }
}

/// What takes a value, whether it is NULL, and its row.
type Give<'a> = dyn FnMut(Datum, bool, Tid) -> Result<(), Error> + 'a;

unsafe fn values(heap: Relation, index: Relation, info: *mut IndexInfo, rows: Rows, f: &mut Give<'_>) -> f64 {
    let mut state = State(f);
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

struct State<'a>(&'a mut Give<'a>);

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
        let State(f) = &mut *state.cast::<State<'_>>();
        f(*values, *isnull, column::tid(tid)).or_raise();
    }
}
