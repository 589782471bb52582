//! Whole queries: what the engine answers in PostgreSQL's place.
//!
//! ```text
//! ir   the tree of a query
//! ```

mod ir;

pub use ir::{Aggregate, Bound, Frame, FrameUnit, JoinKind, MAX_RELATIONS, Rel, SetKind, SortKey, WindowCall};
