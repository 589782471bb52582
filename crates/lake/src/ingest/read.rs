//! Rows of a CSV file, and the names of its columns.

use std::sync::atomic::{AtomicBool, Ordering};

use super::options::Options;
use super::record::{Record, Records};
use super::source::Source;
use crate::error::{Error, Result};
use crate::schema;

/// PostgreSQL's MaxHeapAttributeNumber.
const MOST_COLUMNS: usize = 1600;
/// Rows between two looks at the cancel flag.
const CHECK_ROWS: u64 = 256;

pub(super) struct Reader<'a> {
    records: Records<'a>,
    cancel: &'a AtomicBool,
    names: Vec<String>,
    first: Option<Record>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(source: &'a Source, options: &Options, cancel: &'a AtomicBool) -> Result<Self> {
        source.check_text()?;
        let dialect = options.dialect(source, cancel)?;
        let mut records = Records::new(source, dialect, options.header, cancel)?;
        let mut first = Record::default();
        if !records.next(&mut first, MOST_COLUMNS)? {
            return Err(records.malformed("the file has no rows, so there are no columns", None));
        }
        if !options.header {
            let names = (1..=first.len()).map(|i| format!("column{i}")).collect();
            return Ok(Self { records, cancel, names, first: Some(first) });
        }
        if first.is_blank() {
            let hint = "Set the option header to false if the first line does not hold column names.".to_owned();
            return Err(records.malformed("the line is empty", Some(hint)));
        }
        let names = names(&first, source)?;
        Ok(Self { records, cancel, names, first: None })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows read so far; the number of the last one.
    pub(super) fn row(&self) -> u64 {
        if self.first.is_some() { 0 } else { self.records.row() }
    }

    /// Reads the next row; false at the end.
    pub(super) fn next(&mut self, row: &mut Record) -> Result<bool> {
        if let Some(first) = self.first.take() {
            *row = first;
            return Ok(true);
        }
        if self.records.row().is_multiple_of(CHECK_ROWS) && self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Canceled);
        }
        if !self.records.next(row, self.names.len())? {
            return Ok(false);
        }
        if row.len() < self.names.len() {
            let message = match row.is_blank() {
                true => format!("an empty line has 1 field, not {}", self.names.len()),
                false => format!("it has {} fields, not {}", row.len(), self.names.len()),
            };
            return Err(self.records.ragged(&message));
        }
        Ok(true)
    }
}

fn names(header: &Record, source: &Source) -> Result<Vec<String>> {
    let path = source.location().to_string();
    let mut names = Vec::with_capacity(header.len());
    let mut seen = std::collections::HashSet::new();
    for (i, field) in header.fields().enumerate() {
        let column = format!("column{}", i + 1);
        let text = std::str::from_utf8(field.bytes).map_err(|_| Error::CsvText {
            path: path.clone(),
            row: 0,
            column: column.clone(),
            message: "it is not UTF-8".to_owned(),
        })?;
        let name = match text.trim() {
            "" => column,
            name => name.to_owned(),
        };
        schema::check_name(&path, &name)?;
        if !seen.insert(name.clone()) {
            return Err(Error::DuplicateColumn { path: path.clone(), column: name });
        }
        names.push(name);
    }
    Ok(names)
}
