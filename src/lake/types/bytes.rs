//! `text`, `varchar` without a length, `bytea`, `uuid`.

use lagoon_lake::arrow::array::{Array, ArrayRef, AsArray};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::Type;
use super::output::{LARGEST_VALUE, LENGTH_WORD, Offsets, Output, check_text, to_server};

pub(super) const TEXT: Type = Type {
    oid: pg_sys::TEXTOID,
    kind: Kind::Text,
    column: |_| Some(ColumnType::Text),
    value: text,
    decode: decode_text,
};

pub(super) const VARCHAR: Type =
    Type { oid: pg_sys::VARCHAROID, column: |typmod| (typmod < 0).then_some(ColumnType::Text), ..TEXT };

pub(super) const BYTEA: Type = Type {
    oid: pg_sys::BYTEAOID,
    kind: Kind::Bytea,
    column: |_| Some(ColumnType::Bytea),
    // SAFETY: a bytea is a varlena.
    value: |datum| unsafe { bytes(datum) }.map(Value::Bytes),
    decode: decode_bytea,
};

pub(super) const UUID: Type = Type {
    oid: pg_sys::UUIDOID,
    kind: Kind::Uuid,
    column: |_| Some(ColumnType::Uuid),
    // SAFETY: a uuid is a pointer to its 16 bytes.
    value: |datum| Ok(Value::Bytes(unsafe { *datum.cast_mut_ptr::<[u8; 16]>() }.to_vec())),
    decode: |_, array, out| {
        let array = array.as_fixed_size_binary();
        out.values.extend((0..array.len()).map(|i| pg_sys::Datum::from(array.value(i).as_ptr())));
        Ok(())
    },
};

/// # Safety
/// `datum` must be a text.
unsafe fn text(datum: pg_sys::Datum) -> Result<Value> {
    let not_text = |_| Error::Internal { message: "a value that is not UTF-8".to_owned() };
    // SAFETY: the caller's.
    String::from_utf8(from_server(unsafe { bytes(datum)? })).map(Value::Text).map_err(not_text)
}

/// The bytes of a text in UTF-8, whatever the encoding of the database is.
fn from_server(bytes: Vec<u8>) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    // SAFETY: the length is that of the bytes; the result is either the argument or a new NUL-terminated string.
    unsafe {
        let given = bytes.as_ptr().cast::<std::ffi::c_char>();
        let converted = pg_sys::pg_server_to_any(given, length, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, given) {
            return bytes;
        }
        std::ffi::CStr::from_ptr(converted).to_bytes().to_vec()
    }
}

/// The bytes of a text or bytea.
///
/// # Safety
/// `datum` must be a varlena.
unsafe fn bytes(datum: pg_sys::Datum) -> Result<Vec<u8>> {
    // SAFETY: the caller's; the detoasted copy lives in the current memory context.
    unsafe {
        let varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
        let given = pgrx::varlena_to_byte_slice(varlena);
        let mut bytes = Vec::new();
        let out = |_| Error::Memory { message: format!("a value of {} bytes", given.len()) };
        bytes.try_reserve_exact(given.len()).map_err(out)?;
        bytes.extend_from_slice(given);
        Ok(bytes)
    }
}

fn decode_text(_: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    let array = array.as_string_view();
    let mut offsets = Offsets::new(out.storage);
    for i in 0..array.len() {
        let text = if array.is_null(i) { "" } else { array.value(i) };
        check_text(text, out.name)?;
        let bytes = if out.to_server { to_server(text) } else { text.as_bytes() };
        offsets.push(out.values, bytes, out.name)?;
    }
    offsets.finish(out.values);
    Ok(())
}

fn decode_bytea(_: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    let array = array.as_binary_view();
    let mut offsets = Offsets::new(out.storage);
    for i in 0..array.len() {
        let bytes = if array.is_null(i) { &[][..] } else { array.value(i) };
        if bytes.len() > LARGEST_VALUE - LENGTH_WORD {
            return Err(Error::TooLarge { column: out.name.to_owned() });
        }
        offsets.push(out.values, bytes, out.name)?;
    }
    offsets.finish(out.values);
    Ok(())
}
