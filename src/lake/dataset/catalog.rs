//! The table `lagoon.datasets`: read and written as its owner, after the rights of the caller have been checked here.

use std::collections::HashSet;

use lagoon_lake::dataset::{self, fingerprint};
use lagoon_lake::schema::Column;
use lagoon_lake::source::files::DataFile;
use lagoon_lake::source::table;
use lagoon_lake::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::spi::SpiResult;
use pgrx::{JsonB, Uuid};
use serde_json::{Value, json};

use super::home::Home;
use crate::lake::error::spi as unexpected;
use crate::lake::source::access;
use crate::pg::role;
use crate::pg::spi::{self, Row};

/// What a row says.
pub struct Entry {
    /// As [`Home`] calls them.
    pub files: Vec<String>,
    pub owner: Oid,
    readers: Vec<Oid>,
}

impl Entry {
    /// Whether `role` may read the files, by this row: the owner may, those whom it was granted to, and who may read
    /// everything anyway.
    pub fn check_reader(&self, name: &str, role: Oid) -> Result<()> {
        let granted = self.readers.iter().any(|reader| *reader == Oid::INVALID || role::has(role, *reader));
        if granted || role::has(role, self.owner) || access::reads_data(role) {
            return Ok(());
        }
        Err(Error::DatasetDenied { name: name.to_owned() })
    }

    /// Whether the current role may change or drop the row.
    pub fn check_owner(&self, name: &str) -> Result<()> {
        if role::has(role::current(), self.owner) {
            return Ok(());
        }
        Err(Error::NotDatasetOwner { name: name.to_owned() })
    }
}

/// A registration: what is to stand in the row.
pub struct Registration<'a> {
    pub name: &'a str,
    pub path: &'a str,
    pub fingerprint: String,
    pub columns: &'a [Column],
    pub files: Vec<String>,
    pub rows: u64,
    pub bytes: u64,
    /// Whether the files join those of the row instead of replacing them.
    pub append: bool,
}

impl<'a> Registration<'a> {
    /// For files that are there already. All must have the columns of the first.
    pub fn of_files(name: &'a str, path: &'a str, files: &'a [DataFile]) -> Result<Self> {
        table::check_agreement(files)?;
        let home = Home::new()?;
        let first = files.first().ok_or_else(|| Error::NoFile { path: path.to_owned() })?;
        let columns = &first.footer.columns;
        Ok(Self {
            name,
            path,
            fingerprint: fingerprint(columns),
            columns,
            files: files.iter().map(|file| home.stored(file.location().path())).collect(),
            rows: files.iter().map(|file| file.footer.rows).sum(),
            bytes: files.iter().map(DataFile::size).sum(),
            append: false,
        })
    }
}

/// One statement, so that two registrations at once cannot both win: the loser sees the winner's row and joins it or fails.
const UPSERT: &str = "
INSERT INTO lagoon.datasets AS d (id, name, fingerprint, path, files, rows, bytes, columns, owner)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10)
ON CONFLICT (name) DO UPDATE SET
    path = excluded.path,
    files = CASE WHEN NOT $9 THEN excluded.files
                 WHEN excluded.files OPERATOR(pg_catalog.<@) d.files THEN d.files
                 ELSE d.files OPERATOR(pg_catalog.||) excluded.files END,
    rows = CASE WHEN NOT $9 THEN excluded.rows
                WHEN excluded.files OPERATOR(pg_catalog.<@) d.files THEN d.rows
                ELSE d.rows OPERATOR(pg_catalog.+) excluded.rows END,
    bytes = CASE WHEN NOT $9 THEN excluded.bytes
                 WHEN excluded.files OPERATOR(pg_catalog.<@) d.files THEN d.bytes
                 ELSE d.bytes OPERATOR(pg_catalog.+) excluded.bytes END,
    refreshed = pg_catalog.now()
WHERE d.fingerprint OPERATOR(pg_catalog.=) excluded.fingerprint";

/// Makes or refreshes the row and returns its id; LG001 if there is one with other columns, which stays as it is.
pub fn register(registration: &Registration<'_>) -> Result<Uuid> {
    let id = Uuid::from_bytes(*dataset::id(registration.name).as_bytes());
    let bigint = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let arguments: [DatumWithOid<'_>; 10] = [
        id.into(),
        registration.name.into(),
        registration.fingerprint.as_str().into(),
        registration.path.into(),
        registration.files.clone().into(),
        bigint(registration.rows).into(),
        bigint(registration.bytes).into(),
        JsonB(columns_json(registration.columns)).into(),
        registration.append.into(),
        role::current().into(),
    ];
    if as_owner(|| spi::write(UPSERT, &arguments))? > 0 {
        return Ok(id);
    }
    let path = registration.files.first().map_or(registration.path, String::as_str);
    check_drift(registration.name, path, &registration.fingerprint, registration.columns)?;
    Err(Error::Internal { message: format!("dataset \"{}\" was neither made nor refreshed", registration.name) })
}

