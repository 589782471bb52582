//! The table `lagoon.datasets`: read and written as its owner, after the rights of the caller have been checked here.

use lagoon_lake::dataset::{self, fingerprint};
use lagoon_lake::files::DataFile;
use lagoon_lake::schema::Column;
use lagoon_lake::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::spi::{Spi, SpiError};
use pgrx::{JsonB, Uuid};
use serde_json::{Value, json};

use super::error::spi as unexpected;
use crate::pg::spi;

/// What a row says.
pub(super) struct Entry {
    pub files: Vec<String>,
}

/// A registration: what is to stand in the row.
pub(super) struct Registration<'a> {
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
    pub(super) fn of_files(name: &'a str, path: &'a str, files: &'a [DataFile]) -> Result<Self> {
        dataset::check_name(name)?;
        lagoon_lake::table::infer(files)?;
        let first = files.first().ok_or_else(|| Error::NoFile { path: path.to_owned() })?;
        let columns = &first.footer.columns;
        Ok(Self {
            name,
            path,
            fingerprint: fingerprint(columns),
            columns,
            files: files.iter().map(|file| file.path.to_string_lossy().into_owned()).collect(),
            rows: files.iter().map(|file| file.footer.rows).sum(),
            bytes: files.iter().map(DataFile::size).sum(),
            append: false,
        })
    }
}

/// One statement, so that two registrations at once cannot both win: the loser sees the winner's row and joins it or fails.
const UPSERT: &str = "
INSERT INTO lagoon.datasets AS d (id, name, fingerprint, path, files, rows, bytes, columns)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
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
WHERE d.fingerprint OPERATOR(pg_catalog.=) excluded.fingerprint
RETURNING d.id";

/// Makes or refreshes the row and returns its id; LG001 if there is one with other columns, which stays as it is.
pub(super) fn register(registration: &Registration<'_>) -> Result<Uuid> {
    let id = Uuid::from_bytes(*dataset::id(registration.name).as_bytes());
    let bigint = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let arguments: [DatumWithOid<'_>; 9] = [
        id.into(),
        registration.name.into(),
        registration.fingerprint.as_str().into(),
        registration.path.into(),
        registration.files.clone().into(),
        bigint(registration.rows).into(),
        bigint(registration.bytes).into(),
        JsonB(columns_json(registration.columns)).into(),
        registration.append.into(),
    ];
    let registered = as_owner(|| {
        Spi::connect_mut(|client| {
            let rows = client.update(UPSERT, None, &arguments)?;
            Ok(!rows.is_empty())
        })
    })?;
    if registered {
        return Ok(id);
    }
    let path = registration.files.first().map_or(registration.path, String::as_str);
    check_drift(registration.name, path, &registration.fingerprint, registration.columns)?;
    Err(Error::Internal { message: format!("dataset \"{}\" was neither made nor refreshed", registration.name) })
}

/// LG001 if the dataset exists with another fingerprint.
pub(super) fn check_drift(name: &str, path: &str, fingerprint: &str, columns: &[Column]) -> Result<()> {
    let live = as_owner(|| {
        // A dataset that was made since the statement began counts as well.
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

/// The row of a dataset, as the statement's snapshot sees it.
pub(super) fn find(name: &str) -> Result<Option<Entry>> {
    let files = as_owner(|| {
        spi::read("SELECT files FROM lagoon.datasets WHERE name OPERATOR(pg_catalog.=) $1", &[name.into()], |row| {
            row.get::<Vec<String>>(1)
        })
    })?;
    Ok(files.into_iter().next().map(|files| Entry { files: files.unwrap_or_default() }))
}

/// Deletes the row; false if there is none. The files stay.
pub(super) fn drop(name: &str) -> Result<bool> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let statement = "DELETE FROM lagoon.datasets WHERE name OPERATOR(pg_catalog.=) $1 RETURNING id";
            Ok(!client.update(statement, None, &[name.into()])?.is_empty())
        })
    })
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
fn as_owner<T>(f: impl FnOnce() -> std::result::Result<T, SpiError>) -> Result<T> {
    let gone = || Error::Internal { message: "table lagoon.datasets is gone".to_owned() };
    let (_, owner) = spi::relation(c"datasets").ok_or_else(gone)?;
    spi::as_role(owner, f).map_err(unexpected)
}
