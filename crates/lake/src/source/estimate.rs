//! What footers let a planner guess of a column: how many NULLs and different values it has, between which bounds, and how
//! long its values are.
//!
//! Only plans depend on it, never answers: writers leave statistics out, cut texts, and count what they like. Some files stand
//! for the others of a large table, and some row groups for the others of a file, so the work is bounded.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::cache;
use super::files::DataFile;
use super::footer::unpanicked;
use super::table::TableColumn;
use crate::error::{Error, Result};
use crate::types;

/// Files that stand for all of a table, and row groups for all of a file.
const MOST_FILES: usize = 32;
const MOST_GROUPS: usize = 64;
/// Of a column whose writer gave up the dictionary, and whose range says nothing, one value in so many is taken for new.
const REPETITION: f64 = 10.0;
/// Bytes of the header of a dictionary page, about.
const PAGE_HEADER: f64 = 14.0;
/// By what a dictionary is taken to be compressed at most, and up to how many bytes not at all: its chunk as a whole may be much
/// more, where rows repeat.
const COMPRESSION: f64 = 3.0;
const UNCOMPRESSED: f64 = 256.0;

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
        let facts = unpanicked(file.location(), || FileFacts::of(file, &metadata)).unwrap_or_default();
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
        let parts: Vec<_> = self.files.iter().filter_map(|file| file.column(column)).collect();
        if parts.is_empty() {
            return Estimate::default();
        }
        let looked: u64 = parts.iter().map(|part| part.rows).sum();
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

/// What the footer of a file says of its columns.
#[derive(Debug, Default)]
pub(crate) struct FileFacts {
    columns: Vec<(String, Part)>,
}

impl FileFacts {
    fn of(file: &DataFile, metadata: &ParquetMetaData) -> Self {
        let footer = metadata.file_metadata();
        let descriptor = footer.schema_descr();
        let Ok(schema) = parquet_to_arrow_schema(descriptor, footer.key_value_metadata()) else {
            return Self::default();
        };
        let groups: Vec<_> = spread(metadata.row_groups(), MOST_GROUPS).collect();
        let looked: u64 = groups.iter().map(|group| group_rows(group)).sum();
        let share = share(file.footer.rows, looked);
        let roots = descriptor.root_schema().get_fields();
        let leaf_of = |root: usize| {
            let mut leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            roots.get(root).filter(|field| field.is_primitive()).and_then(|_| leaves.next())
        };
        let columns = file.footer.columns.iter().zip(schema.fields()).enumerate();
        let columns = columns.filter_map(|(root, (column, field))| {
            let leaf = leaf_of(root)?;
            let parts = parts(&groups, leaf, field, column.trust.order, metadata);
            Some((column.name.clone(), merged(&parts, share)))
        });
        Self { columns: columns.collect() }
    }

    /// A column as a table has it.
    fn column(&self, column: &TableColumn) -> Option<Part> {
        let (_, part) = self.columns.iter().find(|(name, _)| *name == column.name)?;
        let mut part = part.clone();
        part.bounds = part.bounds.and_then(|(least, greatest)| {
            let stored = ScalarValue::iter_to_array([least, greatest]).ok()?;
            let bounds = types::converted(&stored, &column.ty.arrow(), &column.name).ok()?;
            let value = |at| ScalarValue::try_from_array(&bounds, at).ok().filter(|value| !value.is_null());
            Some((value(0)?, value(1)?))
        });
        Some(part)
    }

    /// Bytes that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        let bounds = |part: &Part| part.bounds.as_ref().map_or(0, |(least, greatest)| least.size() + greatest.size());
        let column = |(name, part): &(String, Part)| size_of::<(String, Part)>() + name.len() + bounds(part);
        self.columns.iter().map(column).sum()
    }
}

/// What is known of a column in a row group, a file or a table.
#[derive(Clone, Debug, Default)]
struct Part {
    rows: u64,
    nulls: Option<u64>,
    /// Of values of variable length.
    bytes: Option<u64>,
    bounds: Option<(ScalarValue, ScalarValue)>,
    exact: bool,
    distinct: Option<f64>,
    /// Whether there were too many different values for a dictionary.
    has_many: bool,
}

