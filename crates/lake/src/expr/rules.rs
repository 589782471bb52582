//! What may be shipped: one table of (name, argument types), with the condition under which the engine's answer is
//! PostgreSQL's. What is not listed stays in PostgreSQL. `pg_test/lake.rs` runs every line of it, for every combination of
//! types, against a heap copy, and fails where it has no data for one.
//!
//! What a listed call becomes is in translate.rs, what it says of statistics in prune.rs.
//!
//! Facts behind the conditions (PostgreSQL 15 documentation, datafusion 55.2 sources):
//! * all comparisons are our own ([`crate::expr::Condition`]) and see the values that are delivered, so what a file stores
//!   (seconds, nanoseconds, other scales) does not matter.
//! * floats: PostgreSQL has NaN = NaN, NaN greater than all numbers and -0 = 0, and so has the comparison. Statistics leave
//!   NaN out, so no float is looked for in them.
//! * text: bytes are compared. That is PostgreSQL's equality under every deterministic collation and its order only under
//!   C, POSIX and C.UTF-8. Letters have two cases only under C and POSIX, and those of ASCII: C.UTF-8 has more of them, and
//!   not the same in all versions.
//! * numeric: a constant is compared at the column's scale, rounded in the direction that keeps the answer; columns of
//!   different scales are compared at the larger one.
//! * date, timestamp: PostgreSQL's infinities are beyond all values of a file. Timestamps up to 2^63 - 1 are finite there.
//!   Beside each other they are points in time; beside a timestamptz it is the session's time zone that says which.

use super::function::{Comparison, Function};
use crate::types::Kind;

/// Under which condition a listed call is shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Always.
    Always,
    /// The collation is deterministic and the database is UTF-8.
    Deterministic,
    /// The collation compares bytes and the database is UTF-8.
    ByteOrder,
    /// The database is UTF-8.
    Utf8,
    /// The collation is C or POSIX, whose letters are those of ASCII, and the database is UTF-8.
    AsciiCase,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub functions: &'static [Function],
    /// For each argument, the types that it may have.
    pub arguments: &'static [&'static [Kind]],
    /// Whether all arguments must have the same type (else every combination is meant).
    pub same: bool,
    pub result: Kind,
    pub precondition: Precondition,
}

const EQUALITY: &[Function] = &[Function::Compare(Comparison::Eq), Function::Compare(Comparison::NotEq)];
const ORDER: &[Function] = &[
    Function::Compare(Comparison::Lt),
    Function::Compare(Comparison::LtEq),
    Function::Compare(Comparison::Gt),
    Function::Compare(Comparison::GtEq),
];
const COMPARISONS: &[Function] = &[
    Function::Compare(Comparison::Eq),
    Function::Compare(Comparison::NotEq),
    Function::Compare(Comparison::Lt),
    Function::Compare(Comparison::LtEq),
    Function::Compare(Comparison::Gt),
    Function::Compare(Comparison::GtEq),
];
const PATTERNS: &[Function] = &[Function::Like, Function::NotLike];

const BINARY: &[Function] = &[Function::Add, Function::Subtract, Function::Multiply, Function::Divide];
const REMAINDER: &[Function] = &[Function::Modulo];
const SIGN: &[Function] = &[Function::Subtract, Function::Abs];
const ROUNDING: &[Function] = &[Function::Round, Function::Trunc, Function::Ceil, Function::Floor];
const PLACES: &[Function] = &[Function::Round, Function::Trunc];

const POWERS: &[Function] = &[Function::Exp, Function::Ln, Function::Log10, Function::Sign];
const BITS: &[Function] = &[Function::BitAnd, Function::BitOr, Function::BitXor];

const TRIMS: &[Function] = &[Function::Btrim, Function::Ltrim, Function::Rtrim];

