//! What the footer of a file says of its columns, as far as estimates need it.
//!
//! Some row groups stand for the others of a file. What is known of parts is merged into what is known of all, from row groups
//! to files to tables. Nothing is surely right: writers leave statistics out, cut texts, and count what they like.

use std::cmp::Ordering;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::footer::Footer;

/// Row groups that stand for all of a file.
const MOST_GROUPS: usize = 64;
/// Bytes of the header of a dictionary page, about.
const PAGE_HEADER: f64 = 14.0;
/// By what a dictionary is taken to be compressed at most, and up to how many bytes not at all: its chunk as a whole may be much
/// more, where rows repeat.
const COMPRESSION: f64 = 3.0;
const UNCOMPRESSED: f64 = 256.0;

/// What the footer of a file says of its columns.
#[derive(Debug, Default)]
pub(crate) struct FileFacts {
    columns: Vec<(String, Part)>,
}

impl FileFacts {
    /// Of a file with this summary of its footer.
    pub(super) fn of(summary: &Footer, metadata: &ParquetMetaData) -> Self {
        let file = metadata.file_metadata();
        let descriptor = file.schema_descr();
        let Ok(schema) = parquet_to_arrow_schema(descriptor, file.key_value_metadata()) else {
            return Self::default();
        };
        let groups: Vec<_> = spread(metadata.row_groups(), MOST_GROUPS).collect();
        let looked = groups.iter().map(|group| group_rows(group)).fold(0, u64::saturating_add);
        let share = share(summary.rows, looked);
        let roots = descriptor.root_schema().get_fields();
        let leaf_of = |root: usize| {
            let mut leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            roots.get(root).filter(|field| field.is_primitive()).and_then(|_| leaves.next())
        };
        let columns = summary.columns.iter().zip(schema.fields()).enumerate();
        let columns = columns.filter_map(|(root, (column, field))| {
            let leaf = leaf_of(root)?;
            let parts = parts(&groups, leaf, field, column.trust.order, metadata);
            Some((column.name.clone(), merged(&parts, share)))
        });
        Self { columns: columns.collect() }
    }

    /// What is known of a column, by its name in the file.
    pub(super) fn column(&self, name: &str) -> Option<&Part> {
        self.columns.iter().find(|(own, _)| own == name).map(|(_, part)| part)
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
pub(super) struct Part {
    pub rows: u64,
    pub nulls: Option<u64>,
    /// Of values of variable length.
    pub bytes: Option<u64>,
    pub bounds: Option<(ScalarValue, ScalarValue)>,
    /// Whether the bounds are values, and not only around them.
    pub exact: bool,
    /// Different values.
    pub distinct: Option<f64>,
    /// Whether there were too many different values for a dictionary.
    pub has_many: bool,
}

impl Part {
    /// The share of rows without a value.
    pub(super) fn null_fraction(&self) -> Option<f64> {
        let nulls = self.nulls? as f64;
        Some((nulls / self.rows.max(1) as f64).min(1.0))
    }

    /// Rows with a value.
    pub(super) fn filled(&self) -> f64 {
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
pub(super) fn merged(parts: &[Part], share: f64) -> Part {
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
pub(super) fn spread<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    let at = move |i: usize| if count > 1 { i * (all.len() - 1) / (count - 1) } else { 0 };
    (0..count).filter_map(move |i| all.get(at(i)))
}

/// How many times as much all is as what was looked at.
pub(super) fn share(all: u64, looked: u64) -> f64 {
    (all as f64 / looked.max(1) as f64).max(1.0)
}

fn group_rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_seen_in_some_rows_tell_how_many_there_are() {
        let near = |guess: f64, truth: f64| assert!((truth * 0.9..truth * 1.1).contains(&guess), "{guess} for {truth}");
        near(population(100.0, 10_000.0), 100.0);
        near(population(seen(5000.0, 2000.0), 2000.0), 5000.0);
        assert_eq!(population(1000.0, 1000.0), f64::INFINITY);
        near(seen(population(632.0, 1000.0), 100_000.0), 1000.0);
    }

    #[test]
    fn some_of_many_are_spread_over_all() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&all, 4).copied().collect::<Vec<_>>(), [0, 33, 66, 99]);
        assert_eq!(spread(&all, 1).copied().collect::<Vec<_>>(), [0]);
        assert_eq!(spread(&all[..3], 4).copied().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(&all[..0], 4).count(), 0);
    }
}
