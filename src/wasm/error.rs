//! Reporting the engine's errors in PostgreSQL.

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

/// An internal error: a statement of ours failed without an ERROR.
pub fn sql(error: pgrx::spi::Error) -> Error {
    Error::Internal(error.to_string())
}

/// Ends a callback: returns the value or raises the ERROR. For an interrupted guest it is PostgreSQL's own ERROR.
pub fn finish<T>(result: Result<T, Error>) -> T {
    if matches!(result, Err(Error::Interrupted)) {
        interrupt::check();
    }
    result.or_raise()
}
