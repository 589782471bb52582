//! The plugins of a database: the table `lagoon.plugins`, what changes it, and what follows such a change.
//!
//! `catalog` reads the table and `carrier` its copy, `install` and `reload` change it, `dependents` says what that leaves behind.

pub mod carrier;
pub mod catalog;
mod dependents;
pub mod install;
pub mod reload;
