//! Table `lagoon.models`: what is registered.

use lagoon_embed::{Error, Registered};
use pgrx::spi::{Spi, SpiError};

use crate::pg::spi;

/// One row, as far as it comes from the model itself.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name, directory, and how its files looked.
    pub registered: Registered,
    /// Elements of a vector.
    pub dimension: i32,
    /// Longest sequence.
    pub max_tokens: i32,
    /// Pooling modes, joined by `+`.
    pub pooling: String,
    /// Whether vectors have length 1.
    pub normalize: bool,
    /// Prompts by name, a JSON object.
    pub prompts: String,
    /// The prompt in use.
    pub default_prompt: Option<String>,
    /// Bytes of all files.
    pub size: i64,
}

const FIND: &str = "SELECT directory, fingerprint, stamp FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

const DIMENSION: &str = "SELECT dimension FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

const SAVE: &str = "
    INSERT INTO lagoon.models AS m
        (name, directory, dimension, max_tokens, pooling, normalize, prompts, default_prompt, size, fingerprint, stamp)
    VALUES ($1, $2, $3, $4, $5, $6, $7::pg_catalog.jsonb, $8, $9, $10, $11)
    ON CONFLICT (name) DO UPDATE SET
        directory = excluded.directory, dimension = excluded.dimension, max_tokens = excluded.max_tokens,
        pooling = excluded.pooling, normalize = excluded.normalize, prompts = excluded.prompts,
        default_prompt = excluded.default_prompt, size = excluded.size, fingerprint = excluded.fingerprint,
        stamp = excluded.stamp, registered_at = excluded.registered_at, registered_by = excluded.registered_by";

const DELETE: &str = "DELETE FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

/// The model of that name, as the caller may see it. Read for each call: the statement's snapshot decides.
pub fn find(name: &str) -> Result<Registered, Error> {
    let found = spi::read(FIND, &[name.into()], |row| {
        Ok(Registered {
            name: name.to_owned(),
            directory: row.get::<String>(1)?.unwrap_or_default().into(),
            fingerprint: row.get::<String>(2)?.unwrap_or_default(),
            stamp: row.get::<String>(3)?.unwrap_or_default(),
        })
    });
    found.map_err(unexpected)?.pop().ok_or_else(|| Error::UnknownModel(name.to_owned()))
}

/// The dimension of a registered model.
pub fn dimension(name: &str) -> Result<Option<i32>, Error> {
    let found = spi::read(DIMENSION, &[name.into()], |row| row.get::<i32>(1)).map_err(unexpected)?;
    Ok(found.into_iter().next().flatten())
}

/// Adds or replaces a row.
pub fn save(row: &Row) -> Result<(), Error> {
    let Registered { name, directory, fingerprint, stamp } = &row.registered;
    let directory = directory.to_string_lossy();
    let args = [
        name.as_str().into(),
        directory.as_ref().into(),
        row.dimension.into(),
        row.max_tokens.into(),
        row.pooling.as_str().into(),
        row.normalize.into(),
        row.prompts.as_str().into(),
        row.default_prompt.as_deref().into(),
        row.size.into(),
        fingerprint.as_str().into(),
        stamp.as_str().into(),
    ];
    Spi::connect_mut(|client| client.update(SAVE, None, &args).map(|_| ())).map_err(unexpected)
}

/// Removes a row. Whether there was one.
pub fn delete(name: &str) -> Result<bool, Error> {
    Spi::connect_mut(|client| client.update(DELETE, None, &[name.into()]).map(|rows| !rows.is_empty()))
        .map_err(unexpected)
}

fn unexpected(error: SpiError) -> Error {
    Error::Catalog(error.to_string())
}
