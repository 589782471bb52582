//! Where rows come from: files that a path names, found and judged, what their footers say, and their columns.

pub(crate) mod cache;
pub mod files;
pub(crate) mod footer;
pub mod list;
pub mod metadata;
pub mod store;
pub mod table;

pub use footer::Footer;
