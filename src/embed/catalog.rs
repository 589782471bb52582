//! The table `lagoon.models`: registered models and their owners.
//!
//! It is read as the caller, so the table's privileges and policies decide who may use which model. It is written as the
//! table's owner, after the caller's rights have been checked.

use lagoon_embed::request::Description;
use lagoon_embed::{Error, Registered};
use pgrx::spi::{SpiError, SpiResult};

use crate::pg::spi;

const FIND: &str = "SELECT directory, fingerprint, dimension FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

const OWNER: &str = "SELECT owner::pg_catalog.text, dimension FROM lagoon.models WHERE name OPERATOR(pg_catalog.=) $1";

/// Leaves a row unchanged that another role has registered meanwhile.
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

/// The model of that name, if the caller may see it, and its dimension. It is read in each call, with the statement's snapshot.
pub fn find(name: &str) -> Result<(Registered, usize), Error> {
    let found = spi::read_with_own(FIND, &[name.into()], |row| {
        let registered = Registered {
            name: name.to_owned(),
            directory: row.get::<String>(1)?.unwrap_or_default().into(),
            fingerprint: row.get::<String>(2)?.unwrap_or_default(),
        };
        Ok((registered, dimension(row, 3)?))
    });
    found.map_err(unexpected)?.pop().ok_or_else(|| Error::UnknownModel(name.to_owned()))
}

fn dimension(row: &spi::Row, column: i32) -> SpiResult<usize> {
    Ok(row.get::<i32>(column)?.and_then(|number| usize::try_from(number).ok()).unwrap_or(0))
}

/// A model that is registered under the name already.
pub struct Existing {
    /// Name of the role that may replace or drop it.
    pub owner: String,
    /// Elements of a vector.
    pub dimension: usize,
}

/// The model of that name, whether the caller may see it or not, with a new snapshot.
pub fn existing(name: &str) -> Result<Option<Existing>, Error> {
    let found = as_owner(|| {
        spi::read_latest(OWNER, &[name.into()], |row| {
            let owner = row.get::<String>(1)?.unwrap_or_default();
            Ok(Existing { owner, dimension: dimension(row, 2)? })
        })
    });
    Ok(found?.pop())
}

/// Adds a row for `owner`, or replaces this owner's. Returns false if the name belongs to another owner.
pub fn save(model: &Description, owner: &str) -> Result<bool, Error> {
    let Registered { name, directory, fingerprint } = &model.registered;
    let directory = directory.to_string_lossy();
    let args = [
        name.as_str().into(),
        directory.as_ref().into(),
        integer(model.dimension).into(),
        integer(model.max_tokens).into(),
        model.pooling.as_str().into(),
        model.normalize.into(),
        model.batched.into(),
        model.prompts.as_str().into(),
        model.default_prompt.as_deref().into(),
        i64::try_from(model.size).unwrap_or(i64::MAX).into(),
        fingerprint.as_str().into(),
        owner.into(),
    ];
    as_owner(|| spi::write(SAVE, &args)).map(|rows| rows == 1)
}

fn integer(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Removes a row of this owner. Returns whether there was one.
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
