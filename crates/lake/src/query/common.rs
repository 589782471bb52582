//! Which common table expressions are computed once for all who name them.

use super::ir::{Rel, SetKind};

/// How often each table of a `With` is asked for, if those for which that is shared are computed once.
pub(super) fn uses(tables: &[Rel], body: &Rel) -> Vec<usize> {
    let mut uses: Vec<usize> = (0..tables.len()).map(|table| named(body, 0, table)).collect();
    for (at, rel) in tables.iter().enumerate().rev() {
        let asked = uses.get(at).copied().unwrap_or(0);
        let times = if is_shared(rel, asked) { 1 } else { asked };
        for (before, count) in uses.iter_mut().enumerate().take(at) {
            *count = count.saturating_add(named(rel, 0, before).saturating_mul(times));
        }
    }
    uses
}

/// Whether a table that is asked for so often is computed once. What is a scan or a join of scans is not: its rows may be many,
/// and each who names it brings conditions of its own down to the files.
pub(super) fn is_shared(rel: &Rel, uses: usize) -> bool {
    uses > 1 && is_condensed(rel)
}

/// Whether a relation is what an aggregate or the like made of others.
fn is_condensed(rel: &Rel) -> bool {
    match rel {
        Rel::Aggregate { .. } | Rel::Limit { .. } | Rel::Ties { .. } | Rel::Distinct { .. } => true,
        Rel::SetOperation { kind, all, .. } => *kind != SetKind::Union || !all,
        Rel::Filter { input, .. }
        | Rel::Project { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Window { input, .. } => is_condensed(input),
        Rel::With { body, .. } => is_condensed(body),
        Rel::Join { left, right, .. } => is_condensed(left) && is_condensed(right),
        Rel::Table { .. } | Rel::Shipped { .. } | Rel::Values { .. } | Rel::Common { .. } => false,
    }
}

/// How often a tree names a table of the `With` that is so many levels up.
fn named(rel: &Rel, level: usize, table: usize) -> usize {
    match rel {
        Rel::Common { level: of, table: at, .. } => usize::from(*of == level && *at == table),
        Rel::With { tables, body } => {
            let within: usize = tables.iter().map(|rel| named(rel, level + 1, table)).sum();
            within + named(body, level + 1, table)
        }
        Rel::Filter { input, .. }
        | Rel::Project { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Ties { input, .. } => named(input, level, table),
        Rel::Join { left, right, .. } | Rel::SetOperation { left, right, .. } => {
            named(left, level, table) + named(right, level, table)
        }
        Rel::Table { .. } | Rel::Shipped { .. } | Rel::Values { .. } => 0,
    }
}
