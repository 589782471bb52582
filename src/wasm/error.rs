//! The engine's errors as PostgreSQL's.

use lagoon_wasm::Error;

use crate::pg::error::{OrRaise, SqlError};
use crate::pg::interrupt;

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        self.sqlstate()
    }

    fn detail(&self) -> Option<String> {
        self.detail()
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn context(&self) -> Option<String> {
        self.context()
    }
}

/// SQL of our own that failed without an ERROR: a mistake of ours.
pub fn sql(error: pgrx::spi::Error) -> Error {
    Error::Internal(error.to_string())
}

/// Ends a callback: the value, or the ERROR. A guest that was interrupted ends with PostgreSQL's own words for it.
pub fn finish<T>(result: Result<T, Error>) -> T {
    if matches!(result, Err(Error::Interrupted)) {
        interrupt::check();
    }
    result.or_raise()
}