const DATE: &[Kind] = &[Kind::Date];
const TIMESTAMP: &[Kind] = &[Kind::Timestamp];
const TIMESTAMPTZ: &[Kind] = &[Kind::Timestamptz];
const TIME: &[Kind] = &[Kind::Time];
const INTERVAL: &[Kind] = &[Kind::Interval];
const DATE_OR_TIMESTAMP: &[Kind] = &[Kind::Date, Kind::Timestamp];
const DATES: &[Kind] = &[Kind::Date, Kind::Timestamp, Kind::Timestamptz, Kind::Time, Kind::Interval];
/// What dates and times do with intervals.
const MOVES: &[Function] = &[Function::Add, Function::Subtract];
const BYTEA: &[Kind] = &[Kind::Bytea];
const INT2: &[Kind] = &[Kind::Int2];
const INT4: &[Kind] = &[Kind::Int4];
const INT8: &[Kind] = &[Kind::Int8];
const MOMENTS: &[&str] = &["avg", "var_pop", "var_samp", "variance", "stddev_pop", "stddev_samp", "stddev"];

const ANY: &[Kind] = &[
    Kind::Bool,
    Kind::Int2,
    Kind::Int4,
    Kind::Int8,
    Kind::Float4,
    Kind::Float8,
    Kind::Numeric,
    Kind::Text,
    Kind::Bytea,
    Kind::Date,
    Kind::Time,
    Kind::Timestamp,
    Kind::Timestamptz,
    Kind::Uuid,
];
/// What has `min` and `max` in all versions of PostgreSQL, and one order.
const ORDERED: &[Kind] = &[
    Kind::Int2,
    Kind::Int4,
    Kind::Int8,
    Kind::Float4,
    Kind::Float8,
    Kind::Numeric,
    Kind::Date,
    Kind::Time,
    Kind::Timestamp,
    Kind::Timestamptz,
];
const SMALLER: &[Kind] = &[Kind::Int2, Kind::Int4];
const FLOAT4: &[Kind] = &[Kind::Float4];
const FLOAT8: &[Kind] = &[Kind::Float8];
const INTEGERS: &[Kind] = &[Kind::Int2, Kind::Int4, Kind::Int8];
const FLOATS: &[Kind] = &[Kind::Float4, Kind::Float8];
const NUMERIC: &[Kind] = &[Kind::Numeric];
const TEXT: &[Kind] = &[Kind::Text];
const PLAIN: &[Kind] =
    &[Kind::Bool, Kind::Bytea, Kind::Date, Kind::Time, Kind::Timestamp, Kind::Timestamptz, Kind::Uuid];

/// The table.
pub const RULES: &[Rule] = &[
    same(COMPARISONS, &[PLAIN, PLAIN], Precondition::Always),
    any(COMPARISONS, &[INTEGERS, INTEGERS], Precondition::Always),
    any(COMPARISONS, &[FLOATS, FLOATS], Precondition::Always),
    same(COMPARISONS, &[NUMERIC, NUMERIC], Precondition::Always),
    any(COMPARISONS, &[DATE, TIMESTAMP], Precondition::Always),
    any(COMPARISONS, &[TIMESTAMP, DATE], Precondition::Always),
    same(EQUALITY, &[TEXT, TEXT], Precondition::Deterministic),
    same(ORDER, &[TEXT, TEXT], Precondition::ByteOrder),
    same(PATTERNS, &[TEXT, TEXT], Precondition::Deterministic),
];

