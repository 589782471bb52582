//! Where the datums of an array go, and what they point to.

use lagoon_lake::arrow::array::{ArrayRef, AsArray};
use lagoon_lake::arrow::datatypes::ArrowPrimitiveType;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

/// MaxAllocSize: the largest value of variable length.
pub(super) const LARGEST_VALUE: usize = 0x3fff_ffff;
pub(super) const LENGTH_WORD: usize = size_of::<u32>();
/// Words of storage that are kept from one batch to the next.
const KEPT_WORDS: usize = 1 << 18;

/// The datums of one array.
pub(in crate::lake) struct Output<'a> {
    /// Empty at first.
    pub values: &'a mut Vec<pg_sys::Datum>,
    /// Empty if there are no NULLs.
    pub nulls: &'a [bool],
    /// For values of variable length: see [`Offsets`].
    pub storage: &'a mut Vec<u64>,
    /// Of the column, for errors.
    pub name: &'a str,
    /// Of numerics the digits that are shown behind the point, a number for each row; none are those of the type.
    pub digits: Option<&'a [i32]>,
    /// Whether text has to be converted to the encoding of the database.
    pub to_server: bool,
}

impl Output<'_> {
    /// Values that fit into a datum.
    pub(super) fn fixed<T: ArrowPrimitiveType>(
        &mut self,
        array: &ArrayRef,
        datum: impl Fn(T::Native) -> pg_sys::Datum,
    ) {
        self.values.extend(array.as_primitive::<T>().values().iter().map(|value| datum(*value)));
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }
}

const ZERO_BYTE: &str = "it holds a zero byte";

pub(in crate::lake) fn check_text(text: &str, column: &str) -> Result<()> {
    if text.len() > LARGEST_VALUE - LENGTH_WORD {
        return Err(Error::TooLarge { column: column.to_owned() });
    }
    if text.as_bytes().contains(&0) {
        return Err(Error::BadText { column: column.to_owned(), message: ZERO_BYTE });
    }
    Ok(())
}

pub(in crate::lake) fn no_memory(column: &str) -> Error {
    Error::Memory { message: format!("values of column \"{column}\"") }
}

/// The text in the encoding of the database, in the current memory context unless it is the same; an ERROR if that lacks one
/// of its characters.
pub(in crate::lake) fn to_server(text: &str) -> &[u8] {
    let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
    // SAFETY: the length is the string's; the result is either the argument or a new NUL-terminated string.
    unsafe {
        let given = text.as_ptr().cast::<std::ffi::c_char>();
        let converted = pg_sys::pg_any_to_server(given, length, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, given) {
            return text.as_bytes();
        }
        std::ffi::CStr::from_ptr(converted).to_bytes()
    }
}

/// Values of variable length, one behind the other in a buffer that may move while it grows: first the datums are offsets,
/// at the end they become pointers.
pub(super) struct Offsets<'a> {
    storage: &'a mut Vec<u64>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(storage: &'a mut Vec<u64>) -> Self {
        storage.clear();
        storage.shrink_to(KEPT_WORDS);
        Self { storage }
    }

    pub(super) fn push(&mut self, values: &mut Vec<pg_sys::Datum>, bytes: &[u8], column: &str) -> Result<()> {
        let start = self.storage.len();
        let length = LENGTH_WORD + bytes.len();
        let words = length.div_ceil(size_of::<u64>());
        self.storage.try_reserve(words).map_err(|_| no_memory(column))?;
        self.storage.resize(start + words, 0);
        // SAFETY: the words just added have room for the length word and the bytes.
        unsafe {
            let target = self.storage.as_mut_ptr().add(start).cast::<u8>();
            pgrx::set_varsize_4b(target.cast(), length as i32);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.add(LENGTH_WORD), bytes.len());
        }
        values.push(pg_sys::Datum::from(start));
        Ok(())
    }

    pub(super) fn finish(self, values: &mut [pg_sys::Datum]) {
        let base = self.storage.as_ptr();
        for datum in values {
            // SAFETY: every datum is an index into the storage.
            *datum = pg_sys::Datum::from(unsafe { base.add(datum.value()) });
        }
    }
}
