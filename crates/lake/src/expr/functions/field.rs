//! Fields of dates, times, timestamps and intervals, and timestamps cut off at one, as timestamp.c has them.

use std::sync::Arc;

use arrow::array::PrimitiveArray;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::datetime::{self, FIRST_DAY, MICROS_PER_DAY, civil, day_of, is_finite, is_finite_time, literal};
use super::kernel::{Answer, Kernel, Operands, apply, fault, unary, unexpected};
use super::typed::{Typed, unsupported};
use crate::error::Result;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The Julian day of 1970-01-01.
const JULIAN: i32 = 2_440_588;

/// What is asked of a date or timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Dow,
    Isodow,
    Doy,
    Week,
    Month,
    Quarter,
    Year,
    Isoyear,
    Decade,
    Century,
    Millennium,
    Julian,
    Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Extract(Field);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Truncate(Field);

const FIELDS: &[(&str, Field)] = &[
    ("microseconds", Field::Microseconds),
    ("milliseconds", Field::Milliseconds),
    ("second", Field::Second),
    ("minute", Field::Minute),
    ("hour", Field::Hour),
    ("day", Field::Day),
    ("dow", Field::Dow),
    ("isodow", Field::Isodow),
    ("doy", Field::Doy),
    ("week", Field::Week),
    ("month", Field::Month),
    ("quarter", Field::Quarter),
    ("year", Field::Year),
    ("isoyear", Field::Isoyear),
    ("decade", Field::Decade),
    ("century", Field::Century),
    ("millennium", Field::Millennium),
    ("julian", Field::Julian),
    ("epoch", Field::Epoch),
];

/// `extract(field from value)` and `date_part(field, value)`.
pub(super) fn extract(function: Function, field: &Typed, value: Typed) -> Result<Typed> {
    let Some(field) = named(field) else { return Err(unsupported("a field that is not a constant, or not known")) };
    // date_part of a date is that of the timestamp at its beginning, which not every date has.
    let value = match (function, &value.ty) {
        (Function::DatePart, ColumnType::Date) => datetime::at_midnight(value),
        _ => value,
    };
    use Field::*;
    let unknown = || Err(unsupported(format!("this field of {}", value.ty)));
    match (&value.ty, field) {
        (ColumnType::Date, Microseconds | Milliseconds | Second | Minute | Hour) => return unknown(),
        (ColumnType::Timestamp, Julian) => return unknown(),
        (ColumnType::Date | ColumnType::Timestamp, _) => {}
        // Seconds are the same in all time zones.
        (ColumnType::Timestamptz, Epoch) => {}
        (ColumnType::Time, Microseconds | Milliseconds | Second | Minute | Hour | Epoch) => {}
        (ColumnType::Interval, Dow | Isodow | Doy | Week | Isoyear | Julian) => return unknown(),
        (ColumnType::Interval, _) => {}
        _ => return unknown(),
    }
    let scale = match field {
        Second => 6,
        Milliseconds => 3,
        Epoch if value.ty != ColumnType::Date => 6,
        _ => 0,
    };
    let precision = if value.ty == ColumnType::Interval { 22 } else { 19 };
    let ty = if function == Function::DatePart { ColumnType::Float8 } else { ColumnType::numeric(precision, scale) };
    Ok(Typed::new(apply(Extract(field), vec![value.expr], ty.arrow()), ty))
}

/// `date_trunc(field, timestamp)`.
pub(super) fn truncated(field: &Typed, value: Typed) -> Result<Typed> {
    use Field::*;
    match (named(field), &value.ty) {
        (None | Some(Dow | Isodow | Doy | Isoyear | Julian | Epoch), _) => {
            Err(unsupported("date_trunc to a field that is not a constant, or not known"))
        }
        (Some(field), ColumnType::Timestamp) => {
            Ok(Typed::new(apply(Truncate(field), vec![value.expr], value.ty.arrow()), value.ty))
        }
        (_, ty) => Err(unsupported(format!("date_trunc of {ty}"))),
    }
}

fn named(field: &Typed) -> Option<Field> {
    let name = literal(field)?.to_ascii_lowercase();
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
}

/// 0 is Sunday.
fn weekday(day: i32) -> i32 {
    (i64::from(day) + 4).rem_euclid(7) as i32
}

/// The year (0 is 1 BC) and the week of ISO 8601: the year and week of its Thursday.
fn iso_week(day: i32) -> (i32, i32) {
    let thursday = day - (weekday(day) + 6) % 7 + 3;
    let (year, ..) = civil(thursday);
    (year, (i64::from(thursday) - day_of(year, 1, 1)) as i32 / 7 + 1)
}

/// There is no year 0.
fn shown(year: i32) -> i32 {
    if year > 0 { year } else { year - 1 }
}

impl Field {
    /// Whether it grows with time: then it is infinite of what is infinite, else NULL.
    fn grows(self) -> bool {
        use Field::*;
        matches!(self, Year | Isoyear | Decade | Century | Millennium | Julian | Epoch)
    }

