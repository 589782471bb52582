//! How errors of the index look in SQL.

use lagoon_hnsw::Error;

use crate::pg::error::SqlError;

impl SqlError for Error {
    fn sqlstate(&self) -> &str {
        self.sqlstate()
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}
