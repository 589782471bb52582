//! Conditions of a filter in the order in which they are asked.

use std::collections::BTreeSet;

use datafusion::common::TableReference;
use datafusion::logical_expr::{Expr as Logical, Operator, lit};

use super::guard::{chosen, may_fail, weight};
use super::scalar::{Field, balanced, condition};
use crate::error::Result;
use crate::expr::functions::Width;
use crate::expr::{Comparison, Expr, Function};

/// Conditions that rows have to fulfil, all of them: those that cannot fail first, and each of the others only of rows that
/// fulfil those before it, as far as they are over the same tables.
pub(super) fn conditions(width: Width, parts: &[Expr], columns: &[Field]) -> Result<Vec<Logical>> {
    let (mut risky, safe): (Vec<_>, Vec<_>) = parts.iter().partition(|part| may_fail(part) && !joins(part, columns));
    risky.sort_by_key(|part| weight(part));
    let mut known = Vec::with_capacity(parts.len());
    let mut made = Vec::with_capacity(parts.len());
    for part in safe {
        let logical = condition(width, part, columns)?;
        known.push((tables(part, columns), logical.clone()));
        made.push(logical);
    }
    for part in risky {
        let own = tables(part, columns);
        let before = known.iter().filter(|(tables, _)| tables.is_subset(&own)).map(|(_, condition)| condition.clone());
        let logical = condition(width, part, columns)?;
        let guarded = match balanced(before.collect(), Operator::And) {
            Some(before) => chosen(vec![(before, logical)], Some(lit(false))),
            None => logical,
        };
        known.push((own, guarded.clone()));
        made.push(guarded);
    }
    Ok(made)
}

/// Whether a condition is an equality of two tables, or may be, which has to stay one: that is how they are joined.
fn joins(part: &Expr, columns: &[Field]) -> bool {
    let Expr::Call(Function::Compare(Comparison::Eq), sides) = part else { return false };
    let [left, right] = &sides[..] else { return false };
    let (left, right) = (tables(left, columns), tables(right, columns));
    let may_be_two = |side: &BTreeSet<_>| !side.is_empty() && (side.contains(&None) || !side.is_subset(&right));
    may_be_two(&left) && !right.is_empty()
}

/// The tables whose columns an expression is over; what was computed of several counts as one more.
fn tables(expr: &Expr, columns: &[Field]) -> BTreeSet<Option<TableReference>> {
    let mut tables = BTreeSet::new();
    expr.visit_columns(&mut |at| {
        tables.extend(columns.get(at).map(|field| field.column.relation.clone()));
    });
    tables
}
