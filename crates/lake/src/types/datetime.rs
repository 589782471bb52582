//! `date`, `time`, `timestamp`, `timestamptz`, `interval`: days and microseconds, whatever unit a file stores.
//!
//! Arrow's casts from finer units truncate towards zero, so that of two neighbours before 1970 the later would become the
//! earlier. Here they round down, everywhere the same, and what is out of range says in which column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, IntervalUnit, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;

use super::column::{ColumnType, Kind};
use super::family::{About, Compared, Convert, Family, Lookup};
use super::field::{Builder, Parsed};
use super::pack::{Packed, Packer, whole};
use super::stored::{Limits, Unit};
use super::value::{Place, Value};
use crate::error::Error;

const NANOS_PER_MICRO: i64 = 1_000;
const MILLIS_PER_DAY: i64 = 86_400_000;
const MICROS_PER_DAY: i128 = 86_400_000_000;
/// From 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_MICROS: i128 = 10_957 * MICROS_PER_DAY;

#[derive(Clone, Copy)]
pub(super) enum Datetime {
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
}

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, _| {
        Some(Ok(match stored {
            DataType::Date32 | DataType::Date64 => ColumnType::Date,
            DataType::Time32(_) | DataType::Time64(_) => ColumnType::Time,
            DataType::Timestamp(_, None) => ColumnType::Timestamp,
            DataType::Timestamp(_, Some(_)) => ColumnType::Timestamptz,
            _ => return None,
        }))
    },
    parse: |text| {
        Some(match text {
            "date" => ColumnType::Date,
            "timestamp" | "timestamp without time zone" => ColumnType::Timestamp,
            "timestamptz" | "timestamp with time zone" => ColumnType::Timestamptz,
            _ => return None,
        })
    },
    limits: |stored| match stored {
        DataType::Date32 | DataType::Time32(_) => Some(Limits::signed(32)),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) => Some(Limits::signed(64)),
        _ => None,
    },
    number,
    convert: |from, to| {
        use TimeUnit::{Microsecond, Nanosecond};
        let own = match (from, to) {
            (DataType::Timestamp(unit, _), DataType::Timestamp(Microsecond, _)) => *unit != Microsecond,
            (DataType::Time64(Nanosecond), DataType::Time64(Microsecond)) | (DataType::Date64, DataType::Date32) => {
                true
            }
            _ => false,
        };
        own.then_some(convert as Convert)
    },
    ..Lookup::NOTHING
};

fn number(stored: &DataType, number: i128) -> Option<ScalarValue> {
    Some(match stored {
        DataType::Date32 => ScalarValue::Date32(Some(number.try_into().ok()?)),
        DataType::Date64 => ScalarValue::Date64(Some(number.try_into().ok()?)),
        DataType::Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(number.try_into().ok()?)),
        DataType::Time32(_) => ScalarValue::Time32Millisecond(Some(number.try_into().ok()?)),
        DataType::Time64(TimeUnit::Nanosecond) => ScalarValue::Time64Nanosecond(Some(number.try_into().ok()?)),
        DataType::Time64(_) => ScalarValue::Time64Microsecond(Some(number.try_into().ok()?)),
        DataType::Timestamp(unit, zone) => {
            let (number, zone) = (Some(i64::try_from(number).ok()?), zone.clone());
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(number, zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(number, zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(number, zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(number, zone),
            }
        }
        _ => return None,
    })
}

fn convert(array: &ArrayRef, to: &DataType, column: &str) -> Result<ArrayRef, ArrowError> {
    let out_of_range = |ty| {
        let error = Error::OutOfRange { column: column.to_owned(), ty };
        ArrowError::ExternalError(Box::new(error))
    };
    let times = |value: i64, factor: i64| value.checked_mul(factor).ok_or_else(|| out_of_range("timestamp"));
    Ok(match (array.data_type(), to) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(_, zone)) => {
            let micros: TimestampMicrosecondArray = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().try_unary(|x| times(x, 1_000_000))?,
                TimeUnit::Millisecond => {
                    array.as_primitive::<TimestampMillisecondType>().try_unary(|x| times(x, 1_000))?
                }
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().clone(),
                TimeUnit::Nanosecond => {
                    array.as_primitive::<TimestampNanosecondType>().unary(|x| x.div_euclid(NANOS_PER_MICRO))
                }
            };
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        (DataType::Time64(TimeUnit::Nanosecond), _) => Arc::new(
            array
                .as_primitive::<Time64NanosecondType>()
                .unary::<_, Time64MicrosecondType>(|nanos| nanos.div_euclid(NANOS_PER_MICRO)),
        ),
        (DataType::Date64, _) => Arc::new(
            array
                .as_primitive::<Date64Type>()
                .try_unary::<_, Date32Type, _>(|millis| i32::try_from(millis.div_euclid(MILLIS_PER_DAY)))
                .map_err(|_| out_of_range("date"))?,
        ),
        (from, to) => return Err(ArrowError::CastError(format!("from {from} to {to}"))),
    })
}

impl Family for Datetime {
    fn about(&self) -> About {
        let timestamp = |zone| DataType::Timestamp(TimeUnit::Microsecond, zone);
        match self {
            Self::Date => About::new(Kind::Date, "date", "date", DataType::Date32),
            Self::Time => {
                About::new(Kind::Time, "time without time zone", "time", DataType::Time64(TimeUnit::Microsecond))
            }
            Self::Timestamp => About::new(Kind::Timestamp, "timestamp without time zone", "timestamp", timestamp(None)),
            Self::Timestamptz => {
                About::new(Kind::Timestamptz, "timestamp with time zone", "timestamptz", timestamp(Some("UTC".into())))
            }
            Self::Interval => {
                About::new(Kind::Interval, "interval", "interval", DataType::Interval(IntervalUnit::MonthDayNano))
            }
        }
    }

