//! Where files are, and what of it whoever asks may read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagoon_file::{Place, RegularFile, Scope};

/// Where a role may read.
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

    fn scope(&self) -> Scope<'_> {
        self.0.as_deref().map_or(Scope::Anywhere, Scope::Beneath)
    }

    /// Opens a regular file within them.
    pub fn open(&self, path: &Path) -> lagoon_file::Result<RegularFile> {
        lagoon_file::open(path, self.scope())
    }

    pub(crate) fn look(&self, path: &Path) -> lagoon_file::Result<Place> {
        lagoon_file::look(path, self.scope())
    }
}
