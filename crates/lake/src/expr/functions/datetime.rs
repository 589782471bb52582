//! Dates and timestamps: arithmetic with days, casts, and the one time zone, as date.c and timestamp.c have them.
//!
//! Days and microseconds count from 1970. Infinities are the ends of the integers' range. What depends on the session's time
//! zone is not here.

use arrow::datatypes::{DataType, Date32Type, Int32Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::kernel::{Answer, Kernel, Operands, apply, binary, each, finish, unary, unexpected};
use super::typed::{Typed, unsupported};
use crate::error::Result;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The day after the last one of timestamps, 294276-12-31. The engine's own end some 30 years before that.
pub(super) const END_OF_TIMESTAMPS: i32 = 106_762_940;
/// The first day of PostgreSQL's calendar, 4714-11-24 BC.
pub(super) const FIRST_DAY: i32 = -2_440_588;

/// The day after its last one.
const END_OF_DAYS: i32 = 2_145_042_906;

/// The day after the last one that 64 bits count in microseconds from 1970.
const END_OF_TIME: i64 = 106_751_992;

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
    /// Between timestamps with and without time zone, where that is UTC.
    Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MakeDate;

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

/// A date as the timestamp at its beginning.
pub(super) fn at_midnight(date: Typed) -> Typed {
    Typed::new(apply(Converted::Cast, vec![date.expr], ColumnType::Timestamp.arrow()), ColumnType::Timestamp)
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

/// Names of the one time zone that the engine has, as PostgreSQL takes them in any case.
const UTC: &[&str] = &["utc", "gmt", "etc/utc"];

/// `timezone(zone, timestamp)`, with or without time zone.
pub(super) fn at_zone(zone: &Typed, value: Typed) -> Result<Typed> {
    let name = literal(zone).unwrap_or_default();
    let ty = match value.ty {
        ColumnType::Timestamp => ColumnType::Timestamptz,
        ColumnType::Timestamptz => ColumnType::Timestamp,
        ty => return Err(unsupported(format!("a time zone of {ty}"))),
    };
    if !UTC.contains(&&*name.to_ascii_lowercase()) {
        return Err(unsupported("a time zone that is not the constant UTC"));
    }
    Ok(Typed::new(apply(Converted::Zone, vec![value.expr], ty.arrow()), ty))
}

/// `make_date(year, month, day)`.
pub(super) fn date(arguments: Vec<Typed>) -> Option<Typed> {
    let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
    Some(Typed::new(apply(MakeDate, arguments, ColumnType::Date.arrow()), ColumnType::Date))
}

pub(super) fn literal(value: &Typed) -> Option<&str> {
    match &value.expr {
        Expr::Literal(ScalarValue::Utf8View(text), _) => text.as_deref(),
        _ => None,
    }
}

pub(super) fn is_finite(day: i32) -> bool {
    day != i32::MIN && day != i32::MAX
}

/// Whether a timestamp is surely no infinity: in comparisons the two last values stand for those of dates, and in files the
/// greatest one for itself.
pub(super) fn is_finite_time(micros: i64) -> bool {
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
            i32::MIN | i32::MAX if self == Self::Cast => Err(Fault::LateTimestamp),
            i32::MIN => Ok(i64::MIN),
            i32::MAX => Ok(i64::MAX),
            day if i64::from(day) < END_OF_TIME => Ok(i64::from(day) * MICROS_PER_DAY),
            _ if self == Self::Compared => Ok(i64::MAX - 1),
            day if day < END_OF_TIMESTAMPS => Err(Fault::LateTimestamp),
            _ => Err(Fault::DateRange),
        }
    }
}

impl Kernel for Converted {
    fn name(&self) -> &'static str {
        match self {
            Self::Cast | Self::Compared => "timestamp",
            Self::ToDate => "date",
            Self::Zone => "timezone",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match self {
            Self::Cast | Self::Compared => {
                let exact = |day| self.to_timestamp(day);
                let fast = |day| exact(day).map_or((0, true), |micros| (micros, false));
                unary::<Date32Type, TimestampMicrosecondType>(arguments, result, fast, exact)
            }
            Self::Zone => {
                type Timestamp = TimestampMicrosecondType;
                unary::<Timestamp, Timestamp>(arguments, result, |at| (at, false), Ok)
            }
            Self::ToDate => {
                let day = |micros: i64| micros.div_euclid(MICROS_PER_DAY) as i32;
                let fast = |micros| (day(micros), !is_finite_time(micros));
                let exact = |micros| if is_finite_time(micros) { Ok(day(micros)) } else { Err(Fault::LateTimestamp) };
                unary::<TimestampMicrosecondType, Date32Type>(arguments, result, fast, exact)
            }
        }
    }
}

/// Year (0 is 1 BC), month and day of a day. (H. Hinnant, chrono-compatible low-level date algorithms.)
pub(super) fn civil(day: i32) -> (i32, i32, i32) {
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
pub(super) fn day_of(year: i32, month: i32, day: i32) -> i64 {
    let shifted = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl MakeDate {
    /// Years before Christ are negative, and there is no year 0.
    fn day(year: i32, month: i32, day: i32) -> Answer<i32> {
        let astronomical = if year < 0 { year + 1 } else { year };
        let out = |what| Fault::NoDate { what, year: astronomical, month, day };
        let is_month = (1..=12).contains(&month);
        if year == 0 || !is_month || day < 1 {
            return Err(out("date field value"));
        }
        let first = day_of(astronomical, month, 1);
        let length = if month == 12 { 31 } else { day_of(astronomical, month + 1, 1) - first };
        if i64::from(day) > length {
            return Err(out("date field value"));
        }
        let found = i32::try_from(first + i64::from(day) - 1).ok();
        found.filter(|day| (FIRST_DAY..END_OF_DAYS).contains(day)).ok_or_else(|| out("date"))
    }
}

impl Kernel for MakeDate {
    fn name(&self) -> &'static str {
        "make_date"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let [year, month, day] = &operands.all[..] else { return Err(unexpected(self, arguments)) };
        let [years, months, days] = [year.primitive::<Int32Type>()?, month.primitive()?, day.primitive()?];
        let of = |row| Self::day(years.value(year.at(row)), months.value(month.at(row)), days.value(day.at(row)));
        let values = each(&operands, of)?;
        finish::<Date32Type>(&operands, values, result)
    }
}
