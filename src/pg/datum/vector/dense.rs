//! `vector` and `halfvec`: `{i32 length word, u16 dimensions, u16 zero, elements}`, with elements of four and of two bytes.

use std::marker::PhantomData;
use std::ops::Deref;

use lagoon_vector::distance::half::{self, f16};
use lagoon_vector::distance::{self, CosineParts};
use pgrx::pg_sys::Datum;

use super::error::{VectorError, check_finite};
use crate::pg::datum::varlena::{self, Varlena};
use crate::pg::error::raise;

/// The most elements that a `vector` or a `halfvec` may have.
pub const MAX_DIMENSIONS: usize = 16_000;

/// An element of a dense vector, with the distances of such vectors. Both slices of a distance have the same length.
///
/// # Safety
/// The SQL type [`Self::TYPE`] has the layout above with elements of `Self`; any bytes make a `Self`, and zero bytes a zero.
pub unsafe trait Scalar: Copy + PartialOrd + 'static {
    /// The name of the SQL type.
    const TYPE: &'static str;
    /// Converts without loss.
    fn to_f32(self) -> f32;
    /// Rounds to the nearest value; infinite if out of range.
    fn from_f32(value: f32) -> Self;
    /// Sum of `(a - b)^2`.
    fn l2_squared(a: &[Self], b: &[Self]) -> f32;
    /// Sum of `a * b`.
    fn inner_product(a: &[Self], b: &[Self]) -> f32;
    /// Sum of `|a - b|`.
    fn l1(a: &[Self], b: &[Self]) -> f32;
    /// The three sums of a cosine.
    fn cosine(a: &[Self], b: &[Self]) -> CosineParts;
    /// The Euclidean length.
    fn norm(a: &[Self]) -> f64;
}

// SAFETY: `vector`, declared in sql/vector.sql.
unsafe impl Scalar for f32 {
    const TYPE: &'static str = "vector";

    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> Self {
        value
    }

    fn l2_squared(a: &[Self], b: &[Self]) -> f32 {
        distance::l2_squared(a, b)
    }

    fn inner_product(a: &[Self], b: &[Self]) -> f32 {
        distance::inner_product(a, b)
    }

    fn l1(a: &[Self], b: &[Self]) -> f32 {
        distance::l1(a, b)
    }

    fn cosine(a: &[Self], b: &[Self]) -> CosineParts {
        distance::cosine(a, b)
    }

    fn norm(a: &[Self]) -> f64 {
        distance::norm(a)
    }
}

// SAFETY: `halfvec`, declared in sql/halfvec.sql.
unsafe impl Scalar for f16 {
    const TYPE: &'static str = "halfvec";

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn l2_squared(a: &[Self], b: &[Self]) -> f32 {
        (half::kernels().l2_squared)(a, b)
    }

    fn inner_product(a: &[Self], b: &[Self]) -> f32 {
        (half::kernels().inner_product)(a, b)
    }

    fn l1(a: &[Self], b: &[Self]) -> f32 {
        (half::kernels().l1)(a, b)
    }

    fn cosine(a: &[Self], b: &[Self]) -> CosineParts {
        (half::kernels().cosine)(a, b)
    }

    fn norm(a: &[Self]) -> f64 {
        (half::kernels().norm_squared)(a).sqrt()
    }
}

/// Whether `count` elements make a vector: 1 to [`MAX_DIMENSIONS`].
pub fn check_dimensions<E: Scalar>(count: usize) -> Result<(), VectorError> {
    match count {
        0 => Err(VectorError::Empty(E::TYPE)),
        1..=MAX_DIMENSIONS => Ok(()),
        _ => Err(VectorError::TooLong(E::TYPE, MAX_DIMENSIONS)),
    }
}

/// Whether every element is finite.
pub fn check_elements<E: Scalar>(values: &[E]) -> Result<(), VectorError> {
    check_finite(E::TYPE, values.iter().map(|value| value.to_f32()))
}

/// What precedes the elements.
#[repr(C)]
struct Header {
    /// PostgreSQL's length word, of the whole value in bytes.
    length: i32,
    dimensions: u16,
    unused: u16,
}

const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 8 && align_of::<Header>() == align_of::<f32>());

/// A new value in the current memory context and its elements, all zero. The caller checks `dimensions` first
/// ([`check_dimensions`]) and fills in finite elements.
pub fn alloc<'a, E: Scalar>(dimensions: usize) -> (Datum, &'a mut [E]) {
    debug_assert!(check_dimensions::<E>(dimensions).is_ok());
    let mut start = varlena::alloc::<Header>(HEADER + dimensions * size_of::<E>());
    // SAFETY: zero bytes make a header; the slice lies behind it, inside what was allocated.
    unsafe {
        start.as_mut().dimensions = dimensions as u16;
        let elements = start.byte_add(HEADER).cast::<E>().as_ptr();
        (Datum::from(start.as_ptr()), std::slice::from_raw_parts_mut(elements, dimensions))
    }
}

/// Bytes of a value in memory, a multiple of 4.
pub(super) const fn size<E: Scalar>(dimensions: usize) -> usize {
    HEADER + dimensions * size_of::<E>()
}

/// Writes a value with these elements, which the caller has checked, at `start`.
///
/// # Safety
/// [`size`] bytes from `start` on may be written, and are aligned to 4.
pub(super) unsafe fn write<E: Scalar>(start: *mut u8, values: &[E]) {
    // SAFETY: the caller's.
    unsafe {
        pgrx::set_varsize_4b(start.cast(), size::<E>(values.len()) as i32);
        let header = start.cast::<Header>();
        ((*header).dimensions, (*header).unused) = (values.len() as u16, 0);
        start.add(HEADER).cast::<E>().copy_from_nonoverlapping(values.as_ptr(), values.len());
    }
}

/// A new value in the current memory context with these elements, which the caller has checked.
pub fn to_datum<E: Scalar>(values: &[E]) -> Datum {
    let (datum, elements) = alloc(values.len());
    elements.copy_from_slice(values);
    datum
}

/// A dense vector that lies in PostgreSQL's memory.
pub struct DenseRef<'a, E>(Varlena<'a, Header>, PhantomData<&'a [E]>);

/// A value of type `vector`.
pub type VectorRef<'a> = DenseRef<'a, f32>;

impl<E: Scalar> DenseRef<'_, E> {
    /// Borrows a value. Raises XX001 when it is damaged.
    ///
    /// # Safety
    /// `datum` is a value of type `E::TYPE`, not NULL, and outlives the result.
    #[inline]
    pub unsafe fn from_datum(datum: Datum) -> Self {
        // SAFETY: the caller's; a header is made of integers, and the type is aligned to 4 as they are.
        if let Some(value) = unsafe { Varlena::<Header>::from_datum(datum) } {
            let dimensions = usize::from(value.header().dimensions);
            if dimensions > 0 && value.size() == HEADER + dimensions * size_of::<E>() {
                return Self(value, PhantomData);
            }
        }
        raise(&VectorError::Damaged(E::TYPE))
    }

    /// The value itself, detoasted, for a function that returns its argument. It lives as long as what it was made from.
    pub fn into_datum(self) -> Datum {
        self.0.into_datum()
    }
}

impl<E: Scalar> Deref for DenseRef<'_, E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        let dimensions = usize::from(self.0.header().dimensions);
        // SAFETY: the constructor has compared the length with the number of dimensions.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().byte_add(HEADER).cast(), dimensions) }
    }
}
