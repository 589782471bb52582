//! Dates, times and timestamps with intervals, as date.c and timestamp.c compute with them.
//!
//! Months come first, then days, then microseconds, and each sum has to be a timestamp of PostgreSQL's. Of a timestamp with
//! time zone only microseconds are moved: which day or month it is in depends on the session.

use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::datetime::{END_OF_TIMESTAMPS, FIRST_DAY, MICROS_PER_DAY, civil, day_of, is_finite, is_finite_time};
use super::kernel::{Answer, Kernel, apply, binary, unary};
use super::typed::Typed;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

const NANOS_PER_MICRO: i64 = 1_000;
const DAYS_PER_MONTH: i128 = 30;

/// What is moved by an interval, forwards or backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Moved {
    backwards: bool,
}

/// What lies between two times or two timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Between;

/// A date with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At;

/// How long an interval is, with months of 30 days: what is compared of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Span;

/// A sum or difference in which there is a time or an interval, or two timestamps.
pub(super) fn call(function: Function, left: Typed, right: Typed) -> Option<Typed> {
    use ColumnType::{Date, Interval, Time, Timestamp, Timestamptz};
    let (left, right) = match (function, &left.ty, &right.ty) {
        (Function::Add, Interval, _) | (Function::Add, Time, Date) => (right, left),
        _ => (left, right),
    };
    let backwards = match function {
        Function::Add => false,
        Function::Subtract => true,
        _ => return None,
    };
    let arguments = vec![left.expr, right.expr];
    let made = |ty: ColumnType, expr: Expr| Some(Typed::new(expr, ty));
    match (&left.ty, &right.ty) {
        (Date | Timestamp, Interval) => made(Timestamp, apply(Moved { backwards }, arguments, Timestamp.arrow())),
        (Time, Interval) => made(Time, apply(Moved { backwards }, arguments, Time.arrow())),
        (Timestamptz, Interval) if is_time_alone(&arguments[1]) => {
            made(Timestamptz, apply(Moved { backwards }, arguments, Timestamptz.arrow()))
        }
        (Date, Time) if !backwards => made(Timestamp, apply(At, arguments, Timestamp.arrow())),
        (Timestamp, Timestamp) | (Timestamptz, Timestamptz) | (Time, Time) if backwards => {
            made(Interval, apply(Between, arguments, Interval.arrow()))
        }
        _ => None,
    }
}

/// An interval as what is compared of it; all else as it is.
pub(crate) fn span(value: Typed) -> Typed {
    if value.ty != ColumnType::Interval {
        return value;
    }
    // 2^32 months and days, and 2^63 microseconds, have 22 digits.
    let ty = ColumnType::numeric(22, 0);
    Typed::new(apply(Span, vec![value.expr], ty.arrow()), ty)
}

fn is_time_alone(interval: &Expr) -> bool {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) = interval else { return false };
    interval.is_none_or(|interval| interval.months == 0 && interval.days == 0)
}

fn micros(interval: IntervalMonthDayNano) -> i64 {
    interval.nanoseconds / NANOS_PER_MICRO
}

fn interval(days: i32, micros: i64) -> Answer<IntervalMonthDayNano> {
    let nanos = micros.checked_mul(NANOS_PER_MICRO).ok_or(Fault::Datetime("interval"))?;
    Ok(IntervalMonthDayNano::new(0, days, nanos))
}

/// What PostgreSQL has as a timestamp.
fn valid(micros: i128) -> Answer<i128> {
    let day = i128::from(MICROS_PER_DAY);
    let range = i128::from(FIRST_DAY) * day..i128::from(END_OF_TIMESTAMPS) * day;
    if range.contains(&micros) { Ok(micros) } else { Err(Fault::Datetime("timestamp")) }
}

/// The same as the engine has it.
fn narrow(micros: i128) -> Answer<i64> {
    match i64::try_from(micros) {
        Ok(micros) if is_finite_time(micros) => Ok(micros),
        _ => Err(Fault::LateTimestamp),
    }
}

fn split(micros: i128) -> (i128, i128) {
    let day = i128::from(MICROS_PER_DAY);
    (micros.div_euclid(day), micros.rem_euclid(day))
}