    fn builder(&self) -> Option<Box<dyn Builder>> {
        let without = |field: &[u8]| timestamp(field).filter(|(_, zone)| !zone).map(|(micros, _)| micros);
        let with = |field: &[u8]| timestamp(field).filter(|(_, zone)| *zone).map(|(micros, _)| micros);
        Some(match self {
            Self::Date => Box::new(Parsed::<Date32Type, _>::new(self.about().arrow, date)),
            Self::Time | Self::Interval => return None,
            Self::Timestamp => Box::new(Parsed::<TimestampMicrosecondType, _>::new(self.about().arrow, without)),
            Self::Timestamptz => Box::new(Parsed::<TimestampMicrosecondType, _>::new(self.about().arrow, with)),
        })
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        let arrow = self.about().arrow;
        // Infinities of timestamps are no whole numbers.
        Some(match self {
            Self::Date => Packed::<Date32Type, _>::boxed(arrow, |value| {
                whole::<i32>(value).filter(|days| ![i32::MIN, i32::MAX].contains(days))
            }),
            Self::Time => Packed::<Time64MicrosecondType, _>::boxed(arrow, whole::<i64>),
            Self::Timestamp | Self::Timestamptz => Packed::<TimestampMicrosecondType, _>::boxed(arrow, whole::<i64>),
            Self::Interval => return None,
        })
    }

    fn compared(&self) -> Option<Compared> {
        (!matches!(self, Self::Interval)).then_some(Compared::Whole)
    }

    /// Dates and timestamps are points in time to each other, as date_cmp_timestamp has it: of dates that no timestamp is,
    /// too.
    fn place(&self, value: &Value, kind: Kind) -> Option<Place> {
        match (self, kind, value) {
            (Self::Date, Kind::Timestamp, Value::Int(micros)) => Some(day(i128::from(*micros))),
            (Self::Date, Kind::Timestamp, Value::Late(micros)) => Some(day(i128::from(*micros) + EPOCH_MICROS)),
            (Self::Timestamp, Kind::Date, Value::Int(day)) => Some(match i32::try_from(*day) {
                Ok(i32::MIN) => Place::Below,
                Ok(i32::MAX) => Place::Above,
                _ => Place::At { floor: i128::from(*day) * MICROS_PER_DAY, exact: true },
            }),
            _ => Place::of_int(value),
        }
    }

    fn unit(&self, stored: &DataType) -> Option<Unit> {
        let micros = |unit: &TimeUnit| match unit {
            TimeUnit::Second => Unit::Times(1_000_000),
            TimeUnit::Millisecond => Unit::Times(1_000),
            TimeUnit::Microsecond => Unit::Times(1),
            TimeUnit::Nanosecond => Unit::Floor(NANOS_PER_MICRO.into()),
        };
        match (self, stored) {
            (Self::Date, DataType::Date32) => Some(Unit::Times(1)),
            (Self::Date, DataType::Date64) => Some(Unit::Floor(MILLIS_PER_DAY.into())),
            (Self::Time, DataType::Time32(own) | DataType::Time64(own)) => Some(micros(own)),
            (Self::Timestamp | Self::Timestamptz, DataType::Timestamp(own, _)) => Some(micros(own)),
            _ => None,
        }
    }
}

/// Among days, a timestamp is midnight or lies between two.
fn day(micros: i128) -> Place {
    Place::At { floor: micros.div_euclid(MICROS_PER_DAY), exact: micros.rem_euclid(MICROS_PER_DAY) == 0 }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, years 1 to 9999.
pub(crate) fn date(field: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = field else { return None };
    let year = i64::from(digits(&[*y1, *y2, *y3, *y4])?);
    let (month, day) = (digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || !(1..=days).contains(&day) {
        return None;
    }
    // Days from civil: era of 400 years, March-based year. (H. Hinnant, chrono-compatible low-level date algorithms.)
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_index = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

/// Microseconds since 1970-01-01 (UTC if there is a zone), and whether there is a zone.
pub(crate) fn timestamp(field: &[u8]) -> Option<(i64, bool)> {
    let days = i64::from(date(field.get(..10)?)?);
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = field.get(10..)? else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = match rest {
        [b'.', rest @ ..] => {
            let count = rest.iter().take_while(|c| c.is_ascii_digit()).count();
            if !(1..=6).contains(&count) {
                return None;
            }
            let fraction = digits(&rest[..count])?;
            (i64::from(fraction) * 10i64.pow(6 - count as u32), &rest[count..])
        }
        rest => (0, rest),
    };
    let offset = match zone {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => digits(&[*m1, *m2])?,
                _ => return None,
            };
            let hours = digits(&[*h1, *h2])?;
            if hours > 15 || minutes > 59 {
                return None;
            }
            let offset = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            Some(if *sign == b'-' { -offset } else { offset })
        }
        _ => return None,
    };
    let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(((seconds - offset.unwrap_or(0)) * 1_000_000 + micros, offset.is_some()))
}

fn digits(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, c| c.is_ascii_digit().then(|| sum * 10 + u32::from(c - b'0')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn dates_and_times_count_from_1970() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-03-01"), Some(11_017));
        assert_eq!(date(b"1969-12-31"), Some(-1));
        assert_eq!(date(b"0001-01-01"), Some(-719_162));
        assert_eq!(timestamp(b"1970-01-01T01:00:00.5+01:00"), Some((500_000, true)));
        assert_eq!(timestamp(b"1970-01-02 00:00:00"), Some((86_400_000_000, false)));
        assert_eq!(timestamp(b"1970-01-01 00:00:00-0130"), Some((5_400_000_000, true)));
    }
}
