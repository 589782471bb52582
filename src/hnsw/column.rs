//! What is indexed: type, dimensions and distance of the one column, and its values.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, ItemPointer, Relation};

use lagoon_hnsw::format::{MAX_DIMENSIONS, Meta, Tid};
use lagoon_hnsw::{Error, Metric};

use super::options;
use crate::pg::vector::{VectorRef, type_oid};

/// The metapage that belongs to the definition of an index.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn meta(index: Relation) -> Result<Meta, Error> {
    // SAFETY: the caller's. The access method is single-column, so attribute 0 exists.
    let (type_id, modifier, options) = unsafe {
        let attribute = (*(*index).rd_att).attrs.as_ptr();
        ((*attribute).atttypid, (*attribute).atttypmod, options::of(index)?)
    };
    if type_id != type_oid() {
        return Err(Error::UnsupportedType);
    }
    let dimensions = usize::try_from(modifier).map_err(|_| Error::NoDimensions)?;
    if dimensions > MAX_DIMENSIONS {
        return Err(Error::TooManyDimensions { max: MAX_DIMENSIONS });
    }
    // SAFETY: the caller's.
    let metric = unsafe { metric(index)? };
    Ok(Meta::new(dimensions, options.m, options.ef_construction, metric))
}

/// The distance that belongs to the operator class: its support function 1, and whether there is a norm (2).
unsafe fn metric(index: Relation) -> Result<Metric, Error> {
    // SAFETY: the caller's; get_func_name() gives a palloced string or NULL.
    let (name, has_norm) = unsafe {
        let name = pg_sys::get_func_name(pg_sys::index_getprocid(index, 1, 1));
        if name.is_null() {
            return Err(Error::UnsupportedType);
        }
        (CStr::from_ptr(name), pg_sys::index_getprocid(index, 1, 2) != pg_sys::Oid::INVALID)
    };
    match (name.to_bytes(), has_norm) {
        (b"vector_l2_squared_distance", _) => Ok(Metric::L2),
        (b"vector_negative_inner_product", false) => Ok(Metric::InnerProduct),
        (b"vector_negative_inner_product", true) => Ok(Metric::Cosine),
        (b"l1_distance", _) => Ok(Metric::L1),
        _ => Err(Error::UnsupportedType),
    }
}

/// Gives `f` the prepared vector of a row; None for rows that are not indexed: NULL, and zero under cosine.
///
/// # Safety
/// `value` is of type vector when `is_null` is false.
pub unsafe fn with_value<R>(
    value: Datum,
    is_null: bool,
    metric: Metric,
    f: impl FnOnce(&[f32]) -> Result<R, Error>,
) -> Result<Option<R>, Error> {
    if is_null {
        return Ok(None);
    }
    // SAFETY: the caller's.
    let vector = unsafe { VectorRef::from_datum(value) };
    metric.prepare(&vector).map(|prepared| f(&prepared)).transpose()
}

/// The row identifier as the engine writes it.
///
/// # Safety
/// `tid` is valid.
pub unsafe fn tid(tid: ItemPointer) -> Tid {
    // SAFETY: the caller's.
    let (block, offset) = pgrx::itemptr::item_pointer_get_both(unsafe { *tid });
    u64::from(block) << 16 | u64::from(offset)
}
