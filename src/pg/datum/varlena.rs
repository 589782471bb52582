//! Values of variable length: borrowed from PostgreSQL, or new.

use std::marker::PhantomData;
use std::ptr::NonNull;

use pgrx::pg_sys::{self, Datum};

/// A value in PostgreSQL's memory that begins with `H`, whose first field is the length word. One that PostgreSQL has
/// packed, compressed or moved out of line is copied into the current memory context first, and that copy is freed on drop.
pub struct Varlena<'a, H> {
    start: NonNull<H>,
    is_copy: bool,
    source: PhantomData<&'a H>,
}

impl<H> Varlena<'_, H> {
    /// Borrows a value; None when it is shorter than `H`.
    ///
    /// # Safety
    /// `datum` is a value of variable length, not NULL, and outlives the result. Any bytes make an `H`, and the type's
    /// alignment in SQL is that of `H`.
    #[inline]
    pub unsafe fn from_datum(datum: Datum) -> Option<Self> {
        let given: *mut pg_sys::varlena = datum.cast_mut_ptr();
        // SAFETY: a value has at least a length word; pg_detoast_datum gives an aligned, plain one.
        unsafe {
            let is_copy = !pgrx::varatt_is_4b_u(given);
            let start = if is_copy { pg_sys::pg_detoast_datum(given) } else { given };
            let this = Self { start: NonNull::new_unchecked(start.cast()), is_copy, source: PhantomData };
            (this.size() >= size_of::<H>()).then_some(this)
        }
    }

    /// What precedes the data.
    #[inline]
    pub fn header(&self) -> &H {
        // SAFETY: `from_datum` has checked the length.
        unsafe { self.start.as_ref() }
    }

    /// Length of the whole value in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        // SAFETY: plain, so its length word has four bytes.
        unsafe { pgrx::varsize_4b(self.start.as_ptr().cast()) }
    }

    /// Where it lies.
    #[inline]
    pub fn as_ptr(&self) -> *mut H {
        self.start.as_ptr()
    }

    /// Whether this is a copy, so that changes do not reach the original.
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// The value itself for a function that returns its argument. It lives as long as what it was made from.
    pub fn into_datum(self) -> Datum {
        Datum::from(std::mem::ManuallyDrop::new(self).as_ptr())
    }
}

impl<H> Drop for Varlena<'_, H> {
    fn drop(&mut self) {
        if self.is_copy {
            // SAFETY: allocated by pg_detoast_datum for us alone.
            unsafe { pg_sys::pfree(self.start.as_ptr().cast()) }
        }
    }
}

/// A new value of `size` bytes in the current memory context, all zero behind its length word. `size` is at least that of `H`.
pub fn alloc<H>(size: usize) -> NonNull<H> {
    debug_assert!(size >= size_of::<H>().max(pg_sys::VARHDRSZ));
    // SAFETY: palloc0 gives `size` zeroed bytes, aligned to 8, or raises.
    unsafe {
        let start = pg_sys::palloc0(size);
        pgrx::set_varsize_4b(start.cast(), size as i32);
        NonNull::new_unchecked(start.cast())
    }
}
