//! Dates and timestamps: arithmetic with days, fields, truncation and casts, as date.c and timestamp.c have them.
//!
//! Days and microseconds count from 1970. Infinities are the ends of the integers' range. What depends on the session's time
//! zone is not here.

use arrow::array::PrimitiveArray;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};
use std::sync::Arc;

use super::kernel::{Answer, Kernel, Operands, apply, binary, fault, unary, unexpected};
use super::typed::{Typed, unsupported};
use crate::error::Result;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// The first day of PostgreSQL's calendar, 4714-11-24 BC.
const FIRST_DAY: i32 = -2_440_588;

/// The day after its last one.
const END_OF_DAYS: i32 = 2_145_042_906;

/// The day after the last one of timestamps, 294276-12-31.
const END_OF_TIME: i64 = 106_751_991;

/// The Julian day of 1970-01-01.
const JULIAN: i32 = 2_440_588;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Days {
    Add,
    Subtract,
    Between,
}

/// Between `date` and `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Converted {
    /// Dates beyond all timestamps are an error.
    Cast,
    /// They are the greatest timestamp that is not infinite: for comparisons.
    Compared,
    ToDate,
}

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

/// The sum or difference of a date and days, or of two dates.
pub(super) fn days(function: Function, left: Typed, right: Typed) -> Option<Typed> {
    let (kernel, arguments, ty) = match (function, &left.ty, &right.ty) {
        (Function::Add, ColumnType::Date, ColumnType::Int4) => {
            (Days::Add, vec![left.expr, right.expr], ColumnType::Date)
        }
        (Function::Add, ColumnType::Int4, ColumnType::Date) => {
            (Days::Add, vec![right.expr, left.expr], ColumnType::Date)
        }
        (Function::Subtract, ColumnType::Date, ColumnType::Int4) => {
            (Days::Subtract, vec![left.expr, right.expr], ColumnType::Date)
        }
        (Function::Subtract, ColumnType::Date, ColumnType::Date) => {
            (Days::Between, vec![left.expr, right.expr], ColumnType::Int4)
        }
        _ => return None,
    };
    Some(Typed::new(apply(kernel, arguments, ty.arrow()), ty))
}

/// A date as a timestamp, for comparisons with such.
pub(super) fn compared(date: Typed) -> Typed {
    Typed::new(apply(Converted::Compared, vec![date.expr], ColumnType::Timestamp.arrow()), ColumnType::Timestamp)
}

/// Casts between date and timestamp.
pub(super) fn cast(value: Typed, to: ColumnType) -> Option<Typed> {
    let kernel = match (&value.ty, &to) {
        (ColumnType::Date, ColumnType::Timestamp) => Converted::Cast,
        (ColumnType::Timestamp, ColumnType::Date) => Converted::ToDate,
        _ => return None,
    };
    Some(Typed::new(apply(kernel, vec![value.expr], to.arrow()), to))
}

/// `extract(field from value)` and `date_part(field, value)`.
pub(super) fn extract(function: Function, field: &Typed, value: Typed) -> Result<Typed> {
    let Some(field) = named(field) else { return Err(unsupported("a field that is not a constant, or not known")) };
    // date_part of a date is that of the timestamp at its beginning, which not every date has.
    let value = match (function, &value.ty) {
        (Function::DatePart, ColumnType::Date) => {
            Typed::new(apply(Converted::Cast, vec![value.expr], ColumnType::Timestamp.arrow()), ColumnType::Timestamp)
        }
        _ => value,
    };
    let has_time = match value.ty {
        ColumnType::Date => false,
        ColumnType::Timestamp => true,
        // Seconds are the same in all time zones.
        ColumnType::Timestamptz if field == Field::Epoch => true,
        _ => return Err(unsupported(format!("a field of {}", value.ty))),
    };
    use Field::*;
    let scale = match field {
        Microseconds | Milliseconds | Second | Minute | Hour if !has_time => {
            return Err(unsupported("a time of day of a date"));
        }
        Julian if has_time => return Err(unsupported("the Julian day of a timestamp")),
        Second => 6,
        Milliseconds => 3,
        Epoch if has_time => 6,
        _ => 0,
    };
    let ty = if function == Function::DatePart { ColumnType::Float8 } else { ColumnType::numeric(19, scale) };
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
    let Expr::Literal(ScalarValue::Utf8View(Some(name)), _) = &field.expr else { return None };
    let name = name.to_ascii_lowercase();
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
}

fn is_finite(day: i32) -> bool {
    day != i32::MIN && day != i32::MAX
}

fn is_finite_time(micros: i64) -> bool {
    micros != i64::MIN && micros != i64::MAX
}

fn valid(day: Option<i32>) -> Answer<i32> {
    day.filter(|day| (FIRST_DAY..END_OF_DAYS).contains(day)).ok_or(Fault::Datetime("date"))
}

