//! Triggers in language wasm: checks at their creation, and their execution.

pub mod check;
mod row;

pub use row::{Plan, fire};
