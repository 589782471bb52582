//! The lake's SQL functions.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use lagoon_lake::dataset::check_name;
use lagoon_lake::ingest::{self, Ingested, Options, Source};
use lagoon_lake::source::files::Found;
use lagoon_lake::source::metadata::{self, SchemaElement};
use lagoon_lake::{Error, Result};
use pgrx::{Uuid, pg_schema, pg_sys};

use super::dataset::catalog::{self, Entry, Registration};
use super::dataset::home::Home;
use super::dataset::orphans;
use super::dataset::pending::{self, When};
use super::engine;
use super::source::{access, files};
use crate::pg::{job, role};

#[pg_schema]
pub(super) mod lagoon {
    use pgrx::datum::Interval;
    use pgrx::iter::TableIterator;
    use pgrx::{Uuid, default, name, pg_extern};

    use crate::pg::error::OrRaise;
    use crate::pg::json::JsonText;
    use crate::pg::transaction::must_write;

    /// Turns a CSV file on the server into a Parquet file of a dataset.
    #[pg_extern(volatile, parallel_unsafe)]
    #[allow(clippy::type_complexity)]
    fn ingest(
        name: &str,
        source: &str,
        options: default!(JsonText, "'{}'"),
    ) -> TableIterator<'static, (name!(id, Uuid), name!(file, String), name!(rows, i64), name!(bytes, i64))> {
        must_write(c"lagoon.ingest()");
        let (id, ingested) = super::ingest_csv(name, source, &options.0).or_raise();
        let bigint = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let file = ingested.file.to_string_lossy().into_owned();
        TableIterator::once((id, file, bigint(ingested.rows), bigint(ingested.bytes)))
    }

    /// Makes files on the server a dataset, or refreshes it.
    #[pg_extern(volatile, parallel_unsafe)]
    fn register_dataset(name: &str, path: &str) -> Uuid {
        must_write(c"lagoon.register_dataset()");
        super::register(name, path).or_raise()
    }

    /// Forgets a dataset. The files that ingest wrote go when the transaction commits, unless another dataset has them too.
    #[pg_extern(volatile, parallel_unsafe)]
    fn drop_dataset(name: &str) {
        must_write(c"lagoon.drop_dataset()");
        super::drop(name).or_raise();
    }

    /// Lets a role, or `public`, read a dataset.
    #[pg_extern(volatile, parallel_unsafe)]
    fn grant_dataset(name: &str, role: &str) {
        must_write(c"lagoon.grant_dataset()");
        super::change(name, role, super::catalog::grant).or_raise();
    }

    /// Takes back what [`grant_dataset`] gave.
    #[pg_extern(volatile, parallel_unsafe)]
    fn revoke_dataset(name: &str, role: &str) {
        must_write(c"lagoon.revoke_dataset()");
        super::change(name, role, super::catalog::revoke).or_raise();
    }

    /// Gives a dataset to another role, which the current one must have the rights of.
    #[pg_extern(volatile, parallel_unsafe)]
    fn set_dataset_owner(name: &str, role: &str) {
        must_write(c"lagoon.set_dataset_owner()");
        super::change(name, role, super::set_owner).or_raise();
    }

    /// Deletes files of this database in the dataset directory that no dataset has, if they are older than that.
    #[pg_extern(volatile, parallel_unsafe)]
    fn remove_orphaned_files(
        older_than: default!(Interval, "'1 day'"),
    ) -> TableIterator<'static, (name!(file, String), name!(bytes, i64))> {
        must_write(c"lagoon.remove_orphaned_files()");
        let bigint = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let removed = super::remove_orphans(older_than.as_micros()).or_raise();
        TableIterator::new(removed.into_iter().map(move |(file, bytes)| (file, bigint(bytes))))
    }

    /// The schema tree of a Parquet file.
    #[pg_extern(volatile, parallel_unsafe)]
    #[allow(clippy::type_complexity)]
    fn parquet_schema(
        path: &str,
    ) -> TableIterator<
        'static,
        (
            name!(uri, String),
            name!(name, String),
            name!(type_name, Option<String>),
            name!(type_length, Option<i32>),
            name!(repetition_type, Option<String>),
            name!(num_children, Option<i32>),
            name!(converted_type, Option<String>),
            name!(scale, Option<i32>),
            name!(precision, Option<i32>),
            name!(field_id, Option<i32>),
            name!(logical_type, Option<String>),
            name!(column_type, Option<String>),
        ),
    > {
        let rows = super::schema(path).or_raise().into_iter().map(|(uri, element)| {
            (
                uri,
                element.name,
                element.type_name,
                element.type_length,
                element.repetition_type,
                element.num_children,
                element.converted_type,
                element.scale,
                element.precision,
                element.field_id,
                element.logical_type,
                element.column_type,
            )
        });
        TableIterator::new(rows)
    }
}

