//! A scan of files as a node of DataFusion's plan: its partitions take pieces from one queue, so that everything that keeps
//! scans safe ([`crate::exec`]) keeps them.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as EngineResult, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SortOrderPushdownResult};

use super::divide;
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::exec::{Reading, ScanSpec};
use crate::types::ColumnType;

/// What the scans of a query read, for statistics.
pub(super) type Readings = Arc<Mutex<Vec<Arc<Reading>>>>;

/// A scan of one table.
#[derive(Clone)]
pub(super) struct LakeScan {
    reading: Arc<Reading>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
    files: usize,
    filter: Option<String>,
    /// What joins and limits learn while they run. Rows that cannot matter are left out.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns of the table behind those that are delivered, by the names of the schema.
    columns: Arc<[(usize, ColumnType)]>,
}

impl LakeScan {
    /// `shown` is the condition as a plan shows it.
    pub(super) fn new(
        spec: ScanSpec,
        shown: Option<String>,
        schema: SchemaRef,
        statistics: Statistics,
        environment: Arc<RuntimeEnv>,
        readings: &Readings,
    ) -> Result<Self> {
        let reading = Arc::new(Reading::new(&spec, environment)?);
        let mut all = readings.lock().map_err(|_| Error::internal("the list of scans"))?;
        all.push(reading.clone());
        let delivered = spec.projection.iter().filter_map(|at| Some((*at, spec.columns.get(*at)?.ty.clone())));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(reading.readers(&spec)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            reading,
            properties: Arc::new(properties),
            statistics: Arc::new(statistics),
            files: spec.files.len(),
            filter: shown,
            dynamic: Vec::new(),
            columns: delivered.collect(),
        })
    }
}

impl LakeScan {
    /// What it reads, if that is all rows of its files and footers say surely how many there are.
    pub(super) fn of_all_rows(&self) -> Option<Arc<Reading>> {
        (self.dynamic.is_empty() && self.reading.is_countable()).then(|| self.reading.clone())
    }
}

impl fmt::Debug for LakeScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeScan({} files)", self.files)
    }
}

impl DisplayAs for LakeScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.properties.eq_properties.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "LakeScan: files={}, columns=[{}]", self.files, names.join(", "))?;
        if let Some(filter) = &self.filter {
            write!(f, ", filter={filter}")?;
        }
        for dynamic in &self.dynamic {
            write!(f, ", dynamic={dynamic}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for LakeScan {
    fn name(&self) -> &'static str {
        "LakeScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        for dynamic in &self.dynamic {
            if f(dynamic)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> EngineResult<Arc<Statistics>> {
        if args.partition().is_some() {
            let schema = self.properties.eq_properties.schema();
            return Ok(Arc::new(Statistics::new_unknown(schema)));
        }
        Ok(self.statistics.clone())
    }

    /// What is learned while the query runs is taken; whoever learns it goes on as if it were not.
    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> EngineResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = result.parent_filters.into_iter().map(|filter| filter.filter);
        let (answers, dynamic): (Vec<_>, Vec<_>) = filters.map(|filter| (PushedDown::No, filter)).unzip();
        let mut propagation = FilterPushdownPropagation::with_parent_pushdown_result(answers);
        let dynamic: Vec<_> = dynamic.into_iter().filter(is_dynamic).collect();
        if phase == FilterPushdownPhase::Post && !dynamic.is_empty() {
            let updated: Arc<dyn ExecutionPlan> = Arc::new(Self { dynamic, ..self.clone() });
            propagation = propagation.with_updated_node(updated);
        }
        Ok(propagation)
    }

    /// No order is promised, but what a limit wants comes early.
    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> EngineResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let column = order.first().and_then(|first| Some((first.expr.downcast_ref::<Column>()?, first.options)));
        let Some((column, options)) = column else { return Ok(SortOrderPushdownResult::Unsupported) };
        let Some((of_table, _)) = self.columns.get(column.index()) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        self.reading.prefer(*of_table, options.descending);
        Ok(SortOrderPushdownResult::Inexact { inner: Arc::new(self.clone()) })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        if partition >= self.properties.partitioning.partition_count() {
            return Err(DataFusionError::Internal(format!("a scan has no partition {partition}")));
        }
        let schema = self.properties.eq_properties.schema().clone();
        let rows = Rows::new(self.reading.clone(), schema.clone(), self.columns.clone(), self.dynamic.clone());
        let batches = futures::stream::try_unfold(rows, |mut rows| async move {
            match rows.next().await {
                Ok(batch) => Ok(batch.map(|batch| (batch, rows))),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        });
        Ok(divide::divided(Box::pin(RecordBatchStreamAdapter::new(schema, batches)), &context))
    }
}

fn is_dynamic(filter: &Arc<dyn PhysicalExpr>) -> bool {
    if (filter.as_ref() as &dyn Any).is::<DynamicFilterPhysicalExpr>() {
        return true;
    }
    filter.children().into_iter().any(is_dynamic)
}
