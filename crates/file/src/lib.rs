//! Files that a user or a folder names: opened once, checked by their descriptor, read within bounds.
//!
//! A path may lead to a pipe, a device, an endless file, through a link to elsewhere, and a moment later to another file. So
//! [`open()`] resolves the path once, checks the kind and the location of the descriptor, and returns that descriptor; nothing is
//! looked up by name again.

mod directory;
mod error;
mod open;
mod read;

pub use directory::{Directory, open_directory};
pub use error::Error;
pub use open::{Identity, Kind, Place, RegularFile, Scope, look, open};

/// The result of a fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
