//! Which columns an expression may look at, and where they stand.
//!
//! PostgreSQL counts levels of queries; the engine counts rows that are at hand: that of an expression's own relation, those of
//! the expressions around a subquery, and those of the left sides of lateral joins.

use std::collections::HashMap;

use lagoon_lake::expr::{Expr, Type};
use pgrx::pg_sys;

use super::Result;
use crate::pg::node::Node;

/// The columns of a relation.
#[derive(Clone, Default)]
pub(super) struct Row<'t> {
    types: Vec<Type>,
    /// Those of entries of the range table, by entry and number.
    vars: HashMap<(i32, i16), usize>,
    /// Those that stand for other expressions: groups, aggregates, window functions.
    exprs: Vec<(Node<'t>, usize)>,
}

/// A row that is at hand outside of a subquery or of the right side of a lateral join.
pub(super) struct Level<'c, 't> {
    /// The depth of the query that the row is of.
    pub depth: usize,
    pub row: &'c Row<'t>,
    pub outer: Option<&'c Level<'c, 't>>,
}

/// A query's common table expressions.
pub(super) struct With<'c> {
    pub depth: usize,
    /// Their names, and the types of their columns.
    pub tables: &'c [(String, Vec<Type>)],
    pub outer: Option<&'c With<'c>>,
}

/// What is around a query, or a part of its FROM clause.
#[derive(Clone, Copy)]
pub(super) struct Around<'c, 't> {
    /// Queries around this one.
    pub depth: usize,
    pub levels: Option<&'c Level<'c, 't>>,
    pub withs: Option<&'c With<'c>>,
}

/// What an expression may look at.
#[derive(Clone, Copy)]
pub(super) struct Scope<'c, 't> {
    pub around: Around<'c, 't>,
    pub row: &'c Row<'t>,
    /// What a CASE tests.
    pub case: Option<&'c Expr>,
}

impl<'t> Row<'t> {
    pub(super) fn push_var(&mut self, entry: i32, number: i16, ty: Type) {
        self.vars.insert((entry, number), self.types.len());
        self.types.push(ty);
    }

    pub(super) fn push_expr(&mut self, node: Node<'t>, ty: Type) {
        match node.cast::<pg_sys::Var>() {
            Some(var) if var.varlevelsup == 0 => {
                self.vars.insert((var.varno, var.varattno), self.types.len());
            }
            _ => self.exprs.push((node, self.types.len())),
        }
        self.types.push(ty);
    }

    /// The columns of an entry, numbered from 1.
    pub(super) fn of_entry(entry: i32, types: &[Type]) -> Self {
        let mut row = Self::default();
        for (ty, number) in types.iter().zip(1..) {
            row.push_var(entry, number, *ty);
        }
        row
    }

    /// These columns, then those of the other.
    pub(super) fn beside(mut self, other: Self) -> Self {
        let start = self.types.len();
        self.types.extend(other.types);
        self.vars.extend(other.vars.into_iter().map(|(key, at)| (key, start + at)));
        self.exprs.extend(other.exprs.into_iter().map(|(node, at)| (node, start + at)));
        self
    }

    pub(super) fn types(&self) -> &[Type] {
        &self.types
    }

    pub(super) fn has_entry(&self, entry: i32) -> bool {
        self.vars.keys().any(|(own, _)| *own == entry)
    }

    fn var(&self, var: &Node<'_, pg_sys::Var>) -> Option<(usize, Type)> {
        let at = *self.vars.get(&(var.varno, var.varattno))?;
        Some((at, *self.types.get(at)?))
    }

    /// The column of an entry with this number.
    pub(super) fn column(&self, entry: i32, number: i16) -> Option<Expr> {
        let at = *self.vars.get(&(entry, number))?;
        Some(Expr::Column(at, *self.types.get(at)?))
    }

    /// The column that stands for an expression.
    pub(super) fn expr(&self, node: Node<'_>) -> Option<Expr> {
        let (_, at) = self.exprs.iter().find(|(own, _)| own.tag() == node.tag() && own.equals(node))?;
        Some(Expr::Column(*at, *self.types.get(*at)?))
    }
}

impl<'c, 't> Around<'c, 't> {
    /// Around a subquery that stands in the FROM clause.
    pub(super) fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    pub(super) fn scope(self, row: &'c Row<'t>) -> Scope<'c, 't> {
        Scope { around: self, row, case: None }
    }

    /// The common table expression of that name, of the query so many levels up: `level` and `table` of [`Rel::Common`], and
    /// the types of its columns.
    ///
    /// [`Rel::Common`]: lagoon_lake::query::Rel::Common
    pub(super) fn common(&self, name: &str, levels_up: usize) -> Option<(usize, usize, Vec<Type>)> {
        let depth = self.depth.checked_sub(levels_up)?;
        let mut level = 0;
        let mut next = self.withs;
        while let Some(with) = next {
            if with.depth == depth {
                let table = with.tables.iter().position(|(own, _)| own == name)?;
                return Some((level, table, with.tables.get(table)?.1.clone()));
            }
            level += 1;
            next = with.outer;
        }
        None
    }
}

impl Scope<'_, '_> {
    /// Where a column stands.
    pub(super) fn column(&self, var: Node<'_, pg_sys::Var>) -> Result<Expr> {
        if var.varattno <= 0 {
            return Err("a system column or whole row".to_owned());
        }
        let levels_up = var.varlevelsup as usize;
        if levels_up == 0
            && let Some((at, ty)) = self.row.var(&var)
        {
            return Ok(Expr::Column(at, ty));
        }
        let depth = self.around.depth.checked_sub(levels_up);
        let mut next = self.around.levels;
        let mut level = 1;
        while let Some(around) = next {
            if Some(around.depth) == depth
                && let Some((at, ty)) = around.row.var(&var)
            {
                return Ok(Expr::Outer(level, at, ty));
            }
            level += 1;
            next = around.outer;
        }
        Err("a column that is not at hand".to_owned())
    }
}
