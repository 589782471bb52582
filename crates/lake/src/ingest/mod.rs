//! CSV to Parquet: one pass to learn the types, one to write, memory bounded by one row group.
//!
//! Rules:
//! * The dialect is that of PostgreSQL's COPY; see [`record`]. The delimiter is found out if nobody says it; see [`dialect`].
//! * The types come from the whole file, or from its first `sample_rows` rows; see [`infer`]. Text on any doubt.
//! * A field that is not quoted and empty (or equal to the option `null`) is NULL.
//! * A row that contradicts its column's type, has another number of fields, is not UTF-8 or holds a zero byte is an error
//!   that names the row (the first data row is 1), and nothing is left behind.
//! * The output is written under a temporary name, and named by its content when it is whole and on the disk: see
//!   [`Written`]. The writer is deterministic: the same input gives the same file, and if that exists already, nothing is
//!   left of the second one.
//! * A row group in the making, 192 MB at most, and about eight times the largest row (128 MB at most) are in memory. What
//!   Arrow and Parquet are going to allocate is asked for beforehand in a way that may fail.

mod dialect;
mod encode;
pub mod infer;
mod options;
mod output;
mod read;
mod record;
mod source;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::datatypes::{Field, Schema};

use crate::dataset;
use crate::error::{Error, Result};
use crate::schema::Column;
use crate::source::Location;
use crate::types::ColumnType;
use crate::types::field::Problem;
use encode::Encoder;
pub use options::Options;
use output::Output;
pub use output::{Ingested, TEMPORARY, Written};
use read::Reader;
use record::{Record, check_memory};
pub use source::Source;

/// Rows that are parsed before they go to the writer.
const BATCH_ROWS: usize = 8192;
/// Bytes of fields that are parsed before they go to the writer.
const BATCH_BYTES: usize = 8 << 20;
/// Copies of a value that Arrow and Parquet make while they encode it: array, page, dictionary, statistics, compressor.
const COPIES: usize = 6;
/// What they allocate besides.
const WORKING_MEMORY: usize = 32 << 20;
/// Columns with a value of more bytes than this have no dictionary.
const LARGE_VALUE: usize = 1 << 20;

/// What the first pass learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    pub columns: Vec<Column>,
    pub fingerprint: String,
    /// Which columns have large values.
    large: Vec<bool>,
}

/// The first pass: the columns of `source`. Blocks; `cancel` stops it soon, with [`Error::Canceled`].
pub fn learn(source: &Source, options: &Options, cancel: &AtomicBool) -> Result<Learnt> {
    let (columns, large) = infer_columns(source, options, cancel)?;
    let fingerprint = dataset::fingerprint(&columns);
    Ok(Learnt { columns, fingerprint, large })
}

/// The second pass: turns `source` into a Parquet file in `folder` that has no name of its own yet. Blocks; `cancel` stops
/// it soon; `progress` counts the rows that are written.
pub fn write(
    source: &Source,
    folder: &Path,
    options: &Options,
    learnt: &Learnt,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<Written> {
    let mut output = Output::create(folder, cancel)?;
    let rows = write_rows(source, options, learnt, &mut output, cancel, progress);
    // However an interrupted write may have been reported on its way through the writer:
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Canceled);
    }
    let rows = rows?;
    source.check_unchanged()?;
    Ok(output.finish(rows))
}

fn infer_columns(source: &Source, options: &Options, cancel: &AtomicBool) -> Result<(Vec<Column>, Vec<bool>)> {
    let mut reader = Reader::open(source, options, cancel)?;
    let names = reader.names().to_vec();
    if let Some(stranger) = options.types.keys().find(|name| !names.contains(name)) {
        return Err(Error::BadValue {
            what: "option \"types\"".to_owned(),
            message: format!("there is no column \"{stranger}\""),
            hint: Some(format!("Columns are: {}.", names.join(", "))),
        });
    }
    let given = |name: &String| options.types.get(name).map(|ty| ty.parse::<ColumnType>()).transpose();
    let given = names.iter().map(given).collect::<Result<Vec<_>>>()?;
    let mut guesses = vec![infer::Guess::default(); names.len()];
    let mut large = vec![false; names.len()];
    let mut row = Record::default();
    while (options.sample_rows == 0 || reader.row() < options.sample_rows) && reader.next(&mut row)? {
        for (((guess, large), given), field) in guesses.iter_mut().zip(&mut large).zip(&given).zip(row.fields()) {
            *large |= field.bytes.len() > LARGE_VALUE;
            if given.is_none() && !field.is(&options.null) {
                guess.see(field.bytes);
            }
        }
    }
    let column = |((name, given), guess): ((String, Option<ColumnType>), infer::Guess)| Column {
        name,
        ty: Ok(given.unwrap_or_else(|| guess.decide())),
        nullable: true,
        trust: Default::default(),
    };
    Ok((names.into_iter().zip(given).zip(guesses).map(column).collect(), large))
}

fn write_rows(
    source: &Source,
    options: &Options,
    learnt: &Learnt,
    output: &mut Output<'_>,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<u64> {
    let columns = &learnt.columns;
    let types = columns.iter().map(|column| column.ty.clone().map_err(Error::internal)).collect::<Result<Vec<_>>>()?;
    let fields: Vec<_> =
        columns.iter().zip(&types).map(|(column, ty)| Field::new(&column.name, ty.written(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let path = output.path().display().to_string();
    let failed = |error: parquet::errors::ParquetError| match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => Error::io("write", &path, &error),
            Err(other) => Error::internal(other),
        },
        other => Error::Io { action: "write", path: path.clone(), message: other.to_string() },
    };
    let mut encoder = Encoder::new(&mut *output, schema, &learnt.large, cancel).map_err(failed)?;
    let mut builders: Vec<_> = types.iter().map(ColumnType::builder).collect();
    let mut reader = Reader::open(source, options, cancel)?;
    let mut row = Record::default();
    let (mut pending, mut pending_bytes) = (0usize, 0usize);
    loop {
        let more = reader.next(&mut row)?;
        if more {
            if row.size() >= BATCH_BYTES {
                check_memory(row.size().saturating_mul(2))?;
            }
            for ((builder, column), field) in builders.iter_mut().zip(columns).zip(row.fields()) {
                let value = (!field.is(&options.null)).then_some(field.bytes);
                builder.push(value).map_err(|problem| field_error(problem, source.location(), reader.row(), column))?;
            }
            pending += 1;
            pending_bytes += row.size();
        }
        if pending == BATCH_ROWS || pending_bytes >= BATCH_BYTES || (!more && pending > 0) {
            check_memory(pending_bytes.saturating_mul(COPIES).saturating_add(WORKING_MEMORY))?;
            let arrays: Vec<_> = builders.iter_mut().map(|builder| builder.finish()).collect();
            encoder.write(&arrays).map_err(failed)?;
            progress.fetch_add(pending as u64, Ordering::Relaxed);
            (pending, pending_bytes) = (0, 0);
        }
        if !more {
            break;
        }
    }
    encoder.close().map_err(failed)?;
    Ok(reader.row())
}

/// The error of a field that did not become a value.
fn field_error(problem: Problem, source: &Location, row: u64, column: &Column) -> Error {
    let (path, name) = (source.to_string(), column.name.clone());
    match problem {
        Problem::Text(message) => Error::CsvText { path, row, column: name, message: message.to_owned() },
        Problem::Value(value) => {
            let ty = column.ty.as_ref().map_or_else(Clone::clone, ToString::to_string);
            Error::CsvValue { path, row, column: name, ty, value }
        }
    }
}

#[cfg(test)]
mod tests;
