//! Hints of ours on errors that pgvector has too.

use crate::pg::guc::VECTOR_HINTS;

/// What a user can do about a value that does not fit. pgvector has no hints there, and its users may compare whole outputs, so
/// `lagoon.vector_hints` can turn them off.
#[derive(Debug, Clone, Copy)]
pub enum VectorHint {
    /// An element is NaN or infinite.
    Finite,
    /// The column, cast, aggregate or index has vectors of another number of dimensions.
    Expected,
    /// Two operands do not match.
    Different,
}

impl VectorHint {
    /// The text of the hint; None when hints are off.
    pub fn text(self) -> Option<String> {
        let text = match self {
            Self::Finite => "Replace the element by a finite number, or leave the row out.",
            Self::Expected => {
                "Give a value of the expected dimensions; values of another model need a column or an index of their own."
            }
            Self::Different => {
                "Both operands need the same number of dimensions; vectors of different models cannot be compared."
            }
        };
        VECTOR_HINTS.get().then(|| text.to_owned())
    }
}
