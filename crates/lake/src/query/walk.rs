//! Walks over a tree: its width, its expressions.

use super::ir::{Aggregate, Bound, Frame, JoinKind, Rel, SortKey, WindowCall};
use crate::error::Result;
use crate::expr::Expr;

impl Rel {
    /// How many columns it has.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Table { columns, .. } => columns.len(),
            Self::Shipped { columns, .. } | Self::Values { columns, .. } | Self::Common { columns, .. } => {
                columns.len()
            }
            Self::Filter { input, .. }
            | Self::Distinct { input, .. }
            | Self::Sort { input, .. }
            | Self::Limit { input, .. }
            | Self::Ties { input, .. } => input.width(),
            Self::Project { columns, .. } => columns.len(),
            Self::Join { kind, left, right, .. } => match kind {
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => left.width() + right.width(),
                JoinKind::Semi | JoinKind::Anti | JoinKind::SurelyAnti => left.width(),
                JoinKind::Mark => left.width() + 1,
            },
            Self::Aggregate { groups, aggregates, .. } => groups.len() + aggregates.len(),
            Self::Window { input, calls } => input.width() + calls.len(),
            Self::SetOperation { left, .. } => left.width(),
            Self::With { body, .. } => body.width(),
        }
    }

    /// The relations right below, and those that it names.
    pub(crate) fn inputs(&self) -> Vec<&Rel> {
        match self {
            Self::Table { .. } | Self::Shipped { .. } | Self::Common { .. } | Self::Values { .. } => Vec::new(),
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Window { input, .. }
            | Self::Distinct { input, .. }
            | Self::Sort { input, .. }
            | Self::Limit { input, .. }
            | Self::Ties { input, .. } => vec![input],
            Self::Join { left, right, .. } | Self::SetOperation { left, right, .. } => vec![left, right],
            Self::With { tables, body } => tables.iter().chain([body.as_ref()]).collect(),
        }
    }

    /// Calls `f` with every expression of this relation and of those below, not with those within expressions.
    pub(crate) fn for_each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        self.inputs().into_iter().for_each(|input| input.for_each_expr(f));
        self.for_each_own_expr(f);
    }

    /// Calls `f` with every expression of this relation, not with those within expressions.
    pub(crate) fn for_each_own_expr(&self, f: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Table { .. }
            | Self::Shipped { .. }
            | Self::Common { .. }
            | Self::Distinct { .. }
            | Self::SetOperation { .. }
            | Self::With { .. } => {}
            Self::Values { rows, .. } => rows.iter().flatten().for_each(f),
            Self::Filter { condition, .. } => f(condition),
            Self::Project { columns, .. } => columns.iter().for_each(f),
            Self::Join { condition, .. } => condition.iter().for_each(f),
            Self::Aggregate { groups, aggregates, .. } => {
                groups.iter().for_each(&mut *f);
                for call in aggregates {
                    call.arguments.iter().chain(&call.filter).for_each(&mut *f);
                    call.order.iter().for_each(|key| f(&key.expr));
                }
            }
            Self::Window { calls, .. } => calls.iter().for_each(|call| each_of_window(call, f)),
            Self::Sort { keys, .. } => keys.iter().for_each(|key| f(&key.expr)),
            Self::Limit { offset, count, .. } => offset.iter().chain(count).for_each(f),
            Self::Ties { keys, offset, count, .. } => {
                keys.iter().for_each(|key| f(&key.expr));
                offset.iter().chain(count).for_each(f);
            }
        }
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
            Self::Ties { input, keys, offset, count } => Self::Ties {
                input: below(input, f)?,
                keys: sort(keys, f)?,
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

fn each_of_window(call: &WindowCall, f: &mut dyn FnMut(&Expr)) {
    call.arguments.iter().chain(&call.partition).chain(&call.filter).for_each(&mut *f);
    call.order.iter().for_each(|key| f(&key.expr));
}