impl Part {
    fn null_fraction(&self) -> Option<f64> {
        let nulls = self.nulls? as f64;
        Some((nulls / self.rows.max(1) as f64).min(1.0))
    }

    /// Rows with a value.
    fn filled(&self) -> f64 {
        self.rows.saturating_sub(self.nulls.unwrap_or(0)) as f64
    }
}

/// What is known of a column in row groups.
fn parts(
    groups: &[&RowGroupMetaData],
    leaf: usize,
    field: &Field,
    ordered: bool,
    metadata: &ParquetMetaData,
) -> Vec<Part> {
    let converter = StatisticsConverter::from_column_index(leaf, field, metadata.file_metadata().schema_descr());
    let bounds = converter.ok().filter(|_| ordered).and_then(|converter| {
        let groups = || groups.iter().copied();
        Some((converter.row_group_mins(groups()).ok()?, converter.row_group_maxes(groups()).ok()?))
    });
    let part = |(i, group): (usize, &&RowGroupMetaData)| {
        let chunk = group.columns().get(leaf)?;
        let statistics = chunk.statistics();
        let value = |array: &ArrayRef| ScalarValue::try_from_array(array, i).ok().filter(is_number);
        let bounds = bounds.as_ref().and_then(|(least, greatest)| Some((value(least)?, value(greatest)?)));
        let rows = group_rows(group);
        let is_cut = statistics.is_none_or(|statistics| !statistics.min_is_exact() || !statistics.max_is_exact());
        let nulls = statistics.and_then(|statistics| statistics.null_count_opt()).map(|nulls| nulls.min(rows));
        let bytes = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
        let filled = rows.saturating_sub(nulls.unwrap_or(0));
        let width =
            bytes.map_or_else(|| bounds.as_ref().and_then(length), |all| Some(all as f64 / filled.max(1) as f64));
        let (counted, has_many) = dictionary(chunk, width);
        let counted = statistics.and_then(|statistics| statistics.distinct_count_opt()).map_or(counted, |count| {
            Some(count as f64) // what a writer has counted is better than what its dictionary takes
        });
        Some(Part {
            rows,
            nulls,
            bytes,
            exact: !is_cut || !matches!(chunk.column_type(), Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY),
            bounds,
            distinct: counted.map(|count| count.min(filled as f64)).filter(|_| filled > 0),
            has_many,
        })
    };
    groups.iter().enumerate().filter_map(part).collect()
}

/// How many values the dictionary of a chunk has, if all its pages use that, by its bytes; and whether they do not.
fn dictionary(chunk: &ColumnChunkMetaData, width: Option<f64>) -> (Option<f64>, bool) {
    const DICTIONARY: [Encoding; 2] = [Encoding::PLAIN_DICTIONARY, Encoding::RLE_DICTIONARY];
    if chunk.column_type() == Physical::BOOLEAN {
        return (Some(2.0), false);
    }
    let all = chunk.page_encoding_stats_mask().map(|mask| DICTIONARY.iter().any(|encoding| mask.is_only(*encoding)));
    let none = !chunk.encodings().any(|encoding| DICTIONARY.contains(&encoding));
    if none || all == Some(false) {
        return (None, true);
    }
    let size = || {
        let start = chunk.dictionary_page_offset().filter(|_| all == Some(true))?;
        let bytes = u32::try_from(chunk.data_page_offset().checked_sub(start)?).ok()?;
        let value = match chunk.column_type() {
            Physical::INT32 | Physical::FLOAT => 4.0,
            Physical::INT64 | Physical::DOUBLE => 8.0,
            Physical::INT96 => 12.0,
            Physical::FIXED_LEN_BYTE_ARRAY => f64::from(chunk.column_descr().type_length().max(1)),
            _ => width? + 4.0,
        };
        let stored = f64::from(bytes) - PAGE_HEADER;
        let ratio = chunk.uncompressed_size() as f64 / chunk.compressed_size().max(1) as f64;
        let ratio = if stored > UNCOMPRESSED { ratio.clamp(1.0, COMPRESSION) } else { 1.0 };
        Some((stored * ratio / value).round().max(1.0))
    };
    (size(), false)
}

