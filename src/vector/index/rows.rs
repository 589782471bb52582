//! The rows of a table, as PostgreSQL passes them to index builds.

use std::ffi::c_void;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, ForkNumber, IndexInfo, ItemPointer, Relation, TableScanDesc};

use lagoon_vector::Error;
use lagoon_vector::page::Tid;
use lagoon_vector::sample::Sample;

use super::column::{self, Column};
use crate::pg::error::OrRaise;

/// A table and an index of it.
pub struct IndexedTable {
    heap: Relation,
    /// The index.
    pub index: Relation,
    info: *mut IndexInfo,
}

/// Which rows of a table.
pub enum Rows {
    /// All rows that a new index must have, for a build.
    All,
    /// The same, of a number of blocks from this one on.
    Blocks(u32, u32),
    /// The rows that a scan sees.
    Seen(TableScanDesc),
}

impl IndexedTable {
    /// `info` says what is indexed.
    ///
    /// # Safety
    /// The table and its index are open and locked while the result lives, and `info` is of the index.
    pub unsafe fn new(heap: Relation, index: Relation, info: *mut IndexInfo) -> Self {
        Self { heap, index, info }
    }

    /// Blocks of the table.
    pub fn blocks(&self) -> u32 {
        // SAFETY: the table is open.
        unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.heap, ForkNumber::MAIN_FORKNUM) }
    }

    /// Calls `f` with code and identifier of each row that must be in the index. Returns the number of rows of the table,
    /// as PostgreSQL counts them.
    ///
    /// # Safety
    /// `column` reads the index.
    pub unsafe fn each(&self, rows: Rows, column: &Column, f: &mut OnRow<'_>) -> f64 {
        // SAFETY: the caller's.
        self.values(rows, &mut |value, is_null, tid| match unsafe { column.code(value, is_null)? } {
            Some(code) => f(&code, tid),
            None => Ok(()),
        })
    }

    /// Lets a sample draw from the elements of dense values.
    ///
    /// # Safety
    /// `column` reads the index.
    pub unsafe fn sample(&self, rows: Rows, column: &Column, sample: &mut Sample<f32>) {
        self.values(rows, &mut |value, is_null, _| {
            if is_null {
                return Ok(());
            }
            match sample.draw() {
                // SAFETY: the caller's.
                Some(place) => unsafe { column.elements(value, |elements| sample.put(place, elements)) },
                None => Ok(()), // without detoasting the value
            }
        });
    }

    fn values(&self, rows: Rows, f: &mut OnValue<'_>) -> f64 {
        let Self { heap, index, info } = *self;
        let mut state = State(f);
        let state = (&raw mut state).cast::<c_void>();
        let call: pg_sys::IndexBuildCallback = Some(build_callback);
        let null = std::ptr::null_mut();
        // SAFETY: all three belong together. The state outlives the scan, which calls back only while it runs, and ends itself.
        unsafe {
            match rows {
                Rows::All => pg_sys::table_index_build_scan(heap, index, info, true, true, call, state, null),
                Rows::Seen(scan) => pg_sys::table_index_build_scan(heap, index, info, true, false, call, state, scan),
                Rows::Blocks(first, count) => pg_sys::table_index_build_range_scan(
                    heap, index, info, false, true, false, first, count, call, state, null,
                ),
            }
        }
    }
}

/// A function that is called with the code of a row, and its identifier.
pub type OnRow<'a> = dyn FnMut(&[u32], Tid) -> Result<(), Error> + 'a;

/// A function that is called with a value, whether it is NULL, and its row.
type OnValue<'a> = dyn FnMut(Datum, bool, Tid) -> Result<(), Error> + 'a;

struct State<'a>(&'a mut OnValue<'a>);

#[pg_guard]
unsafe extern "C-unwind" fn build_callback(
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
