//! A `text` argument as UTF-8, whatever the encoding of the database. (pgrx's own `&str` panics on what is not UTF-8.)

use std::borrow::Cow;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::datum::{Datum as BorrowedDatum, UnboxDatum};
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{FromDatum, IntoDatum};

use super::error::{Plain, raise};

/// A text in UTF-8. It borrows PostgreSQL's memory if the database is in UTF-8.
#[derive(Debug, Clone)]
pub struct Utf8<'a>(Cow<'a, str>);

impl std::ops::Deref for Utf8<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Whether texts of this database are in UTF-8.
pub fn is_utf8() -> bool {
    // SAFETY: reads a variable of this process that is set before any SQL runs, and never changes.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// # Safety
/// `datum` is a text, not NULL, and outlives the result.
unsafe fn text<'a>(datum: Datum) -> Utf8<'a> {
    // SAFETY: the caller's; a packed varlena stays where it is until its memory context is reset, as does a converted copy.
    let bytes = unsafe {
        let varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
        let bytes: &'a [u8] = pgrx::varlena::varlena_to_byte_slice(varlena);
        let source: *const std::ffi::c_char = bytes.as_ptr().cast();
        let converted = if is_utf8() {
            source.cast_mut()
        } else {
            pg_sys::pg_server_to_any(source, bytes.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32)
        };
        if std::ptr::eq(converted, source) { bytes } else { std::ffi::CStr::from_ptr(converted).to_bytes() }
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Utf8(Cow::Borrowed(text)),
        // A database in SQL_ASCII accepts any bytes.
        Err(_) => raise(&Plain { sqlstate: "22021", message: "a text is not valid in UTF-8".to_owned(), hint: None }),
    }
}

impl FromDatum for Utf8<'_> {
    unsafe fn from_polymorphic_datum(datum: Datum, is_null: bool, _type: Oid) -> Option<Self> {
        // SAFETY: the caller vouches for the type; NULL is asked for first.
        (!is_null).then(|| unsafe { text(datum) })
    }
}

impl IntoDatum for Utf8<'_> {
    fn into_datum(self) -> Option<Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> Oid {
        pg_sys::TEXTOID
    }
}

// SAFETY: the result borrows what the datum lends.
unsafe impl UnboxDatum for Utf8<'_> {
    type As<'src>
        = Utf8<'src>
    where
        Self: 'src;

    unsafe fn unbox<'src>(datum: BorrowedDatum<'src>) -> Utf8<'src>
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches that it is a text and not NULL.
        unsafe { text(datum.sans_lifetime()) }
    }
}

// SAFETY: SqlTranslatable below says that such an argument is of type text.
unsafe impl<'fcx> ArgAbi<'fcx> for Utf8<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches that it is a text.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(text) => text,
            None => {
                raise(&Plain { sqlstate: "22004", message: "a text argument must not be null".to_owned(), hint: None })
            }
        }
    }
}

pgrx::impl_sql_translatable!(Utf8<'_>, "text");
