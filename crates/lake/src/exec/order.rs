//! Which pieces come first, where a limit wants the least or the greatest rows: those that may have them, so that the limit
//! soon says which row groups need no reading. Statistics that are wrong cost time, and no row.

use std::cmp::Ordering;

use arrow::array::Array;
use datafusion::common::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

/// Files are ordered up to so many: the footers of all have to be looked at before the first is read.
pub(super) const MOST_FILES: usize = 256;

/// What is wanted first.
#[derive(Clone, Debug)]
pub(super) struct Preference {
    /// The name of a column.
    pub column: String,
    pub descending: bool,
}

/// The least or greatest value of some row groups.
pub(super) struct Key(Option<ScalarValue>);

impl Preference {
    /// What these row groups may have to offer.
    pub(super) fn key(&self, metadata: &ParquetMetaData, groups: &[usize]) -> Key {
        Key(self.extreme(metadata, groups))
    }

    /// Which of two comes first. What is not known comes last.
    pub(super) fn compare(&self, left: &Key, right: &Key) -> Ordering {
        match (&left.0, &right.0) {
            (Some(left), Some(right)) => {
                let order = left.partial_cmp(right).unwrap_or(Ordering::Equal);
                if self.descending { order.reverse() } else { order }
            }
            (left, right) => right.is_some().cmp(&left.is_some()),
        }
    }

    fn extreme(&self, metadata: &ParquetMetaData, groups: &[usize]) -> Option<ScalarValue> {
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
        let converter = StatisticsConverter::try_new(&self.column, &schema, file.schema_descr()).ok()?;
        let groups = groups.iter().filter_map(|group| metadata.row_groups().get(*group));
        let values = if self.descending { converter.row_group_maxes(groups) } else { converter.row_group_mins(groups) };
        let values = values.ok()?;
        let mut first: Option<ScalarValue> = None;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = ScalarValue::try_from_array(&values, row).ok()?;
            let is_first = first.as_ref().is_none_or(|first| {
                let order = value.partial_cmp(first);
                order == Some(if self.descending { Ordering::Greater } else { Ordering::Less })
            });
            if is_first {
                first = Some(value);
            }
        }
        first
    }
}
