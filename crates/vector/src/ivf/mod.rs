//! The index `ivfflat`: rows in lists, each around a centre.
//!
//! Centres are found once, by clustering a sample of the rows ([`kmeans`]); then each row goes to the list of its nearest
//! centre. A scan measures all rows of the few lists whose centres are nearest to the query. Rows, queries and centres are all
//! codes (see [`crate::space`]). [`mod@format`] says how lists lie on pages, and each verb has its own file: [`build`],
//! [`insert`], [`scan`], [`vacuum`], [`verify`].
//!
//! Centres never change, lists only grow at their end, and a row never moves to another page: so a scan that reads a list page
//! by page meets each row that its snapshot sees exactly once, whatever is inserted or vacuumed meanwhile, and no interlock is
//! held between pages.
pub mod build;
mod flush;
pub mod format;
pub mod info;
pub mod insert;
pub mod kmeans;
mod lists;
mod rows;
pub mod scan;
pub mod vacuum;
pub mod verify;

pub use lists::coder;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
