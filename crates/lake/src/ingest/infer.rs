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

use crate::types::{ColumnType, boolean, date, integer_digits, number_digits, timestamp};

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
}
