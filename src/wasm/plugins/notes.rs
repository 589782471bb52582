//! The table `lagoon.plugin_errors`: why files could not be installed.

use lagoon_wasm::{Candidate, Error, Hash};

use crate::pg::spi;
use crate::wasm::error::sql;

/// Why a plugin failed.
pub struct Note<'a> {
    pub sqlstate: &'a str,
    pub message: String,
    pub hint: Option<String>,
    pub fingerprint: Option<Hash>,
}

/// Writes the note into the table, unless it is there already.
pub fn remember(candidate: &Candidate, note: &Note<'_>) -> Result<(), Error> {
    let path = candidate.path().to_string_lossy().into_owned();
    let fingerprint = note.fingerprint.map(|hash| hash.to_hex().to_string());
    spi::write(
        "INSERT INTO lagoon.plugin_errors AS e (name, path, sqlstate, message, hint, fingerprint) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET path = excluded.path, sqlstate = excluded.sqlstate, message = excluded.message,
             hint = excluded.hint, failed_at = excluded.failed_at, fingerprint = excluded.fingerprint
         WHERE (e.path, e.sqlstate, e.message, e.hint, e.fingerprint)
             IS DISTINCT FROM (excluded.path, excluded.sqlstate, excluded.message, excluded.hint, excluded.fingerprint)",
        &[
            candidate.name.as_str().into(),
            path.into(),
            note.sqlstate.into(),
            note.message.as_str().into(),
            note.hint.as_deref().into(),
            fingerprint.into(),
        ],
    )
    .map(|_| ())
    .map_err(sql)
}

pub fn is_quarantined(name: &str, fingerprint: &Hash) -> Result<bool, Error> {
    let query = "SELECT fingerprint FROM lagoon.plugin_errors WHERE name OPERATOR(pg_catalog.=) $1";
    let known = spi::read_latest(query, &[name.into()], |row| row.get::<String>(1)).map_err(sql)?;
    Ok(known.into_iter().flatten().any(|known| known == fingerprint.to_hex().as_str()))
}

/// Deletes the note about a failure, if there is one. Without a note it writes nothing, so that the transaction takes no id.
pub fn forget(name: &str) -> Result<(), Error> {
    let query = "SELECT name FROM lagoon.plugin_errors WHERE name OPERATOR(pg_catalog.=) $1";
    if spi::read_latest(query, &[name.into()], |row| row.get::<String>(1)).map_err(sql)?.is_empty() {
        return Ok(());
    }
    let statement = "DELETE FROM lagoon.plugin_errors WHERE name OPERATOR(pg_catalog.=) $1";
    spi::write(statement, &[name.into()]).map(|_| ()).map_err(sql)
}
