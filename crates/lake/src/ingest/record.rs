//! Records of a CSV file, in the dialect of PostgreSQL's COPY:
//!
//! * A quote may begin and end anywhere in a field. Within quotes the escape (by default the quote itself) makes the next
//!   escape or quote a plain character. A quote that is never closed is an error.
//! * The first line end that stands outside of quotes (LF, CR or CRLF) is the line end of the file; another one outside of
//!   quotes is an error. A line without anything is a record of one empty field; only the end of the file is no record.
//! * A field is told from NULL by whether it was quoted.
//! * Unlike COPY before PostgreSQL 18, `\.` alone on a line is data: it would end the file there without a word. A byte
//!   order mark of UTF-8 at the beginning is no data.

use std::sync::atomic::{AtomicBool, Ordering};

use super::source::Source;
use crate::error::{Error, Result};

/// Bytes that are read at once, and that are parsed between two looks at the cancel flag.
const BUFFER: usize = 1 << 18;
/// Bytes of a record. Arrow and Parquet take several times as much while they encode it, and cannot be interrupted then.
pub(super) const MOST_RECORD_BYTES: usize = 128 << 20;
/// A buffer of more than this is given back after the record that needed it.
const KEPT_RECORD_BYTES: usize = 8 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Three characters that mean something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: u8,
    /// The quote itself where there is no other.
    pub escape: u8,
}

/// The fields of one record.
#[derive(Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    /// Where each field ends, and whether any of it was quoted.
    ends: Vec<(usize, bool)>,
}

/// One field, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub bytes: &'a [u8],
    pub quoted: bool,
}

impl Field<'_> {
    pub(super) fn is(&self, null: &str) -> bool {
        !self.quoted && self.bytes == null.as_bytes()
    }
}

