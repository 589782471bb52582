//! Values in place of the parameters of a tree.

use super::ir::{Aggregate, Bound, Frame, Rel, SortKey, WindowCall};
use crate::error::{Error, Result};
use crate::expr::{Expr, Value};

impl Rel {
    /// The same tree with values in place of parameters, whose indexes are those of `values`.
    pub fn bind(&self, values: &[Value]) -> Result<Rel> {
        self.map_exprs(&mut |expr| bound(expr, values))
    }

    /// Calls `f` with every expression of this relation and of those below, not with those within expressions.
    pub(crate) fn map_exprs(&self, f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Rel> {
        Ok(match self {
            Self::Table { .. } | Self::Shipped { .. } | Self::Common { .. } => self.clone(),
            Self::Values { columns, rows } => Self::Values {
                columns: columns.clone(),
                rows: rows.iter().map(|row| all(row, f)).collect::<Result<_>>()?,
            },
            Self::Filter { input, condition } => Self::Filter { input: below(input, f)?, condition: f(condition)? },
            Self::Project { input, columns } => Self::Project { input: below(input, f)?, columns: all(columns, f)? },
            Self::Join { kind, left, right, condition, lateral } => Self::Join {
                kind: *kind,
                left: below(left, f)?,
                right: below(right, f)?,
                condition: condition.as_ref().map(&mut *f).transpose()?,
                lateral: *lateral,
            },
            Self::Aggregate { input, groups, sets, aggregates } => Self::Aggregate {
                input: below(input, f)?,
                groups: all(groups, f)?,
                sets: sets.clone(),
                aggregates: aggregates.iter().map(|call| aggregate(call, f)).collect::<Result<_>>()?,
            },
            Self::Window { input, calls } => Self::Window {
                input: below(input, f)?,
                calls: calls.iter().map(|call| window(call, f)).collect::<Result<_>>()?,
            },
            Self::Distinct { input, on } => Self::Distinct { input: below(input, f)?, on: on.clone() },
            Self::Sort { input, keys } => Self::Sort { input: below(input, f)?, keys: sort(keys, f)? },
            Self::Limit { input, offset, count } => Self::Limit {
                input: below(input, f)?,
                offset: offset.as_ref().map(&mut *f).transpose()?,
                count: count.as_ref().map(&mut *f).transpose()?,
            },
            Self::SetOperation { kind, all, left, right } => {
                Self::SetOperation { kind: *kind, all: *all, left: below(left, f)?, right: below(right, f)? }
            }
            Self::With { tables, body } => Self::With {
                tables: tables.iter().map(|table| table.map_exprs(f)).collect::<Result<_>>()?,
                body: below(body, f)?,
            },
        })
    }
}

fn below(rel: &Rel, f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Box<Rel>> {
    Ok(Box::new(rel.map_exprs(f)?))
}

fn all(exprs: &[Expr], f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Vec<Expr>> {
    exprs.iter().map(f).collect()
}

fn sort(keys: &[SortKey], f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Vec<SortKey>> {
    keys.iter().map(|key| Ok(SortKey { expr: f(&key.expr)?, ..*key })).collect()
}

fn aggregate(call: &Aggregate, f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Aggregate> {
    Ok(Aggregate {
        function: call.function.clone(),
        arguments: all(&call.arguments, f)?,
        distinct: call.distinct,
        filter: call.filter.as_ref().map(&mut *f).transpose()?,
        order: sort(&call.order, f)?,
    })
}

fn window(call: &WindowCall, f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<WindowCall> {
    let mut bound = |bound: &Bound| -> Result<Bound> {
        Ok(match bound {
            Bound::Preceding(expr) => Bound::Preceding(f(expr)?),
            Bound::Following(expr) => Bound::Following(f(expr)?),
            other => other.clone(),
        })
    };
    let frame = Frame { unit: call.frame.unit, start: bound(&call.frame.start)?, end: bound(&call.frame.end)? };
    Ok(WindowCall {
        function: call.function.clone(),
        arguments: all(&call.arguments, f)?,
        filter: call.filter.as_ref().map(&mut *f).transpose()?,
        partition: all(&call.partition, f)?,
        order: sort(&call.order, f)?,
        frame,
    })
}

fn bound(expr: &Expr, values: &[Value]) -> Result<Expr> {
    Ok(match expr {
        Expr::Parameter(i, ty) => {
            let value = values.get(*i).ok_or_else(|| Error::internal(format!("no parameter {i}")))?;
            Expr::Constant(value.clone(), *ty)
        }
        Expr::Scalar(query, ty) => Expr::Scalar(Box::new(query.bind(values)?), *ty),
        Expr::Exists(query) => Expr::Exists(Box::new(query.bind(values)?)),
        Expr::InQuery(item, query) => Expr::InQuery(Box::new(bound(item, values)?), Box::new(query.bind(values)?)),
        other => other.map_children(&mut |child| bound(child, values))?,
    })
}
