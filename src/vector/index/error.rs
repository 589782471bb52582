//! SQLSTATE and hint of the errors of indexes.

use lagoon_vector::Error;

use crate::pg::datum::vector::VectorHint;
use crate::pg::error::SqlError;

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        self.sqlstate()
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::DimensionMismatch { .. } => VectorHint::Expected.text(),
            Self::DifferentDimensions { .. } | Self::DifferentLengths { .. } => VectorHint::Different.text(),
            _ => self.hint(),
        }
    }
}
