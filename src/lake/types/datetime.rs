//! `date`, `time`, `timestamp`, `timestamptz`, `interval`: PostgreSQL counts from 2000, the engine from 1970. Modifiers of these types would
//! round, so the engine has no such columns.

use lagoon_lake::arrow::array::{ArrayRef, AsArray};
use lagoon_lake::arrow::datatypes::{
    Date32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::Type;
use super::output::{Output, no_memory};

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
const NANOS_PER_MICRO: i64 = 1_000;
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

/// Only computed: no column of a file has it.
pub(super) const INTERVAL: Type = Type {
    oid: pg_sys::INTERVALOID,
    kind: Kind::Interval,
    column: |_| None,
    value: |datum| {
        // SAFETY: an interval is a pointer to its three parts.
        let interval = unsafe { &*datum.cast_mut_ptr::<pg_sys::Interval>() };
        Ok(Value::Interval(interval.month, interval.day, interval.time))
    },
    decode: decode_intervals,
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

/// In the buffer for values that are pointed to, two words each.
fn decode_intervals(_: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    const WORDS: usize = size_of::<pg_sys::Interval>() / size_of::<u64>();
    let array = array.as_primitive::<IntervalMonthDayNanoType>();
    out.storage.clear();
    out.storage.try_reserve(array.len() * WORDS).map_err(|_| no_memory(out.name))?;
    out.storage.resize(array.len() * WORDS, 0);
    let base = out.storage.as_mut_ptr().cast::<pg_sys::Interval>();
    for (i, interval) in array.values().iter().enumerate() {
        let interval = pg_sys::Interval {
            time: interval.nanoseconds / NANOS_PER_MICRO,
            day: interval.days,
            month: interval.months,
        };
        // SAFETY: the storage has room for all of them, and its words are aligned as an interval is.
        unsafe {
            base.add(i).write(interval);
            out.values.push(pg_sys::Datum::from(base.add(i)));
        }
    }
    Ok(())
}

fn in_range(ok: bool, column: &str, ty: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::OutOfRange { column: column.to_owned(), ty }) }
}
