//! `sparsevec`: `{i32 length word, i32 dimensions, i32 count, i32 zero, i32 indices, f32 elements}`. Only elements that are
//! not zero are stored; the indices count from 0 and ascend.

use lagoon_vector::distance::sparse::Sparse;
use pgrx::pg_sys::Datum;

use super::error::VectorError;
use crate::pg::datum::varlena::{self, Varlena};
use crate::pg::error::raise;

/// The most dimensions that a `sparsevec` may have.
pub const MAX_SPARSE_DIMENSIONS: i32 = 1_000_000_000;

/// The most elements that a `sparsevec` may store.
pub const MAX_NON_ZERO: usize = 16_000;

/// Whether a `sparsevec` can have so many dimensions: 1 to [`MAX_SPARSE_DIMENSIONS`].
pub fn check_sparse_dimensions(dimensions: i32) -> Result<(), VectorError> {
    match dimensions {
        ..1 => Err(VectorError::Empty("sparsevec")),
        1..=MAX_SPARSE_DIMENSIONS => Ok(()),
        _ => Err(VectorError::TooLong("sparsevec", MAX_SPARSE_DIMENSIONS as usize)),
    }
}

/// What precedes the indices.
#[repr(C)]
struct Header {
    /// PostgreSQL's length word, of the whole value in bytes.
    length: i32,
    dimensions: i32,
    count: i32,
    unused: i32,
}

const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 16 && align_of::<Header>() == align_of::<f32>());

const fn size(count: usize) -> usize {
    HEADER + count * (size_of::<i32>() + size_of::<f32>())
}

/// A new value in the current memory context, its indices and its elements, all zero. The caller checks `dimensions` and
/// `count` first, and fills in ascending indices below `dimensions` and finite elements that are not zero.
pub fn alloc_sparse<'a>(dimensions: i32, count: usize) -> (Datum, &'a mut [i32], &'a mut [f32]) {
    debug_assert!(count <= MAX_NON_ZERO);
    let mut start = varlena::alloc::<Header>(size(count));
    // SAFETY: zero bytes make a header; indices and elements lie behind it, one after the other, inside what was allocated.
    unsafe {
        let header = start.as_mut();
        header.dimensions = dimensions;
        header.count = count as i32;
        let indices = start.byte_add(HEADER).cast::<i32>().as_ptr();
        (
            Datum::from(start.as_ptr()),
            std::slice::from_raw_parts_mut(indices, count),
            std::slice::from_raw_parts_mut(indices.add(count).cast(), count),
        )
    }
}

/// A sparse vector that lies in PostgreSQL's memory.
pub struct SparsevecRef<'a>(Varlena<'a, Header>);

impl SparsevecRef<'_> {
    /// Borrows a value. Raises XX001 when it is damaged. The order of the indices is not checked.
    ///
    /// # Safety
    /// `datum` is a value of type `sparsevec`, not NULL, and outlives the result.
    #[inline]
    pub unsafe fn from_datum(datum: Datum) -> Self {
        // SAFETY: the caller's; a header is made of integers, and the type is aligned to 4 as they are.
        if let Some(value) = unsafe { Varlena::<Header>::from_datum(datum) }
            && let Ok(count) = usize::try_from(value.header().count)
            && count <= MAX_NON_ZERO
            && value.size() == size(count)
        {
            return Self(value);
        }
        raise(&VectorError::Damaged("sparsevec"))
    }

    /// The value itself, detoasted, for a function that returns its argument. It lives as long as what it was made from.
    pub fn into_datum(self) -> Datum {
        self.0.into_datum()
    }

    /// The number of dimensions.
    pub fn dimensions(&self) -> i32 {
        self.0.header().dimensions
    }

    /// Indices and elements.
    #[inline]
    pub fn parts(&self) -> Sparse<'_> {
        let count = self.0.header().count as usize;
        // SAFETY: the constructor has compared the length with the count.
        unsafe {
            let indices = self.0.as_ptr().byte_add(HEADER).cast::<i32>();
            Sparse::new(
                std::slice::from_raw_parts(indices, count),
                std::slice::from_raw_parts(indices.add(count).cast(), count),
            )
        }
    }
}
