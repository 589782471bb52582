//! What can be wrong with a vector. Texts and codes are pgvector's, which clients and test suites compare.

use crate::pg::error::SqlError;
use crate::pg::vector::{MAX_DIMENSIONS, VectorError};

/// Every failure of the wing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The elements themselves.
    #[error(transparent)]
    Value(#[from] VectorError),
    /// Text that is not `[number,...]`.
    #[error("invalid input syntax for type vector: \"{text}\"")]
    Syntax {
        /// The whole input.
        text: String,
        /// What to say besides.
        detail: Option<&'static str>,
    },
    /// A number that `real` cannot hold.
    #[error("\"{0}\" is out of range for type vector")]
    OutOfRange(String),
    /// `vector(1, 2)`.
    #[error("invalid type modifier")]
    Modifier,
    /// `vector(0)`.
    #[error("dimensions for type vector must be at least 1")]
    ModifierTooSmall,
    /// `vector(16001)`.
    #[error("dimensions for type vector cannot exceed {MAX_DIMENSIONS}")]
    ModifierTooLarge,
    /// The column or the aggregate has another number of dimensions.
    #[error("expected {expected} dimensions, not {found}")]
    Expected {
        /// By the type modifier or the rows before.
        expected: usize,
        /// In this value.
        found: usize,
    },
    /// Two operands do not match.
    #[error("different vector dimensions {0} and {1}")]
    Different(usize, usize),
    /// The reserved field of the binary format.
    #[error("expected unused to be 0, not {0}")]
    Unused(u16),
    /// An array of more than one dimension.
    #[error("array must be 1-D")]
    NotOneDimensional,
    /// An array with a NULL in it.
    #[error("array must not contain nulls")]
    Null,
    /// An array of something else than integers, floats and numerics.
    #[error("unsupported array type")]
    ArrayType,
    /// An aggregate function was called by hand with something that is not its state.
    #[error("{0}: expected state array")]
    State(&'static str),
    /// A result beyond the range of `real`.
    #[error("value out of range: overflow")]
    Overflow,
    /// A result too near zero for `real`.
    #[error("value out of range: underflow")]
    Underflow,
}

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        match self {
            Self::Value(error) => error.sqlstate(),
            Self::Syntax { .. } => "22P02",
            Self::OutOfRange(_) | Self::Overflow | Self::Underflow => "22003",
            Self::Modifier | Self::ModifierTooSmall | Self::ModifierTooLarge => "22023",
            Self::Expected { .. } | Self::Different(..) | Self::Unused(_) => "22000",
            Self::NotOneDimensional | Self::ArrayType => "22000",
            Self::Null => "22004",
            Self::State(_) => "XX000",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Syntax { detail, .. } => detail.map(str::to_owned),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Value(error) => error.hint(),
            _ => None,
        }
    }
}
