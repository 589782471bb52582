//! What is wrong with a file that is not as it should be.

use std::panic::AssertUnwindSafe;

use parquet::errors::ParquetError;

use crate::error::{Error, Result};
use crate::source::location::Location;

/// Runs a parser that may still have a panic for damaged bytes. Its text is for us and not for the user.
pub(crate) fn unpanicked<T>(location: &Location, parse: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(parse)).map_err(|_| Error::unreadable(location))
}

/// What a parser of footers says.
pub(super) fn parse_error(location: &Location, error: &ParquetError) -> Error {
    match Error::from_engine(error, location) {
        Error::Internal { message } | Error::Convert { message, .. } => damaged(location, message),
        other => other,
    }
}

/// The file contradicts itself.
pub(crate) fn damaged(location: &Location, message: String) -> Error {
    Error::Corrupt { path: location.to_string(), message }
}

/// The file may be right, and this version cannot read it.
pub(super) fn unsupported(location: &Location, why: &str) -> Error {
    Error::NotSupported { message: format!("Parquet file \"{location}\" cannot be read: {why}"), hint: None }
}