    /// Of a day.
    fn of_day(self, day: i32) -> i64 {
        let (year, month, day_of_month) = civil(day);
        // Centuries before Christ are counted from -1.
        let counted = |years: i32| {
            if year > 0 { (year + years - 1) / years } else { -((years - 1 - (year - 1)) / years) }
        };
        let number = match self {
            Self::Day => day_of_month,
            Self::Month => month,
            Self::Quarter => (month - 1) / 3 + 1,
            Self::Year => shown(year),
            Self::Dow => weekday(day),
            Self::Isodow => (weekday(day) + 6) % 7 + 1,
            Self::Doy => (i64::from(day) - day_of(year, 1, 1)) as i32 + 1,
            Self::Week => iso_week(day).1,
            Self::Isoyear => shown(iso_week(day).0),
            Self::Decade => {
                if year >= 0 {
                    year / 10
                } else {
                    -((8 - (year - 1)) / 10)
                }
            }
            Self::Century => counted(100),
            Self::Millennium => counted(1_000),
            Self::Julian => day + JULIAN,
            _ => 0,
        };
        number.into()
    }

    /// Of a time of day, whose last one is 24:00.
    fn of_time(self, micros: i64) -> (i128, u32) {
        match self {
            Self::Hour => ((micros / 3_600_000_000).into(), 0),
            field => field.of_timestamp(micros),
        }
    }

    /// Of an interval, whose parts each have a sign.
    fn of_interval(self, interval: IntervalMonthDayNano) -> (i128, u32) {
        let (months, days) = (i128::from(interval.months), i128::from(interval.days));
        let micros = i128::from(interval.nanoseconds / 1_000);
        let minute = micros % 60_000_000;
        match self {
            Self::Microseconds => (minute, 0),
            Self::Milliseconds => (minute, 3),
            Self::Second => (minute, 6),
            Self::Minute => (micros / 60_000_000 % 60, 0),
            Self::Hour => (micros / 3_600_000_000, 0),
            Self::Day => (days, 0),
            Self::Month => (months % 12, 0),
            Self::Quarter => (months % 12 / 3 + 1, 0),
            Self::Year => (months / 12, 0),
            Self::Decade => (months / 120, 0),
            Self::Century => (months / 1_200, 0),
            Self::Millennium => (months / 12_000, 0),
            // Years have 365.25 days.
            _ => (((1_461 * (months / 12) + 120 * (months % 12) + 4 * days) * 21_600) * 1_000_000 + micros, 6),
        }
    }

    /// The seconds of an interval as interval_part adds them up.
    fn seconds(interval: IntervalMonthDayNano) -> f64 {
        let (years, months) = (interval.months / 12, interval.months % 12);
        let mut seconds = (interval.nanoseconds / 1_000) as f64 / 1e6;
        seconds += 365.25 * 86_400.0 * f64::from(years);
        seconds += 30.0 * 86_400.0 * f64::from(months);
        seconds + 86_400.0 * f64::from(interval.days)
    }

    /// Of a timestamp: a whole number of 10^-scale, with the scale.
    fn of_timestamp(self, micros: i64) -> (i128, u32) {
        let time = micros.rem_euclid(MICROS_PER_DAY);
        let minute = time % 60_000_000;
        match self {
            Self::Microseconds => (minute.into(), 0),
            Self::Milliseconds => (minute.into(), 3),
            Self::Second => (minute.into(), 6),
            Self::Minute => ((time / 60_000_000 % 60).into(), 0),
            Self::Hour => ((time / 3_600_000_000).into(), 0),
            Self::Epoch => (micros.into(), 6),
            _ => (self.of_day(micros.div_euclid(MICROS_PER_DAY) as i32).into(), 0),
        }
    }

    fn of_date(self, day: i32) -> i64 {
        if self == Self::Epoch { i64::from(day) * 86_400 } else { self.of_day(day) }
    }
}

/// A field of a value: a whole number of 10^-scale with the scale, or the sign of an infinite value.
enum Found {
    Number(i128, u32),
    /// As a double precision that is not the number's.
    Float(f64),
    Infinite {
        is_positive: bool,
    },
    /// Of a timestamp that may be infinite, or the last of those that files have.
    Late,
}

impl Extract {
    /// Whole seconds and what is behind the point are added as floats.
    fn float(self, value: i128, scale: u32) -> f64 {
        let (whole, rest) = (value / 1_000_000, value % 1_000_000);
        match (self.0, scale) {
            (Field::Second, _) => whole as f64 + rest as f64 / 1e6,
            (Field::Milliseconds, _) => whole as f64 * 1e3 + rest as f64 / 1e3,
            (_, 0) => value as f64,
            _ => value as f64 / 1e6,
        }
    }

