//! PostgreSQL's constants and parameters as the engine's values.

use std::ffi::CStr;

use lagoon_lake::expr::Value;
use lagoon_lake::pushable::Kind;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use crate::pg::interrupt;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// Elements of an array that are converted between two looks for a cancel.
const ELEMENTS_AT_ONCE: usize = 10_000;

/// The kind of a type that values can be made of.
pub(super) fn kind(oid: pg_sys::Oid) -> Option<Kind> {
    Some(match oid {
        pg_sys::BOOLOID => Kind::Bool,
        pg_sys::INT2OID => Kind::Int2,
        pg_sys::INT4OID => Kind::Int4,
        pg_sys::INT8OID => Kind::Int8,
        pg_sys::FLOAT4OID => Kind::Float4,
        pg_sys::FLOAT8OID => Kind::Float8,
        pg_sys::NUMERICOID => Kind::Numeric,
        pg_sys::TEXTOID | pg_sys::VARCHAROID => Kind::Text,
        pg_sys::BYTEAOID => Kind::Bytea,
        pg_sys::DATEOID => Kind::Date,
        pg_sys::TIMEOID => Kind::Time,
        pg_sys::TIMESTAMPOID => Kind::Timestamp,
        pg_sys::TIMESTAMPTZOID => Kind::Timestamptz,
        pg_sys::UUIDOID => Kind::Uuid,
        _ => return None,
    })
}

/// The value of a datum.
///
/// # Safety
/// `datum` must be of type `oid`, which is the type of a constant or an evaluated expression.
pub(super) unsafe fn value(oid: pg_sys::Oid, datum: pg_sys::Datum, is_null: bool) -> Result<Value> {
    if is_null {
        return Ok(Value::Null);
    }
    let not_text = |_| Error::Internal { message: "a value that is not UTF-8".to_owned() };
    // SAFETY: the caller's: the datum has the representation of its type.
    unsafe {
        let Some(kind) = kind(oid) else { return list(oid, datum) };
        Ok(match kind {
            Kind::Bool => Value::Bool(datum.value() as u8 != 0),
            Kind::Int2 => Value::Int(i64::from(datum.value() as i16)),
            Kind::Int4 => Value::Int(i64::from(datum.value() as i32)),
            Kind::Int8 => Value::Int(datum.value() as i64),
            Kind::Float4 => Value::Float4(datum.value() as u32),
            Kind::Float8 => Value::Float8(datum.value() as u64),
            Kind::Numeric => {
                let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_NUMERIC_OUT), datum);
                let value = Value::Numeric(CStr::from_ptr(text).to_string_lossy().into_owned());
                pg_sys::pfree(text.cast());
                value
            }
            Kind::Text => Value::Text(String::from_utf8(bytes(datum)?).map_err(not_text)?),
            Kind::Bytea => Value::Bytea(bytes(datum)?),
            Kind::Date => Value::Date(match datum.value() as i32 {
                infinite @ (i32::MIN | i32::MAX) => infinite,
                days => days.saturating_add(EPOCH_DAYS),
            }),
            Kind::Time => Value::Time(datum.value() as i64),
            Kind::Timestamp => Value::Timestamp(since_1970(datum.value() as i64)),
            Kind::Timestamptz => Value::Timestamptz(since_1970(datum.value() as i64)),
            Kind::Uuid => Value::Uuid(*datum.cast_mut_ptr::<[u8; 16]>()),
        })
    }
}

fn since_1970(micros: i64) -> i64 {
    match micros {
        infinite @ (i64::MIN | i64::MAX) => infinite,
        micros => micros.saturating_add(EPOCH_MICROS),
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

/// The elements of an array with elements that have values.
///
/// # Safety
/// `datum` must be of type `oid`.
unsafe fn list(oid: pg_sys::Oid, datum: pg_sys::Datum) -> Result<Value> {
    // SAFETY: the caller's; deconstruct_array allocates both results.
    unsafe {
        let element = pg_sys::get_element_type(oid);
        if kind(element).is_none() {
            return Err(Error::Internal { message: format!("a value of type {}", oid.to_u32()) });
        }
        let (mut length, mut by_value, mut align) = (0i16, false, 0);
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut datums, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        pg_sys::deconstruct_array(
            array,
            element,
            i32::from(length),
            by_value,
            align,
            &mut datums,
            &mut nulls,
            &mut count,
        );
        let count = usize::try_from(count).unwrap_or(0);
        let mut values = Vec::new();
        let out = |_| Error::Memory { message: format!("a list of {count} elements") };
        values.try_reserve_exact(count).map_err(out)?;
        for i in 0..count {
            if i % ELEMENTS_AT_ONCE == 0 {
                interrupt::check();
            }
            values.push(value(element, *datums.add(i), *nulls.add(i))?);
        }
        Ok(Value::List(values))
    }
}
