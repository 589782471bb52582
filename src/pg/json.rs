//! A `jsonb` argument or column as its text.
//!
//! pgrx's own `JsonB` parses the text with serde_json and panics (XX000) on what PostgreSQL accepts and serde_json does not:
//! numbers beyond double precision, values nested 128 deep. Here the engine parses the text and returns an error.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{FromDatum, direct_function_call};

use super::error::{Plain, raise};

/// The text that PostgreSQL shows for a `jsonb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText(pub String);

impl FromDatum for JsonText {
    unsafe fn from_polymorphic_datum(datum: Datum, is_null: bool, _type: Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches that it is a jsonb; its output function gives a palloc'd C string.
        let text = unsafe { direct_function_call::<&std::ffi::CStr>(pg_sys::jsonb_out, &[Some(datum)]) };
        text.map(|text| Self(text.to_string_lossy().into_owned()))
    }
}

// SAFETY: SqlTranslatable below says that such an argument is of type jsonb.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonText {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches that it is a jsonb.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(text) => text,
            None => {
                raise(&Plain { sqlstate: "22004", message: "a jsonb argument must not be null".to_owned(), hint: None })
            }
        }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> pgrx::nullable::Nullable<Self> {
        // SAFETY: the caller vouches that it is a jsonb or NULL.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

pgrx::impl_sql_translatable!(JsonText, "jsonb");