/// What is known of all, if these parts stand for `share` times as much.
fn merged(parts: &[Part], share: f64) -> Part {
    let filled: Vec<_> = parts.iter().filter(|part| part.filled() > 0.0).collect();
    let bounds = || filled.iter().filter_map(|part| part.bounds.as_ref());
    let least = bounds().map(|(least, _)| least).reduce(|a, b| if is_below(b, a) { b } else { a });
    let greatest = bounds().map(|(_, greatest)| greatest).reduce(|a, b| if is_below(a, b) { b } else { a });
    let sum =
        |of: fn(&Part) -> Option<u64>| parts.iter().try_fold(0u64, |sum, part| Some(sum.saturating_add(of(part)?)));
    Part {
        rows: sum(|part| Some(part.rows)).unwrap_or(0),
        nulls: sum(|part| part.nulls),
        bytes: sum(|part| part.bytes),
        bounds: least.cloned().zip(greatest.cloned()),
        exact: filled.iter().all(|part| part.exact),
        distinct: distinct(&filled, share),
        has_many: filled.iter().any(|part| part.has_many),
    }
}

/// How many different values there are in all, if it is known how many each part has. In parts that follow each other the
/// values are others; else they repeat in all as they do in one.
fn distinct(parts: &[&Part], share: f64) -> Option<f64> {
    let counts = parts.iter().map(|part| Some((part.distinct?, part.filled()))).collect::<Option<Vec<_>>>()?;
    if are_apart(parts) {
        return Some(counts.iter().map(|(count, _)| count).sum::<f64>() * share);
    }
    let rows = counts.iter().map(|(_, rows)| rows).sum::<f64>() * share;
    let (count, drawn) = counts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(seen(population(count, drawn), rows).max(count))
}

/// How many of so many values, all as frequent, are expected in so many rows.
fn seen(values: f64, rows: f64) -> f64 {
    if values.is_finite() { values * -(-rows / values).exp_m1() } else { rows }
}

/// How many values there are, all as frequent, if so many are seen in so many rows: the inverse of [`seen`], by halving.
fn population(count: f64, rows: f64) -> f64 {
    /// Where values hardly repeat, the number of rows says nothing of how many there are.
    const UNIQUE: f64 = 0.99;
    if count >= rows * UNIQUE {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (count, rows / (1.0 - UNIQUE));
    for _ in 0..f64::MANTISSA_DIGITS {
        let middle = f64::midpoint(low, high);
        if seen(middle, rows) < count {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Whether each part begins where the one before has ended, as in a table that is sorted by the column: then no value is in
/// several. One part alone stands for others like it, of which nothing is known.
fn are_apart(parts: &[&Part]) -> bool {
    let follows = |pair: &[&Part]| match pair {
        [before, after] => match (&before.bounds, &after.bounds) {
            (Some((_, end)), Some((start, _))) => is_below(end, start),
            _ => false,
        },
        _ => false,
    };
    parts.len() > 1 && parts.windows(2).all(follows)
}

fn is_below(a: &ScalarValue, b: &ScalarValue) -> bool {
    a.partial_cmp(b) == Some(Ordering::Less)
}

fn is_number(value: &ScalarValue) -> bool {
    let is_nan = match value {
        ScalarValue::Float64(Some(float)) => float.is_nan(),
        ScalarValue::Float32(Some(float)) => float.is_nan(),
        _ => false,
    };
    !value.is_null() && !is_nan
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

/// Bytes of a text or bytea, by its bounds.
fn length((least, greatest): &(ScalarValue, ScalarValue)) -> Option<f64> {
    let of = |value: &ScalarValue| match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text.len() as f64)
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes)) => Some(bytes.len() as f64),
        _ => None,
    };
    Some((of(least)? + of(greatest)?) / 2.0)
}

/// Some of many, first and last included, evenly spread.
fn spread<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    let at = move |i: usize| if count > 1 { i * (all.len() - 1) / (count - 1) } else { 0 };
    (0..count).filter_map(move |i| all.get(at(i)))
}

fn share(all: u64, looked: u64) -> f64 {
    (all as f64 / looked.max(1) as f64).max(1.0)
}

fn rows(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.footer.rows).fold(0, u64::saturating_add)
}

fn group_rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
