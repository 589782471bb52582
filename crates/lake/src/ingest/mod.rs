//! CSV to Parquet: one pass to learn the types, one to write, memory bounded by one row group.
//!
//! Rules:
//! * The types come from the whole file, or from its first `sample_rows` rows; see [`infer`]. Text on any doubt.
//! * An empty field (or one equal to the option `null`) is NULL, quoted or not.
//! * A row that contradicts its column's type, has another number of fields, is not UTF-8 or holds a zero byte is an error
//!   that names the row (the first data row is 1), and nothing is left behind.
//! * The output is `<directory>/<name>/<fingerprint>/<content hash>.parquet`. It is written under a temporary name in that
//!   folder, synced, renamed, and the folder synced. The writer is deterministic: the same input gives the same file, and
//!   if that exists already, nothing is written.

mod build;
pub mod infer;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Deserialize;

use crate::dataset;
use crate::error::{Error, Result};
use crate::schema::{Column, ColumnType};
use build::Builder;
use read::{Reader, Row};

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// A row group is closed when it holds this many encoded bytes.
const ROW_GROUP_BYTES: usize = 48 << 20;
/// Rows that are parsed before they go to the writer.
const BATCH_ROWS: usize = 8192;
/// Bytes of text that are parsed before they go to the writer.
const BATCH_BYTES: usize = 8 << 20;

/// How to read the source. Field names are the keys of the SQL function's `options`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// `csv`, the only one of this version.
    pub format: String,
    /// One byte.
    pub delimiter: char,
    /// One byte.
    pub quote: char,
    /// One byte; absent: a doubled quote stands for one.
    pub escape: Option<char>,
    /// Whether the first row holds the names.
    pub header: bool,
    /// What stands for NULL.
    pub null: String,
    /// Rows that the types are learnt from; 0: all.
    pub sample_rows: u64,
    /// Types by column name, instead of what is learnt.
    pub types: std::collections::BTreeMap<String, String>,
    /// Whether the dataset is to have this file only, instead of this one too. For the caller; the file is the same.
    pub replace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: "csv".to_owned(),
            delimiter: ',',
            quote: '"',
            escape: None,
            header: true,
            null: String::new(),
            sample_rows: 0,
            types: Default::default(),
            replace: false,
        }
    }
}

impl Options {
    /// From the JSON of the SQL function.
    pub fn parse(json: &str) -> Result<Self> {
        let options: Self = serde_json::from_str(json).map_err(|error| Error::BadValue {
            what: "options".to_owned(),
            message: error.to_string(),
            hint: Some(
                "Valid keys are: format, delimiter, quote, escape, header, null, sample_rows, types, replace."
                    .to_owned(),
            ),
        })?;
        if options.format != "csv" {
            return Err(Error::BadValue {
                what: "option \"format\"".to_owned(),
                message: format!("\"{}\" is not supported", options.format),
                hint: Some("Only csv is.".to_owned()),
            });
        }
        for (name, value) in
            [("delimiter", Some(options.delimiter)), ("quote", Some(options.quote)), ("escape", options.escape)]
        {
            if value.is_some_and(|value| !value.is_ascii() || matches!(value, '\n' | '\r' | '\0')) {
                return Err(Error::BadValue {
                    what: format!("option \"{name}\""),
                    message: "it must be one ASCII character, not a line end".to_owned(),
                    hint: None,
                });
            }
        }
        if options.delimiter == options.quote {
            return Err(Error::BadValue {
                what: "option \"quote\"".to_owned(),
                message: "it must differ from the delimiter".to_owned(),
                hint: None,
            });
        }
        Ok(options)
    }
}

/// What the first pass learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    pub columns: Vec<Column>,
    pub fingerprint: String,
}

/// What the second pass makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    pub file: PathBuf,
    pub rows: u64,
    pub bytes: u64,
    /// Whether the file was there already.
    pub existed: bool,
}

/// The first pass: the columns of `source`. Blocks; `cancel` stops it soon, with [`Error::Canceled`].
pub fn learn(source: &Path, options: &Options, cancel: &AtomicBool) -> Result<Learnt> {
    let columns = infer_columns(source, options, cancel)?;
    let fingerprint = dataset::fingerprint(&columns);
    Ok(Learnt { columns, fingerprint })
}

