//! The tree. What is added to it (CASE, casts, aggregates, windows) is a variant here, its children in
//! [`Expr::for_each_child`] and [`Expr::map_children`], and its meaning in translate.rs; whatever does not know it, leaves it
//! alone.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::function::Function;
use super::rules::{self, Rule};
use crate::query::Rel;
use crate::types::{Kind, Numeric, Value};

/// Levels above a leaf or a call of leaves, at most. JSON, as which a plan holds a tree, may have 128: a level takes two of
/// them at most, a call of leaves six. What takes more has to count as more.
pub const MAX_DEPTH: usize = 50;

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Type {
    One(Kind),
    /// One dimension of it.
    Array {
        array: Kind,
    },
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self::One(kind)
    }
}

/// What a boolean is tested for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// An expression over the columns of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// Index of a column of the table.
    Column(usize, Type),
    Constant(Value, Type),
    /// Index of a value that is known at execution.
    Parameter(usize, Type),
    /// A call that [`rules`] lists for the types of its arguments.
    Call(Function, Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// `IS TRUE` and relatives.
    Is(Box<Expr>, Truth),
    /// `item = ANY (list)`.
    In(Box<Expr>, Box<Expr>),
    /// Of the first pair whose condition is true the value; else the last one, or NULL. The type is that of all values.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>, Type),
    /// The first argument that is not NULL.
    Coalesce(Vec<Expr>, Type),
    /// As PostgreSQL casts between the two types. Precision and scale are those of `numeric(p,s)`.
    Cast(Box<Expr>, Type, Option<Numeric>),
    /// A column of the query around this one (level 1), or of one further out.
    Outer(usize, usize, Type),
    /// The only column of the only row of a query; NULL if there is no row, an error (21000) if there are more.
    Scalar(Box<Rel>, Type),
    /// Whether a query has rows.
    Exists(Box<Rel>),
    /// `item = ANY (query)`, with SQL's answer where one of them is NULL.
    InQuery(Box<Expr>, Box<Rel>),
    /// The first, which comes from as many rows as the second says; an error (21000) if that is above one. What a plan has in
    /// place of [`Expr::Scalar`]; nothing else makes it.
    Single(Box<Expr>, Box<Expr>),
}

impl Expr {
    /// A call of two arguments.
    pub fn binary(function: impl Into<Function>, left: Expr, right: Expr) -> Self {
        Self::Call(function.into(), vec![left, right])
    }

    /// `NOT self`.
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Its type; `None` of a call that is not listed.
    pub fn ty(&self) -> Option<Type> {
        match self {
            Self::Column(_, ty) | Self::Constant(_, ty) | Self::Parameter(_, ty) => Some(*ty),
            Self::Call(function, arguments) => rule(*function, arguments).map(|rule| rule.result.into()),
            Self::Single(value, _) => value.ty(),
            Self::Case(_, _, ty)
            | Self::Coalesce(_, ty)
            | Self::Cast(_, ty, _)
            | Self::Outer(_, _, ty)
            | Self::Scalar(_, ty) => Some(*ty),
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull(_)
            | Self::Is(..)
            | Self::In(..)
            | Self::Exists(_)
            | Self::InQuery(..) => Some(Kind::Bool.into()),
        }
    }

    /// Calls `f` with every child, in order. Those of a subquery are over other columns, and none.
    pub(crate) fn for_each_child(&self, f: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Column(..)
            | Self::Constant(..)
            | Self::Parameter(..)
            | Self::Outer(..)
            | Self::Scalar(..)
            | Self::Exists(_) => {}
            Self::Call(_, children) | Self::And(children) | Self::Or(children) | Self::Coalesce(children, _) => {
                children.iter().for_each(f);
            }
            Self::Not(child)
            | Self::IsNull(child)
            | Self::Is(child, _)
            | Self::Cast(child, ..)
            | Self::InQuery(child, _) => f(child),
            Self::Case(branches, last, _) => {
                for (condition, value) in branches {
                    f(condition);
                    f(value);
                }
                if let Some(last) = last {
                    f(last);
                }
            }
            Self::In(one, other) | Self::Single(one, other) => {
                f(one);
                f(other);
            }
        }
    }

    /// The same with other children, which `f` makes in order.
    pub(crate) fn map_children<E>(&self, f: &mut dyn FnMut(&Expr) -> Result<Expr, E>) -> Result<Expr, E> {
        let mut all = |children: &[Expr]| children.iter().map(&mut *f).collect::<Result<Vec<_>, E>>();
        Ok(match self {
            Self::Column(..)
            | Self::Constant(..)
            | Self::Parameter(..)
            | Self::Outer(..)
            | Self::Scalar(..)
            | Self::Exists(_) => self.clone(),
            Self::Call(function, arguments) => Self::Call(*function, all(arguments)?),
            Self::And(children) => Self::And(all(children)?),
            Self::Or(children) => Self::Or(all(children)?),
            Self::Not(child) => Self::Not(Box::new(f(child)?)),
            Self::IsNull(child) => Self::IsNull(Box::new(f(child)?)),
            Self::Is(child, truth) => Self::Is(Box::new(f(child)?), *truth),
            Self::In(item, list) => Self::In(Box::new(f(item)?), Box::new(f(list)?)),
            Self::Single(value, rows) => Self::Single(Box::new(f(value)?), Box::new(f(rows)?)),
            Self::Coalesce(children, ty) => Self::Coalesce(all(children)?, *ty),
            Self::Cast(child, ty, numeric) => Self::Cast(Box::new(f(child)?), *ty, *numeric),
            Self::InQuery(item, query) => Self::InQuery(Box::new(f(item)?), query.clone()),
            Self::Case(branches, last, ty) => {
                let branches = branches.iter().map(|(condition, value)| Ok((f(condition)?, f(value)?)));
                let branches = branches.collect::<Result<Vec<_>, E>>()?;
                let last = last.as_ref().map(|last| f(last).map(Box::new)).transpose()?;
                Self::Case(branches, last, *ty)
            }
        })
    }

    /// The same over columns with other indexes.
    pub fn map_columns(&self, to: &impl Fn(usize) -> usize) -> Expr {
        if let Self::Column(index, ty) = self {
            return Self::Column(to(*index), *ty);
        }
        let mapped = self.map_children(&mut |child| Ok::<_, Infallible>(child.map_columns(to)));
        match mapped {
            Ok(mapped) => mapped,
            Err(never) => match never {},
        }
    }

    /// Calls `f` with every column that the expression looks at, as often as it does.
    pub fn visit_columns(&self, f: &mut impl FnMut(usize)) {
        if let Self::Column(index, _) = self {
            f(*index);
        }
        self.for_each_child(&mut |child| child.visit_columns(f));
    }
}

/// The rule of a call of these arguments, if there is one.
fn rule(function: Function, arguments: &[Expr]) -> Option<&'static Rule> {
    rules::find_in_queries(function, &kinds(arguments)?)
}

/// The same in the condition of a scan.
pub(super) fn condition_rule(function: Function, arguments: &[Expr]) -> Option<&'static Rule> {
    rules::find(function, &kinds(arguments)?)
}

fn kinds(arguments: &[Expr]) -> Option<Vec<Kind>> {
    let kind = |argument: &Expr| match argument.ty() {
        Some(Type::One(kind)) => Some(kind),
        _ => None,
    };
    arguments.iter().map(kind).collect()
}
