//! Triggers: what one may be, and what it does to a row.

pub mod check;
mod row;

pub use row::{Plan, fire};
