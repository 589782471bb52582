//! SQLSTATE and hint of the text encoder's errors.

use lagoon_embed::Error;

use crate::pg::error::SqlError;

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        self.sqlstate()
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}
