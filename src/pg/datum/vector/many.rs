//! A `vector[]` that is filled in place, so that an array of megabytes is in memory only once.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum as BorrowedDatum;
use pgrx::pg_sys::{ArrayType, Datum};

use super::dense;
use super::oid::VECTOR;
use crate::pg::datum::varlena;

/// The most bytes of one value: MaxAllocSize in memutils.h.
const MAX_SIZE: usize = 0x3FFF_FFFF;

/// A one-dimensional array of vectors of one dimension, with NULLs. In memory as PostgreSQL has arrays: header, one
/// dimension, one lower bound, a bit for each element if one is NULL, and from the next multiple of 8 on the elements.
pub struct VectorArray {
    start: *mut ArrayType,
    dimension: usize,
    /// Where the next element goes, in bytes, and the end.
    next: usize,
    end: usize,
}

impl VectorArray {
    /// An array with room for the elements that are `present`. `None` if it would exceed the maximum size of a value.
    pub fn new(present: &[bool], dimension: usize) -> Option<Self> {
        let vectors = present.iter().filter(|is_present| **is_present).count();
        let has_nulls = vectors < present.len();
        let dimensions = usize::from(!present.is_empty());
        let header = size_of::<ArrayType>() + dimensions * 2 * size_of::<i32>();
        let data = (header + if has_nulls { present.len().div_ceil(8) } else { 0 }).next_multiple_of(8);
        let data = if present.is_empty() { header } else { data };
        let end = vectors.checked_mul(dense::size::<f32>(dimension))?.checked_add(data)?;
        if end > MAX_SIZE {
            return None;
        }
        let start = varlena::alloc::<ArrayType>(end).as_ptr();
        // SAFETY: zero bytes make a header; all that is written lies inside of what was allocated.
        unsafe {
            (*start).ndim = dimensions as i32;
            (*start).elemtype = VECTOR.oid();
            (*start).dataoffset = if has_nulls { data as i32 } else { 0 };
            if !present.is_empty() {
                *start.add(1).cast::<[i32; 2]>() = [present.len() as i32, 1];
            }
            let bits = start.byte_add(header).cast::<u8>();
            for (index, _) in present.iter().enumerate().filter(|(_, is_present)| has_nulls && **is_present) {
                *bits.add(index / 8) |= 1 << (index % 8);
            }
        }
        Some(Self { start, dimension, next: data, end })
    }

    /// Writes the next element that is not NULL. Returns false, and writes nothing, if its dimension is another or no element is
    /// left.
    pub fn push(&mut self, vector: &[f32]) -> bool {
        let size = dense::size::<f32>(self.dimension);
        if vector.len() != self.dimension || self.next + size > self.end {
            return false;
        }
        // SAFETY: `size` bytes from `next` on belong to this element, aligned to 4.
        unsafe { dense::write(self.start.byte_add(self.next).cast(), vector) };
        self.next += size;
        true
    }
}

// SAFETY: a datum of type vector[], as SqlTranslatable below says.
unsafe impl BoxRet for VectorArray {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> BorrowedDatum<'fcx> {
        debug_assert_eq!(self.next, self.end);
        // SAFETY: it was made in the context of the caller, or in one below it that lives as long.
        unsafe { fcinfo.return_raw_datum(Datum::from(self.start)) }
    }
}

pgrx::impl_sql_translatable!(VectorArray, "vector[]");
