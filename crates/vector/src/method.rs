//! The kinds of index, as users name them.

use std::fmt;

/// An access method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// [`crate::hnsw`].
    Hnsw,
    /// [`crate::ivf`].
    Ivfflat,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hnsw, Self::Ivfflat];

    /// As in `USING`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hnsw => "hnsw",
            Self::Ivfflat => "ivfflat",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
