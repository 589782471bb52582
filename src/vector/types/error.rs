//! Errors of the vector types. Messages and SQLSTATEs are pgvector's, which clients and test suites compare.

use crate::pg::datum::vector::{MAX_NON_ZERO, VectorError, VectorHint};
use crate::pg::error::SqlError;

/// An error of the vector types. A first field `&'static str` is the name of the SQL type.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The elements themselves.
    #[error(transparent)]
    Value(#[from] VectorError),
    /// Text that is not `[number,...]`, for sparsevec `{index:number,...}/dimensions`.
    #[error("invalid input syntax for type {type_name}: \"{text}\"")]
    Syntax {
        /// The SQL type.
        type_name: &'static str,
        /// The whole input.
        text: String,
        /// What to say besides.
        detail: Option<&'static str>,
    },
    /// A number that the elements of the type cannot hold.
    #[error("\"{1}\" is out of range for type {0}")]
    OutOfRange(&'static str, String),
    /// `vector(1, 2)`.
    #[error("invalid type modifier")]
    Modifier,
    /// `vector(0)`.
    #[error("dimensions for type {0} must be at least 1")]
    ModifierTooSmall(&'static str),
    /// `vector(16001)`.
    #[error("dimensions for type {0} cannot exceed {1}")]
    ModifierTooLarge(&'static str, usize),
    /// The column or the aggregate has another number of dimensions.
    #[error("expected {expected} dimensions, not {found}")]
    Expected {
        /// By the type modifier, which may be any number in a direct call, or by the rows before.
        expected: i32,
        /// In this value.
        found: usize,
    },
    /// Two operands do not match.
    #[error("different {0} dimensions {1} and {2}")]
    Different(&'static str, usize, usize),
    /// Two bit strings do not match.
    #[error("different bit lengths {0} and {1}")]
    DifferentBits(usize, usize),
    /// The reserved field of the binary format.
    #[error("expected unused to be 0, not {0}")]
    Unused(i32),
    /// A sparsevec with fewer than no elements.
    #[error("sparsevec cannot have negative number of elements")]
    NegativeCount,
    /// A sparsevec with more elements than it may store.
    #[error("sparsevec cannot have more than {MAX_NON_ZERO} non-zero elements")]
    TooManyElements,
    /// A sparsevec with more elements than places.
    #[error("sparsevec cannot have more elements than dimensions")]
    MoreThanDimensions,
    /// An index of a sparsevec below the first or beyond the last dimension.
    #[error("sparsevec index out of bounds")]
    OutOfBounds,
    /// Indices of a sparsevec in the binary format.
    #[error("sparsevec indices must be in ascending order")]
    NotAscending,
    /// An index that appears twice.
    #[error("sparsevec indices must not contain duplicates")]
    Duplicate,
    /// A sparsevec that stores a zero.
    #[error("binary representation of sparsevec cannot contain zero values")]
    StoredZero,
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
    #[error("{0}_{1}: expected state array")]
    State(&'static str, &'static str),
    /// A result beyond the range of the elements.
    #[error("value out of range: overflow")]
    Overflow,
    /// A result too near zero for the elements.
    #[error("value out of range: underflow")]
    Underflow,
}

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        match self {
            Self::Value(error) => error.sqlstate(),
            Self::Syntax { .. } => "22P02",
            Self::OutOfRange(..) | Self::Overflow | Self::Underflow => "22003",
            Self::Modifier | Self::ModifierTooSmall(_) | Self::ModifierTooLarge(..) | Self::State(..) => "22023",
            Self::TooManyElements | Self::MoreThanDimensions => "54000",
            Self::Expected { .. } | Self::Different(..) | Self::DifferentBits(..) | Self::Unused(_) => "22000",
            Self::NegativeCount | Self::OutOfBounds | Self::NotAscending | Self::Duplicate | Self::StoredZero => {
                "22000"
            }
            Self::NotOneDimensional | Self::ArrayType => "22000",
            Self::Null => "22004",
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
            Self::Expected { .. } => VectorHint::Expected.text(),
            Self::Different(..) | Self::DifferentBits(..) => VectorHint::Different.text(),
            _ => None,
        }
    }
}
