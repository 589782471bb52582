//! Where a file, a folder or the matches of a pattern are: a store and a path in it.
//!
//! A location is made once, from what an option or argument says, and cannot be made without the rights of the role that it
//! is for. Whatever is found from it on has the same store, so these rights go along to where files are opened. A path is
//! judged twice: here as it is written, and by what it leads to once that is held and can no longer become something else
//! (see [`super::files`]).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lagoon_file::{Place, RegularFile};

use super::store::{Rights, Store};
use crate::error::{Error, Result};

/// A path in a store. Shown as the user knows it.
#[derive(Clone, Debug)]
pub struct Location {
    store: Store,
    path: Arc<Path>,
}

impl Location {
    /// A path of the server's file system, which may be a pattern, for somebody with these rights.
    pub fn local(path: impl AsRef<Path>, rights: &Rights) -> Result<Self> {
        let path = path.as_ref();
        if !path.is_absolute() {
            return Err(Error::RelativePath { path: path.to_string_lossy().into_owned() });
        }
        if !rights.reach(path) {
            return Err(Error::denied(&path.display()));
        }
        Ok(Self { store: Store::Local(rights.clone()), path: path.into() })
    }

    /// What was found from here: another path in the same store.
    pub(super) fn leads_to(&self, path: &Path) -> Self {
        Self { store: self.store.clone(), path: path.into() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The path in the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it, if it is a regular file.
    pub(crate) fn open(&self) -> Result<RegularFile> {
        self.store.open(&self.path).map_err(|error| Error::file("open", self, error))
    }

    /// Judges what it leads to, and holds that.
    pub(super) fn look(&self) -> lagoon_file::Result<Place> {
        self.store.look(&self.path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests;
