//! A common table expression that is computed once for all who name it.
//!
//! Whoever asks first drives it, and all wait for the same future, so that none of them can wait for another one: its rows are
//! there before the first is handed out. They are counted in the memory of the query, and go with its plan.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as EngineResult, Statistics};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr as Logical, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::future::{BoxFuture, FutureExt, Shared as SharedFuture};
use futures::{StreamExt, TryStreamExt};

use crate::exec::batch_bytes;

/// Makes a plan that can be executed.
pub(super) type Planner =
    for<'a> fn(&'a SessionState, &'a LogicalPlan) -> BoxFuture<'a, EngineResult<Arc<dyn ExecutionPlan>>>;

/// What is computed once.
pub(super) struct Shared {
    number: usize,
    plan: LogicalPlan,
    planner: Planner,
    physical: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    rows: Mutex<Option<SharedFuture<BoxFuture<'static, Outcome>>>>,
}

/// All rows, by the partition that gave them.
type Outcome = Result<Arc<Vec<Part>>, Arc<DataFusionError>>;

/// The rows of a partition, and the memory that they take.
struct Part {
    batches: Vec<RecordBatch>,
    _held: MemoryReservation,
}

impl Shared {
    /// `number` is what plans show.
    pub(super) fn new(number: usize, plan: LogicalPlan, planner: Planner) -> Self {
        Self { number, plan, planner, physical: Mutex::new(None), rows: Mutex::new(None) }
    }

    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// What is executed for it, planned by the first who asks.
    async fn physical(&self, state: &SessionState) -> EngineResult<Arc<dyn ExecutionPlan>> {
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        let planned = (self.planner)(state, &self.plan).await?;
        let mut physical = self.physical.lock().map_err(|_| poisoned())?;
        Ok(physical.get_or_insert(planned).clone())
    }

    fn known(&self) -> EngineResult<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.physical.lock().map_err(|_| poisoned())?.clone())
    }

    fn rows(&self, context: &Arc<TaskContext>) -> EngineResult<SharedFuture<BoxFuture<'static, Outcome>>> {
        let unplanned = || DataFusionError::Internal("a common table without a plan".to_owned());
        let plan = self.known()?.ok_or_else(unplanned)?;
        let mut rows = self.rows.lock().map_err(|_| poisoned())?;
        let start = || all_rows(plan.clone(), context.clone()).map(|rows| rows.map_err(Arc::new)).boxed().shared();
        Ok(rows.get_or_insert_with(start).clone())
    }
}

/// Lets all that a plan names be planned and computed anew, for another attempt at it.
pub(super) fn forget(plan: &LogicalPlan) -> EngineResult<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = source_as_provider(&scan.source)?.downcast_ref::<SharedTable>()
        {
            forget(table.shared.plan())?;
            *table.shared.physical.lock().map_err(|_| poisoned())? = None;
            *table.shared.rows.lock().map_err(|_| poisoned())? = None;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

fn poisoned() -> DataFusionError {
    DataFusionError::Internal("a common table".to_owned())
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({})", self.number)
    }
}

/// Runs all partitions at the same time, until all of them have ended. Tasks end with the future.
async fn all_rows(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> EngineResult<Arc<Vec<Part>>> {
    let mut tasks = JoinSet::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        let stream = plan.execute(partition, context.clone())?;
        let held = MemoryConsumer::new("rows of a common table expression").register(context.memory_pool());
        tasks.spawn(async move { part(stream, held).await.map(|part| (partition, part)) });
    }
    let mut parts = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        parts.push(ended.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    parts.sort_by_key(|(partition, _)| *partition);
    Ok(Arc::new(parts.into_iter().map(|(_, part)| part).collect()))
}

async fn part(mut stream: SendableRecordBatchStream, held: MemoryReservation) -> EngineResult<Part> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        held.try_grow(batch_bytes(&batch))?;
        batches.push(batch);
        // Nothing else lets this task be stopped while rows come without a pause.
        tokio::task::yield_now().await;
    }
    Ok(Part { batches, _held: held })
}

/// It as one of its names in a query has it: with columns of names of their own.
#[derive(Clone, Debug)]
pub(super) struct SharedTable {
    shared: Arc<Shared>,
    schema: SchemaRef,
}

impl SharedTable {
    /// Its columns get these names, in their order.
    pub(super) fn new(shared: Arc<Shared>, names: &[String]) -> Self {
        let fields = shared.plan.schema().fields().iter().zip(names);
        let fields = fields.map(|(field, name)| Field::new(name, field.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { shared, schema }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

#[async_trait::async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Logical],
        _limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let state = state.as_any().downcast_ref::<SessionState>();
        let state = state.ok_or_else(|| DataFusionError::Internal("a session of another kind".to_owned()))?;
        let plan = self.shared.physical(state).await?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
        let statistics = statistics.as_ref().clone().project(Some(&projection));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(plan.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties);
        Ok(Arc::new(SharedExec {
            shared: self.shared.clone(),
            projection,
            statistics: Arc::new(statistics.to_inexact()),
            properties,
        }))
    }
}

/// A reader of what is computed once.
#[derive(Debug)]
pub(super) struct SharedExec {
    shared: Arc<Shared>,
    projection: Vec<usize>,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
}

impl SharedExec {
    /// What plans show of that beside their own lines: its number and its plan.
    pub(super) fn source(&self) -> Option<(usize, Arc<dyn ExecutionPlan>)> {
        Some((self.shared.number, self.shared.known().ok()??))
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: common={}", self.shared.number)
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: what is shared is planned, and no plan of a reader may change it.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> EngineResult<Arc<Statistics>> {
        if args.partition().is_some() {
            return Ok(Arc::new(Statistics::new_unknown(self.properties.eq_properties.schema())));
        }
        Ok(self.statistics.clone())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let rows = self.shared.rows(&context)?;
        let schema = self.properties.eq_properties.schema().clone();
        let (projection, to) = (self.projection.clone(), schema.clone());
        let batches = futures::stream::once(async move {
            let parts = rows.await.map_err(DataFusionError::Shared)?;
            let part = parts.get(partition).map(|part| part.batches.clone()).unwrap_or_default();
            let read = move |batch: RecordBatch| {
                let batch = batch.project(&projection)?;
                Ok::<_, DataFusionError>(super::rows::renamed(&batch, &to)?)
            };
            Ok::<_, DataFusionError>(futures::stream::iter(part).map(read))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten())))
    }
}
