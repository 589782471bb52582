//! `boolean`.

use lagoon_lake::arrow::array::AsArray;
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use pgrx::pg_sys;

use super::Type;

pub(super) const BOOL: Type = Type {
    oid: pg_sys::BOOLOID,
    kind: Kind::Bool,
    column: |_| Some(ColumnType::Bool),
    value: |datum| Ok(Value::Bool(datum.value() as u8 != 0)),
    decode: |_, array, out| {
        out.values.extend(array.as_boolean().values().iter().map(pg_sys::Datum::from));
        Ok(())
    },
};
