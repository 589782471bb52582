//! The plugins of a database: the table `lagoon.plugins`, what changes it, and what follows such a change.
//!
//! `catalog` reads the table and `copies` the copies of its rows. `install` and `remove` change it, the former also from
//! `files` and for a `reload` of all of them, which takes `notes` of what fails; `dependents` says what a change leaves behind.

pub mod catalog;
pub mod copies;
mod dependents;
pub mod files;
pub mod install;
mod notes;
pub mod reload;
pub mod remove;
