//! `WITH (lists = ...)`.

use std::ffi::c_int;

use pgrx::pg_sys::Relation;

use lagoon_vector::ivf::format::{MAX_LISTS, Meta};
use lagoon_vector::{Coder, Error, Method, Metric};

use crate::vector::index::am::{IntegerOption, options};
use crate::vector::index::column::space;

/// The number of lists.
pub const OPTIONS: [IntegerOption; 1] = [IntegerOption {
    name: c"lists",
    description: c"Number of inverted lists",
    default: 100,
    min: 1,
    max: MAX_LISTS as c_int,
}];

/// The metapage that belongs to the definition of an index.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn meta(index: Relation) -> Result<Meta, Error> {
    // SAFETY: the caller's.
    let (space, [lists]) = unsafe { (space(index, Method::Ivfflat)?, options::values(&OPTIONS, index)) };
    // Values of one dimension have one of two directions.
    if space.dimensions == 1 && matches!(space.metric, Metric::InnerProduct | Metric::Cosine) {
        return Err(Error::OneDimension);
    }
    let meta = Meta::new(&Coder::plain(space), lists as u32);
    if meta.is_possible() { Ok(meta) } else { Err(Error::UnsupportedType(Method::Ivfflat)) }
}