impl Record {
    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).map(|(start, (end, quoted))| Field { bytes: &self.bytes[start..*end], quoted: *quoted })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of its fields, and something for each of them.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 8 * self.ends.len()
    }

    /// An empty line, or a line of one empty pair of quotes.
    pub(super) fn is_blank(&self) -> bool {
        self.bytes.is_empty() && self.ends.len() == 1
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > KEPT_RECORD_BYTES {
            self.bytes = Vec::new();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Lf,
    Cr,
    CrLf,
}

pub(super) struct Records<'a> {
    source: &'a Source,
    cancel: &'a AtomicBool,
    dialect: Dialect,
    /// Where reading stops, and where in the file the buffer ends.
    end: u64,
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    line_end: Option<LineEnd>,
    /// Records so far; whether the first one is not counted.
    count: u64,
    header: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(source: &'a Source, dialect: Dialect, header: bool, cancel: &'a AtomicBool) -> Result<Self> {
        let (end, buffer) = (source.size(), Vec::new());
        let mut records =
            Self { source, cancel, dialect, end, offset: 0, buffer, at: 0, line_end: None, count: 0, header };
        records.fill()?;
        if records.buffer.starts_with(BYTE_ORDER_MARK) {
            records.at = BYTE_ORDER_MARK.len();
        }
        Ok(records)
    }

    /// Reads the first `bytes` bytes only.
    pub(super) fn within(mut self, bytes: u64) -> Self {
        self.end = self.end.min(bytes);
        self
    }

    /// Whether there is nothing behind the last record.
    pub(super) fn at_end(&self) -> bool {
        self.at == self.buffer.len() && self.offset >= self.end
    }

    /// The number of the last row read, from 1; 0 for the header.
    pub(super) fn row(&self) -> u64 {
        self.count.saturating_sub(u64::from(self.header))
    }

    /// Reads the next record, of no more than `most` fields; false at the end.
    pub(super) fn next(&mut self, record: &mut Record, most: usize) -> Result<bool> {
        record.clear();
        let first = self.count == 0;
        if self.at == self.buffer.len() && !self.fill()? {
            return Ok(false);
        }
        self.count += 1;
        let Dialect { delimiter, quote, escape } = self.dialect;
        let (mut within, mut quoted) = (false, false);
        loop {
            if self.at == self.buffer.len() && !self.fill()? {
                if within {
                    return Err(self.malformed("a quoted field does not end", None));
                }
                self.end_field(record, quoted, most, first)?;
                return Ok(true);
            }
            let rest = &self.buffer[self.at..];
            let special = |c: &u8| match within {
                true => *c == quote || *c == escape,
                false => *c == delimiter || *c == quote || matches!(*c, b'\n' | b'\r'),
            };
            let plain = rest.iter().position(special).unwrap_or(rest.len());
            self.append(record, self.at..self.at + plain)?;
            self.at += plain;
            let Some(c) = self.buffer.get(self.at).copied() else { continue };
            if within {
                let next = if c == escape { self.peek()? } else { None };
                if next.is_some_and(|next| next == escape || next == quote) {
                    self.at += 1;
                    self.append(record, self.at..self.at + 1)?;
                } else if c == quote {
                    within = false;
                } else {
                    self.append(record, self.at..self.at + 1)?;
                }
                self.at += 1;
            } else if c == delimiter {
                self.end_field(record, quoted, most, first)?;
                quoted = false;
                self.at += 1;
            } else if c == quote {
                (within, quoted) = (true, true);
                self.at += 1;
            } else {
                self.at += self.line_end(c)?;
                self.end_field(record, quoted, most, first)?;
                return Ok(true);
            }
        }
    }

    /// Bytes of the line end that begins with `c`.
    fn line_end(&mut self, c: u8) -> Result<usize> {
        let has_newline = c == b'\r' && self.line_end != Some(LineEnd::Cr) && self.peek()? == Some(b'\n');
        let found = match c {
            b'\n' => LineEnd::Lf,
            _ if has_newline => LineEnd::CrLf,
            _ => LineEnd::Cr,
        };
        if *self.line_end.get_or_insert(found) == found {
            return Ok(if has_newline { 2 } else { 1 });
        }
        let what = if c == b'\n' { "newline" } else { "carriage return" };
        let message = format!("an unquoted {what} that is not the line end of the file");
        Err(self.malformed(&message, Some("Quote fields that hold line ends, and end all lines alike.".to_owned())))
    }

    /// The byte behind the current one.
    fn peek(&mut self) -> Result<Option<u8>> {
        if self.at + 1 == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at + 1).copied())
    }

    /// Reads on, behind what is not parsed yet (one byte at most); false if there is nothing more.
    fn fill(&mut self) -> Result<bool> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Canceled);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let kept = self.buffer.len();
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let room = BUFFER.min(left);
        self.buffer.try_reserve(room).map_err(|_| out_of_memory(room))?;
        self.buffer.resize(kept + room, 0);
        let count = self.source.read_at(&mut self.buffer[kept..], self.offset);
        self.buffer.truncate(kept + count.as_ref().copied().unwrap_or(0));
        self.offset += count.as_ref().copied().unwrap_or(0) as u64;
        Ok(count? > 0)
    }

    fn append(&self, record: &mut Record, range: std::ops::Range<usize>) -> Result<()> {
        let bytes = &self.buffer[range];
        let length = record.bytes.len() + bytes.len();
        if length > MOST_RECORD_BYTES {
            return Err(self.too_large(format!("is larger than {} MB", MOST_RECORD_BYTES >> 20)));
        }
        record.bytes.try_reserve(bytes.len()).map_err(|_| out_of_memory(length))?;
        record.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end_field(&self, record: &mut Record, quoted: bool, most: usize, first: bool) -> Result<()> {
        if record.ends.len() == most {
            return Err(match first {
                true => self.too_large(format!("has more than {most} columns")),
                false => self.ragged(&format!("it has more than {most} fields")),
            });
        }
        record.ends.try_reserve(1).map_err(|_| out_of_memory(record.ends.len()))?;
        record.ends.push((record.bytes.len(), quoted));
        Ok(())
    }

    pub(super) fn ragged(&self, message: &str) -> Error {
        let delimiter = char::from(self.dialect.delimiter).escape_default();
        self.malformed(
            message,
            Some(format!("The delimiter is \"{delimiter}\"; set another with the option delimiter.")),
        )
    }

    pub(super) fn malformed(&self, message: &str, hint: Option<String>) -> Error {
        let (path, message) = (self.source.location().to_string(), message.to_owned());
        Error::CsvFormat { path, row: self.row(), message, hint }
    }

    fn too_large(&self, how: String) -> Error {
        Error::CsvTooLarge { path: self.source.location().to_string(), row: self.row(), how }
    }
}

/// Asks for memory that Arrow and Parquet are going to ask for in a way that cannot fail, and gives it back: so a lack of
/// it is an error of the statement and not the end of the process.
pub(super) fn check_memory(bytes: usize) -> Result<()> {
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| out_of_memory(bytes))
}

fn out_of_memory(bytes: usize) -> Error {
    Error::Memory { message: format!("could not allocate {bytes} bytes") }
}