/// The same day of another month, or the last one that it has.
fn moved_by_months(micros: i128, months: i64) -> Answer<i128> {
    let (day, time) = split(micros);
    let out = Fault::Datetime("timestamp");
    let (year, month, day_of_month) = civil(i32::try_from(day).map_err(|_| out.clone())?);
    let wanted = i64::from(year) * 12 + i64::from(month) - 1 + months;
    let first = |months: i64| {
        let year = i32::try_from(months.div_euclid(12)).map_err(|_| out.clone())?;
        Ok(day_of(year, months.rem_euclid(12) as i32 + 1, 1))
    };
    let (begin, end) = (first(wanted)?, first(wanted + 1)?);
    let day = (begin + i64::from(day_of_month) - 1).min(end - 1);
    valid(i128::from(day) * i128::from(MICROS_PER_DAY) + time)
}

impl Moved {
    fn timestamp(self, mut at: i128, by: IntervalMonthDayNano) -> Answer<i64> {
        let sign = if self.backwards { -1 } else { 1 };
        if by.months != 0 {
            at = moved_by_months(at, sign * i64::from(by.months))?;
        }
        if by.days != 0 {
            at = valid(at + i128::from(sign * i64::from(by.days)) * i128::from(MICROS_PER_DAY))?;
        }
        narrow(valid(at + i128::from(sign * micros(by)))?)
    }

    /// A time stays within its day.
    fn time(self, at: i64, by: IntervalMonthDayNano) -> i64 {
        let moved = if self.backwards { at - micros(by) } else { at + micros(by) };
        moved.rem_euclid(MICROS_PER_DAY)
    }
}

/// A date as a timestamp, which may be one that the engine has not.
fn midnight(day: i32) -> Answer<i128> {
    if !is_finite(day) {
        return Err(Fault::LateTimestamp);
    }
    if day >= END_OF_TIMESTAMPS {
        return Err(Fault::DateRange);
    }
    Ok(i128::from(day) * i128::from(MICROS_PER_DAY))
}

/// Where every value is computed with all checks.
fn checked<A: ArrowPrimitiveType, B: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[ColumnarValue],
    result: &DataType,
    exact: impl Fn(A::Native, B::Native) -> Answer<O::Native>,
) -> EngineResult<ColumnarValue> {
    let fast = |a, b| exact(a, b).map_or((O::default_value(), true), |value| (value, false));
    binary::<A, B, O>(arguments, result, fast, &exact)
}

type Times = Time64MicrosecondType;
type Timestamps = TimestampMicrosecondType;
type Intervals = IntervalMonthDayNanoType;

impl Kernel for Moved {
    fn name(&self) -> &'static str {
        if self.backwards { "-" } else { "+" }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match arguments.first().map(ColumnarValue::data_type) {
            Some(DataType::Date32) => checked::<Date32Type, Intervals, Timestamps>(arguments, result, |day, by| {
                self.timestamp(midnight(day)?, by)
            }),
            Some(DataType::Time64(_)) => {
                checked::<Times, Intervals, Times>(arguments, result, |at, by| Ok(self.time(at, by)))
            }
            _ => checked::<Timestamps, Intervals, Timestamps>(arguments, result, |at, by| {
                if is_finite_time(at) { self.timestamp(at.into(), by) } else { Err(Fault::LateTimestamp) }
            }),
        }
    }
}

impl Kernel for Between {
    fn name(&self) -> &'static str {
        "-"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match arguments.first().map(ColumnarValue::data_type) {
            Some(DataType::Time64(_)) => {
                checked::<Times, Times, Intervals>(arguments, result, |a, b| interval(0, a - b))
            }
            _ => checked::<Timestamps, Timestamps, Intervals>(arguments, result, |a, b| {
                if !is_finite_time(a) || !is_finite_time(b) {
                    return Err(Fault::LateTimestamp);
                }
                let micros = a.checked_sub(b).ok_or(Fault::Datetime("interval"))?;
                interval((micros / MICROS_PER_DAY) as i32, micros % MICROS_PER_DAY)
            }),
        }
    }
}

impl Kernel for At {
    fn name(&self) -> &'static str {
        "+"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        checked::<Date32Type, Times, Timestamps>(arguments, result, |day, time| {
            narrow(valid(midnight(day)? + i128::from(time))?)
        })
    }
}

impl Kernel for Span {
    fn name(&self) -> &'static str {
        "span"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let span = |of: IntervalMonthDayNano| {
            let days = i128::from(of.months) * DAYS_PER_MONTH + i128::from(of.days);
            days * i128::from(MICROS_PER_DAY) + i128::from(micros(of))
        };
        unary::<Intervals, Decimal128Type>(arguments, result, |of| (span(of), false), |of| Ok(span(of)))
    }
}
