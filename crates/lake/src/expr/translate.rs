//! From a bound expression to a test of rows: which kernel answers which call, for which representation of its arguments.

use std::hash::Hash;

use datafusion::common::HashSet;

use super::evaluate::{Pair, Set, Test};
use super::function::{Comparison, Function};
use super::functions::like::ends_in_escape;
use super::ir::{self, Expr, Type};
use super::range::Range;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::source::table::TableColumn;
use crate::types::{ColumnType, Compared, Kind, Place, Value, canonical};

/// The test of a condition. `position` says where in a batch a column of `columns` stands.
pub(super) fn test(expr: &Expr, columns: &[TableColumn], position: &impl Fn(usize) -> usize) -> Result<Test> {
    Translator { columns, position }.test(expr)
}

struct Translator<'a, P> {
    columns: &'a [TableColumn],
    position: &'a P,
}

impl<P: Fn(usize) -> usize> Translator<'_, P> {
    fn column(&self, i: usize) -> Result<&TableColumn> {
        self.columns.get(i).ok_or_else(|| Error::internal(format!("no column {i}")))
    }

    fn test(&self, expr: &Expr) -> Result<Test> {
        let all = |parts: &[Expr]| parts.iter().map(|part| self.test(part)).collect::<Result<Vec<_>>>();
        Ok(match expr {
            Expr::And(parts) => Test::And(all(parts)?),
            Expr::Or(parts) => Test::Or(all(parts)?),
            Expr::Not(inner) => Test::Not(Box::new(self.test(inner)?)),
            Expr::Is(inner, truth) => Test::Is(Box::new(self.test(inner)?), *truth),
            Expr::Column(i, _) => Test::Column((self.position)(*i)),
            Expr::Constant(Value::Bool(known), _) => Test::Known(Some(*known)),
            Expr::Constant(Value::Null, _) => Test::Known(None),
            Expr::IsNull(inner) => match &**inner {
                Expr::Column(i, _) => Test::IsNull((self.position)(*i)),
                _ => return Err(untranslated(expr)),
            },
            Expr::In(item, list) => match (&**item, &**list) {
                (_, Expr::Constant(Value::Null, _)) => Test::Known(None),
                (Expr::Column(i, _), Expr::Constant(Value::List(values), Type::Array { array })) => {
                    self.within(*i, values, *array)?
                }
                _ => return Err(untranslated(expr)),
            },
            Expr::Call(function, arguments) => {
                if ir::condition_rule(*function, arguments).is_none() {
                    return Err(untranslated(expr));
                }
                match (function, &arguments[..]) {
                    (_, [Expr::Column(..), Expr::Constant(Value::Null, _)]) => Test::Known(None),
                    (Function::Compare(comparison), [Expr::Column(i, _), Expr::Constant(value, Type::One(kind))]) => {
                        self.compare(*comparison, *i, value, *kind)?
                    }
                    (Function::Compare(comparison), [Expr::Column(left, _), Expr::Column(right, _)]) => {
                        self.compare_columns(*comparison, *left, *right)?
                    }
                    (Function::Like, [Expr::Column(i, _), Expr::Constant(value, _)]) => self.like(*i, value, false)?,
                    (Function::NotLike, [Expr::Column(i, _), Expr::Constant(value, _)]) => {
                        self.like(*i, value, true)?
                    }
                    _ => return Err(untranslated(expr)),
                }
            }
            _ => return Err(untranslated(expr)),
        })
    }

    fn compare(&self, comparison: Comparison, i: usize, value: &Value, kind: Kind) -> Result<Test> {
        let (column, at) = (self.column(i)?, (self.position)(i));
        let wrong = || mismatch(column, value);
        Ok(match column.ty.compared() {
            Some(Compared::Whole) => {
                let (range, negated) = Range::of(comparison, column.ty.place(value, kind).ok_or_else(wrong)?);
                let narrow = |number: i128| number.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                if range.is_empty() || range.low > i64::MAX.into() || range.high < i64::MIN.into() {
                    Test::Whole(at, i64::MAX, i64::MIN, negated)
                } else {
                    Test::Whole(at, narrow(range.low), narrow(range.high), negated)
                }
            }
            Some(Compared::Wide(_)) => {
                let (range, negated) = Range::of(comparison, column.ty.place(value, kind).ok_or_else(wrong)?);
                Test::Wide(at, range.low, range.high, negated)
            }
            Some(Compared::Float) => Test::Float(at, comparison, value.as_float().ok_or_else(wrong)?),
            Some(Compared::Bool | Compared::Bytes) => {
                let scalar = column.ty.scalar(value).ok_or_else(wrong)?;
                Test::Plain(at, comparison, scalar.to_scalar().map_err(Error::internal)?)
            }
            None => return Err(wrong()),
        })
    }

    fn like(&self, i: usize, pattern: &Value, negated: bool) -> Result<Test> {
        let column = self.column(i)?;
        if let Value::Text(pattern) = pattern
            && pattern.contains('\\')
        {
            if ends_in_escape(pattern) {
                return Err(Error::Function(Fault::Escape));
            }
            return Ok(Test::Escaped((self.position)(i), negated, pattern.as_bytes().into()));
        }
        let scalar = column.ty.scalar(pattern).ok_or_else(|| mismatch(column, pattern))?;
        Ok(Test::Like((self.position)(i), negated, scalar.to_scalar().map_err(Error::internal)?))
    }

    /// `column = ANY (values)`: false for no values, even if the column is NULL.
    fn within(&self, i: usize, values: &[Value], kind: Kind) -> Result<Test> {
        if values.is_empty() {
            return Ok(Test::Known(Some(false)));
        }
        let (column, at) = (self.column(i)?, (self.position)(i));
        let mut has_null = false;
        let mut set = match column.ty.compared() {
            Some(Compared::Bool) => Set::Bool([false; 2]),
            Some(Compared::Wide(_)) => Set::Wide(room(values)?),
            Some(Compared::Float) => Set::Float(room(values)?),
            Some(Compared::Bytes) => Set::Bytes(room(values)?),
            Some(Compared::Whole) => Set::Whole(room(values)?),
            None => return Err(mismatch(column, &Value::List(Vec::new()))),
        };
        for value in values {
            let wrong = || mismatch(column, value);
            match (&mut set, value) {
                (_, Value::Null) => has_null = true,
                (Set::Bool(set), Value::Bool(value)) => set[usize::from(*value)] = true,
                (Set::Bool(_), _) => return Err(wrong()),
                (Set::Bytes(set), value) => drop(set.insert(value.bytes().ok_or_else(wrong)?.into())),
                (Set::Float(set), value) => drop(set.insert(canonical(value.as_float().ok_or_else(wrong)?))),
                // What the column cannot hold it is never equal to.
                (Set::Whole(set), value) => match column.ty.place(value, kind) {
                    Some(Place::At { floor, exact: true }) => set.extend(i64::try_from(floor)),
                    Some(_) => {}
                    None => return Err(wrong()),
                },
                (Set::Wide(set), value) => match column.ty.place(value, kind) {
                    Some(Place::At { floor, exact: true }) => drop(set.insert(floor)),
                    Some(_) => {}
                    None => return Err(wrong()),
                },
            }
        }
        Ok(Test::Within(at, set, has_null))
    }

    fn compare_columns(&self, comparison: Comparison, left: usize, right: usize) -> Result<Test> {
        let (a, b) = (self.column(left)?, self.column(right)?);
        let pair = match (a.ty.compared(), b.ty.compared()) {
            (Some(Compared::Float), Some(Compared::Float)) => Pair::Float,
            (Some(Compared::Wide(s1)), Some(Compared::Wide(s2))) => {
                let common = s1.max(s2);
                Pair::Wide(10i128.pow(u32::from(common - s1)), 10i128.pow(u32::from(common - s2)))
            }
            _ if a.ty == b.ty => Pair::Plain,
            _ if (&a.ty, &b.ty) == (&ColumnType::Date, &ColumnType::Timestamp) => Pair::DateTimestamp,
            _ if (&a.ty, &b.ty) == (&ColumnType::Timestamp, &ColumnType::Date) => Pair::TimestampDate,
            (Some(Compared::Whole), Some(Compared::Whole)) => Pair::Whole,
            _ => return Err(Error::internal(format!("{} and {} cannot be compared", a.ty, b.ty))),
        };
        Ok(Test::Columns(comparison, (self.position)(left), (self.position)(right), pair))
    }
}

/// A set with room for all values. The list is the user's, so memory that cannot be had is an error.
fn room<T: Eq + Hash>(values: &[Value]) -> Result<HashSet<T>> {
    let mut set = HashSet::default();
    let out = |_| Error::Memory { message: format!("a list of {} elements", values.len()) };
    set.try_reserve(values.len()).map_err(out)?;
    Ok(set)
}

fn mismatch(column: &TableColumn, value: &Value) -> Error {
    Error::internal(format!("column \"{}\" of type {} compared with {value:?}", column.name, column.ty))
}

/// The glue has taken over what is not listed, or what was not bound.
fn untranslated(expr: &Expr) -> Error {
    Error::internal(format!("an expression that the engine does not have: {expr:?}"))
}
