//! Rows of a CSV file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::Options;
use crate::error::{Error, Result};

const BUFFER: usize = 1 << 18;
/// PostgreSQL's NAMEDATALEN - 1: a longer name would be cut and could meet another.
const LONGEST_NAME: usize = 63;
/// PostgreSQL's MaxHeapAttributeNumber.
const MOST_COLUMNS: usize = 1600;
/// Rows between two looks at the cancel flag.
const CHECK_ROWS: u64 = 256;

/// The fields of one row.
#[derive(Default)]
pub(super) struct Row(ByteRecord);

impl Row {
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.as_slice().len()
    }
}

pub(super) struct Reader {
    csv: csv::Reader<File>,
    path: PathBuf,
    names: Vec<String>,
    row: u64,
    first: Option<ByteRecord>,
}

impl Reader {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            let message = "not a regular file".to_owned();
            return Err(Error::Io { action: "read", path: path.to_owned(), message });
        }
        let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b',');
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(byte(options.delimiter))
            .quote(byte(options.quote))
            .escape(options.escape.filter(|escape| *escape != options.quote).map(byte))
            .buffer_capacity(BUFFER)
            .from_reader(file);
        let mut reader = Self { csv, path: path.to_owned(), names: Vec::new(), row: 0, first: None };
        let mut first = ByteRecord::new();
        let any = reader.csv.read_byte_record(&mut first).map_err(|error| reader.failed(error, 0))?;
        if !any || first.is_empty() {
            return Err(reader.malformed(0, "the file has no rows, so there are no columns"));
        }
        if first.len() > MOST_COLUMNS {
            return Err(reader.malformed(0, &format!("{} columns are more than {MOST_COLUMNS}", first.len())));
        }
        if options.header {
            for (i, field) in first.iter().enumerate() {
                let name = std::str::from_utf8(field)
                    .ok()
                    .filter(|name| !name.contains('\0'))
                    .ok_or_else(|| reader.malformed(0, "a column name is not valid UTF-8"))?
                    .trim();
                let name = if name.is_empty() { format!("column{}", i + 1) } else { name.to_owned() };
                if name.len() > LONGEST_NAME {
                    return Err(reader.malformed(0, &format!("column name \"{name}\" is longer than 63 bytes")));
                }
                if reader.names.contains(&name) {
                    return Err(Error::DuplicateColumn { path: path.to_owned(), column: name });
                }
                reader.names.push(name);
            }
        } else {
            reader.names = (1..=first.len()).map(|i| format!("column{i}")).collect();
            reader.first = Some(first);
        }
        Ok(reader)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows read so far; the number of the last one.
    pub(super) fn row(&self) -> u64 {
        self.row
    }

    /// Reads the next row; false at the end.
    pub(super) fn next(&mut self, row: &mut Row, cancel: &AtomicBool) -> Result<bool> {
        if self.row.is_multiple_of(CHECK_ROWS) && cancel.load(Ordering::Relaxed) {
            return Err(Error::Canceled);
        }
        if let Some(first) = self.first.take() {
            row.0 = first;
            self.row = 1;
            return Ok(true);
        }
        let more = self.csv.read_byte_record(&mut row.0).map_err(|error| self.failed(error, self.row + 1))?;
        self.row += u64::from(more);
        Ok(more)
    }

    fn malformed(&self, row: u64, message: &str) -> Error {
        Error::CsvFormat { path: self.path.clone(), row, message: message.to_owned() }
    }

    fn failed(&self, error: csv::Error, row: u64) -> Error {
        let shown = error.to_string();
        match error.into_kind() {
            ErrorKind::Io(error) => Error::io("read", &self.path, &error),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                self.malformed(row, &format!("it has {len} fields, not {expected_len}"))
            }
            _ => self.malformed(row, &shown),
        }
    }
}
