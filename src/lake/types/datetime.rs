//! `date`, `time`, `timestamp`, `timestamptz`: PostgreSQL counts from 2000, the engine from 1970. Modifiers of these types would
//! round, so the engine has no such columns.

use lagoon_lake::arrow::array::ArrayRef;
use lagoon_lake::arrow::datatypes::{Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::Type;
use super::output::Output;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// MIN_TIMESTAMP and END_TIMESTAMP of datatype/timestamp.h, in microseconds since 2000-01-01.
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// Julian day 0 and DATE_END_JULIAN of the same file, in days since 2000-01-01.
const DATES: std::ops::Range<i32> = -2_451_545..2_145_031_949;

pub(super) const DATE: Type = Type {
    oid: pg_sys::DATEOID,
    kind: Kind::Date,
    column: |_| Some(ColumnType::Date),
    value: |datum| {
        Ok(Value::Int(i64::from(match datum.value() as i32 {
            infinite @ (i32::MIN | i32::MAX) => infinite,
            days => days.saturating_add(EPOCH_DAYS),
        })))
    },
    decode: decode_dates,
};

pub(super) const TIME: Type = Type {
    oid: pg_sys::TIMEOID,
    kind: Kind::Time,
    column: |typmod| (typmod < 0).then_some(ColumnType::Time),
    value: |datum| Ok(Value::Int(datum.value() as i64)),
    decode: |_, array, out| {
        out.fixed::<Time64MicrosecondType>(array, pg_sys::Datum::from);
        Ok(())
    },
};

pub(super) const TIMESTAMP: Type = Type {
    oid: pg_sys::TIMESTAMPOID,
    kind: Kind::Timestamp,
    column: |typmod| (typmod < 0).then_some(ColumnType::Timestamp),
    value: |datum| Ok(since_1970(datum.value() as i64)),
    decode: decode_timestamps,
};

pub(super) const TIMESTAMPTZ: Type = Type {
    oid: pg_sys::TIMESTAMPTZOID,
    kind: Kind::Timestamptz,
    column: |typmod| (typmod < 0).then_some(ColumnType::Timestamptz),
    ..TIMESTAMP
};

/// Infinities, and years from 294247 on, are beyond what a file can hold of timestamps.
fn since_1970(micros: i64) -> Value {
    match micros {
        i64::MIN => Value::Below,
        i64::MAX => Value::Above,
        micros => micros.checked_add(EPOCH_MICROS).map_or(Value::Late(micros), Value::Int),
    }
}

fn decode_dates(_: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    out.fixed::<Date32Type>(array, |days| pg_sys::Datum::from(days.wrapping_sub(EPOCH_DAYS)));
    let mut ok = true;
    for (i, datum) in out.values.iter().enumerate() {
        ok &= DATES.contains(&(datum.value() as i32)) || out.is_null(i);
    }
    in_range(ok, out.name, "date")
}

fn decode_timestamps(_: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    out.fixed::<TimestampMicrosecondType>(array, |micros| {
        pg_sys::Datum::from(micros.checked_sub(EPOCH_MICROS).unwrap_or(i64::MIN))
    });
    let mut ok = true;
    for (i, datum) in out.values.iter().enumerate() {
        ok &= TIMESTAMPS.contains(&(datum.value() as i64)) || out.is_null(i);
    }
    in_range(ok, out.name, "timestamp")
}

fn in_range(ok: bool, column: &str, ty: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::OutOfRange { column: column.to_owned(), ty }) }
}