fn ingest_csv(name: &str, source: &str, json: &str) -> Result<(Uuid, Ingested)> {
    access::check_writer("ingest files")?;
    check_name(name)?;
    let options = Options::parse(json)?;
    let home = Home::new()?;
    check_owner(name)?;
    let source_file = Source::open(&access::locate(source, role::current())?)?;
    // Learn first, so that a dataset with other columns is refused before anything is written.
    let (first, first_options) = (source_file.clone(), options.clone());
    let learnt =
        job::run("lagoon ingest", || {}, move |cancel| ingest::learn(&first, &first_options, &cancel.as_atomic()))?;
    catalog::check_drift(name, source, &learnt.fingerprint, &learnt.columns)?;
    let replace = options.replace;
    let (folder, job_learnt) = (home.folder(), learnt.clone());
    let written = job::run(
        "lagoon ingest",
        || {},
        move |cancel| {
            let (cancel, rows) = (cancel.as_atomic(), AtomicU64::new(0));
            ingest::write(&source_file, &folder, &options, &job_learnt, &cancel, &rows)
        },
    )?;
    // From here to the end of the transaction the dataset is ours.
    let stored = home.name_of(name, &learnt.fingerprint, &written.file_name());
    home.lock(name, [&stored])?;
    let before = check_owner(name)?;
    let file = home.located(&stored);
    if !written.is_at(&file) {
        pending::delete(When::Abort, &stored, file.clone());
    }
    let ingested = job::run("lagoon ingest", || {}, move |cancel| written.publish(&file, &cancel.as_atomic()))?;
    let folder = Path::new(&stored).parent().and_then(Path::parent).unwrap_or(Path::new(""));
    let id = catalog::register(&Registration {
        name,
        path: &folder.to_string_lossy(),
        fingerprint: learnt.fingerprint,
        columns: &learnt.columns,
        files: vec![stored.clone()],
        rows: ingested.rows,
        bytes: ingested.bytes,
        append: !replace,
    })?;
    if replace {
        delete_at_commit(&home, before)?;
    }
    Ok((id, ingested))
}

fn register(name: &str, path: &str) -> Result<Uuid> {
    access::check_writer("register datasets")?;
    check_name(name)?;
    check_owner(name)?;
    let home = Home::new()?;
    let files = loop {
        let find = || files::at(path, role::current());
        let known: HashSet<String> = find()?.iter().map(|found| home.stored(found.location().path())).collect();
        home.lock(name, &known)?;
        // Once more: what another transaction deleted while we waited for it is held, but has no name any more.
        let found = find()?;
        if found.iter().all(|found| known.contains(&home.stored(found.location().path()))) {
            break files::open(found)?;
        }
    };
    let before = check_owner(name)?;
    let id = catalog::register(&Registration::of_files(name, path, &files)?)?;
    delete_at_commit(&home, before)?;
    Ok(id)
}

fn drop(name: &str) -> Result<()> {
    let home = Home::new()?;
    let no_dataset = || Error::NoDataset { name: name.to_owned() };
    let files = check_owner(name)?.ok_or_else(no_dataset)?.files;
    home.lock(name, &files)?;
    let entry = check_owner(name)?.ok_or_else(no_dataset)?;
    catalog::drop(name)?;
    delete_at_commit(&home, Some(entry))
}

/// The row as it is now, if there is one; an error if it is not the current role's.
fn check_owner(name: &str) -> Result<Option<Entry>> {
    let entry = catalog::find_latest(name)?;
    entry.as_ref().map_or(Ok(()), |entry| entry.check_owner(name))?;
    Ok(entry)
}

/// Has the files of a row that was there before deleted at commit, as far as they are ours and in no row any more then.
fn delete_at_commit(home: &Home, before: Option<Entry>) -> Result<()> {
    let files = before.map(|entry| entry.files).unwrap_or_default();
    for stored in files.iter().filter(|stored| home.dataset_of(stored).is_some()) {
        pending::delete(When::Commit, stored, home.located(stored));
    }
    Ok(())
}

fn change(name: &str, role: &str, change: impl Fn(&str, pg_sys::Oid) -> Result<()>) -> Result<()> {
    let Some(_) = check_owner(name)? else { return Err(Error::NoDataset { name: name.to_owned() }) };
    change(name, access::role_named(role)?)
}

fn set_owner(name: &str, new: pg_sys::Oid) -> Result<()> {
    if new == pg_sys::Oid::INVALID || !role::has(role::current(), new) {
        return Err(Error::RoleDenied {
            action: "give the dataset to that role",
            hint: "It must be one whose rights the current role has.",
        });
    }
    catalog::set_owner(name, new)
}

fn remove_orphans(micros: i128) -> Result<Vec<orphans::Orphan>> {
    access::check_writer("remove files of datasets")?;
    let age = u64::try_from(micros).map_err(|_| Error::BadValue {
        what: "older_than".to_owned(),
        message: "it must not be negative".to_owned(),
        hint: None,
    })?;
    orphans::remove(Duration::from_micros(age))
}

fn schema(path: &str) -> Result<Vec<(String, SchemaElement)>> {
    let files = files::at(path, role::current())?;
    engine::start()?;
    let per_file = job::run(
        "lagoon metadata",
        || {},
        move |_| {
            let one = |file: &Found| {
                let uri = file.location().to_string();
                let elements = metadata::schema(file)?;
                Ok(elements.into_iter().map(|element| (uri.clone(), element)).collect::<Vec<_>>())
            };
            files.iter().map(one).collect::<Result<Vec<_>>>()
        },
    )?;
    Ok(per_file.into_iter().flatten().collect())
}
