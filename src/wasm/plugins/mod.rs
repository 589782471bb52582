//! The plugins of a database: the table `lagoon.plugins`, what changes it, and what follows such a change.
//!
//! `catalog` reads the table and `carrier` its copy. `install` and `remove` change it, the former also from `files` and for a
//! `reload` of all of them, which takes `notes` of what fails; `dependents` says what a change leaves behind.

pub mod carrier;
pub mod catalog;
mod dependents;
pub mod files;
pub mod install;
mod notes;
pub mod reload;
pub mod remove;
