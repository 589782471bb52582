//! Whole queries: what the engine answers in PostgreSQL's place.
//!
//! ```text
//! ir        the tree of a query                       bind     values in place of its parameters
//! unnest    subqueries become joins                   check    what columns a tree has, or why it has no answer here
//! plan      relations -> DataFusion's logical plan: aggregate, window, set are its parts
//! scalar    expressions, typed to the last digit      constant their constants      own  functions that only plans name
//! provider  tables as DataFusion asks for them        restore  its conditions -> those that scans test
//! session   settings, and the physical plan           scan     files as a node of it
//! run       what the consumer polls
//! ```

mod aggregate;
mod bind;
mod check;
mod constant;
mod ir;
mod own;
mod plan;
mod provider;
mod restore;
mod run;
mod scalar;
mod scan;
mod session;
mod set;
mod unnest;
mod window;

use check::unsupported;
pub use check::{check, explain};
pub use ir::{Aggregate, Bound, Frame, FrameUnit, JoinKind, MAX_RELATIONS, Rel, SetKind, SortKey, WindowCall};
pub use run::{Options, Query, Shipment, Table};

pub use crate::exec::{Poll, Statistics};

#[cfg(test)]
mod tests;