/// The second pass: turns `source` into a Parquet file of dataset `name` under `directory`. Blocks; `cancel` stops it soon;
/// `progress` counts the rows that are written.
pub fn run(
    name: &str,
    source: &Path,
    directory: &Path,
    options: &Options,
    learnt: &Learnt,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<Ingested> {
    dataset::check_name(name)?;
    let folder = dataset::folder(directory, name, &learnt.fingerprint);
    make_folder(&folder)?;
    let mut output = Output::create(&folder)?;
    let rows = write(source, options, &learnt.columns, &mut output, cancel, progress)?;
    let (file, bytes, existed) = output.publish(&folder)?;
    Ok(Ingested { file, rows, bytes, existed })
}

fn infer_columns(source: &Path, options: &Options, cancel: &AtomicBool) -> Result<Vec<Column>> {
    let mut reader = Reader::open(source, options)?;
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
    let mut row = Row::default();
    while (options.sample_rows == 0 || reader.row() < options.sample_rows) && reader.next(&mut row, cancel)? {
        for ((guess, given), field) in guesses.iter_mut().zip(&given).zip(row.fields()) {
            if given.is_none() && field != options.null.as_bytes() {
                guess.see(field);
            }
        }
    }
    let column = |((name, given), guess): ((String, Option<ColumnType>), infer::Guess)| Column {
        name,
        ty: Ok(given.unwrap_or_else(|| guess.decide())),
        nullable: true,
        exact: true,
    };
    Ok(names.into_iter().zip(given).zip(guesses).map(column).collect())
}

fn write(
    source: &Path,
    options: &Options,
    columns: &[Column],
    output: &mut Output,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<u64> {
    let types = columns.iter().map(|column| column.ty.clone().map_err(Error::internal)).collect::<Result<Vec<_>>>()?;
    let fields: Vec<_> =
        columns.iter().zip(&types).map(|(column, ty)| Field::new(&column.name, stored(ty), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let path = output.temporary.clone();
    let failed = |error: parquet::errors::ParquetError| match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => Error::io("write", &path, &error),
            Err(other) => Error::internal(other),
        },
        other => Error::Io { action: "write", path: path.clone(), message: other.to_string() },
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by("lagoon ingest 1".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(&mut output.sink, schema.clone(), Some(properties)).map_err(failed)?;
    let mut builders: Vec<Builder> = types.iter().map(Builder::new).collect();
    let mut reader = Reader::open(source, options)?;
    let mut row = Row::default();
    let (mut pending, mut pending_bytes) = (0usize, 0usize);
    loop {
        let more = reader.next(&mut row, cancel)?;
        if more {
            for ((builder, column), field) in builders.iter_mut().zip(columns).zip(row.fields()) {
                let value = (field != options.null.as_bytes()).then_some(field);
                builder.push(value).map_err(|problem| problem.at(source, reader.row(), column))?;
            }
            pending += 1;
            pending_bytes += row.bytes();
        }
        if pending == BATCH_ROWS || pending_bytes >= BATCH_BYTES || (!more && pending > 0) {
            let arrays = builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>>>()?;
            let batch = arrow::array::RecordBatch::try_new(schema.clone(), arrays).map_err(Error::internal)?;
            writer.write(&batch).map_err(failed)?;
            if writer.in_progress_size() >= ROW_GROUP_BYTES {
                writer.flush().map_err(failed)?;
            }
            progress.fetch_add(pending as u64, Ordering::Relaxed);
            (pending, pending_bytes) = (0, 0);
        }
        if !more {
            break;
        }
    }
    writer.close().map_err(failed)?;
    Ok(reader.row())
}

/// The Arrow type that is written: plain strings, else what is read back.
fn stored(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.arrow(),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The file: temporary until it is whole.

fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|error| Error::io("create directory", folder, &error))?;
    // A new folder lasts only once the one above it is synced.
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io("sync directory", folder, &error))
}

struct Output {
    temporary: PathBuf,
    sink: HashingFile,
    published: bool,
}

struct HashingFile {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output {
    fn create(folder: &Path) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".ingest-{}-{serial}.tmp", std::process::id()));
        let _ = fs::remove_file(&temporary); // left by a crashed process of the same id
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| Error::io("create", &temporary, &error))?;
        Ok(Self { temporary, sink: HashingFile { file, hasher: blake3::Hasher::new(), bytes: 0 }, published: false })
    }

    /// Gives the file its name: path, size and whether it was there already.
    fn publish(mut self, folder: &Path) -> Result<(PathBuf, u64, bool)> {
        let hash = self.sink.hasher.finalize().to_hex();
        let file = folder.join(format!("{}.parquet", &hash[..32]));
        let bytes = self.sink.bytes;
        if fs::metadata(&file).is_ok_and(|found| found.len() == bytes) {
            return Ok((file, bytes, true));
        }
        self.sink.file.sync_all().map_err(|error| Error::io("sync", &self.temporary, &error))?;
        fs::rename(&self.temporary, &file).map_err(|error| Error::io("rename", &self.temporary, &error))?;
        self.published = true;
        sync_folder(folder)?;
        Ok((file, bytes, false))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.temporary); // nothing half-written stays; a leftover is replaced or collected
        }
    }
}

#[cfg(test)]
mod tests;
