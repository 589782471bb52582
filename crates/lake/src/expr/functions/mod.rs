//! PostgreSQL's functions as the engine has them: the same values, the same errors, for whole arrays at once.
//!
//! ```text
//! typed      expressions with PostgreSQL's types; the scale of numerics
//! constant   values as expressions
//! convert    what brings values to one type that has room for them
//! cast       casts
//! kernel     what DataFusion calls, and the loops of most functions
//! integer    int.c, int8.c
//! float      float.c
//! power      powers and logarithms of float.c
//! digits     types of computed numerics
//! scale      how many digits of them are printed
//! decimal    sums and products of numerics
//! quotient   quotients and remainders of numerics
//! round      numerics with fewer digits
//! datetime   dates and timestamps
//! field      their fields
//! interval   their sums and differences with intervals and times
//! text       text and bytea
//! compose    texts made of parts of others
//! like       patterns with % and _
//! pattern    regular expressions that mean the same to PostgreSQL and to the engine
//! regexp     what is done with them
//! input      text as values of other types
//! aggregate  aggregate functions
//! ```
//!
//! Each function here makes an expression of DataFusion out of others, and knows its type in PostgreSQL. What it refuses
//! with [`crate::Error::NotSupported`] has to stay in PostgreSQL. [`super::rules`] says by types alone what can be asked for;
//! whether it can be had depends on precision, scale and constants too, which only these functions know.
//!
//! Numerics have 128 bits up to 38 digits and 256 up to 76. A type is derived from those of the arguments, so that it holds
//! every value, and what it cannot hold is refused before a row is read. [`Width::Fast`] tries those between with 128 bits.

mod aggregate;
mod cast;
mod compose;
mod constant;
mod convert;
mod datetime;
mod decimal;
mod digits;
mod field;
mod float;
mod input;
mod integer;
mod interval;
mod kernel;
pub(super) mod like;
mod pattern;
mod power;
mod quotient;
mod regexp;
mod round;
mod scale;
#[cfg(test)]
mod tests;
mod text;
mod typed;

use datafusion::logical_expr::{Expr, SortExpr};

pub(crate) use cast::cast;
pub(crate) use constant::constant;
pub(crate) use convert::common;
pub(crate) use float::canonical;
pub(crate) use interval::span;
pub(crate) use typed::{Scale, Typed, Width};

use self::typed::unsupported;
use super::function::Function;
use super::rules;
use crate::error::Result;
use crate::types::Kind;

/// A call of a function that [`super::rules`] lists for the kinds of its arguments. Comparisons are none: they are
/// DataFusion's own, of arguments that [`common`] has brought to one type.
pub(crate) fn call(width: Width, function: Function, arguments: Vec<Typed>) -> Result<Typed> {
    let kinds = arguments.iter().map(Typed::kind).collect::<Option<Vec<_>>>().unwrap_or_default();
    let types = arguments.iter().map(|argument| argument.ty.to_string()).collect::<Vec<_>>().join(", ");
    let is_listed = rules::find_in_queries(function, &kinds).is_some();
    let call = match kinds.first() {
        _ if !is_listed => None,
        _ if function == Function::MakeDate => datetime::date(arguments),
        Some(Kind::Int4) if kinds.contains(&Kind::Date) => {
            two(arguments).and_then(|(left, right)| datetime::days(function, left, right))
        }
        Some(Kind::Int2 | Kind::Int4 | Kind::Int8) => integer::call(function, arguments),
        Some(Kind::Float4 | Kind::Float8) => match function {
            Function::Power | Function::Exp | Function::Ln | Function::Log10 | Function::Sign => {
                power::call(function, arguments)
            }
            _ => float::call(function, arguments),
        },
        Some(Kind::Text | Kind::Bytea) => match kinds[..] {
            [_, Kind::Date | Kind::Time | Kind::Timestamp | Kind::Timestamptz | Kind::Interval, ..] => {
                return of_field(function, arguments);
            }
            _ => match function {
                Function::Matches | Function::NotMatches | Function::RegexpReplace => {
                    return regexp::call(function, arguments);
                }
                Function::Append if kinds[..] == [Kind::Bytea; 2] => compose::call(function, arguments),
                Function::Reverse
                | Function::Repeat
                | Function::Lpad
                | Function::Rpad
                | Function::SplitPart
                | Function::Translate
                | Function::Ascii => compose::call(function, arguments),
                _ => text::call(function, arguments),
            },
        },
        Some(Kind::Date) if kinds[1..] == [Kind::Date] || kinds[1..] == [Kind::Int4] => {
            two(arguments).and_then(|(left, right)| datetime::days(function, left, right))
        }
        Some(Kind::Date | Kind::Time | Kind::Timestamp | Kind::Timestamptz | Kind::Interval) => {
            two(arguments).and_then(|(left, right)| interval::call(function, left, right))
        }
        Some(Kind::Numeric) => numeric(width, function, arguments).transpose()?,
        _ => None,
    };
    call.ok_or_else(|| unsupported(format!("{}({types})", function.name())))
}

fn two(arguments: Vec<Typed>) -> Option<(Typed, Typed)> {
    let [left, right] = <[Typed; 2]>::try_from(arguments).ok()?;
    Some((left, right))
}

/// A function of a date or timestamp, and before it the name of a field or time zone.
fn of_field(function: Function, mut arguments: Vec<Typed>) -> Result<Typed> {
    let zone = if arguments.len() > 2 { arguments.pop() } else { None };
    let (field, value) = two(arguments).ok_or_else(|| unsupported(function.name()))?;
    match function {
        Function::Timezone => datetime::at_zone(&field, value),
        Function::DateTrunc => match zone {
            Some(zone) => datetime::at_zone(&zone, field::truncated(&field, datetime::at_zone(&zone, value)?)?),
            None => field::truncated(&field, value),
        },
        _ => field::extract(function, &field, value),
    }
}

/// A function whose first argument is a numeric.
fn numeric(width: Width, function: Function, mut arguments: Vec<Typed>) -> Option<Result<Typed>> {
    let last = if arguments.len() > 1 { arguments.pop() } else { None };
    let first = arguments.pop()?;
    let own = first.numeric()?;
    Some(match (function, last) {
        (Function::Round | Function::Trunc | Function::Ceil | Function::Floor, digits) => {
            round::round(width, function, first, digits.as_ref().map(|digits| &digits.expr))
        }
        (Function::Subtract, None) => Ok(decimal::negated(first)),
        (Function::Abs, None) => Ok(decimal::absolute(first)),
        (Function::Sign, None) => Ok(decimal::sign(first)),
        (function, Some(last)) => {
            let both = (own, last.numeric()?);
            match function {
                Function::Add => decimal::sum(width, false, first, last, both),
                Function::Subtract => decimal::sum(width, true, first, last, both),
                Function::Multiply => decimal::product(width, first, last, both),
                Function::Divide => quotient::quotient(first, last, both),
                Function::Modulo => quotient::remainder(width, first, last, both),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// A call of an aggregate function by its name in pg_proc. `count(*)` has no arguments.
///
/// The result is an expression over calls of aggregates of DataFusion, and so may be its scale: the engine takes these calls
/// out (`find_aggregate_exprs`), computes them, and has columns in their places (`rebase_expr`).
pub(crate) fn aggregate(
    width: Width,
    name: &str,
    arguments: Vec<Typed>,
    distinct: bool,
    filter: Option<Expr>,
    order: Vec<SortExpr>,
) -> Result<Typed> {
    aggregate::aggregate(aggregate::Call { width, distinct, filter, order }, name, arguments)
}
