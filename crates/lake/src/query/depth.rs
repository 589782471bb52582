//! How deep a tree is: what plans and runs it recurses, and has a stack of known size for it.

use super::ir::Rel;
use super::unsupported;
use crate::error::Result;
use crate::expr::Expr;

/// Relations and expressions on the way from the whole query to a leaf, at most. What is named stands where its name does.
pub const MAX_LEVELS: usize = 300;

/// Refuses a tree that is deeper than [`MAX_LEVELS`].
pub(super) fn check(rel: &Rel) -> Result<()> {
    if of(rel, &mut Vec::new()) > MAX_LEVELS {
        return Err(unsupported(format!("nested more than {MAX_LEVELS} levels deep")));
    }
    Ok(())
}

/// `named` has the levels of the common tables around, those of the innermost `With` last.
fn of(rel: &Rel, named: &mut Vec<Vec<usize>>) -> usize {
    let below = match rel {
        Rel::Common { level, table, .. } => {
            let at = named.len().checked_sub(level + 1);
            at.and_then(|at| named.get(at)?.get(*table).copied()).unwrap_or(0)
        }
        Rel::With { tables, body } => {
            named.push(Vec::new());
            for table in tables {
                let levels = of(table, named);
                named.iter_mut().last().into_iter().for_each(|tables| tables.push(levels));
            }
            let levels = of(body, named);
            named.pop();
            levels
        }
        _ => rel.inputs().into_iter().map(|input| of(input, named)).max().unwrap_or(0),
    };
    // What a relation computes may come to stand in the expressions above it.
    let mut own = 0;
    rel.for_each_own_expr(&mut |expr| own = own.max(of_expr(expr, named)));
    below.saturating_add(own).saturating_add(1)
}

fn of_expr(expr: &Expr, named: &mut Vec<Vec<usize>>) -> usize {
    let mut below = match expr {
        Expr::Scalar(query, _) | Expr::Exists(query) | Expr::InQuery(_, query) => of(query, named),
        _ => 0,
    };
    expr.for_each_child(&mut |child| below = below.max(of_expr(child, named)));
    below.saturating_add(1)
}
