//! Which statistics of a file may rule rows out. Some never may: what old writers put there is wrong, and the format says
//! which. The rules are those of parquet-mr (CorruptStatistics), of parquet-cpp (HasCorrectStatistics) and of
//! parquet.thrift.

use parquet::basic::{ColumnOrder, ConvertedType, LogicalType, SortOrder, Type};
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

/// What of the statistics of a column is right, in all row groups of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Minima and maxima are in the order in which the values are compared.
    pub order: bool,
    /// Wherever there are statistics, they count NULLs.
    pub nulls: bool,
}

impl Trust {
    /// Of several files of one table.
    pub fn and(self, other: Self) -> Self {
        Self { order: self.order && other.order, nulls: self.nulls && other.nulls }
    }

    /// Of one leaf column of a file.
    pub(crate) fn of(metadata: &ParquetMetaData, leaf: usize) -> Self {
        let file = metadata.file_metadata();
        let descriptor = file.schema_descr();
        if leaf >= descriptor.num_columns() {
            return Self::default();
        }
        let column = descriptor.column(leaf);
        let physical = column.physical_type();
        let sort = ColumnOrder::sort_order_for_type(column.logical_type_ref(), column.converted_type(), physical);
        let is_number = matches!(physical, Type::BOOLEAN | Type::INT32 | Type::INT64);
        // Before there were orders, all was compared as if it were signed: numbers by value, byte arrays byte by byte.
        let signed = is_number && sort == SortOrder::SIGNED;
        let current = match file.column_order(leaf) {
            ColumnOrder::TYPE_DEFINED_ORDER(_) => true,
            ColumnOrder::UNDEFINED => signed,
            ColumnOrder::UNKNOWN => false,
        };
        let is_decimal = column.converted_type() == ConvertedType::DECIMAL
            || matches!(column.logical_type_ref(), Some(LogicalType::Decimal(_)));
        let unordered = sort == SortOrder::UNDEFINED || physical == Type::INT96;
        let mut trust = Self {
            order: !unordered && (is_number || !bounds_bytes_wrongly(file.created_by(), is_decimal)),
            nulls: true,
        };
        for group in metadata.row_groups() {
            let Some(statistics) = group.columns().get(leaf).and_then(|chunk| chunk.statistics()) else { continue };
            let has_bounds = statistics.min_bytes_opt().is_some() || statistics.max_bytes_opt().is_some();
            let right = if statistics.is_min_max_deprecated() { signed } else { current };
            trust.order &= right || !has_bounds;
            trust.nulls &= statistics.null_count_opt().is_some();
        }
        trust
    }
}

/// Writers whose bounds of byte arrays are wrong, the version that ended it, and whether only of decimals.
const WRONG: [(&str, (u32, u32), bool); 4] = [
    // PARQUET-251, PARQUET-686, PARQUET-1025: a minimum taken for a maximum, signed bytes.
    ("parquet-mr", (1, 10), false),
    // Signed bytes.
    ("parquet-cpp", (1, 3), false),
    // PARQUET-1655: decimals compared by their bytes. Before it was called arrow's, and up to its version 4.
    ("parquet-cpp", (u32::MAX, 0), true),
    ("parquet-cpp-arrow", (4, 0), true),
];

/// Whether the bounds of byte arrays are wrong: those of a writer that does not give its name, or of one that is known for it.
fn bounds_bytes_wrongly(created_by: Option<&str>, is_decimal: bool) -> bool {
    let Some(created_by) = created_by.map(str::trim).filter(|text| !text.is_empty()) else { return true };
    let (name, version) = created_by.split_once(" version").unwrap_or((created_by, ""));
    let mut numbers =
        version.trim_start().split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().ok());
    let version = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => (0, 0),
    };
    let applies = |(writer, until, only_decimals): &(&str, (u32, u32), bool)| {
        *writer == name.trim_end() && version < *until && (is_decimal || !only_decimals)
    };
    WRONG.iter().any(applies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_known_by_name_and_version() {
        for old in [
            "parquet-mr version 1.8.0 (build 0fda28af84b9746396014ad6a415b90592a98b3b)",
            "parquet-mr version 1.6.0rc3 (build d4d5a07ec9bd262ca1e93c309f1d7d4a74ebda4c)",
            "parquet-mr version 1.5.0-cdh5.5.0 (build )",
            "parquet-mr version 1.9.1",
            "parquet-mr",
            "parquet-mr version (build 32)",
            "parquet-cpp version 1.2.1",
            "",
        ] {
            assert!(bounds_bytes_wrongly(Some(old), false), "{old}");
        }
        assert!(bounds_bytes_wrongly(None, false));
        for new in [
            "parquet-mr version 1.10.0 (build 031a6654009e3b82020012a18434c582bd74c73a)",
            "parquet-mr version 1.13.1",
            "parquet-mr version 2.0.0",
            "parquet-cpp-arrow version 21.0.0",
            "parquet-rs version 59.3.2",
            "DuckDB version v1.4.0 (build b8a06e4a22)",
            "Polars",
            "parquet-cpp-arrow version 4.0.0",
        ] {
            assert!(!bounds_bytes_wrongly(Some(new), true), "{new}");
        }
        for decimals in ["parquet-cpp version 1.5.1-SNAPSHOT", "parquet-cpp-arrow version 3.0.0"] {
            assert!(bounds_bytes_wrongly(Some(decimals), true) && !bounds_bytes_wrongly(Some(decimals), false));
        }
    }
}
