//! `WITH (lists = ...)`.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, bytea};

use lagoon_vector::ivf::format::{MAX_LISTS, Meta};
use lagoon_vector::{Coder, Error, Method, Metric};

use crate::pg::compat::integer_option;
use crate::vector::index::space;

/// Lists when nothing is said.
const DEFAULT_LISTS: c_int = 100;

static KIND: AtomicU32 = AtomicU32::new(0);

/// What PostgreSQL keeps in `rd_options`.
#[repr(C)]
struct Stored {
    length_word: i32,
    lists: c_int,
}

/// Registers the options, once per process.
pub fn init() {
    // SAFETY: called from _PG_init; the names are static and PostgreSQL copies them.
    unsafe {
        let kind = pg_sys::add_reloption_kind();
        KIND.store(kind, Ordering::Relaxed);
        let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        let about = c"Number of inverted lists".as_ptr();
        pg_sys::add_int_reloption(kind, c"lists".as_ptr(), about, DEFAULT_LISTS, 1, MAX_LISTS as c_int, lock);
    }
}

/// Parses `pg_class.reloptions`; bounds are PostgreSQL's to check, by what [`init`] registered.
#[pg_guard]
pub unsafe extern "C-unwind" fn amoptions(reloptions: Datum, validate: bool) -> *mut bytea {
    let element = integer_option(c"lists", std::mem::offset_of!(Stored, lists));
    let kind = KIND.load(Ordering::Relaxed);
    // SAFETY: the element is the offset of an integer inside a struct of that size.
    unsafe { pg_sys::build_reloptions(reloptions, validate, kind, size_of::<Stored>(), &element, 1).cast() }
}

/// The metapage that belongs to the definition of an index.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn meta(index: pg_sys::Relation) -> Result<Meta, Error> {
    // SAFETY: the caller's; rd_options is NULL or what amoptions() made.
    let (space, stored) = unsafe { (space(index, Method::Ivfflat)?, (*index).rd_options.cast::<Stored>().as_ref()) };
    // Of one dimension all values have one of two directions.
    if space.dimensions == 1 && matches!(space.metric, Metric::InnerProduct | Metric::Cosine) {
        return Err(Error::OneDimension);
    }
    let meta = Meta::new(&Coder::plain(space), stored.map_or(DEFAULT_LISTS, |stored| stored.lists) as u32);
    if meta.is_possible() { Ok(meta) } else { Err(Error::UnsupportedType(Method::Ivfflat)) }
}
