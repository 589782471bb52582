//! The plugins of a database: the table `lagoon.plugins`, and its changes.
//!
//! `catalog` reads the table, `copies` the copies of its rows. `install` and `remove` change it. `files` installs from a
//! file, and `reload` from a folder, recording failures in `notes`. `dependents` finds stored values that a replacement
//! does not update.

pub mod catalog;
pub mod copies;
mod dependents;
pub mod files;
pub mod install;
mod notes;
pub mod reload;
pub mod remove;
