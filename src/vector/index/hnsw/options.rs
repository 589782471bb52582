//! `WITH (m = ..., ef_construction = ...)`.

use pgrx::pg_sys::Relation;

use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::{Error, Method};

use crate::vector::index::am::{IntegerOption, options};
use crate::vector::index::column::space;

/// Links per layer, and candidates while inserting.
pub const OPTIONS: [IntegerOption; 2] = [
    IntegerOption { name: c"m", description: c"Max number of connections", default: 16, min: 2, max: 100 },
    IntegerOption {
        name: c"ef_construction",
        description: c"Size of the dynamic candidate list",
        default: 64,
        min: 4,
        max: 1000,
    },
];

/// The options of an index.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Links per layer above 0.
    pub m: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
}

/// The options of an open index, checked against each other.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn of(index: Relation) -> Result<Options, Error> {
    // SAFETY: the caller's.
    let [m, ef_construction] = unsafe { options::values(&OPTIONS, index) };
    if ef_construction < 2 * m {
        return Err(Error::EfConstructionTooSmall);
    }
    Ok(Options { m: m as usize, ef_construction: ef_construction as usize })
}

/// The metapage that belongs to the definition of an index.
///
/// # Safety
/// As for [`of`].
pub unsafe fn meta(index: Relation) -> Result<Meta, Error> {
    // SAFETY: the caller's.
    let (options, space) = unsafe { (of(index)?, space(index, Method::Hnsw)?) };
    Ok(Meta::new(space, options.m, options.ef_construction))
}