/// Those that only the engine of queries has. It has those of [`RULES`], too.
pub const QUERY_RULES: &[Rule] = &[
    function(BINARY, &[INT2, INT2], Kind::Int2),
    function(BINARY, &[INT4, SMALLER], Kind::Int4),
    function(BINARY, &[INT2, INT4], Kind::Int4),
    function(BINARY, &[INT8, INTEGERS], Kind::Int8),
    function(BINARY, &[SMALLER, INT8], Kind::Int8),
    function(REMAINDER, &[INT2, INT2], Kind::Int2),
    function(REMAINDER, &[INT4, INT4], Kind::Int4),
    function(REMAINDER, &[INT8, INT8], Kind::Int8),
    function(BINARY, &[NUMERIC, NUMERIC], Kind::Numeric),
    function(REMAINDER, &[NUMERIC, NUMERIC], Kind::Numeric),
    function(BINARY, &[FLOAT4, FLOAT4], Kind::Float4),
    function(BINARY, &[FLOAT8, FLOATS], Kind::Float8),
    function(BINARY, &[FLOAT4, FLOAT8], Kind::Float8),
    function(SIGN, &[INT2], Kind::Int2),
    function(SIGN, &[INT4], Kind::Int4),
    function(SIGN, &[INT8], Kind::Int8),
    function(SIGN, &[NUMERIC], Kind::Numeric),
    function(SIGN, &[FLOAT4], Kind::Float4),
    function(SIGN, &[FLOAT8], Kind::Float8),
    function(ROUNDING, &[NUMERIC], Kind::Numeric),
    function(PLACES, &[NUMERIC, INT4], Kind::Numeric),
    function(ROUNDING, &[FLOAT8], Kind::Float8),
    function(&[Function::Sqrt], &[FLOAT8], Kind::Float8),
    function(POWERS, &[FLOAT8], Kind::Float8),
    function(&[Function::Power], &[FLOAT8, FLOAT8], Kind::Float8),
    function(&[Function::Sign], &[NUMERIC], Kind::Numeric),
    function(BITS, &[INT2, INT2], Kind::Int2),
    function(BITS, &[INT4, INT4], Kind::Int4),
    function(BITS, &[INT8, INT8], Kind::Int8),
    function(&[Function::Add, Function::Subtract], &[DATE, INT4], Kind::Date),
    function(&[Function::Add], &[INT4, DATE], Kind::Date),
    function(&[Function::Subtract], &[DATE, DATE], Kind::Int4),
    function(MOVES, &[DATE_OR_TIMESTAMP, INTERVAL], Kind::Timestamp),
    function(&[Function::Add], &[INTERVAL, DATE_OR_TIMESTAMP], Kind::Timestamp),
    function(MOVES, &[TIMESTAMPTZ, INTERVAL], Kind::Timestamptz),
    function(MOVES, &[TIME, INTERVAL], Kind::Time),
    function(&[Function::Add], &[INTERVAL, TIME], Kind::Time),
    function(&[Function::Add], &[DATE, TIME], Kind::Timestamp),
    function(&[Function::Add], &[TIME, DATE], Kind::Timestamp),
    function(&[Function::Subtract], &[TIMESTAMP, TIMESTAMP], Kind::Interval),
    function(&[Function::Subtract], &[TIMESTAMPTZ, TIMESTAMPTZ], Kind::Interval),
    function(&[Function::Subtract], &[TIME, TIME], Kind::Interval),
    same(COMPARISONS, &[INTERVAL, INTERVAL], Precondition::Always),
    function(&[Function::Extract], &[TEXT, DATES], Kind::Numeric),
    function(&[Function::DatePart], &[TEXT, DATES], Kind::Float8),
    function(&[Function::DateTrunc], &[TEXT, TIMESTAMP], Kind::Timestamp),
    function(&[Function::DateTrunc], &[TEXT, TIMESTAMPTZ, TEXT], Kind::Timestamptz),
    function(&[Function::MakeDate], &[INT4, INT4, INT4], Kind::Date),
    function(&[Function::Timezone], &[TEXT, TIMESTAMP], Kind::Timestamptz),
    function(&[Function::Timezone], &[TEXT, TIMESTAMPTZ], Kind::Timestamp),
    on_text(&[Function::Length, Function::OctetLength], &[TEXT], Kind::Int4, Precondition::Utf8),
    function(&[Function::Length, Function::OctetLength], &[BYTEA], Kind::Int4),
    on_text(&[Function::Append], &[TEXT, TEXT], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Substring], &[TEXT, INT4], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Substring], &[TEXT, INT4, INT4], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Left, Function::Right], &[TEXT, INT4], Kind::Text, Precondition::Utf8),
    on_text(TRIMS, &[TEXT], Kind::Text, Precondition::Utf8),
    on_text(TRIMS, &[TEXT, TEXT], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Position], &[TEXT, TEXT], Kind::Int4, Precondition::Deterministic),
    on_text(&[Function::StartsWith], &[TEXT, TEXT], Kind::Bool, Precondition::Deterministic),
    on_text(&[Function::Replace], &[TEXT, TEXT, TEXT], Kind::Text, Precondition::Deterministic),
    on_text(&[Function::Matches, Function::NotMatches], &[TEXT, TEXT], Kind::Bool, Precondition::Deterministic),
    on_text(&[Function::RegexpReplace], &[TEXT, TEXT, TEXT], Kind::Text, Precondition::Deterministic),
    on_text(&[Function::Reverse], &[TEXT], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Ascii], &[TEXT], Kind::Int4, Precondition::Utf8),
    on_text(&[Function::Repeat], &[TEXT, INT4], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Lpad, Function::Rpad], &[TEXT, INT4, TEXT], Kind::Text, Precondition::Utf8),
    on_text(&[Function::Translate], &[TEXT, TEXT, TEXT], Kind::Text, Precondition::Utf8),
    on_text(&[Function::SplitPart], &[TEXT, TEXT, INT4], Kind::Text, Precondition::Deterministic),
    function(&[Function::Append], &[BYTEA, BYTEA], Kind::Bytea),
    on_text(&[Function::Ilike, Function::NotIlike], &[TEXT, TEXT], Kind::Bool, Precondition::AsciiCase),
    on_text(&[Function::Upper, Function::Lower], &[TEXT], Kind::Text, Precondition::AsciiCase),
];