/// LG001 if the dataset exists with another fingerprint.
pub fn check_drift(name: &str, path: &str, fingerprint: &str, columns: &[Column]) -> Result<()> {
    // A dataset that was made since the statement began counts as well.
    let live = as_owner(|| {
        spi::read_latest(
            "SELECT fingerprint, columns FROM lagoon.datasets WHERE name OPERATOR(pg_catalog.=) $1",
            &[name.into()],
            |row| Ok((row.get::<String>(1)?, row.get::<JsonB>(2)?)),
        )
    })?;
    match live.into_iter().next() {
        Some((Some(other), columns_then)) if other != fingerprint => Err(Error::SchemaDrift {
            name: name.to_owned(),
            path: path.to_owned(),
            was: columns_then.map_or_else(String::new, |JsonB(columns)| columns_text(&columns)),
            now: columns_text(&columns_json(columns)),
        }),
        _ => Ok(()),
    }
}

const FIND: &str = "
SELECT files, owner::pg_catalog.oid, readers::pg_catalog.oid[]::pg_catalog.int8[] FROM lagoon.datasets WHERE name OPERATOR(pg_catalog.=) $1";

fn entry(row: &Row) -> SpiResult<Entry> {
    Ok(Entry {
        files: row.get::<Vec<String>>(1)?.unwrap_or_default(),
        owner: row.get::<Oid>(2)?.unwrap_or(Oid::INVALID),
        // As numbers: pgrx takes the invalid oid, which is everybody here, for NULL.
        readers: row.get::<Vec<i64>>(3)?.unwrap_or_default().into_iter().map(oid).collect(),
    })
}

fn oid(number: i64) -> Oid {
    Oid::from(u32::try_from(number).unwrap_or(0))
}

/// The row of a dataset, as a statement that is being planned or begins is to see it.
pub fn find(name: &str) -> Result<Option<Entry>> {
    Ok(as_owner(|| spi::read_for_planning(FIND, &[name.into()], entry))?.pop())
}

/// The row of a dataset as it is now.
pub fn find_latest(name: &str) -> Result<Option<Entry>> {
    Ok(as_owner(|| spi::read_latest(FIND, &[name.into()], entry))?.pop())
}

/// Those of the files that a row refers to, whatever its name, as it is now.
pub fn used(files: Vec<String>) -> Result<HashSet<String>> {
    let used = "SELECT f FROM pg_catalog.unnest($1) AS f
                WHERE EXISTS (SELECT FROM lagoon.datasets AS d WHERE f OPERATOR(pg_catalog.=) ANY (d.files))";
    if spi::relation(c"datasets").is_none() {
        return Ok(HashSet::new()); // the extension is being dropped
    }
    let found = as_owner(|| spi::read_latest(used, &[files.into()], |row| row.get::<String>(1)))?;
    Ok(found.into_iter().flatten().collect())
}

/// Deletes the row.
pub fn drop(name: &str) -> Result<()> {
    change("DELETE FROM lagoon.datasets WHERE name OPERATOR(pg_catalog.=) $1", &[name.into()])
}

/// Lets a role, or everybody (invalid), read the dataset.
pub fn grant(name: &str, role: Oid) -> Result<()> {
    change(
        "UPDATE lagoon.datasets SET readers = pg_catalog.array_append(
             pg_catalog.array_remove(readers, $2::pg_catalog.oid::pg_catalog.regrole), $2::pg_catalog.oid::pg_catalog.regrole)
         WHERE name OPERATOR(pg_catalog.=) $1",
        &[name.into(), i64::from(role.to_u32()).into()],
    )
}

/// Takes that back.
pub fn revoke(name: &str, role: Oid) -> Result<()> {
    change(
        "UPDATE lagoon.datasets SET readers = pg_catalog.array_remove(readers, $2::pg_catalog.oid::pg_catalog.regrole)
         WHERE name OPERATOR(pg_catalog.=) $1",
        &[name.into(), i64::from(role.to_u32()).into()],
    )
}

/// Gives the dataset to another role.
pub fn set_owner(name: &str, role: Oid) -> Result<()> {
    change("UPDATE lagoon.datasets SET owner = $2 WHERE name OPERATOR(pg_catalog.=) $1", &[name.into(), role.into()])
}

fn change(statement: &'static str, arguments: &[DatumWithOid<'_>]) -> Result<()> {
    as_owner(|| spi::write(statement, arguments)).map(|_| ())
}

fn columns_json(columns: &[Column]) -> Value {
    let column = |column: &Column| {
        let ty = column.ty.as_ref().map_or_else(Clone::clone, ToString::to_string);
        json!({"name": column.name, "type": ty, "nullable": column.nullable})
    };
    Value::Array(columns.iter().map(column).collect())
}

fn columns_text(columns: &Value) -> String {
    let text = |column: &Value| {
        let part = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        let suffix = if column.get("nullable") == Some(&Value::Bool(false)) { " not null" } else { "" };
        format!("{} {}{suffix}", part("name"), part("type"))
    };
    columns.as_array().map(|columns| columns.iter().map(text).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

/// Runs `f` with the rights of the table's owner.
fn as_owner<T>(f: impl FnOnce() -> SpiResult<T>) -> Result<T> {
    let gone = || Error::Internal { message: "table lagoon.datasets is gone".to_owned() };
    spi::as_owner(c"datasets", f).ok_or_else(gone)?.map_err(unexpected)
}
