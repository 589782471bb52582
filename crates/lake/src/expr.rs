//! Filters: a small language of our own for the conditions that the engine takes over.
//!
//! The glue builds a [`Filter`] with parameters at plan time (it is stored in the plan as JSON), and [`Filter::bind`] puts
//! the values in at execution. Two things are made of a bound filter. [`Condition`] tests the rows, as they are delivered,
//! and is exact. [`prune`] makes a condition on what a file's statistics say, which every row that passes fulfils. Truth is
//! three-valued as in SQL: each construct yields NULL where PostgreSQL's does.
//!
//! A filter is never nested deeper than [`MAX_DEPTH`], so what walks it may recurse; `AND` and `OR` have any number of
//! branches, and lists any number of elements, so those are walked in loops.

mod condition;
mod number;
mod prune;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use condition::Condition;

use crate::error::{Error, Result};
use crate::pushable::Op;

/// Levels of AND, OR, NOT and IS above a comparison, at most. Far below what the parser of the plan allows (128 levels of
/// JSON, of which one level of a filter takes two).
pub const MAX_DEPTH: usize = 50;

/// A value of a constant or parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Bool(bool),
    /// smallint, integer and bigint.
    Int(i64),
    /// The bits of a double precision, so that NaN survives JSON.
    Float8(u64),
    /// The bits of a real.
    Float4(u32),
    /// As PostgreSQL prints it: digits, `NaN`, `Infinity`, `-Infinity`.
    Numeric(String),
    Text(String),
    Bytea(Vec<u8>),
    /// Days since 1970-01-01; infinities are the ends of the range.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01; infinities are the ends of the range.
    Timestamp(i64),
    /// The same, UTC.
    Timestamptz(i64),
    Uuid([u8; 16]),
    /// The elements of an array, for IN.
    List(Vec<Value>),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// Index of a column of the table.
    Column(usize),
    Value(Value),
    /// Index of a value that is known at execution.
    Param(usize),
}

/// What a boolean is tested for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// A condition on rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// `column op operand`; the glue has swapped sides where needed.
    Compare {
        op: Op,
        column: usize,
        operand: Operand,
    },
    /// `column = ANY (list)`.
    In {
        column: usize,
        list: Operand,
    },
    IsNull(usize),
    /// A boolean column as a condition.
    Column(usize),
    /// `IS TRUE` and relatives.
    Is(Box<Filter>, Truth),
}

impl Filter {
    /// The same filter with values in place of parameters. Each parameter stands in one place.
    pub fn bind(&self, params: Vec<Value>) -> Result<Filter> {
        let mut params = params.into_iter().map(Some).collect::<Vec<_>>();
        self.bind_from(&mut params)
    }

    fn bind_from(&self, params: &mut [Option<Value>]) -> Result<Filter> {
        let mut operand = |operand: &Operand| match operand {
            Operand::Param(i) => {
                let value = params.get_mut(*i).and_then(Option::take);
                Ok(Operand::Value(value.ok_or_else(|| Error::internal(format!("no parameter {i}")))?))
            }
            other => Ok(other.clone()),
        };
        Ok(match self {
            Self::Compare { op, column, operand: other } => {
                Self::Compare { op: *op, column: *column, operand: operand(other)? }
            }
            Self::In { column, list } => Self::In { column: *column, list: operand(list)? },
            Self::And(filters) => Self::And(merged(bind_all(filters, params)?, false)),
            Self::Or(filters) => Self::Or(merged(bind_all(filters, params)?, true)),
            Self::Not(filter) => Self::Not(Box::new(filter.bind_from(params)?)),
            Self::Is(filter, truth) => Self::Is(Box::new(filter.bind_from(params)?), *truth),
            Self::IsNull(_) | Self::Column(_) => self.clone(),
        })
    }

    /// The same filter over columns with other indexes.
    pub fn map_columns(&self, to: &impl Fn(usize) -> usize) -> Filter {
        let all = |filters: &[Filter]| filters.iter().map(|filter| filter.map_columns(to)).collect();
        match self {
            Self::And(filters) => Self::And(all(filters)),
            Self::Or(filters) => Self::Or(all(filters)),
            Self::Not(filter) => Self::Not(Box::new(filter.map_columns(to))),
            Self::Compare { op, column, operand } => {
                let operand = match operand {
                    Operand::Column(other) => Operand::Column(to(*other)),
                    other => other.clone(),
                };
                Self::Compare { op: *op, column: to(*column), operand }
            }
            Self::In { column, list } => Self::In { column: to(*column), list: list.clone() },
            Self::IsNull(column) => Self::IsNull(to(*column)),
            Self::Column(column) => Self::Column(to(*column)),
            Self::Is(filter, truth) => Self::Is(Box::new(filter.map_columns(to)), *truth),
        }
    }

    /// Calls `f` with every column that the filter looks at.
    pub fn visit_columns(&self, f: &mut impl FnMut(usize)) {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().for_each(|filter| filter.visit_columns(f)),
            Self::Not(filter) | Self::Is(filter, _) => filter.visit_columns(f),
            Self::Compare { column, operand, .. } => {
                f(*column);
                if let Operand::Column(other) = operand {
                    f(*other);
                }
            }
            Self::In { column, .. } | Self::IsNull(column) | Self::Column(column) => f(*column),
        }
    }
}

fn bind_all(filters: &[Filter], params: &mut [Option<Value>]) -> Result<Vec<Filter>> {
    filters.iter().map(|filter| filter.bind_from(params)).collect()
}

/// One list in place of all equalities of one column that OR joins (or inequalities that AND joins): a set is asked once,
/// however many elements it has.
fn merged(filters: Vec<Filter>, equalities: bool) -> Vec<Filter> {
    let mut others = Vec::new();
    let mut lists: HashMap<usize, Vec<Filter>> = HashMap::new();
    for filter in filters {
        match equated(&filter, equalities) {
            Some(column) => lists.entry(column).or_default().push(filter),
            None => others.push(filter),
        }
    }
    let mut lists: Vec<_> = lists.into_iter().collect();
    lists.sort_by_key(|(column, _)| *column);
    for (column, mut filters) in lists {
        if filters.len() < 2 {
            others.append(&mut filters);
            continue;
        }
        let list =
            Filter::In { column, list: Operand::Value(Value::List(filters.into_iter().flat_map(values).collect())) };
        others.push(if equalities { list } else { Filter::Not(Box::new(list)) });
    }
    others
}

/// The column of `column = value` and `column IN (...)`, or of their opposites.
fn equated(filter: &Filter, equalities: bool) -> Option<usize> {
    match filter {
        Filter::Compare { op: Op::Eq, column, operand: Operand::Value(_) } if equalities => Some(*column),
        Filter::Compare { op: Op::NotEq, column, operand: Operand::Value(_) } if !equalities => Some(*column),
        Filter::In { column, list: Operand::Value(Value::List(_)) } if equalities => Some(*column),
        Filter::Not(inner) if !equalities => match &**inner {
            Filter::In { column, list: Operand::Value(Value::List(_)) } => Some(*column),
            _ => None,
        },
        _ => None,
    }
}

/// The values that a filter which [`equated`] knows compares with.
fn values(filter: Filter) -> Vec<Value> {
    match filter {
        Filter::In { list: Operand::Value(Value::List(values)), .. } => values,
        Filter::Compare { operand: Operand::Value(value), .. } => vec![value],
        Filter::Not(inner) => match *inner {
            Filter::In { list: Operand::Value(Value::List(values)), .. } => values,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
