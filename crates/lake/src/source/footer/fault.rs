//! What is wrong with a file that is not as it should be.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use parquet::errors::ParquetError;

use crate::error::{Error, Result};

/// Runs a parser that may still have a panic for damaged bytes. Its text is for us and not for the user.
pub(crate) fn unpanicked<T>(path: &Path, parse: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(parse)).map_err(|_| Error::unreadable(path))
}

/// What a parser of footers says.
pub(super) fn parse_error(path: &Path, error: &ParquetError) -> Error {
    match Error::from_engine(error, path) {
        Error::Internal { message } | Error::Convert { message, .. } => damaged(path, message),
        other => other,
    }
}

/// The file contradicts itself.
pub(crate) fn damaged(path: &Path, message: String) -> Error {
    Error::Corrupt { path: path.to_owned(), message }
}

/// The file may be right, and this version cannot read it.
pub(super) fn unsupported(path: &Path, why: &str) -> Error {
    Error::NotSupported { message: format!("Parquet file \"{}\" cannot be read: {why}", path.display()), hint: None }
}
