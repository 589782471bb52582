//! `smallint`, `integer`, `bigint`.

use lagoon_lake::arrow::datatypes::{Int16Type, Int32Type, Int64Type};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use pgrx::pg_sys;

use super::Type;

pub(super) const INT2: Type = Type {
    oid: pg_sys::INT2OID,
    kind: Kind::Int2,
    column: |_| Some(ColumnType::Int2),
    value: |datum| Ok(Value::Int(i64::from(datum.value() as i16))),
    decode: |_, array, out| {
        out.fixed::<Int16Type>(array, pg_sys::Datum::from);
        Ok(())
    },
};

pub(super) const INT4: Type = Type {
    oid: pg_sys::INT4OID,
    kind: Kind::Int4,
    column: |_| Some(ColumnType::Int4),
    value: |datum| Ok(Value::Int(i64::from(datum.value() as i32))),
    decode: |_, array, out| {
        out.fixed::<Int32Type>(array, pg_sys::Datum::from);
        Ok(())
    },
};

pub(super) const INT8: Type = Type {
    oid: pg_sys::INT8OID,
    kind: Kind::Int8,
    column: |_| Some(ColumnType::Int8),
    value: |datum| Ok(Value::Int(datum.value() as i64)),
    decode: |_, array, out| {
        out.fixed::<Int64Type>(array, pg_sys::Datum::from);
        Ok(())
    },
};
