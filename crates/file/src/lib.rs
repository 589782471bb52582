//! Files that a user or a folder names: opened once, judged by their descriptor, read within bounds.
//!
//! Whoever opens a path by its name must expect a pipe, a device, an endless file, a link that leads elsewhere, and another
//! file under the same name a moment later. So [`open()`] resolves the path once, judges what the descriptor is and where it
//! lies, and hands out that descriptor; nothing is looked up by name again.

mod directory;
mod error;
mod open;
mod read;

pub use directory::{Directory, open_directory};
pub use error::Error;
pub use open::{Identity, Kind, Place, RegularFile, Scope, look, open};

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
