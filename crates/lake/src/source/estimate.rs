//! What footers let a planner guess of a column: how many NULLs and different values it has, between which bounds, and how
//! long its values are.
//!
//! Only plans depend on it, never answers. Some files stand for the others of a large table, so the work is bounded.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::cache;
use super::facts::{FileFacts, Part, merged, share, spread};
use super::files::DataFile;
use super::footer::unpanicked;
use super::table::TableColumn;
use crate::error::{Error, Result};
use crate::types;

/// Files that stand for all of a table.
const MOST_FILES: usize = 32;
/// Of a column whose writer gave up the dictionary, and whose range says nothing, one value in so many is taken for new.
const REPETITION: f64 = 10.0;
/// A guess about a column of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The share of rows without a value.
    pub null_fraction: Option<f64>,
    /// Different values, of all rows.
    pub distinct: Option<f64>,
    /// Bytes of a text or bytea on average.
    pub width: Option<f64>,
    /// From the least to the greatest value, in the Arrow type of the column: one where they are the same, else two or more, in
    /// equal distances where values have such. All between is as frequent as far as footers know.
    pub bounds: Option<ArrayRef>,
    /// Whether least and greatest are values of the column, and not only around them.
    pub exact: bool,
}

/// What the footers of some files of a table say.
#[derive(Clone, Debug)]
pub struct Facts {
    files: Vec<Arc<FileFacts>>,
    rows: u64,
}

/// What is known of some files, without any wait, if all of that is remembered; else [`read`] is to be called on a thread that
/// may block.
pub fn remembered(files: &[DataFile]) -> Option<Facts> {
    let known = spread(files, MOST_FILES).map(|file| cache::facts(&file.held.identity)).collect::<Option<_>>()?;
    Some(Facts { files: known, rows: rows(files) })
}

/// What is known of some files. Blocks where a footer is not remembered; `go_on` is asked before each file.
pub fn read(files: &[DataFile], go_on: &mut dyn FnMut() -> bool) -> Result<Facts> {
    let mut one = |file: &DataFile| {
        if let Some(known) = cache::facts(&file.held.identity) {
            return Ok(known);
        }
        if !go_on() {
            return Err(Error::Canceled);
        }
        let metadata = file.held.parsed(go_on)?;
        // Statistics that the parquet crate cannot digest are none.
        let facts = unpanicked(file.location(), || FileFacts::of(&file.footer, &metadata)).unwrap_or_default();
        Ok(cache::remember_facts(file.held.identity, facts))
    };
    let known = spread(files, MOST_FILES).map(&mut one).collect::<Result<_>>()?;
    Ok(Facts { files: known, rows: rows(files) })
}

/// Bytes of a column in the files, decompressed but encoded, for each row of the table.
pub fn bytes_per_row(files: &[DataFile], column: &str) -> f64 {
    let (mut bytes, mut rows) = (0.0, 0.0);
    for file in spread(files, MOST_FILES) {
        let at = file.footer.columns.iter().position(|other| other.name == column);
        bytes += at.and_then(|at| file.footer.column_bytes.get(at)).map_or(0.0, |bytes| *bytes as f64);
        rows += file.footer.rows as f64;
    }
    bytes / f64::max(rows, 1.0)
}

impl Facts {
    /// A guess about one column.
    pub fn column(&self, column: &TableColumn) -> Estimate {
        let parts: Vec<_> = self.files.iter().filter_map(|file| delivered(file, column)).collect();
        if parts.is_empty() {
            return Estimate::default();
        }
        let looked = parts.iter().map(|part| part.rows).fold(0, u64::saturating_add);
        let all = merged(&parts, share(self.rows, looked));
        let filled = 1.0 - all.null_fraction().unwrap_or(0.0);
        let rows = self.rows as f64 * filled;
        let range = all.bounds.as_ref().and_then(|(least, greatest)| range(least, greatest));
        let distinct = match (all.distinct, range) {
            (Some(distinct), Some(range)) => Some(distinct.min(range)),
            (Some(distinct), None) => Some(distinct),
            (None, Some(range)) => Some(range),
            (None, None) if all.has_many => Some(rows / REPETITION),
            (None, None) => None,
        };
        Estimate {
            null_fraction: all.null_fraction(),
            distinct: distinct.map(|distinct| distinct.min(rows).max(1.0)),
            width: all.bytes.filter(|_| all.filled() > 0.0).map(|bytes| bytes as f64 / all.filled()),
            exact: all.exact,
            bounds: all.bounds.and_then(|(least, greatest)| ScalarValue::iter_to_array(divided(least, greatest)).ok()),
        }
    }
}

/// What is known of a column in a file, with bounds as the table delivers them.
fn delivered(file: &FileFacts, column: &TableColumn) -> Option<Part> {
    let part = file.column(&column.name)?;
    let bounds = part.bounds.clone().and_then(|(least, greatest)| {
        let stored = ScalarValue::iter_to_array([least, greatest]).ok()?;
        let bounds = types::converted(&stored, &column.ty.arrow(), &column.name).ok()?;
        let value = |at| ScalarValue::try_from_array(&bounds, at).ok().filter(|value| !value.is_null());
        Some((value(0)?, value(1)?))
    });
    Some(Part { bounds, ..part.clone() })
}

/// A range in equal parts, if its values are whole numbers, else as a whole. A planner takes a hundredth of a bin for the least
/// that a condition can leave, so one bin alone is too coarse.
fn divided(least: ScalarValue, greatest: ScalarValue) -> Vec<ScalarValue> {
    const BINS: i128 = 100;
    let ty = least.data_type();
    let parts = || {
        let (low, high) = (place(&least)?, place(&greatest)?);
        let width = high.checked_sub(low).filter(|width| width.checked_mul(BINS).is_some())?;
        let mut numbers: Vec<_> = (0..=BINS).map(|i| low + width * i / BINS).collect();
        numbers.dedup();
        numbers.into_iter().map(|number| types::number(&ty, number)).collect::<Option<Vec<_>>>()
    };
    match parts() {
        _ if least == greatest => vec![least],
        Some(parts) if ty != DataType::Boolean => parts,
        _ => vec![least, greatest],
    }
}

/// How many values there can be between two of a type that counts; of true and false, two at most.
fn range(least: &ScalarValue, greatest: &ScalarValue) -> Option<f64> {
    let between = place(greatest)?.checked_sub(place(least)?)?;
    (between >= 0).then_some(between as f64 + 1.0)
}

/// The whole number that a value is.
fn place(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Boolean(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int16(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int64(Some(value))
        | ScalarValue::Time64Microsecond(Some(value))
        | ScalarValue::TimestampMicrosecond(Some(value), _) => Some(i128::from(*value)),
        ScalarValue::Decimal128(Some(value), ..) => Some(*value),
        _ => None,
    }
}

fn rows(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.footer.rows).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
