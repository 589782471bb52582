//! Which type a column of strings is. On any doubt it is text, so that no character of the source is lost:
//!
//! * bigint: an optional minus and digits without leading zero, within 64 bits. `007`, `+5`, `1,000`, `-0` and anything
//!   longer are text.
//! * double precision: as JSON writes numbers (`1.5`, `-2e10`), if it survives the way through a double with at most 15
//!   digits; mixed with integers of at most 15 digits. Longer numbers are text; ask for `numeric(p,s)` by the option
//!   `types`, which is exact.
//! * boolean: `true` and `false`, in lower case, upper case or with a capital. Not 0 and 1, yes and no, t and f.
//! * date: `YYYY-MM-DD`. Other orders are ambiguous, so text.
//! * timestamp: date, blank or `T`, `HH:MM:SS` with at most six digits of a fraction; timestamptz: the same with `Z` or an
//!   offset in every row. Dates and timestamps mixed, or with and without zone mixed, are text.
//! * a column of NULLs only is text.

use crate::schema::ColumnType;

/// Digits that a double holds whatever they are.
const DOUBLE_DIGITS: usize = 15;

/// What the values seen so far could all be.
#[derive(Clone, Debug, Default)]
pub struct Guess {
    seen: bool,
    not: u8,
    long_integer: bool,
}

const BOOL: u8 = 1;
const INTEGER: u8 = 2;
const DOUBLE: u8 = 4;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 16;
const TIMESTAMPTZ: u8 = 32;
const EVERYTHING: u8 = 63;

impl Guess {
    /// Takes a value that is not NULL into account.
    pub fn see(&mut self, field: &[u8]) {
        self.seen = true;
        if self.not == EVERYTHING {
            return;
        }
        let mut is = 0;
        if boolean(field).is_some() {
            is = BOOL;
        } else if let Some(digits) = integer_digits(field) {
            if std::str::from_utf8(field).is_ok_and(|text| text.parse::<i64>().is_ok()) {
                is |= INTEGER | DOUBLE;
                self.long_integer |= digits > DOUBLE_DIGITS;
            }
        } else if number_digits(field).is_some_and(|digits| digits <= DOUBLE_DIGITS) {
            is = DOUBLE;
        } else if date(field).is_some() {
            is = DATE;
        } else if let Some((_, zone)) = timestamp(field) {
            is = if zone { TIMESTAMPTZ } else { TIMESTAMP };
        }
        self.not |= EVERYTHING & !is;
    }

    /// The type.
    pub fn decide(&self) -> ColumnType {
        let could = |what: u8| self.seen && self.not & what == 0;
        if could(BOOL) {
            ColumnType::Bool
        } else if could(INTEGER) {
            ColumnType::Int8
        } else if could(DOUBLE) && !self.long_integer {
            ColumnType::Float8
        } else if could(DATE) {
            ColumnType::Date
        } else if could(TIMESTAMP) {
            ColumnType::Timestamp
        } else if could(TIMESTAMPTZ) {
            ColumnType::Timestamptz
        } else {
            ColumnType::Text
        }
    }
}

/// `true`, `True`, `TRUE` and their opposites.
pub(super) fn boolean(field: &[u8]) -> Option<bool> {
    match field {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// Digits of `-?(0|[1-9][0-9]*)`, but not of `-0`.
fn integer_digits(field: &[u8]) -> Option<usize> {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    let canonical = match digits {
        [b'0'] => digits.len() == field.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    canonical.then_some(digits.len())
}

/// Significant digits of a JSON number that is not an integer; also refuses what is no finite double.
fn number_digits(field: &[u8]) -> Option<usize> {
    let rest = field.strip_prefix(b"-").unwrap_or(field);
    let mantissa_end = rest.iter().position(|c| matches!(c, b'e' | b'E')).unwrap_or(rest.len());
    let (mantissa, exponent) = rest.split_at(mantissa_end);
    if let [_, exponent @ ..] = exponent {
        let digits = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
    }
    let point = mantissa.iter().position(|c| *c == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &b""[..]),
    };
    let whole_ok = match whole {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !whole_ok || (point.is_some() && fraction.is_empty()) || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if point.is_none() && exponent.is_empty() {
        return None; // an integer, or -0
    }
    let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    if !value.is_finite() || (value == 0.0 && mantissa.iter().any(|c| matches!(c, b'1'..=b'9'))) {
        return None;
    }
    let significant = whole.iter().chain(fraction).skip_while(|c| **c == b'0').count();
    Some(significant)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, years 1 to 9999.
pub(super) fn date(field: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = field else { return None };
    let year = i64::from(number(&[*y1, *y2, *y3, *y4])?);
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
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
pub(super) fn timestamp(field: &[u8]) -> Option<(i64, bool)> {
    let days = i64::from(date(field.get(..10)?)?);
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = field.get(10..)? else { return None };
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
            if !(1..=6).contains(&digits) {
                return None;
            }
            let fraction = number(&rest[..digits])?;
            (i64::from(fraction) * 10i64.pow(6 - digits as u32), &rest[digits..])
        }
        rest => (0, rest),
    };
    let offset = match zone {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => number(&[*m1, *m2])?,
                _ => return None,
            };
            let hours = number(&[*h1, *h2])?;
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

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, c| c.is_ascii_digit().then(|| sum * 10 + u32::from(c - b'0')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn guess(values: &[&str]) -> ColumnType {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.see(value.as_bytes()));
        guess.decide()
    }

    #[test]
    fn text_on_doubt() {
        for doubtful in [
            &["007"][..],
            &["1", "007"],
            &["+5"],
            &["1,000"],
            &["-0"],
            &["9223372036854775808"],
            &[".5"],
            &["1."],
            &["NaN"],
            &["inf"],
            &["1e400"],
            &["1e-400"],
            &["12345678901234567.5"],
            &["1.5", "1234567890123456"],
            &["01.02.2024"],
            &["2024-02-30"],
            &["2024-01-01", "2024-01-01 00:00:00"],
            &["24:00:00"],
            &["2024-01-01 24:00:00"],
            &["2024-01-01 00:00:00", "2024-01-01 00:00:00Z"],
            &["2024-01-01 00:00:00.1234567"],
            &["t"],
            &["yes"],
            &["true", "1"],
            &["tRuE"],
            &[" 1"],
            &["1 "],
            &[],
            &["0000-01-01"],
            &["1_000"],
            &["0x10"],
        ] {
            assert_eq!(guess(doubtful), ColumnType::Text, "{doubtful:?}");
        }
    }

    #[test]
    fn types_without_doubt() {
        assert_eq!(guess(&["0", "-1", "9223372036854775807", "-9223372036854775808"]), ColumnType::Int8);
        assert_eq!(guess(&["1", "2.5", "-0.0", "1e5"]), ColumnType::Float8);
        assert_eq!(guess(&["true", "FALSE", "False"]), ColumnType::Bool);
        assert_eq!(guess(&["2024-02-29", "0001-01-01"]), ColumnType::Date);
        assert_eq!(guess(&["2024-01-01T00:00:00", "2024-01-01 23:59:59.999999"]), ColumnType::Timestamp);
        assert_eq!(guess(&["2024-01-01T00:00:00Z", "2024-01-01 00:00:00+05:30"]), ColumnType::Timestamptz);
    }

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
