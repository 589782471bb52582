//! Tables as DataFusion asks for them: their columns, and which conditions their scans test.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr as Logical, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::restore::restore;
use super::rows::renamed;
use super::scan::{LakeScan, Readings};
use super::statistics::{Known, TableStatistics};
use super::table::{Shipment, Table};
use crate::error::{Error, Result};
use crate::exec::ScanSpec;
use crate::expr::Expr;
use crate::source::files::DataFile;
use crate::source::table::TableColumn;

/// Files as a table. Its columns are named after theirs and after the place in the tree, so that a table which stands there
/// twice has other names.
pub(super) struct LakeTable {
    files: Vec<DataFile>,
    columns: Vec<TableColumn>,
    schema: SchemaRef,
    readings: Readings,
    statistics: Known,
}

impl LakeTable {
    pub(super) fn new(table: &Table, number: usize, readings: Readings) -> Self {
        let field = |column: &TableColumn| Field::new(format!("{}#{number}", column.name), column.ty.arrow(), true);
        let schema = Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()));
        let statistics = Arc::new(TableStatistics::new(&table.files, &table.columns));
        Self { files: table.files.clone(), columns: table.columns.clone(), schema, readings, statistics }
    }

    /// What is known of it, as estimates.
    pub(super) fn statistics(&self) -> Known {
        self.statistics.clone()
    }

    /// What a column is called.
    pub(super) fn name(&self, column: usize) -> Option<String> {
        self.schema.fields().get(column).map(|field| field.name().clone())
    }

    fn restored(&self, filter: &Logical) -> Option<Expr> {
        restore(filter, &|name| {
            let at = self.schema.index_of(name).ok()?;
            Some((at, &self.columns.get(at)?.ty))
        })
    }
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeTable({} files)", self.files.len())
    }
}

#[async_trait::async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Logical]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        let supported = |filter: &&Logical| match self.restored(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(supported).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Logical],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let mut conditions = Vec::with_capacity(filters.len());
        for filter in filters {
            let lost = || DataFusionError::Internal(format!("a scan cannot test {filter}"));
            conditions.push(self.restored(filter).ok_or_else(lost)?);
        }
        let shown: Vec<_> = filters.iter().map(ToString::to_string).collect();
        let shown = (!shown.is_empty()).then(|| shown.join(" AND "));
        let filter = if conditions.len() > 1 { Some(Expr::And(conditions)) } else { conditions.pop() };
        let spec = ScanSpec {
            files: self.files.clone(),
            columns: self.columns.clone(),
            projection: projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect()),
            filter: filter.map(Arc::new),
            limit: limit.map(|limit| limit as u64),
            parallelism: state.config().target_partitions(),
        };
        let schema = Arc::new(self.schema.project(&spec.projection)?);
        let statistics = self.statistics.of_scan(&spec, &schema);
        let scan = LakeScan::new(spec, shown, schema, statistics, state.runtime_env().clone(), &self.readings);
        Ok(Arc::new(scan.map_err(|error| DataFusionError::External(Box::new(error)))?))
    }
}

/// Rows that PostgreSQL sent, as a table.
pub(super) struct Shipped {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Shipped {
    pub(super) fn new(shipment: &Shipment, names: &[String]) -> Result<Self> {
        let types = Shipment::physical(&shipment.columns);
        let fields = names.iter().zip(&types).map(|(name, ty)| Field::new(name, ty.arrow(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let renamed = shipment.batches.iter().map(|batch| renamed(batch, &schema).map_err(Error::internal));
        Ok(Self { batches: renamed.collect::<Result<_>>()?, schema })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl fmt::Debug for Shipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shipped({} batches)", self.batches.len())
    }
}

#[async_trait::async_trait]
impl TableProvider for Shipped {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Logical],
        _limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let partitions = [self.batches.clone()];
        Ok(MemorySourceConfig::try_new_exec(&partitions, self.schema.clone(), projection.cloned())?)
    }
}
