//! `WITH (m = ..., ef_construction = ...)`.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, bytea};

use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::{Error, Method};

use crate::pg::compat::integer_option;
use crate::vector::index::space;

/// Links per layer, and candidates while inserting, when nothing is said.
const DEFAULT_M: c_int = 16;
const DEFAULT_EF_CONSTRUCTION: c_int = 64;

static KIND: AtomicU32 = AtomicU32::new(0);

/// What PostgreSQL keeps in `rd_options`.
#[repr(C)]
struct Stored {
    length_word: i32,
    m: c_int,
    ef_construction: c_int,
}

/// The options of an index.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Links per layer above 0.
    pub m: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
}

/// Registers the options, once per process.
pub fn init() {
    // SAFETY: called from _PG_init; the names are static and PostgreSQL copies them.
    unsafe {
        let kind = pg_sys::add_reloption_kind();
        KIND.store(kind, Ordering::Relaxed);
        let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        let (m, ef) = (c"Max number of connections".as_ptr(), c"Size of the dynamic candidate list".as_ptr());
        pg_sys::add_int_reloption(kind, c"m".as_ptr(), m, DEFAULT_M, 2, 100, lock);
        pg_sys::add_int_reloption(kind, c"ef_construction".as_ptr(), ef, DEFAULT_EF_CONSTRUCTION, 4, 1000, lock);
    }
}

/// Parses `pg_class.reloptions`; bounds are PostgreSQL's to check, by what [`init`] registered.
#[pg_guard]
pub unsafe extern "C-unwind" fn amoptions(reloptions: Datum, validate: bool) -> *mut bytea {
    let elements = [
        integer_option(c"m", std::mem::offset_of!(Stored, m)),
        integer_option(c"ef_construction", std::mem::offset_of!(Stored, ef_construction)),
    ];
    let kind = KIND.load(Ordering::Relaxed);
    // SAFETY: the elements are offsets of integers inside a struct of that size.
    unsafe { pg_sys::build_reloptions(reloptions, validate, kind, size_of::<Stored>(), elements.as_ptr(), 2).cast() }
}

/// The options of an open index, checked against each other.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn of(index: pg_sys::Relation) -> Result<Options, Error> {
    // SAFETY: the caller's; rd_options is NULL or what amoptions() made.
    let stored = unsafe { (*index).rd_options.cast::<Stored>().as_ref() };
    let (m, ef) = stored.map_or((DEFAULT_M, DEFAULT_EF_CONSTRUCTION), |stored| (stored.m, stored.ef_construction));
    if ef < 2 * m {
        return Err(Error::EfConstructionTooSmall);
    }
    Ok(Options { m: m as usize, ef_construction: ef as usize })
}

/// The metapage that belongs to the definition of an index.
///
/// # Safety
/// As for [`of`].
pub unsafe fn meta(index: pg_sys::Relation) -> Result<Meta, Error> {
    // SAFETY: the caller's.
    let (options, space) = unsafe { (of(index)?, space(index, Method::Hnsw)?) };
    Ok(Meta::new(space, options.m, options.ef_construction))
}
