//! Errors of functions on values, in PostgreSQL's words: errcodes-appendix, and the messages of int.c, int8.c, float.c,
//! numeric.c, date.c, timestamp.c, varlena.c.

/// Why a function has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// 22003: beyond an integer type, by its name in SQL.
    #[error("{0} out of range")]
    Integer(&'static str),
    /// 22003: a double precision or real beyond the largest one.
    #[error("value out of range: overflow")]
    Overflow,
    /// 22003: a double precision or real that is not zero, and too close to it.
    #[error("value out of range: underflow")]
    Underflow,
    /// 22003: more digits than `numeric(p,s)` has.
    #[error("numeric field overflow")]
    Field { precision: u8, scale: u8 },
    /// 22012.
    #[error("division by zero")]
    DivisionByZero,
    /// 2201F.
    #[error("cannot take square root of a negative number")]
    SquareRoot,
    /// 2201F.
    #[error("zero raised to a negative power is undefined")]
    ZeroToNegative,
    /// 2201F.
    #[error("a negative number raised to a non-integer power yields a complex result")]
    Complex,
    /// 2201E.
    #[error("cannot take logarithm of zero")]
    LogarithmOfZero,
    /// 2201E.
    #[error("cannot take logarithm of a negative number")]
    LogarithmOfNegative,
    /// 0A000: a power that may be an error for PostgreSQL.
    #[error("the engine for Parquet files has no powers that are so close to zero")]
    Subnormal,
    /// 0A000: a text that may be a value to PostgreSQL.
    #[error("the engine for Parquet files reads plain numbers, dates and booleans of text")]
    Unplain,
    /// 22008: a date that no timestamp is.
    #[error("date out of range for timestamp")]
    DateRange,
    /// 22008: the days from or to an infinite date.
    #[error("cannot subtract infinite dates")]
    InfiniteDates,
    /// 22008: `make_date` of no date.
    #[error("{what} out of range: {year}-{month:02}-{day:02}")]
    NoDate { what: &'static str, year: i32, month: i32, day: i32 },
    /// 0A000: PostgreSQL counts microseconds from 2000, the engine from 1970, so its last timestamps are not the engine's.
    #[error("the engine for Parquet files has no timestamps after 294247-01-10")]
    LateTimestamp,
    /// 0A000: PostgreSQL's numerics have infinities, those of the engine have not.
    #[error("the engine for Parquet files has no infinite numerics")]
    InfiniteNumeric,
    /// 22008: beyond the values of a date or timestamp, by its name in the message.
    #[error("{0} out of range")]
    Datetime(&'static str),
    /// 22011.
    #[error("negative substring length not allowed")]
    NegativeLength,
    /// 22P02: a text that the input function of a type refuses.
    #[error("invalid input syntax for type {ty}: \"{text}\"")]
    Syntax { ty: &'static str, text: String },
    /// 22003: a text that is a number beyond a type.
    #[error("value \"{text}\" is out of range for type {ty}")]
    TextRange { ty: &'static str, text: String },
    /// 22003: a numeric that no real is near.
    #[error("\"{0}\" is out of range for type real")]
    Real(String),
    /// 22025.
    #[error("LIKE pattern must not end with escape character")]
    Escape,
    /// 22023: of `split_part`.
    #[error("field position must not be zero")]
    FieldPosition,
    /// 54000: more than a value can hold.
    #[error("requested length too large")]
    Length,
    /// 0A000, and never seen by a user: the query begins again with more bits.
    #[error("a numeric has more than 38 digits")]
    TooWide,
}

impl Fault {
    /// Five characters.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Integer(_)
            | Self::Overflow
            | Self::Underflow
            | Self::Field { .. }
            | Self::TextRange { .. }
            | Self::Real(_) => "22003",
            Self::DivisionByZero => "22012",
            Self::SquareRoot | Self::ZeroToNegative | Self::Complex => "2201F",
            Self::LogarithmOfZero | Self::LogarithmOfNegative => "2201E",
            Self::Datetime(_) | Self::DateRange | Self::InfiniteDates | Self::NoDate { .. } => "22008",
            Self::NegativeLength => "22011",
            Self::FieldPosition => "22023",
            Self::Syntax { .. } => "22P02",
            Self::Escape => "22025",
            Self::Length => "54000",
            Self::InfiniteNumeric | Self::LateTimestamp | Self::Subnormal | Self::Unplain | Self::TooWide => "0A000",
        }
    }

    /// What lies behind the message.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Field { precision, scale } => {
                let whole = precision.saturating_sub(*scale);
                let least = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
                Some(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {least}."
                ))
            }
            _ => None,
        }
    }
}
