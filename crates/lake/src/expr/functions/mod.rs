//! PostgreSQL's functions as the engine has them: the same values, the same errors, for whole arrays at once.
//!
//! ```text
//! typed     expressions with PostgreSQL's types; the scale of numerics
//! constant  values as expressions
//! convert   casts, and what brings values to one type
//! ```
//!
//! Each function here makes an expression of DataFusion out of others, and knows its type in PostgreSQL. What it refuses
//! with [`crate::Error::NotSupported`] has to stay in PostgreSQL. [`super::rules`] says by types alone what can be asked for;
//! whether it can be had depends on precision, scale and constants too, which only these functions know.

mod constant;
mod convert;
mod typed;

use datafusion::logical_expr::{Expr, SortExpr};

pub(crate) use constant::constant;
pub(crate) use convert::{cast, common};
pub(crate) use typed::{Scale, Typed, Width};

use self::typed::unsupported;
use super::function::Function;
use crate::error::Result;

/// A call of a function that [`super::rules`] lists for the kinds of its arguments.
pub(crate) fn call(_width: Width, function: Function, arguments: Vec<Typed>) -> Result<Typed> {
    let types = arguments.iter().map(|argument| argument.ty.to_string()).collect::<Vec<_>>().join(", ");
    Err(unsupported(format!("{}({types})", function.name())))
}

/// A call of an aggregate function by its name in pg_proc. `count(*)` has no arguments. The scale of the result may be an
/// aggregate, too: then both have to be computed, of the same rows.
pub(crate) fn aggregate(
    _width: Width,
    name: &str,
    _arguments: Vec<Typed>,
    _distinct: bool,
    _filter: Option<Expr>,
    _order: Vec<SortExpr>,
) -> Result<Typed> {
    Err(unsupported(format!("aggregate function {name}")))
}
