//! What can be wrong with the elements of a vector. Texts and codes are pgvector's.

use super::hint::VectorHint;
use crate::pg::error::SqlError;

/// Why some numbers are not a vector. The first field is the name of the SQL type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// No element.
    #[error("{0} must have at least 1 dimension")]
    Empty(&'static str),
    /// More than so many.
    #[error("{0} cannot have more than {1} dimensions")]
    TooLong(&'static str, usize),
    /// An element is NaN.
    #[error("NaN not allowed in {0}")]
    NotANumber(&'static str),
    /// An element is an infinity.
    #[error("infinite value not allowed in {0}")]
    Infinite(&'static str),
    /// The length word and the numbers in front of a stored value contradict each other.
    #[error("stored {0} is damaged")]
    Damaged(&'static str),
    /// The library is loaded, but CREATE EXTENSION was not run in this database.
    #[error("type \"{0}\" of extension lagoon does not exist")]
    NoSuchType(&'static str),
}

impl SqlError for VectorError {
    fn sqlstate(&self) -> &str {
        match self {
            Self::Empty(_) | Self::NotANumber(_) | Self::Infinite(_) => "22000",
            Self::TooLong(..) => "54000",
            Self::Damaged(_) => "XX001",
            Self::NoSuchType(_) => "42704",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotANumber(_) | Self::Infinite(_) => VectorHint::Finite.text(),
            Self::NoSuchType(_) => Some("Run CREATE EXTENSION lagoon in this database.".to_owned()),
            _ => None,
        }
    }
}

/// Whether all of them are finite.
pub fn check_finite(type_name: &'static str, mut values: impl Iterator<Item = f32>) -> Result<(), VectorError> {
    match values.find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) if value.is_nan() => Err(VectorError::NotANumber(type_name)),
        Some(_) => Err(VectorError::Infinite(type_name)),
    }
}
