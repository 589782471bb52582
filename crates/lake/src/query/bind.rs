//! Values in place of the parameters of a tree.

use super::ir::Rel;
use crate::error::{Error, Result};
use crate::expr::{Expr, Value};

impl Rel {
    /// The same tree with values in place of parameters, whose indexes are those of `values`.
    pub fn bind(&self, values: &[Value]) -> Result<Rel> {
        self.map_exprs(&mut |expr| bound(expr, values))
    }
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