impl Kernel for Days {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Between => "-",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let moved = |day: i32, days: Option<i32>| {
            if is_finite(day) { valid(days.and_then(|days| day.checked_add(days))) } else { Ok(day) }
        };
        match self {
            Self::Add => {
                let exact = |day, days| moved(day, Some(days));
                let fast = |day, days| exact(day, days).map_or((0, true), |day| (day, false));
                binary::<Date32Type, Int32Type, Date32Type>(arguments, result, fast, exact)
            }
            Self::Subtract => {
                let exact = |day: i32, days: i32| {
                    if is_finite(day) { valid(day.checked_sub(days)) } else { Ok(day) }
                };
                let fast = |day, days| exact(day, days).map_or((0, true), |day| (day, false));
                binary::<Date32Type, Int32Type, Date32Type>(arguments, result, fast, exact)
            }
            Self::Between => {
                let exact = |a: i32, b: i32| {
                    if is_finite(a) && is_finite(b) { Ok(a.wrapping_sub(b)) } else { Err(Fault::InfiniteDates) }
                };
                let fast = |a, b| exact(a, b).map_or((0, true), |days| (days, false));
                binary::<Date32Type, Date32Type, Int32Type>(arguments, result, fast, exact)
            }
        }
    }
}

impl Converted {
    fn to_timestamp(self, day: i32) -> Answer<i64> {
        match day {
            i32::MIN => Ok(i64::MIN),
            i32::MAX => Ok(i64::MAX),
            day if i64::from(day) < END_OF_TIME => Ok(i64::from(day) * MICROS_PER_DAY),
            _ if self == Self::Compared => Ok(i64::MAX - 1),
            _ => Err(Fault::DateRange),
        }
    }
}

impl Kernel for Converted {
    fn name(&self) -> &'static str {
        match self {
            Self::Cast | Self::Compared => "timestamp",
            Self::ToDate => "date",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match self {
            Self::Cast | Self::Compared => {
                let exact = |day| self.to_timestamp(day);
                let fast = |day| exact(day).map_or((0, true), |micros| (micros, false));
                unary::<Date32Type, TimestampMicrosecondType>(arguments, result, fast, exact)
            }
            Self::ToDate => {
                let day = |micros: i64| match micros {
                    i64::MIN => i32::MIN,
                    i64::MAX => i32::MAX,
                    micros => micros.div_euclid(MICROS_PER_DAY) as i32,
                };
                unary::<TimestampMicrosecondType, Date32Type>(arguments, result, |a| (day(a), false), |a| Ok(day(a)))
            }
        }
    }
}

/// Year (0 is 1 BC), month and day of a day. (H. Hinnant, chrono-compatible low-level date algorithms.)
fn civil(day: i32) -> (i32, i32, i32) {
    let shifted = i64::from(day) + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as i32, (day_of_year - (153 * shifted_month + 2) / 5 + 1) as i32)
}

/// The day of a year (0 is 1 BC), month and day.
fn day_of(year: i32, month: i32, day: i32) -> i64 {
    let shifted = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
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

    /// Of a timestamp: a whole number of 10^-scale, with the scale.
    fn of_timestamp(self, micros: i64) -> (i64, u32) {
        let time = micros.rem_euclid(MICROS_PER_DAY);
        let minute = time % 60_000_000;
        match self {
            Self::Microseconds => (minute, 0),
            Self::Milliseconds => (minute, 3),
            Self::Second => (minute, 6),
            Self::Minute => (time / 60_000_000 % 60, 0),
            Self::Hour => (time / 3_600_000_000, 0),
            Self::Epoch => (micros, 6),
            _ => (self.of_day(micros.div_euclid(MICROS_PER_DAY) as i32), 0),
        }
    }

    fn of_date(self, day: i32) -> i64 {
        if self == Self::Epoch { i64::from(day) * 86_400 } else { self.of_day(day) }
    }
}

/// A field of a value: a whole number of 10^-scale with the scale, or the sign of an infinite value.
enum Found {
    Number(i64, u32),
    Infinite { is_positive: bool },
}

impl Extract {
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
                    Some(Found::Number(value, _)) => Ok(Some(i128::from(value))),
                    Some(Found::Infinite { .. }) if self.0.grows() => Err(fault(Fault::InfiniteNumeric)),
                    Some(Found::Infinite { .. }) | None => Ok(None),
                };
                let array = rows.map(value).collect::<EngineResult<PrimitiveArray<Decimal128Type>>>()?;
                operands.answer(Arc::new(array.with_data_type(result.clone())))
            }
            DataType::Float64 => {
                let value = |found: Option<Found>| match found {
                    Some(Found::Number(value, scale)) => Some(value as f64 / [1.0, 1e3, 1e6][(scale / 3) as usize]),
                    Some(Found::Infinite { is_positive }) if self.0.grows() => {
                        Some(if is_positive { f64::INFINITY } else { f64::NEG_INFINITY })
                    }
                    Some(Found::Infinite { .. }) | None => None,
                };
                operands.answer(Arc::new(rows.map(value).collect::<PrimitiveArray<Float64Type>>()))
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
                        Found::Number(self.0.of_date(day), 0)
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
                        Found::Infinite { is_positive: micros > 0 }
                    }
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
            return Ok(micros);
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
