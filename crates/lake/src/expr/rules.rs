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
//!   C, POSIX and C.UTF-8.
//! * numeric: a constant is compared at the column's scale, rounded in the direction that keeps the answer; columns of
//!   different scales are compared at the larger one.
//! * date, timestamp: PostgreSQL's infinities are beyond all values of a file. Timestamps up to 2^63 - 1 are finite there.

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
    /// Deterministic, and the pattern is a constant without backslash.
    PlainPattern,
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
    same(EQUALITY, &[TEXT, TEXT], Precondition::Deterministic),
    same(ORDER, &[TEXT, TEXT], Precondition::ByteOrder),
    same(PATTERNS, &[TEXT, TEXT], Precondition::PlainPattern),
];

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

/// The line of a call by its name and the types of its arguments, if there is one.
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
        assert_eq!(precondition("=", Kind::Date, Kind::Timestamp), None);
        assert_eq!(precondition("=", Kind::Int4, Kind::Float8), None);
        assert_eq!(precondition("~~", Kind::Bytea, Kind::Bytea), None);
        assert_eq!(precondition("+", Kind::Int4, Kind::Int4), None);
    }

    #[test]
    fn each_signature_stands_in_one_line() {
        for rule in RULES {
            for (function, types) in rule.signatures() {
                let lines = RULES.iter().filter(|rule| rule.fits(function, &types)).count();
                assert_eq!(lines, 1, "{}{types:?}", function.name());
                assert_eq!(Function::from_name(function.name()), Some(function));
            }
        }
    }
}
