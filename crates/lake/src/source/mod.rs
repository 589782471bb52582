//! Where rows come from: files that a path names, found and judged, what their footers say, and their columns.
//!
//! ```text
//! location, store -> where, and by whose rights       list  -> what a folder or pattern holds
//! files           -> found, held, opened              cache -> footers that are remembered
//! footer          -> what a file says of itself       table -> declared columns against the files'
//! facts, estimate -> what footers let a planner guess
//! ```

pub(crate) mod cache;
pub mod estimate;
mod facts;
pub mod files;
pub(crate) mod footer;
pub mod list;
pub mod location;
pub mod metadata;
pub mod store;
pub mod table;

pub use footer::Footer;
pub use location::Location;
