//! Columns of the table out of what is decoded of one file, as DataFusion's own source makes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{SchemaRef, TimeUnit};
use datafusion::datasource::physical_plan::parquet::{Int96Coercer, apply_file_schema_type_coercions};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use crate::adapt::Adapters;

/// A file, with the types in which its columns are decoded.
pub(super) struct Decoded {
    pub metadata: ArrowReaderMetadata,
    table: SchemaRef,
    adapter: Arc<dyn PhysicalExprAdapter>,
}

impl Decoded {
    /// `table` has all columns of the table that the scan knows.
    pub(super) fn new(metadata: Arc<ParquetMetaData>, table: &SchemaRef) -> EngineResult<Self> {
        let metadata = typed(metadata, table)?;
        let adapter = Adapters.create(table.clone(), metadata.schema().clone())?;
        Ok(Self { metadata, table: table.clone(), adapter })
    }

    /// The same file with more metadata, such as an index of pages.
    pub(super) fn with_metadata(&mut self, metadata: ParquetMetaData) -> EngineResult<()> {
        self.metadata = typed(Arc::new(metadata), &self.table)?;
        Ok(())
    }

    /// Columns of the table, by number.
    pub(super) fn columns(&self, wanted: &[usize]) -> EngineResult<Columns> {
        let stored = self.metadata.schema();
        let mut exprs = Vec::with_capacity(wanted.len());
        let mut roots = BTreeSet::new();
        for at in wanted {
            let missing = || DataFusionError::Internal(format!("a table has no column {at}"));
            let field = self.table.fields().get(*at).ok_or_else(missing)?;
            let expr = self.adapter.rewrite(Arc::new(Column::new(field.name(), *at)))?;
            for column in collect_columns(&expr) {
                roots.insert(stored.index_of(column.name())?);
            }
            exprs.push(expr);
        }
        let roots: Vec<_> = roots.into_iter().collect();
        let decoded = stored.project(&roots)?;
        let exprs = exprs.into_iter().map(|expr| reassign_expr_columns(expr, &decoded)).collect::<EngineResult<_>>()?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        Ok(Columns { mask, exprs, schema: Arc::new(self.table.project(wanted)?) })
    }
}

/// Some columns of the table.
#[derive(Debug)]
pub(super) struct Columns {
    /// What has to be decoded for them.
    pub mask: ProjectionMask,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

impl Columns {
    /// The columns of what was decoded by the mask.
    pub(super) fn of(&self, decoded: &RecordBatch) -> EngineResult<RecordBatch> {
        let rows = decoded.num_rows();
        let columns = self.exprs.iter().map(|expr| expr.evaluate(decoded)?.into_array(rows));
        let columns = columns.collect::<EngineResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The metadata with the types that [`Adapters`] expects: texts as views, INT96 in microseconds.
fn typed(metadata: Arc<ParquetMetaData>, table: &SchemaRef) -> ParquetResult<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
    let plain = ArrowReaderMetadata::try_new(metadata.clone(), options.clone())?;
    let mut schema = plain.schema().clone();
    if let Some(coerced) = apply_file_schema_type_coercions(table, &schema) {
        schema = Arc::new(coerced);
    }
    let coercer = Int96Coercer::new(plain.parquet_schema(), &schema, &TimeUnit::Microsecond);
    if let Some(coerced) = coercer.coerce() {
        schema = Arc::new(coerced);
    }
    if schema == *plain.schema() {
        return Ok(plain);
    }
    ArrowReaderMetadata::try_new(metadata, options.with_schema(schema))
}
