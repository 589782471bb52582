//! `real`, `double precision`.

use lagoon_lake::arrow::datatypes::{Float32Type, Float64Type};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use pgrx::pg_sys;

use super::Type;

pub(super) const FLOAT4: Type = Type {
    oid: pg_sys::FLOAT4OID,
    kind: Kind::Float4,
    column: |_| Some(ColumnType::Float4),
    value: |datum| Ok(Value::float(f64::from(f32::from_bits(datum.value() as u32)))),
    decode: |_, array, out| {
        out.fixed::<Float32Type>(array, |value| pg_sys::Datum::from(value.to_bits()));
        Ok(())
    },
};

pub(super) const FLOAT8: Type = Type {
    oid: pg_sys::FLOAT8OID,
    kind: Kind::Float8,
    column: |_| Some(ColumnType::Float8),
    value: |datum| Ok(Value::Float(datum.value() as u64)),
    decode: |_, array, out| {
        out.fixed::<Float64Type>(array, |value| pg_sys::Datum::from(value.to_bits()));
        Ok(())
    },
};
