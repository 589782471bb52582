//! PostgreSQL's own `bit`: `{i32 length word, i32 bits, bytes}`, the first bit the highest of its byte, unused ones zero.

use std::ops::Deref;

use pgrx::pg_sys::Datum;

use super::error::VectorError;
use crate::pg::datum::varlena::{self, Varlena};
use crate::pg::error::raise;

/// As VarBit of utils/varbit.h.
#[repr(C)]
struct Header {
    length: i32,
    bits: i32,
}

const HEADER: usize = size_of::<Header>();

/// A new value of so many bits in the current memory context and its bytes, all zero.
pub fn alloc_bits<'a>(bits: usize) -> (Datum, &'a mut [u8]) {
    let bytes = bits.div_ceil(8);
    let mut start = varlena::alloc::<Header>(HEADER + bytes);
    // SAFETY: zero bytes make a header; the bytes lie behind it, inside what was allocated.
    unsafe {
        start.as_mut().bits = bits as i32;
        let data = start.byte_add(HEADER).cast::<u8>().as_ptr();
        (Datum::from(start.as_ptr()), std::slice::from_raw_parts_mut(data, bytes))
    }
}

/// A bit string that lies in PostgreSQL's memory; it dereferences to its bytes.
pub struct BitRef<'a>(Varlena<'a, Header>);

impl BitRef<'_> {
    /// Borrows a value. Raises XX001 when it is damaged.
    ///
    /// # Safety
    /// `datum` is a value of type `bit` or `bit varying`, not NULL, and outlives the result.
    #[inline]
    pub unsafe fn from_datum(datum: Datum) -> Self {
        // SAFETY: the caller's; a header is made of integers, and the type is aligned to 4 as they are.
        if let Some(value) = unsafe { Varlena::<Header>::from_datum(datum) }
            && let Ok(bits) = usize::try_from(value.header().bits)
            && value.size() == HEADER + bits.div_ceil(8)
        {
            return Self(value);
        }
        raise(&VectorError::Damaged("bit"))
    }

    /// The number of bits.
    #[inline]
    pub fn bits(&self) -> usize {
        self.0.header().bits as usize
    }
}

impl Deref for BitRef<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the constructor has compared the length with the number of bits.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().byte_add(HEADER).cast(), self.bits().div_ceil(8)) }
    }
}
