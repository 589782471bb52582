//! The types of PostgreSQL that the engine has, one file a family: from Arrow to datums, and from datums to the engine's
//! constants. What needs no PostgreSQL is in `crates/lake/src/types`.
//!
//! A new type is its file (or its lines in the file of its family) and a line of [`TYPES`].

mod boolean;
mod bytes;
mod datetime;
mod float;
mod integer;
mod list;
mod numeric;
mod output;

use lagoon_lake::arrow::array::ArrayRef;
use lagoon_lake::expr::{Type as ExprType, Value};
use lagoon_lake::types::{ColumnType, Kind};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

pub(super) use output::{Output, check_text, no_memory, to_server};

/// A type of PostgreSQL.
pub(super) struct Type {
    oid: pg_sys::Oid,
    /// What rules know it as.
    kind: Kind,
    /// The engine's type of a column with this modifier; `None` if there is none, as for modifiers that would round.
    column: fn(i32) -> Option<ColumnType>,
    /// The value of a datum of the type.
    value: unsafe fn(pg_sys::Datum) -> Result<Value>,
    /// The datums of an array, which is as [`ColumnType::arrow`] says of the column's type.
    decode: fn(&ColumnType, &ArrayRef, &mut Output<'_>) -> Result<()>,
}

/// What numerics without a precision are sent as: eighteen digits before the point, ten behind it. Twice as many is what a
/// product has, of which there is still a sum.
const SENT_PRECISION: u8 = 28;
const SENT_SCALE: u8 = 10;

/// One line a type. Of several that are one to the engine the first is what it is delivered as.
const TYPES: &[Type] = &[
    boolean::BOOL,
    integer::INT2,
    integer::INT4,
    integer::INT8,
    float::FLOAT4,
    float::FLOAT8,
    numeric::NUMERIC,
    bytes::TEXT,
    bytes::VARCHAR,
    bytes::BYTEA,
    bytes::UUID,
    datetime::DATE,
    datetime::TIME,
    datetime::TIMESTAMP,
    datetime::TIMESTAMPTZ,
    datetime::INTERVAL,
];

impl Type {
    fn of_oid(oid: pg_sys::Oid) -> Option<&'static Self> {
        TYPES.iter().find(|ty| ty.oid == oid)
    }

    fn of_column(ty: &ColumnType) -> Result<&'static Self> {
        let found = ty.kind().and_then(|kind| TYPES.iter().find(|ty| ty.kind == kind));
        found.ok_or_else(|| Error::Internal { message: format!("a column of type {ty}") })
    }
}

/// What rules know a type as, if the engine has it; arrays are none.
pub(super) fn kind(oid: pg_sys::Oid) -> Option<Kind> {
    Type::of_oid(oid).map(|ty| ty.kind)
}

/// The type of an expression, if the engine has values of it: a type or an array of it.
pub(super) fn expression(oid: pg_sys::Oid) -> Option<ExprType> {
    // SAFETY: a catalog lookup.
    let element = || unsafe { pg_sys::get_element_type(oid) };
    kind(oid).map(ExprType::One).or_else(|| kind(element()).map(|array| ExprType::Array { array }))
}

/// The engine's type of a column of a foreign table, if there is one.
pub(super) fn column(oid: pg_sys::Oid, typmod: i32) -> Option<ColumnType> {
    Type::of_oid(oid).and_then(|ty| (ty.column)(typmod))
}

/// The engine's type of values that PostgreSQL sends, and whether how many digits are shown of them differs from one to the
/// next. Modifiers have done what they do already.
pub(super) fn sent(oid: pg_sys::Oid, typmod: i32) -> Option<(ColumnType, bool)> {
    const ANY: i32 = -1;
    let ty = Type::of_oid(oid)?;
    // SAFETY: reads a variable of this process.
    let is_any_encoding = || unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_SQL_ASCII as i32;
    match ty.kind {
        Kind::Text if is_any_encoding() => None,
        Kind::Numeric => match (ty.column)(typmod) {
            Some(numeric) => Some((numeric, false)),
            None => Some((ColumnType::numeric(SENT_PRECISION, SENT_SCALE), true)),
        },
        _ => (ty.column)(ANY).map(|ty| (ty, false)),
    }
}

/// The datums of an array that is as [`ColumnType::arrow`] says of `ty`, for a column of type `oid`. Allocations are in the
/// current memory context.
pub(super) fn decode(oid: pg_sys::Oid, ty: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    match ty {
        ColumnType::Array(list) => list::decode(oid, &list.0, array, out),
        ty => (Type::of_column(ty)?.decode)(ty, array, out),
    }
}

/// The value of a datum.
///
/// # Safety
/// `datum` must be of type `oid`, which is the type of a constant or an evaluated expression.
pub(super) unsafe fn value(oid: pg_sys::Oid, datum: pg_sys::Datum, is_null: bool) -> Result<Value> {
    if is_null {
        return Ok(Value::Null);
    }
    // SAFETY: the caller's: the datum has the representation of its type.
    unsafe {
        match Type::of_oid(oid) {
            Some(ty) => (ty.value)(datum),
            None => list::value(oid, datum),
        }
    }
}
