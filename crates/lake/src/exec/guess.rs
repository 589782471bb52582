//! How many rows of a piece pass the filter, as long as none was tested: guessed from what is least and greatest in its columns.

use parquet::arrow::{parquet_column, parquet_to_arrow_schema};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::pieces::Piece;
use crate::expr::Condition;
use crate::source::table::TableColumn;
use crate::types::Unit;

/// The share of the rows, from 0 to 1.
pub(super) fn passing(condition: &Condition, columns: &[TableColumn], piece: &Piece) -> f64 {
    condition.share(&|at| bounds(columns.get(at)?, piece))
}

/// The least and the greatest number in the column, in the unit of the table.
fn bounds(column: &TableColumn, piece: &Piece) -> Option<(i128, i128)> {
    let file = piece.metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
    let (leaf, field) = parquet_column(file.schema_descr(), &schema, &column.name)?;
    let unit = column.ty.unit(field.data_type())?;
    let of_table = |number: i128| match unit {
        Unit::Times(unit) => number.saturating_mul(unit),
        Unit::Floor(unit) => number.div_euclid(unit),
    };
    let mut both: Option<(i128, i128)> = None;
    for group in piece.access.row_group_index_iter().filter_map(|at| piece.metadata.row_groups().get(at)) {
        let (least, greatest) = stored(group, leaf)?;
        both = Some(both.map_or((least, greatest), |(low, high)| (low.min(least), high.max(greatest))));
    }
    let (least, greatest) = both?;
    Some((of_table(least), of_table(greatest)))
}

fn stored(group: &RowGroupMetaData, leaf: usize) -> Option<(i128, i128)> {
    Some(match group.columns().get(leaf)?.statistics()? {
        Statistics::Int32(of) => ((*of.min_opt()?).into(), (*of.max_opt()?).into()),
        Statistics::Int64(of) => ((*of.min_opt()?).into(), (*of.max_opt()?).into()),
        _ => return None,
    })
}
