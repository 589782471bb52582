//! Late materialisation: the columns of the filter are decoded first, the others only where rows pass.
//!
//! It pays where the others are much and few rows pass. How much they are footers say; how many pass is guessed at first, and
//! seen as pieces are read, so it is decided for each piece anew.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowPredicate, RowFilter};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use super::columns::{Columns, Decoded};
use super::pieces::{Piece, size};
use super::reader::Source;
use super::rule_out::rule_out;
use crate::error::{Error, Result};
use crate::expr::{Condition, Expr};
use crate::source::table::TableColumn;

/// Steps in which the parts of a filter are tested, at most: each is a pass over a row group of its own.
const MOST_STEPS: usize = 4;
/// Of rows that are tested one in so many may pass.
const PASSING: u64 = 4;
/// It is tried where no greater share is expected to pass.
const WORTH_TRYING: f64 = 0.5;
/// Rows after which it is believed how many pass.
const ENOUGH_ROWS: u64 = 8192;
/// Rows after which those before count half.
const RECENT_ROWS: u64 = 1 << 20;
/// What is decoded of some rows is so many times less than what is decoded of all, at most.
const LESS: u64 = 4;
/// Bytes of decoded columns of the filter that wait to be delivered; they are not counted, as batches are not. What is beyond
/// is decoded once more.
const CACHED_BYTES: usize = 16 << 20;

/// A part of a filter. What needs the least bytes is tested first, and what it leaves is all that the next looks at.
#[derive(Clone)]
pub(super) struct Step {
    /// Of the table, by number.
    columns: Vec<usize>,
    /// Over a batch of these columns.
    test: Arc<dyn PhysicalExpr>,
}

/// Rows that were tested lately, and those that passed.
#[derive(Default)]
pub(super) struct Tally(Mutex<(u64, u64)>);

/// What is opened.
pub(super) struct Job {
    pub source: Source,
    pub access: ParquetAccessPlan,
    /// All columns of the table that the scan knows.
    pub table: SchemaRef,
    /// Those that it delivers.
    pub delivered: Vec<usize>,
    /// What statistics are compared with.
    pub condition: Option<Condition>,
    pub batch_rows: usize,
    /// Rows that are wanted at most.
    pub limit: Option<usize>,
    pub metrics: ExecutionPlanMetricsSet,
}

/// The filter of a scan in steps. `bytes` says how much of the files a column is.
pub(super) fn steps(filter: &Expr, columns: &Arc<[TableColumn]>, bytes: &dyn Fn(usize) -> u64) -> Result<Vec<Step>> {
    let step = |(of, parts): (Vec<usize>, Vec<Expr>)| {
        let position = |column: usize| of.iter().position(|known| *known == column).unwrap_or(usize::MAX);
        let test = Condition::new(Arc::new(Expr::And(parts)), columns.clone(), &position)?;
        Ok(Step { test: Arc::new(test), columns: of })
    };
    split(filter, bytes).into_iter().map(step).collect()
}

/// A test over delivered columns as a step; `None` if it looks at none.
pub(super) fn step(test: &Arc<dyn PhysicalExpr>, delivered: &[usize]) -> EngineResult<Option<Step>> {
    let mut columns = Vec::new();
    let test = test.clone().transform_down(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        let missing = || DataFusionError::Internal(format!("a scan does not deliver {column}"));
        let of_table = *delivered.get(column.index()).ok_or_else(missing)?;
        let known = columns.iter().position(|known| *known == of_table);
        let at = known.unwrap_or_else(|| {
            columns.push(of_table);
            columns.len() - 1
        });
        Ok(Transformed::yes(Arc::new(Column::new(column.name(), at))))
    });
    let test = test.data()?;
    Ok((!columns.is_empty()).then_some(Step { columns, test }))
}

/// Brings steps into the order in which they are tested.
pub(super) fn order(steps: &mut [Step], bytes: &dyn Fn(usize) -> u64) {
    steps.sort_by_key(|step| step.columns.iter().map(|column| bytes(*column)).fold(0, u64::saturating_add));
}

/// Whether it pays to test the steps before the other columns of a piece are decoded. `name` is that of a column in the files.
pub(super) fn pays<'a>(
    steps: &[Step],
    delivered: &[usize],
    name: &dyn Fn(usize) -> Option<&'a str>,
    piece: &Piece,
) -> bool {
    let Some(Step { columns, .. }) = steps.first() else { return false };
    let first: HashSet<&str> = columns.iter().filter_map(|column| name(*column)).collect();
    let others = steps.iter().flat_map(|step| &step.columns).chain(delivered).filter_map(|column| name(*column));
    let others: HashSet<&str> = others.filter(|name| !first.contains(name)).collect();
    if first.is_empty() || others.is_empty() {
        return false;
    }
    let descriptor = piece.metadata.file_metadata().schema_descr();
    let (mut of_all, mut of_some) = (0u64, 0u64);
    for group in piece.access.row_group_index_iter().filter_map(|at| piece.metadata.row_groups().get(at)) {
        for (leaf, chunk) in group.columns().iter().enumerate() {
            let name = descriptor.get_column_root(leaf).name();
            if first.contains(name) {
                of_all = of_all.saturating_add(size(chunk));
            } else if others.contains(name) {
                of_some = of_some.saturating_add(size(chunk));
            }
        }
    }
    of_some.saturating_mul(LESS) >= of_all
}