    fn answer(
        self,
        found: impl Fn(usize) -> Found,
        operands: &Operands,
        result: &DataType,
    ) -> EngineResult<ColumnarValue> {
        let rows = (0..operands.rows).map(|row| operands.is_valid(row).then(|| found(row)));
        match result {
            DataType::Decimal128(..) => {
                let value = |found: Option<Found>| match found {
                    Some(Found::Number(value, _)) => Ok(Some(value)),
                    Some(Found::Late) => Err(fault(Fault::LateTimestamp)),
                    Some(Found::Infinite { .. }) if self.0.grows() => Err(fault(Fault::InfiniteNumeric)),
                    Some(Found::Infinite { .. } | Found::Float(_)) | None => Ok(None),
                };
                let array = rows.map(value).collect::<EngineResult<PrimitiveArray<Decimal128Type>>>()?;
                operands.answer(Arc::new(array.with_data_type(result.clone())))
            }
            DataType::Float64 => {
                let value = |found: Option<Found>| match found {
                    Some(Found::Late) => Err(fault(Fault::LateTimestamp)),
                    Some(Found::Float(value)) => Ok(Some(value)),
                    Some(Found::Number(value, scale)) => Ok(Some(self.float(value, scale))),
                    Some(Found::Infinite { is_positive }) if self.0.grows() => {
                        Ok(Some(if is_positive { f64::INFINITY } else { f64::NEG_INFINITY }))
                    }
                    Some(Found::Infinite { .. }) | None => Ok(None),
                };
                let array = rows.map(value).collect::<EngineResult<PrimitiveArray<Float64Type>>>()?;
                operands.answer(Arc::new(array))
            }
            _ => Err(unexpected(&self, &[])),
        }
    }
}

impl Kernel for Extract {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let [operand] = &operands.all[..] else { return Err(unexpected(self, arguments)) };
        match operand.array.data_type() {
            DataType::Date32 => {
                let days = operand.primitive::<Date32Type>()?.values();
                let found = |row: usize| {
                    let day = days[operand.at(row)];
                    if is_finite(day) {
                        Found::Number(self.0.of_date(day).into(), 0)
                    } else {
                        Found::Infinite { is_positive: day > 0 }
                    }
                };
                self.answer(found, &operands, result)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let times = operand.primitive::<TimestampMicrosecondType>()?.values();
                let found = |row: usize| {
                    let micros = times[operand.at(row)];
                    if is_finite_time(micros) {
                        let (value, scale) = self.0.of_timestamp(micros);
                        Found::Number(value, scale)
                    } else {
                        Found::Late
                    }
                };
                self.answer(found, &operands, result)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                let times = operand.primitive::<Time64MicrosecondType>()?.values();
                let found = |row: usize| {
                    let (value, scale) = self.0.of_time(times[operand.at(row)]);
                    Found::Number(value, scale)
                };
                self.answer(found, &operands, result)
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let intervals = operand.primitive::<IntervalMonthDayNanoType>()?.values();
                let found = |row: usize| {
                    let interval = intervals[operand.at(row)];
                    if self.0 == Field::Epoch && *result == DataType::Float64 {
                        return Found::Float(Field::seconds(interval));
                    }
                    let (value, scale) = self.0.of_interval(interval);
                    Found::Number(value, scale)
                };
                self.answer(found, &operands, result)
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}

impl Truncate {
    fn micros(self, micros: i64) -> Answer<i64> {
        if !is_finite_time(micros) {
            return Err(Fault::LateTimestamp);
        }
        let to = |unit: i64| Ok(micros - micros.rem_euclid(unit));
        let day = micros.div_euclid(MICROS_PER_DAY) as i32;
        let first = match self.0 {
            Field::Microseconds => return Ok(micros),
            Field::Milliseconds => return to(1_000),
            Field::Second => return to(MICROS_PER_SECOND),
            Field::Minute => return to(60 * MICROS_PER_SECOND),
            Field::Hour => return to(3_600 * MICROS_PER_SECOND),
            Field::Week => i64::from(day - (weekday(day) + 6) % 7),
            field => {
                let (year, month, day_of_month) = civil(day);
                let begin = |years: i32, first: i32| {
                    if year > 0 {
                        (year + years - 1) / years * years - first
                    } else {
                        -((years - 1 - (year - 1)) / years) * years + 1
                    }
                };
                match field {
                    Field::Month => day_of(year, month, 1),
                    Field::Quarter => day_of(year, (month - 1) / 3 * 3 + 1, 1),
                    Field::Year => day_of(year, 1, 1),
                    Field::Decade if year > 0 => day_of(year / 10 * 10, 1, 1),
                    Field::Decade => day_of(-((8 - (year - 1)) / 10) * 10, 1, 1),
                    Field::Century => day_of(begin(100, 99), 1, 1),
                    Field::Millennium => day_of(begin(1_000, 999), 1, 1),
                    _ => day_of(year, month, day_of_month),
                }
            }
        };
        if first < i64::from(FIRST_DAY) { Err(Fault::Datetime("timestamp")) } else { Ok(first * MICROS_PER_DAY) }
    }
}

impl Kernel for Truncate {
    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        type Timestamp = TimestampMicrosecondType;
        let fast = |micros| self.micros(micros).map_or((0, true), |micros| (micros, false));
        unary::<Timestamp, Timestamp>(arguments, result, fast, |micros| self.micros(micros))
    }
}
