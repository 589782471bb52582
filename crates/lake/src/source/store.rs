//! Where files are, and what of it whoever asks may read.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use lagoon_file::{Place, RegularFile, Scope};

/// Where files are. An object store would be one more, with its endpoint and the keys of whoever asks.
#[derive(Clone, Debug)]
pub enum Store {
    /// The server's own file system, as far as a role may read there.
    Local(Rights),
}

impl Store {
    /// Opens a regular file. What is judged is what is opened.
    pub(super) fn open(&self, path: &Path) -> lagoon_file::Result<RegularFile> {
        match self {
            Self::Local(rights) => lagoon_file::open(path, rights.scope()),
        }
    }

    /// Judges what a path leads to, and holds it.
    pub(super) fn look(&self, path: &Path) -> lagoon_file::Result<Place> {
        match self {
            Self::Local(rights) => rights.look(path),
        }
    }
}

/// Where in the server's file system a role may read.
#[derive(Clone, Debug)]
pub struct Rights(Option<Arc<[PathBuf]>>);

impl Rights {
    /// Wherever the operating system permits it.
    pub fn everywhere() -> Self {
        Self(None)
    }

    /// Below these directories.
    pub fn beneath(directories: Vec<PathBuf>) -> Self {
        Self(Some(directories.into()))
    }

    /// Whether they reach to a path as it is written, so that nothing outside is even looked at.
    pub(super) fn reach(&self, path: &Path) -> bool {
        let Some(directories) = &self.0 else { return true };
        let climbs = path.components().any(|part| matches!(part, Component::ParentDir));
        !climbs && directories.iter().any(|directory| path.starts_with(directory))
    }

    pub(super) fn look(&self, path: &Path) -> lagoon_file::Result<Place> {
        lagoon_file::look(path, self.scope())
    }

    fn scope(&self) -> Scope<'_> {
        self.0.as_deref().map_or(Scope::Anywhere, Scope::Beneath)
    }
}
