//! Whole queries: what the engine answers in PostgreSQL's place.
//!
//! ```text
//! ir, walk  the tree of a query, table what it is over bind     values in place of its parameters
//! unnest    subqueries become joins                   check    what columns a tree has, or why it has no answer here
//! plan      relations -> DataFusion's logical plan: planner, aggregate, window, set are its parts
//! depth     how deep a tree may be                      frugal   how a query goes on that has no room (divide: in small batches)
//! scalar    expressions, typed to the last digit      own      functions that only plans name
//! guard     what may fail, only where it is asked     conditions  those of a filter in their order
//! spot      constants among the values of a column
//! provider  tables as DataFusion asks for them        restore  its conditions -> those that scans test
//! rules     the optimizer's, with answers of SQL      optimizer  joins in another order, between those
//! statistics  rows that pass, by footers             outer    what is not known above outer joins
//! wanted    looks whether somebody waits              kept     memory of windows
//! session   settings, and the physical plan           scan     files as a node of it
//! common    what of WITH is computed once             shared   that, as a node of a plan
//! pack      rows that PostgreSQL sends                learned  what joins and limits say to scans
//! prepared  a plan that waits for its execution
//! run       what the consumer polls                   attempt  numerics of 128 bits, then of 256
//! rows      what a partition of a scan delivers      count    rows that footers count
//! ```

mod aggregate;
mod attempt;
mod bind;
mod check;
mod common;
mod conditions;
mod count;
mod depth;
mod divide;
mod frugal;
mod guard;
mod ir;
mod kept;
mod learned;
mod optimizer;
mod outer;
mod own;
mod pack;
mod plan;
mod planner;
mod prepared;
mod provider;
mod restore;
mod rows;
mod rules;
mod run;
mod scalar;
mod scan;
mod session;
mod set;
mod shared;
mod spot;
mod statistics;
mod table;
mod unnest;
mod walk;
mod wanted;
mod window;

pub use check::{check, explain, outputs};
pub use depth::MAX_LEVELS;
pub use ir::{Aggregate, Bound, Frame, FrameUnit, JoinKind, Rel, SetKind, SortKey, WindowCall};
pub use pack::{Packing, Unfit};
pub use prepared::{Prepared, prepare};
pub use run::Query;
pub use session::Options;
pub use table::{Output, Shipment, Table};

use crate::Error;
pub use crate::exec::{Poll, Statistics};

/// What the engine does not do.
fn unsupported(what: impl Into<String>) -> Error {
    Error::NotSupported { message: what.into(), hint: None }
}

#[cfg(test)]
mod tests;
