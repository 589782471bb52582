//! The lake's SQL functions.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use lagoon_lake::ingest::{self, Ingested, Options};
use lagoon_lake::metadata::SchemaElement;
use lagoon_lake::{Error, Result, dataset, metadata};
use pgrx::{Uuid, pg_schema};

use super::catalog::{self, Registration};
use super::relation::{open, start_engine};
use super::{access, options};
use crate::pg::job;

#[pg_schema]
pub(super) mod lagoon {
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

    /// Forgets a dataset; its files stay.
    #[pg_extern(volatile, parallel_unsafe)]
    fn drop_dataset(name: &str) {
        must_write(c"lagoon.drop_dataset()");
        super::drop(name).or_raise();
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
    dataset::check_name(name)?;
    let options = Options::parse(json)?;
    let role = access::current_role();
    access::check_pattern(source, role, false)?;
    let path = access::resolve(&PathBuf::from(source), role, false)?;
    let directory = access::dataset_directory();
    if !directory.is_absolute() {
        return Err(Error::RelativePath { path: directory.to_string_lossy().into_owned() });
    }
    // Learn first, so that a dataset with other columns is refused before anything is written.
    let (first_path, first_options) = (path.clone(), options.clone());
    let learnt = job::run(
        "lagoon ingest",
        || {},
        move |cancel| ingest::learn(&first_path, &first_options, &cancel.as_atomic()),
    )?;
    catalog::check_drift(name, source, &learnt.fingerprint, &learnt.columns)?;
    let append = !options.replace;
    let (job_name, job_directory, job_learnt) = (name.to_owned(), directory.clone(), learnt.clone());
    let ingested = job::run(
        "lagoon ingest",
        || {},
        move |cancel| {
            let (cancel, rows) = (cancel.as_atomic(), AtomicU64::new(0));
            ingest::run(&job_name, &path, &job_directory, &options, &job_learnt, &cancel, &rows)
        },
    )?;
    let folder = directory.join(name).to_string_lossy().into_owned();
    let id = catalog::register(&Registration {
        name,
        path: &folder,
        fingerprint: learnt.fingerprint,
        columns: &learnt.columns,
        files: vec![ingested.file.to_string_lossy().into_owned()],
        rows: ingested.rows,
        bytes: ingested.bytes,
        append,
    })?;
    Ok((id, ingested))
}

fn register(name: &str, path: &str) -> Result<Uuid> {
    access::check_writer("register datasets")?;
    dataset::check_name(name)?;
    let files = open(options::files_at(path, access::current_role())?)?;
    catalog::register(&Registration::of_files(name, path, &files)?)
}

fn drop(name: &str) -> Result<()> {
    access::check_writer("drop datasets")?;
    if catalog::drop(name)? { Ok(()) } else { Err(Error::NoDataset { name: name.to_owned() }) }
}

fn schema(path: &str) -> Result<Vec<(String, SchemaElement)>> {
    let files = options::files_at(path, access::current_role())?;
    start_engine()?;
    let per_file = job::run(
        "lagoon metadata",
        || {},
        move |_| {
            let one = |file: &PathBuf| {
                let uri = file.to_string_lossy().into_owned();
                let elements = metadata::schema(file)?;
                Ok(elements.into_iter().map(|element| (uri.clone(), element)).collect::<Vec<_>>())
            };
            files.iter().map(one).collect::<Result<Vec<_>>>()
        },
    )?;
    Ok(per_file.into_iter().flatten().collect())
}