/// Functions on text.
const fn on_text(
    functions: &'static [Function],
    arguments: &'static [&'static [Kind]],
    result: Kind,
    precondition: Precondition,
) -> Rule {
    Rule { functions, arguments, same: false, result, precondition }
}

/// One line of the table of aggregate functions.
#[derive(Clone, Copy, Debug)]
pub struct AggregateRule {
    /// In pg_proc.
    pub names: &'static [&'static str],
    /// For each argument, the types that it may have.
    pub arguments: &'static [&'static [Kind]],
    /// None is the type of the argument.
    pub result: Option<Kind>,
    /// Those with DISTINCT ask for [`Precondition::Deterministic`] of text at least.
    pub precondition: Precondition,
}

/// Aggregate functions. Only queries have them.
pub const AGGREGATES: &[AggregateRule] = &[
    aggregate(&["count"], &[], Some(Kind::Int8)),
    aggregate(&["count"], &[ANY], Some(Kind::Int8)),
    aggregate(&["sum"], &[SMALLER], Some(Kind::Int8)),
    aggregate(&["sum", "avg"], &[INT8], Some(Kind::Numeric)),
    aggregate(&["avg"], &[SMALLER], Some(Kind::Numeric)),
    aggregate(&["sum", "avg"], &[NUMERIC], Some(Kind::Numeric)),
    aggregate(&["sum"], &[FLOATS], None),
    aggregate(MOMENTS, &[FLOATS], Some(Kind::Float8)),
    aggregate(&["min", "max"], &[ORDERED], None),
    AggregateRule { precondition: Precondition::ByteOrder, ..aggregate(&["min", "max"], &[TEXT], None) },
    aggregate(&["bit_and", "bit_or", "bit_xor"], &[INTEGERS], None),
    AggregateRule { precondition: Precondition::Utf8, ..aggregate(&["string_agg"], &[TEXT, TEXT], Some(Kind::Text)) },
    aggregate(&["bool_and", "bool_or", "every"], &[&[Kind::Bool]], Some(Kind::Bool)),
];

/// Aggregates that are always shipped.
const fn aggregate(
    names: &'static [&'static str],
    arguments: &'static [&'static [Kind]],
    result: Option<Kind>,
) -> AggregateRule {
    AggregateRule { names, arguments, result, precondition: Precondition::Always }
}

impl AggregateRule {
    /// The type of the result for arguments that the line lists.
    pub fn result(&self, types: &[Kind]) -> Option<Kind> {
        self.result.or_else(|| types.first().copied())
    }
}

/// The line of an aggregate function by its name in pg_proc and the types of its arguments, if there is one.
pub fn find_aggregate(name: &str, types: &[Kind]) -> Option<&'static AggregateRule> {
    AGGREGATES.iter().find(|rule| {
        rule.names.contains(&name)
            && rule.arguments.len() == types.len()
            && rule.arguments.iter().zip(types).all(|(listed, ty)| listed.contains(ty))
    })
}

