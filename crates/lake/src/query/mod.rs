//! Whole queries: what the engine answers in PostgreSQL's place.
//!
//! ```text
//! ir     the tree of a query
//! bind   values in place of parameters
//! check  what columns a tree has, or why it cannot be answered exactly
//! run    what the consumer polls
//! ```

mod bind;
mod check;
mod ir;
mod run;

pub use check::{check, explain};
pub use ir::{Aggregate, Bound, Frame, FrameUnit, JoinKind, MAX_RELATIONS, Rel, SetKind, SortKey, WindowCall};
pub use run::{Options, Query, Shipment, Table};

pub use crate::exec::{Poll, Statistics};
