//! Row groups that statistics rule out, before their file is opened. DataFusion does the same once more for what is left, and
//! has a plan to make for each file that it is given.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::expr::Condition;

/// Prunes by a condition. Files of one schema share what is made for it.
pub(super) struct Pruner {
    condition: Condition,
    last: Mutex<Option<(SchemaRef, Option<Arc<PruningPredicate>>)>>,
}

impl Pruner {
    pub(super) fn new(condition: Condition) -> Self {
        Self { condition, last: Mutex::new(None) }
    }

    /// Which of these row groups may have rows for which the condition is true; `None` if nothing is known.
    pub(super) fn survivors(&self, metadata: &ParquetMetaData, groups: &[usize]) -> Option<Vec<bool>> {
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
        let predicate = self.predicate(&schema)?;
        let groups: Vec<_> = groups.iter().map(|at| metadata.row_groups().get(*at)).collect::<Option<_>>()?;
        let survivors = predicate.prune(&Groups { metadata, groups: &groups, schema: &schema }).ok()?;
        (survivors.len() == groups.len()).then_some(survivors)
    }

    fn predicate(&self, schema: &Schema) -> Option<Arc<PruningPredicate>> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((known, predicate)) = last.as_ref()
            && known.as_ref() == schema
        {
            return predicate.clone();
        }
        let schema = Arc::new(schema.clone());
        let made = self
            .condition
            .prune(&schema)
            .and_then(|expr| PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(expr).ok());
        let made = made.filter(|predicate| !predicate.always_true()).map(Arc::new);
        *last = Some((schema, made.clone()));
        made
    }
}

/// Row groups of a file, as containers with statistics.
struct Groups<'a> {
    metadata: &'a ParquetMetaData,
    groups: &'a [&'a RowGroupMetaData],
    schema: &'a Schema,
}

impl<'a> Groups<'a> {
    fn converter(&self, column: &Column) -> Option<StatisticsConverter<'a>> {
        let parquet = self.metadata.file_metadata().schema_descr();
        let converter = StatisticsConverter::try_new(&column.name, self.schema, parquet).ok()?;
        Some(converter.with_missing_null_counts_as_zero(false))
    }
}

impl PruningStatistics for Groups<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.converter(column)?.row_group_mins(self.groups.iter().copied()).ok()
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.converter(column)?.row_group_maxes(self.groups.iter().copied()).ok()
    }

    fn num_containers(&self) -> usize {
        self.groups.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.converter(column)?.row_group_null_counts(self.groups.iter().copied()).ok()?;
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.groups.iter().map(|group| u64::try_from(group.num_rows()).ok());
        Some(Arc::new(rows.collect::<arrow::array::UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
