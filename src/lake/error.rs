//! The lake's errors as PostgreSQL's.

use lagoon_lake::Error;

use crate::pg::error::SqlError;

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        Error::sqlstate(self)
    }

    fn detail(&self) -> Option<String> {
        Error::detail(self)
    }

    fn hint(&self) -> Option<String> {
        Error::hint(self)
    }
}

/// An error of SPI that is not an ERROR itself: a bug of ours.
pub(super) fn spi(error: pgrx::spi::Error) -> Error {
    Error::Internal { message: error.to_string() }
}
