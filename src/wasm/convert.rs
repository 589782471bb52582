//! Conversion of PostgreSQL's datums to the engine's values and back.

use std::sync::LazyLock;

use lagoon_wasm::{Error, Type, Value};
use pgrx::pg_sys::{self, Datum};

/// A datum of the SQL type that belongs to `kind`. Text is detoasted; the bytes live as long as the current memory context.
///
/// # Safety
/// `datum` must be a valid, non-null datum of that type.
// Inlined, so that the value is built where it is used: a copy of a half-written enum stalls the store buffer.
#[inline(always)]
pub unsafe fn to_value<'a>(datum: Datum, kind: Type) -> Value<'a> {
    let bits = datum.value();
    match kind {
        Type::Bool => Value::Bool(bits as u8 != 0),
        Type::Int2 => Value::Int2(bits as i16),
        Type::Int4 => Value::Int4(bits as i32),
        Type::Int8 => Value::Int8(bits as i64),
        Type::Float4 => Value::Float4(f32::from_bits(bits as u32)),
        Type::Float8 => Value::Float8(f64::from_bits(bits as u64)),
        // SAFETY: the caller's.
        Type::Text => Value::Text(unsafe { text_bytes(datum) }),
    }
}

/// The datum; `None` is NULL.
#[inline(always)]
pub fn to_datum(value: &Value<'_>) -> Option<Datum> {
    Some(match *value {
        Value::Null => return None,
        Value::Bool(v) => Datum::from(v),
        Value::Int2(v) => Datum::from(v),
        Value::Int4(v) => Datum::from(v),
        Value::Int8(v) => Datum::from(v),
        Value::Float4(v) => Datum::from(v.to_bits()),
        Value::Float8(v) => Datum::from(v.to_bits() as usize),
        Value::Text(text) => text_datum(text),
    })
}

/// Truncates a text as an assignment to VARCHAR(n) does: characters beyond n must be blanks, and are removed. -1 is no limit.
pub fn fit<'a>(value: Value<'a>, typmod: i32) -> Result<Value<'a>, Error> {
    let (Value::Text(text), Some(most)) = (value, usize::try_from(typmod - pg_sys::VARHDRSZ as i32).ok()) else {
        return Ok(value);
    };
    // The bytes that begin a UTF-8 character.
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80).map(|(at, _)| at);
    let Some((kept, rest)) = { starts }.nth(most).and_then(|end| text.split_at_checked(end)) else {
        return Ok(value);
    };
    if rest.iter().all(|byte| *byte == b' ') { Ok(Value::Text(kept)) } else { Err(Error::TooLong(most)) }
}

/// # Safety
/// `datum` must be a valid, non-null text.
unsafe fn text_bytes<'a>(datum: Datum) -> &'a [u8] {
    // SAFETY: the caller's; a packed varlena stays where it is until its memory context is reset.
    unsafe {
        let varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
        let bytes = pgrx::varlena::varlena_to_byte_slice(varlena);
        if is_utf8() {
            return bytes;
        }
        let source = bytes.as_ptr().cast();
        let converted = pg_sys::pg_server_to_any(source, bytes.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, source) { bytes } else { std::ffi::CStr::from_ptr(converted).to_bytes() }
    }
}

/// The engine has checked that `text` is UTF-8 without NUL.
fn text_datum(text: &[u8]) -> Datum {
    // SAFETY: length and pointer belong together; the result is palloc'd in the current context.
    unsafe {
        let source: *const std::ffi::c_char = text.as_ptr().cast();
        if is_utf8() {
            return Datum::from(pg_sys::cstring_to_text_with_len(source, text.len() as i32));
        }
        let converted = pg_sys::pg_any_to_server(source, text.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, source) {
            Datum::from(pg_sys::cstring_to_text_with_len(source, text.len() as i32))
        } else {
            Datum::from(pg_sys::cstring_to_text(converted))
        }
    }
}

fn is_utf8() -> bool {
    // SAFETY: reads a variable of this process that is set before any SQL runs, and never changes.
    static UTF8: LazyLock<bool> =
        LazyLock::new(|| unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 });
    *UTF8
}
