//! What may fail is computed only where PostgreSQL computes it.
//!
//! PostgreSQL leaves AND and OR as soon as they are decided, and asks of a row's conditions the cheap ones first, so that
//! `b <> 0 AND a / b > 1` has an answer for every row. DataFusion computes both sides for all rows, and makes AND and OR of a
//! CASE of booleans. So what may fail stands in a CASE of numbers ([`own::flag`]), which is computed branch by branch.

use datafusion::logical_expr::{BinaryExpr, Case, Expr as Logical, Operator, lit};

use super::own;
use crate::expr::{Expr, Function, Type, Value, ends_in_escape};
use crate::types::Kind;

/// Calls of conditions that still take in columns of queries within: what these are made of may stand in them many times.
const MOST_CALLS: usize = 200;

/// Whether conditions over these columns are better ones over what the columns are made of: where one of both may fail. What
/// is counted at execution stays where it is.
pub(super) fn meets(parts: &[Expr], columns: &[Expr]) -> bool {
    parts.iter().chain(columns).any(may_fail)
        && !columns.iter().any(is_counted)
        && parts.iter().map(weight).sum::<usize>() <= MOST_CALLS
}

fn is_counted(expr: &Expr) -> bool {
    let mut found = matches!(expr, Expr::Single(..));
    expr.for_each_child(&mut |child| found |= is_counted(child));
    found
}

/// `left AND right` or `left OR right`, with the right side computed where the left one does not decide.
pub(super) fn decided(left: Logical, operator: Operator, right: Logical) -> Logical {
    let is_decided = match operator {
        Operator::And => Logical::IsFalse(Box::new(left.clone())),
        _ => Logical::IsTrue(Box::new(left.clone())),
    };
    let both = Logical::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)));
    chosen(vec![(is_decided, lit(operator == Operator::Or))], Some(both))
}

/// A CASE of booleans that stays one.
pub(super) fn chosen(branches: Vec<(Logical, Logical)>, last: Option<Logical>) -> Logical {
    let when = branches.into_iter().map(|(when, then)| (Box::new(when), Box::new(own::flag(then))));
    let case = Case::new(None, when.collect(), last.map(|last| Box::new(own::flag(last))));
    own::truth(Logical::Case(case))
}

/// Whether there may be values for which an expression is an error.
pub(super) fn may_fail(expr: &Expr) -> bool {
    let own = match expr {
        Expr::Call(function, arguments) => may_call_fail(*function, arguments),
        Expr::Cast(inner, to, modifier) => modifier.is_some() || may_cast_fail(inner.ty(), *to),
        Expr::Single(..) => true,
        _ => false,
    };
    let mut found = own;
    expr.for_each_child(&mut |child| found |= may_fail(child));
    found
}

/// Of functions that are not named here it is assumed.
fn may_call_fail(function: Function, arguments: &[Expr]) -> bool {
    match function {
        Function::Compare(_)
        | Function::Append
        | Function::Length
        | Function::OctetLength
        | Function::Left
        | Function::Right
        | Function::Upper
        | Function::Lower
        | Function::Position
        | Function::StartsWith
        | Function::Btrim
        | Function::Ltrim
        | Function::Rtrim
        | Function::Replace
        | Function::Reverse
        | Function::Repeat
        | Function::Lpad
        | Function::Rpad
        | Function::Translate
        | Function::Ascii
        | Function::Extract
        | Function::DatePart
        | Function::Timezone
        | Function::BitAnd
        | Function::BitOr
        | Function::BitXor
        | Function::Sign => false,
        Function::Like | Function::NotLike | Function::Ilike | Function::NotIlike => match arguments.get(1) {
            Some(Expr::Constant(Value::Text(pattern), _)) => ends_in_escape(pattern),
            Some(Expr::Constant(..)) => false,
            _ => true,
        },
        Function::Matches | Function::NotMatches | Function::RegexpReplace => {
            !matches!(arguments.get(1), Some(Expr::Constant(..)))
        }
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Abs
        | Function::Round
        | Function::Trunc
        | Function::Ceil
        | Function::Floor => arguments.iter().any(|argument| argument.ty() != Some(Kind::Numeric.into())),
        _ => true,
    }
}

fn may_cast_fail(from: Option<Type>, to: Type) -> bool {
    let (Some(Type::One(from)), Type::One(to)) = (from, to) else { return true };
    let rank = |kind: Kind| match kind {
        Kind::Int2 => Some(0),
        Kind::Int4 => Some(1),
        Kind::Int8 => Some(2),
        Kind::Numeric => Some(3),
        _ => None,
    };
    match (from, to) {
        _ if from == to => false,
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Float4 | Kind::Float8) | (Kind::Float4, Kind::Float8) => false,
        (Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric, Kind::Text) => false,
        (from, to) => rank(from).zip(rank(to)).is_none_or(|(from, to)| from > to),
    }
}

/// What PostgreSQL goes by: how many functions there are to call.
pub(super) fn weight(expr: &Expr) -> usize {
    let mut calls = usize::from(matches!(expr, Expr::Call(..) | Expr::Cast(..) | Expr::In(..)));
    expr.for_each_child(&mut |child| calls += weight(child));
    calls
}
