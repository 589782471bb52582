//! PostgreSQL arrays of plain numbers as slices, without a datum per element.

use std::ptr::NonNull;

use pgrx::pg_sys::{self, ArrayType, Datum, Oid};

use super::varlena::{self, Varlena};
use super::vector::VectorError;
use crate::pg::error::raise;

/// A number whose form in an array is the one in memory.
///
/// # Safety
/// An array with elements of type `OID` holds values of `Self`, aligned for it.
pub unsafe trait Element: Copy + 'static {
    /// The element type in SQL.
    const OID: Oid;
}

// SAFETY: `integer` is four bytes aligned to four.
unsafe impl Element for i32 {
    const OID: Oid = pg_sys::INT4OID;
}

// SAFETY: `real` is four bytes aligned to four.
unsafe impl Element for f32 {
    const OID: Oid = pg_sys::FLOAT4OID;
}

// SAFETY: `double precision` is eight bytes aligned to eight.
unsafe impl Element for f64 {
    const OID: Oid = pg_sys::FLOAT8OID;
}

/// Where the elements of a one-dimensional array without NULLs begin: header, one dimension, one lower bound, aligned to 8.
const DATA: usize = (size_of::<ArrayType>() + 2 * size_of::<i32>()).next_multiple_of(8);

/// A new one-dimensional array in the current memory context and its elements, all zero.
pub fn alloc<'a, T: Element>(length: usize) -> (Datum, &'a mut [T]) {
    let start = varlena::alloc::<ArrayType>(DATA + length * size_of::<T>()).as_ptr();
    // SAFETY: zero bytes make a header; the elements lie behind it as construct_md_array() puts them, inside what was allocated.
    unsafe {
        (*start).ndim = 1;
        (*start).elemtype = T::OID;
        *start.add(1).cast::<[i32; 2]>() = [length as i32, 1];
        (Datum::from(start), std::slice::from_raw_parts_mut(start.byte_add(DATA).cast(), length))
    }
}

/// An array that lies in PostgreSQL's memory, detoasted into the current memory context if need be.
pub struct ArrayRef<'a>(Varlena<'a, ArrayType>);

impl ArrayRef<'_> {
    /// Borrows an array. Raises XX001 when it is shorter than any array.
    ///
    /// # Safety
    /// `datum` is an array, not NULL, and outlives the result.
    pub unsafe fn from_datum(datum: Datum) -> Self {
        // SAFETY: the caller's; a header is made of integers, and arrays are aligned to 4 at least.
        match unsafe { Varlena::from_datum(datum) } {
            Some(array) => Self(array),
            None => raise(&VectorError::Damaged("array")),
        }
    }

    /// The array itself, which lives as long as `self` when it [is a copy](Self::is_copy).
    pub fn as_datum(&self) -> Datum {
        Datum::from(self.as_ptr())
    }

    /// Whether this is a copy, so that changes do not reach the original.
    pub fn is_copy(&self) -> bool {
        self.0.is_copy()
    }

    /// The array as PostgreSQL's own functions take it.
    pub fn as_ptr(&self) -> *mut ArrayType {
        self.0.as_ptr()
    }

    /// How many dimensions it has; none when it is empty.
    pub fn dimensions(&self) -> usize {
        self.0.header().ndim.max(0) as usize
    }

    /// How many elements an array of at most one dimension has.
    pub fn length(&self) -> usize {
        match self.dimensions() {
            0 => 0,
            // SAFETY: behind the header comes the length of the first dimension.
            _ => unsafe { (*self.as_ptr().add(1).cast::<i32>()).max(0) as usize },
        }
    }

    /// The type of its elements.
    pub fn element_type(&self) -> Oid {
        self.0.header().elemtype
    }

    /// Whether an element is NULL.
    pub fn has_nulls(&self) -> bool {
        // SAFETY: a plain array.
        unsafe { pg_sys::array_contains_nulls(self.as_ptr()) }
    }

    /// The elements of an array of at most one dimension without NULLs, if they are of that type.
    pub fn elements<T: Element>(&self) -> Option<&[T]> {
        let (start, length) = self.data::<T>()?;
        // SAFETY: `data` has checked type and length.
        Some(unsafe { std::slice::from_raw_parts(start, length) })
    }

    /// As [`Self::elements`], to change them in place. Only for the state of an aggregate (`InAggregate`).
    pub fn elements_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        let (start, length) = self.data::<T>()?;
        // SAFETY: `data` has checked type and length; the state of an aggregate has one owner.
        Some(unsafe { std::slice::from_raw_parts_mut(start, length) })
    }

    /// The values of a type modifier, which the parser gives as an array of cstring. Raises 22P02 for one that is no integer.
    pub fn integer_modifiers(&self) -> &[i32] {
        let mut count = 0;
        // SAFETY: gives an array of `count` integers in the current memory context, or raises.
        unsafe {
            let first = pg_sys::ArrayGetIntegerTypmods(self.as_ptr(), &mut count);
            std::slice::from_raw_parts(first, count as usize)
        }
    }

    fn data<T: Element>(&self) -> Option<(*mut T, usize)> {
        if self.element_type() != T::OID || self.dimensions() > 1 || self.has_nulls() {
            return None;
        }
        if self.dimensions() == 0 {
            return Some((NonNull::dangling().as_ptr(), 0));
        }
        let start = self.as_ptr();
        // SAFETY: one dimension; a null bitmap without a NULL in it moves the elements to `dataoffset`.
        unsafe {
            let offset = if (*start).dataoffset == 0 { DATA } else { (*start).dataoffset as usize };
            let elements = start.byte_add(offset).cast::<T>();
            debug_assert!(elements.is_aligned());
            Some((elements, self.length()))
        }
    }
}

/// Calls `f` with index and value of each element of a `numeric[]` without NULLs, converted to `real`, until it fails.
/// Raises 22003 for an element out of range.
pub fn each_numeric<E>(array: &ArrayRef<'_>, mut f: impl FnMut(usize, f32) -> Result<(), E>) -> Result<(), E> {
    // SAFETY: an array of numeric; the iterator gives datums that point into it, as many as there are.
    unsafe {
        let iterator = pg_sys::array_create_iterator(array.as_ptr(), 0, std::ptr::null_mut());
        let (mut value, mut is_null) = (Datum::null(), false);
        let mut at = 0;
        while pg_sys::array_iterate(iterator, &mut value, &mut is_null) {
            f(at, numeric_to_f32(value))?;
            at += 1;
        }
        pg_sys::array_free_iterator(iterator);
    }
    Ok(())
}

/// # Safety
/// `datum` is a numeric, not NULL.
unsafe fn numeric_to_f32(datum: Datum) -> f32 {
    // SAFETY: the caller's; numeric_float4 never returns NULL.
    let result = unsafe { pgrx::direct_function_call_as_datum(pg_sys::numeric_float4, &[Some(datum)]) };
    result.map_or(f32::NAN, |bits| f32::from_bits(bits.value() as u32))
}
