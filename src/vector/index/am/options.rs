//! `amoptions`: the options in `WITH (...)`.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, Relation, bytea};

use lagoon_vector::Method;

use super::method::{AccessMethod, IntegerOption};
use crate::pg::compat::integer_option;

/// PostgreSQL's numbers for our kinds of options, by [`Method`].
static KINDS: [AtomicU32; Method::ALL.len()] = [const { AtomicU32::new(0) }; Method::ALL.len()];

/// Registers the options of an access method, once per process.
pub fn init<A: AccessMethod>() {
    // SAFETY: called from _PG_init; the names are static and PostgreSQL copies them.
    unsafe {
        let kind = pg_sys::add_reloption_kind();
        KINDS[A::METHOD as usize].store(kind, Ordering::Relaxed);
        let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        for IntegerOption { name, description, default, min, max } in A::OPTIONS {
            pg_sys::add_int_reloption(kind, name.as_ptr(), description.as_ptr(), *default, *min, *max, lock);
        }
    }
}

/// Parses `pg_class.reloptions`. PostgreSQL checks the bounds that [`init`] has registered.
#[pg_guard]
pub unsafe extern "C-unwind" fn amoptions<A: AccessMethod>(reloptions: Datum, validate: bool) -> *mut bytea {
    let options = A::OPTIONS.iter().enumerate();
    let elements: Vec<_> = options.map(|(number, option)| integer_option(option.name, offset(number))).collect();
    let kind = KINDS[A::METHOD as usize].load(Ordering::Relaxed);
    let (size, count) = (offset(elements.len()), elements.len() as c_int);
    // SAFETY: the elements are offsets of integers inside a struct of that size.
    unsafe { pg_sys::build_reloptions(reloptions, validate, kind, size, elements.as_ptr(), count).cast() }
}

/// The options of an index, in the order of `options`.
///
/// # Safety
/// `index` is an open index of the access method whose [`AccessMethod::OPTIONS`] they are.
pub unsafe fn values<const N: usize>(options: &[IntegerOption; N], index: Relation) -> [c_int; N] {
    // SAFETY: the caller's; rd_options is NULL or what amoptions() made.
    let stored = unsafe { (*index).rd_options.cast::<u8>() };
    std::array::from_fn(|number| match stored.is_null() {
        true => options[number].default,
        // SAFETY: as above: there is an integer for each option.
        false => unsafe { *stored.add(offset(number)).cast() },
    })
}

/// The offset of an option in `rd_options`, which has an integer for each after the length word.
const fn offset(number: usize) -> usize {
    size_of::<c_int>() * (1 + number)
}
