//! What Bloom filters and page indexes rule out of a piece: DataFusion's source does the same for what it opens.

use datafusion::datasource::physical_plan::parquet::{
    BloomFilterStatistics, PagePruningAccessPlanFilter, ParquetAccessPlan, ParquetFileMetrics, RowGroupAccessPlanFilter,
};
use datafusion::error::Result as EngineResult;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, parquet_column};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use super::columns::Decoded;
use super::reader::Source;
use crate::expr::Condition;

/// What is left to read. An index of pages that was of use stays with the file, for the reader to skip pages by.
pub(super) async fn rule_out(
    condition: &Condition,
    source: &Source,
    file: &mut Decoded,
    access: ParquetAccessPlan,
    metrics: &ExecutionPlanMetricsSet,
) -> EngineResult<ParquetAccessPlan> {
    let schema = file.metadata.schema().clone();
    let Some(predicate) = condition.prune(&schema) else { return Ok(access) };
    let counted = ParquetFileMetrics::new(0, "piece", metrics);
    let mut left = RowGroupAccessPlanFilter::new(access);
    let whole = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(predicate.clone());
    if let Ok(whole) = whole
        && let Some(filters) = bloom_filters(&whole, source, file, &left).await
    {
        left.prune_by_bloom_filters(&whole, &counted, &filters);
    }
    let access = left.build();
    let pages = PagePruningAccessPlanFilter::new(&predicate, schema.clone());
    if pages.filter_number() == 0 || !has_index(file, &access) {
        return Ok(access);
    }
    if file.metadata.metadata().column_index().is_none() {
        let mut reader = ParquetMetaDataReader::new_with_metadata(file.metadata.metadata().as_ref().clone())
            .with_page_index_policy(PageIndexPolicy::Optional);
        reader.load_page_index(&mut source.clone()).await?;
        file.with_metadata(reader.finish()?)?;
    }
    let metadata = file.metadata.metadata();
    Ok(pages.prune_plan_with_page_index(access, &schema, file.metadata.parquet_schema(), metadata, &counted))
}

/// The Bloom filters that the predicate may be compared with, of all row groups; `None` if no row group has one.
async fn bloom_filters(
    predicate: &PruningPredicate,
    source: &Source,
    file: &Decoded,
    left: &RowGroupAccessPlanFilter,
) -> Option<Vec<BloomFilterStatistics>> {
    let parquet = file.metadata.parquet_schema();
    let metadata = file.metadata.metadata();
    let columns = predicate.literal_columns().into_iter().filter_map(|name| {
        let (leaf, _) = parquet_column(parquet, file.metadata.schema(), &name)?;
        Some((name, leaf))
    });
    let columns: Vec<_> = columns.collect();
    let has_one = |group: usize, leaf: usize| metadata.row_group(group).column(leaf).bloom_filter_offset().is_some();
    if !left.row_group_indexes().any(|group| columns.iter().any(|(_, leaf)| has_one(group, *leaf))) {
        return None;
    }
    let mut reader = ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), file.metadata.clone());
    let mut filters = vec![BloomFilterStatistics::new(); metadata.num_row_groups()];
    for group in left.row_group_indexes() {
        for (name, leaf) in &columns {
            // What cannot be read rules nothing out.
            if let Ok(Some(filter)) = reader.get_row_group_column_bloom_filter(group, *leaf).await
                && let Some(slot) = filters.get_mut(group)
            {
                let column = parquet.column(*leaf);
                slot.insert(name, filter, column.physical_type(), column.type_length());
            }
        }
    }
    Some(filters)
}

/// Whether some row group that is left has an index of pages.
fn has_index(file: &Decoded, access: &ParquetAccessPlan) -> bool {
    let groups = access.row_group_index_iter().filter_map(|group| file.metadata.metadata().row_groups().get(group));
    groups
        .flat_map(|group| group.columns())
        .any(|chunk| chunk.column_index_offset().is_some() && chunk.offset_index_offset().is_some())
}
