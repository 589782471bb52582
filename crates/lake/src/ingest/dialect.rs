//! Which character separates the fields, where nobody has said it.

use std::sync::atomic::AtomicBool;

use super::options::Options;
use super::record::{Dialect, Record, Records};
use super::source::Source;
use crate::error::{Error, Result};

/// In the order of preference.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What is looked at, of the beginning of the file.
const SAMPLE_BYTES: u64 = 1 << 20;
const SAMPLE_RECORDS: usize = 100;
/// Fields beyond which there is no point in counting.
const MOST_FIELDS: usize = 1 << 16;

/// How a candidate divides the sample.
struct Trial {
    delimiter: u8,
    /// Whether all records have as many fields as the first.
    even: bool,
}

impl Options {
    /// The dialect of a source. A delimiter that is not given is the one among comma, semicolon, tab and vertical bar that
    /// stands in the first line; of several, the one by which the beginning of the file has as many fields in each line.
    pub(super) fn dialect(&self, source: &Source, cancel: &AtomicBool) -> Result<Dialect> {
        let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b',');
        let (quote, escape) = (byte(self.quote), byte(self.escape.unwrap_or(self.quote)));
        let dialect = |delimiter| Dialect { delimiter, quote, escape };
        if let Some(delimiter) = self.delimiter {
            return Ok(dialect(byte(delimiter)));
        }
        let mut trials = Vec::new();
        for delimiter in CANDIDATES.into_iter().filter(|candidate| *candidate != quote) {
            trials.extend(attempt(source, dialect(delimiter), cancel)?);
        }
        let even: Vec<_> = trials.iter().filter(|trial| trial.even).collect();
        match (trials.as_slice(), even.as_slice()) {
            ([], _) => Ok(dialect(CANDIDATES[0])),
            ([only], _) => Ok(dialect(only.delimiter)),
            (_, [only]) => Ok(dialect(only.delimiter)),
            _ => {
                let shown = |trial: &Trial| format!("\"{}\"", char::from(trial.delimiter).escape_default());
                let shown: Vec<_> = trials.iter().map(shown).collect();
                Err(Error::CsvFormat {
                    path: source.location().to_string(),
                    row: u64::from(!self.header),
                    message: format!("the delimiter could be {}", shown.join(" or ")),
                    hint: Some("Name it with the option delimiter, for example {\"delimiter\": \",\"}.".to_owned()),
                })
            }
        }
    }
}

/// `None` if the delimiter does not stand in the first record.
fn attempt(source: &Source, dialect: Dialect, cancel: &AtomicBool) -> Result<Option<Trial>> {
    let mut records = Records::new(source, dialect, true, cancel)?.within(SAMPLE_BYTES);
    let cut = source.size() > SAMPLE_BYTES;
    let mut record = Record::default();
    let mut first = 0;
    for _ in 0..SAMPLE_RECORDS {
        match records.next(&mut record, MOST_FIELDS) {
            Err(Error::Canceled) => return Err(Error::Canceled),
            // What is malformed is so whatever the delimiter is, and is reported when it is read.
            Err(_) | Ok(false) => break,
            Ok(true) if cut && records.at_end() => break,
            Ok(true) if first == 0 && record.len() < 2 => return Ok(None),
            Ok(true) if first == 0 => first = record.len(),
            Ok(true) if record.len() == first || record.is_blank() => {}
            Ok(true) => return Ok(Some(Trial { delimiter: dialect.delimiter, even: false })),
        }
    }
    Ok((first > 0).then_some(Trial { delimiter: dialect.delimiter, even: true }))
}
