//! What may be pushed: one table of (operator, argument types), with the condition under which DataFusion's answer is
//! PostgreSQL's. What is not listed stays in PostgreSQL. `pg_test/lake.rs` runs every row of it against a heap copy.
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
//! * date, timestamp: PostgreSQL's infinities become the ends of the integer range, which no finite value reaches.

use crate::schema::ColumnType;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Op {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    /// `~~`, with `%` and `_`.
    Like,
    /// `!~~`.
    NotLike,
}

impl Op {
    /// By its name in pg_operator.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "=" => Self::Eq,
            "<>" => Self::NotEq,
            "<" => Self::Lt,
            "<=" => Self::LtEq,
            ">" => Self::Gt,
            ">=" => Self::GtEq,
            "~~" => Self::Like,
            "!~~" => Self::NotLike,
            _ => return None,
        })
    }

    /// Its name in pg_operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Like => "~~",
            Self::NotLike => "!~~",
        }
    }

    /// `a op b` as `b op' a`.
    pub fn commuted(self) -> Option<Self> {
        Some(match self {
            Self::Eq | Self::NotEq => self,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            Self::Like | Self::NotLike => return None,
        })
    }
}

/// A PostgreSQL argument type, without modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
}

impl Kind {
    /// The kind of a column; arrays have none.
    pub fn of(ty: &ColumnType) -> Option<Self> {
        Some(match ty {
            ColumnType::Bool => Self::Bool,
            ColumnType::Int2 => Self::Int2,
            ColumnType::Int4 => Self::Int4,
            ColumnType::Int8 => Self::Int8,
            ColumnType::Float4 => Self::Float4,
            ColumnType::Float8 => Self::Float8,
            ColumnType::Numeric(..) => Self::Numeric,
            ColumnType::Text => Self::Text,
            ColumnType::Bytea => Self::Bytea,
            ColumnType::Date => Self::Date,
            ColumnType::Time => Self::Time,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Timestamptz => Self::Timestamptz,
            ColumnType::Uuid => Self::Uuid,
            ColumnType::Array(_) => return None,
        })
    }
}

/// Under which condition a listed operator is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
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
    pub ops: &'static [Op],
    pub left: &'static [Kind],
    pub right: &'static [Kind],
    /// Whether left and right must be the same type (else every pair of the two lists is meant).
    pub same: bool,
    pub condition: Condition,
}

const EQUALITY: &[Op] = &[Op::Eq, Op::NotEq];
const ORDER: &[Op] = &[Op::Lt, Op::LtEq, Op::Gt, Op::GtEq];
const ALL: &[Op] = &[Op::Eq, Op::NotEq, Op::Lt, Op::LtEq, Op::Gt, Op::GtEq];
const INTEGERS: &[Kind] = &[Kind::Int2, Kind::Int4, Kind::Int8];
const FLOATS: &[Kind] = &[Kind::Float4, Kind::Float8];
const NUMERIC: &[Kind] = &[Kind::Numeric];
const TEXT: &[Kind] = &[Kind::Text];
const PLAIN: &[Kind] =
    &[Kind::Bool, Kind::Bytea, Kind::Date, Kind::Time, Kind::Timestamp, Kind::Timestamptz, Kind::Uuid];

/// The table.
pub const RULES: &[Rule] = &[
    Rule { ops: ALL, left: PLAIN, right: PLAIN, same: true, condition: Condition::Always },
    Rule { ops: ALL, left: INTEGERS, right: INTEGERS, same: false, condition: Condition::Always },
    Rule { ops: ALL, left: FLOATS, right: FLOATS, same: false, condition: Condition::Always },
    Rule { ops: ALL, left: NUMERIC, right: NUMERIC, same: true, condition: Condition::Always },
    Rule { ops: EQUALITY, left: TEXT, right: TEXT, same: true, condition: Condition::Deterministic },
    Rule { ops: ORDER, left: TEXT, right: TEXT, same: true, condition: Condition::ByteOrder },
    Rule { ops: &[Op::Like, Op::NotLike], left: TEXT, right: TEXT, same: true, condition: Condition::PlainPattern },
];

/// The condition of `left op right`, if it is listed.
pub fn rule(op: Op, left: Kind, right: Kind) -> Option<Condition> {
    let fits = |rule: &&Rule| {
        rule.ops.contains(&op)
            && rule.left.contains(&left)
            && rule.right.contains(&right)
            && (!rule.same || left == right)
    };
    RULES.iter().find(fits).map(|rule| rule.condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_pairs_have_a_rule() {
        assert_eq!(rule(Op::Lt, Kind::Int2, Kind::Int8), Some(Condition::Always));
        assert_eq!(rule(Op::Eq, Kind::Float4, Kind::Float8), Some(Condition::Always));
        assert_eq!(rule(Op::Lt, Kind::Text, Kind::Text), Some(Condition::ByteOrder));
        assert_eq!(rule(Op::Eq, Kind::Date, Kind::Timestamp), None);
        assert_eq!(rule(Op::Eq, Kind::Int4, Kind::Float8), None);
        assert_eq!(rule(Op::Like, Kind::Bytea, Kind::Bytea), None);
    }
}