/// Functions that are always shipped.
const fn function(functions: &'static [Function], arguments: &'static [&'static [Kind]], result: Kind) -> Rule {
    Rule { functions, arguments, same: false, result, precondition: Precondition::Always }
}

/// Conditions whose arguments have the same type.
const fn same(
    functions: &'static [Function],
    arguments: &'static [&'static [Kind]],
    precondition: Precondition,
) -> Rule {
    Rule { functions, arguments, same: true, result: Kind::Bool, precondition }
}

/// Conditions whose arguments have any of the types, each its own.
const fn any(
    functions: &'static [Function],
    arguments: &'static [&'static [Kind]],
    precondition: Precondition,
) -> Rule {
    Rule { functions, arguments, same: false, result: Kind::Bool, precondition }
}

impl Rule {
    fn fits(&self, function: Function, types: &[Kind]) -> bool {
        self.functions.contains(&function)
            && self.arguments.len() == types.len()
            && self.arguments.iter().zip(types).all(|(listed, ty)| listed.contains(ty))
            && (!self.same || types.windows(2).all(|pair| pair[0] == pair[1]))
    }

    /// Every function with every combination of argument types that the line lists.
    pub fn signatures(&self) -> Vec<(Function, Vec<Kind>)> {
        let mut combinations = vec![Vec::new()];
        for listed in self.arguments {
            let longer =
                |types: &Vec<Kind>| listed.iter().map(|ty| [types.as_slice(), &[*ty]].concat()).collect::<Vec<_>>();
            combinations = combinations.iter().flat_map(longer).collect();
        }
        let all =
            self.functions.iter().flat_map(|function| combinations.iter().map(|types| (*function, types.clone())));
        all.filter(|(function, types)| self.fits(*function, types)).collect()
    }
}

/// The line of a call in a query by its name and the types of its arguments, if there is one.
pub fn find_in_queries(function: Function, types: &[Kind]) -> Option<&'static Rule> {
    RULES.iter().chain(QUERY_RULES).find(|rule| rule.fits(function, types))
}

/// The same of a call in the condition of a scan.
pub fn find(function: Function, types: &[Kind]) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.fits(function, types))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precondition(name: &str, left: Kind, right: Kind) -> Option<Precondition> {
        let function = Function::from_name(name)?;
        find(function, &[left, right]).map(|rule| rule.precondition)
    }

    #[test]
    fn only_listed_pairs_have_a_rule() {
        assert_eq!(precondition("<", Kind::Int2, Kind::Int8), Some(Precondition::Always));
        assert_eq!(precondition("=", Kind::Float4, Kind::Float8), Some(Precondition::Always));
        assert_eq!(precondition("<", Kind::Text, Kind::Text), Some(Precondition::ByteOrder));
        assert_eq!(precondition("<=", Kind::Date, Kind::Timestamp), Some(Precondition::Always));
        assert_eq!(precondition("=", Kind::Date, Kind::Timestamptz), None);
        assert_eq!(precondition("=", Kind::Int4, Kind::Float8), None);
        assert_eq!(precondition("~~", Kind::Bytea, Kind::Bytea), None);
        assert_eq!(precondition("+", Kind::Int4, Kind::Int4), None);
    }

    #[test]
    fn what_queries_have_a_scan_has_not() {
        for (function, types) in QUERY_RULES.iter().flat_map(Rule::signatures) {
            assert!(find(function, &types).is_none(), "{}{types:?}", function.name());
        }
    }

    #[test]
    fn each_signature_stands_in_one_line() {
        for rule in RULES.iter().chain(QUERY_RULES) {
            for (function, types) in rule.signatures() {
                let lines = RULES.iter().chain(QUERY_RULES).filter(|rule| rule.fits(function, &types)).count();
                assert_eq!(lines, 1, "{}{types:?}", function.name());
                assert_eq!(Function::from_name(function.name()), Some(function));
            }
        }
    }
}