/// The rows of a piece that pass all steps. A row group is tested without an await, so `stopped` is looked at between batches.
pub(super) fn open(
    job: Job,
    steps: Vec<Step>,
    stopped: Arc<AtomicBool>,
) -> BoxStream<'static, EngineResult<RecordBatch>> {
    futures::stream::once(opened(job, steps, stopped)).try_flatten().boxed()
}

impl Tally {
    /// Counts the rows of a piece that was read to its end, and those of them that passed.
    pub(super) fn count(&self, tested: u64, passed: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.0 > RECENT_ROWS {
            *counts = (counts.0 / 2, counts.1 / 2);
        }
        *counts = (counts.0.saturating_add(tested), counts.1.saturating_add(passed));
    }

    /// Whether few rows pass; as long as nothing is known, by a guess of their share.
    pub(super) fn few_pass(&self, guess: impl FnOnce() -> f64) -> bool {
        let (tested, passed) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tested < ENOUGH_ROWS { guess() <= WORTH_TRYING } else { passed.saturating_mul(PASSING) <= tested }
    }
}

/// The parts of a filter that are tested together, each with the columns that it needs.
fn split(filter: &Expr, bytes: &dyn Fn(usize) -> u64) -> Vec<(Vec<usize>, Vec<Expr>)> {
    let mut open = vec![filter];
    let mut parts: Vec<(Vec<usize>, &Expr)> = Vec::new();
    while let Some(next) = open.pop() {
        if let Expr::And(inner) = next {
            open.extend(inner.iter().rev());
            continue;
        }
        let mut columns = Vec::new();
        next.visit_columns(&mut |column| {
            if !columns.contains(&column) {
                columns.push(column);
            }
        });
        parts.push((columns, next));
    }
    // Stable, so that of equal parts the first comes first. What needs no column is said with the first part that does.
    parts.sort_by_key(|(columns, _)| columns.iter().map(|column| bytes(*column)).fold(0, u64::saturating_add));
    let mut steps: Vec<(Vec<usize>, Vec<Expr>)> = Vec::new();
    for (columns, part) in parts {
        let is_known = |known: &Vec<usize>| columns.iter().all(|column| known.contains(column));
        let full = steps.len() == MOST_STEPS;
        match steps.iter().position(|(known, _)| is_known(known) || known.is_empty()).or(full.then_some(MOST_STEPS - 1))
        {
            Some(at) => {
                if let Some((known, with)) = steps.get_mut(at) {
                    for column in columns {
                        if !known.contains(&column) {
                            known.push(column);
                        }
                    }
                    with.push(part.clone());
                }
            }
            None => steps.push((columns, vec![part.clone()])),
        }
    }
    steps
}

async fn opened(
    job: Job,
    steps: Vec<Step>,
    stopped: Arc<AtomicBool>,
) -> EngineResult<impl Stream<Item = EngineResult<RecordBatch>>> {
    let Job { source, access, table, delivered, condition, batch_rows, limit, metrics } = job;
    let mut file = Decoded::new(source.metadata.clone(), &table)?;
    let access = match &condition {
        Some(condition) => rule_out(condition, &source, &mut file, access, &metrics).await?,
        None => access,
    };
    let output = file.columns(&delivered)?;
    let sieve = |step: &Step| -> EngineResult<Box<dyn ArrowPredicate>> {
        Ok(Box::new(Sieve { columns: file.columns(&step.columns)?, test: step.test.clone(), stopped: stopped.clone() }))
    };
    let sieves = steps.iter().map(sieve).collect::<EngineResult<Vec<_>>>()?;
    let groups = access.row_group_indexes();
    let selection = access.into_overall_row_selection(file.metadata.metadata().row_groups())?;
    let mut reader = ParquetRecordBatchStreamBuilder::new_with_metadata(source, file.metadata)
        .with_projection(output.mask.clone())
        .with_row_groups(groups)
        .with_batch_size(batch_rows)
        .with_max_predicate_cache_size(CACHED_BYTES)
        .with_row_filter(RowFilter::new(sieves));
    if let Some(selection) = selection {
        reader = reader.with_row_selection(selection);
    }
    if let Some(limit) = limit {
        reader = reader.with_limit(limit);
    }
    Ok(reader.build()?.map(move |batch| output.of(&batch?)))
}

/// A step over what is decoded of one file.
struct Sieve {
    columns: Columns,
    test: Arc<dyn PhysicalExpr>,
    stopped: Arc<AtomicBool>,
}

impl ArrowPredicate for Sieve {
    fn projection(&self) -> &ProjectionMask {
        &self.columns.mask
    }

    fn evaluate(&mut self, batch: RecordBatch) -> std::result::Result<BooleanArray, ArrowError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(ArrowError::ExternalError(Box::new(Error::Canceled)));
        }
        let rows = batch.num_rows();
        let test = self.columns.of(&batch).and_then(|batch| self.test.evaluate(&batch)?.into_array(rows));
        let test = test.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let wrong = || {
            let message = format!("a filter became {}", test.data_type());
            ArrowError::ExternalError(Box::new(DataFusionError::Internal(message)))
        };
        test.as_boolean_opt().cloned().ok_or_else(wrong)
    }
}
