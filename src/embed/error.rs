//! How errors of the text encoder look in SQL.

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
