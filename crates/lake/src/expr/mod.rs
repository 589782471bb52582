//! Expressions: what the engine takes over of a query's conditions.
//!
//! ```text
//! ir         typed trees: columns, constants, parameters, calls, AND, OR, NOT
//! function   what calls compute
//! functions  how the engine computes it in a query: expressions of DataFusion, with PostgreSQL's values and errors
//! rules      which calls are shipped: by name and argument types. What is not listed stays in PostgreSQL
//! bind       values in place of parameters
//! translate  a bound tree -> a test of rows
//! evaluate   that test: the exact answer for each row, as it is delivered
//! condition  a bound tree and its test, as DataFusion takes them
//! prune      a bound tree -> what a file's statistics must allow for any row to pass
//! share      a bound tree -> how many rows pass, by guess
//! ```
//!
//! The glue builds an [`Expr`] with parameters at plan time (it is stored in the plan as JSON), and [`Expr::bind`] puts the
//! values in at execution. Truth is three-valued as in SQL: each construct yields NULL where PostgreSQL's does.
//!
//! A tree is never nested deeper than [`MAX_DEPTH`], so what walks it may recurse; `AND` and `OR` have any number of
//! branches, and lists any number of elements, so those are walked in loops.

mod bind;
mod condition;
mod evaluate;
mod function;
// The engine of queries is about to call them.
#[allow(dead_code, unused_imports)]
pub(crate) mod functions;
mod ir;
mod prune;
mod range;
pub mod rules;
mod share;
mod translate;

pub use condition::Condition;
pub use function::{Comparison, Function};
pub use functions::like::ends_in_escape;
pub use ir::{Expr, MAX_DEPTH, Truth, Type};

pub use crate::types::Value;

#[cfg(test)]
mod tests;
