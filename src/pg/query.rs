//! Functions of PostgreSQL on queries and tables that pgrx has no binding of.

use std::ffi::c_int;

use pgrx::pg_sys::{self, Oid};

mod unguarded {
    use super::{Oid, c_int, pg_sys};

    unsafe extern "C-unwind" {
        // pg_inherits.c
        pub fn has_subclass(table: Oid) -> bool;
        // parse_agg.c
        pub fn expand_grouping_sets(sets: *mut pg_sys::List, distinct: bool, limit: c_int) -> *mut pg_sys::List;
    }
}

/// Whether other tables may inherit from a table.
pub fn has_subclass(table: Oid) -> bool {
    // SAFETY: a catalog lookup; an ERROR where there is no such table.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| unguarded::has_subclass(table)) }
}

/// The references of the groups that GROUPING is asked about.
///
/// # Safety
/// A node of a live query.
pub unsafe fn grouping_references(call: *mut pg_sys::GroupingFunc) -> Vec<u32> {
    // SAFETY: the caller's; it is a list of integers.
    unsafe { elements((*call).refs).iter().map(|reference| reference.int_value as u32).collect() }
}

/// The cells of a list, which may be NIL.
///
/// # Safety
/// A list that outlives the result.
unsafe fn elements<'a>(list: *mut pg_sys::List) -> &'a [pg_sys::ListCell] {
    // SAFETY: the caller's.
    unsafe { list.as_ref().map_or(&[][..], |list| std::slice::from_raw_parts(list.elements, list.length as usize)) }
}

/// The grouping sets of a query, spelled out: each the references of its groups. None if there are more than `limit`.
///
/// # Safety
/// A query.
pub unsafe fn grouping_sets(query: *mut pg_sys::Query, limit: c_int) -> Option<Vec<Vec<u32>>> {
    // SAFETY: the caller's; the result is a list of lists of integers, of which an empty one is NIL.
    unsafe {
        let (sets, distinct) = ((*query).groupingSets, (*query).groupDistinct);
        let sets = pg_sys::ffi::pg_guard_ffi_boundary(|| unguarded::expand_grouping_sets(sets, distinct, limit));
        let set = |set: &pg_sys::ListCell| {
            elements(set.ptr_value.cast()).iter().map(|reference| reference.int_value as u32).collect()
        };
        (!sets.is_null()).then(|| elements(sets).iter().map(set).collect())
    }
}
