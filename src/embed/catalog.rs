//! Table `lagoon.models`: what is registered, and whose it is.
//!
//! It is read as the caller, so the table's privileges and policies decide who may use which model. It is written as its
//! owner, after the caller's right has been checked here.

use lagoon_embed::{Error, Registered};
use pgrx::spi::{SpiError, SpiResult};

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
    /// Whether texts share a run.
    pub batched: bool,
    /// Prompts by name, a JSON object.
    pub prompts: String,
    /// The prompt in use.
    pub default_prompt: Option<String>,
    /// Bytes of all files.
    pub size: i64,
}

const FIND: &str = "SELECT directory, fingerprint, dimension FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

const OWNER: &str = "SELECT owner::pg_catalog.text, dimension FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

/// A row that another role has registered meanwhile stays.
const SAVE: &str = "
    INSERT INTO lagoon.models AS m
        (name, directory, dimension, max_tokens, pooling, normalize, batched, prompts, default_prompt, size, fingerprint, owner)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::pg_catalog.jsonb, $9, $10, $11, $12::pg_catalog.name)
    ON CONFLICT (name) DO UPDATE SET
        directory = excluded.directory, dimension = excluded.dimension, max_tokens = excluded.max_tokens,
        pooling = excluded.pooling, normalize = excluded.normalize, batched = excluded.batched, prompts = excluded.prompts,
        default_prompt = excluded.default_prompt, size = excluded.size, fingerprint = excluded.fingerprint,
        registered_at = excluded.registered_at
    WHERE m.owner OPERATOR(pg_catalog.=) excluded.owner";

const DELETE: &str = "
    DELETE FROM lagoon.models
    WHERE name OPERATOR(pg_catalog.=) $1 AND owner OPERATOR(pg_catalog.=) $2::pg_catalog.name";

/// The model of that name, as the caller may see it, and its dimension. Read for each call: the statement's snapshot decides.
pub fn find(name: &str) -> Result<(Registered, usize), Error> {
    let found = spi::read_with_own(FIND, &[name.into()], |row| {
        let registered = Registered {
            name: name.to_owned(),
            directory: row.get::<String>(1)?.unwrap_or_default().into(),
            fingerprint: row.get::<String>(2)?.unwrap_or_default(),
        };
        Ok((registered, row.get::<i32>(3)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)))
    });
    found.map_err(unexpected)?.pop().ok_or_else(|| Error::UnknownModel(name.to_owned()))
}

/// What stands in the way of a new registration.
pub struct Existing {
    /// Name of the role that may replace or drop it.
    pub owner: String,
    /// Elements of a vector.
    pub dimension: i32,
}

/// The model of that name, whoever may see it, as of now.
pub fn existing(name: &str) -> Result<Option<Existing>, Error> {
    let found = as_owner(|| {
        spi::read_latest(OWNER, &[name.into()], |row| {
            let owner = row.get::<String>(1)?.unwrap_or_default();
            Ok(Existing { owner, dimension: row.get::<i32>(2)?.unwrap_or(0) })
        })
    });
    Ok(found?.pop())
}

/// Adds a row for `owner`, or replaces one of this owner. False when there is one of another.
pub fn save(row: &Row, owner: &str) -> Result<bool, Error> {
    let Registered { name, directory, fingerprint } = &row.registered;
    let directory = directory.to_string_lossy();
    let args = [
        name.as_str().into(),
        directory.as_ref().into(),
        row.dimension.into(),
        row.max_tokens.into(),
        row.pooling.as_str().into(),
        row.normalize.into(),
        row.batched.into(),
        row.prompts.as_str().into(),
        row.default_prompt.as_deref().into(),
        row.size.into(),
        fingerprint.as_str().into(),
        owner.into(),
    ];
    as_owner(|| spi::write(SAVE, &args)).map(|rows| rows == 1)
}

/// Removes a row of this owner. Whether there was one.
pub fn delete(name: &str, owner: &str) -> Result<bool, Error> {
    let args = [name.into(), owner.into()];
    as_owner(|| spi::write(DELETE, &args)).map(|rows| rows == 1)
}

/// Runs `f` with the rights of the owner of the table.
fn as_owner<T>(f: impl FnOnce() -> SpiResult<T>) -> Result<T, Error> {
    let missing = || Error::Catalog("it does not exist".to_owned());
    spi::as_owner(c"models", f).ok_or_else(missing)?.map_err(unexpected)
}

fn unexpected(error: SpiError) -> Error {
    Error::Catalog(error.to_string())
}
