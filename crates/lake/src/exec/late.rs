//! Late materialisation: the columns of the filter are decoded first, the others only where rows pass.
//!
//! It pays where the others are much and few rows pass. How much they are footers say; how many pass is seen as pieces are
//! read, so it is decided for each piece anew.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowPredicate, RowFilter};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use super::columns::{Columns, Decoded};
use super::pieces::{Piece, size};
use super::reader::Source;
use super::rule_out::rule_out;
use crate::error::Result;
use crate::expr::{Condition, Expr};
use crate::source::table::TableColumn;

/// Steps in which the parts of a filter are tested, at most: each is a pass over a row group of its own.
const MOST_STEPS: usize = 4;
/// Of rows that are tested one in so many may pass.
const PASSING: u64 = 4;
/// Rows after which it is believed how many pass.
const ENOUGH_ROWS: u64 = 8192;
/// What is decoded of some rows is so many times less than what is decoded of all, at most.
const LESS: u64 = 4;
/// Bytes of decoded columns of the filter that wait to be delivered. What is beyond is decoded once more.
const CACHED_BYTES: usize = 16 << 20;

/// The filter of a scan in steps: what needs the least bytes comes first, and what it leaves is all that the next looks at.
pub(super) struct Late {
    steps: Arc<[Step]>,
    /// Columns that are decoded of all rows.
    first: HashSet<String>,
    /// Those that are decoded of the rows that are left.
    others: HashSet<String>,
    tally: Tally,
}

struct Step {
    /// Of the table, by number.
    columns: Vec<usize>,
    /// Over a batch of these columns.
    test: Arc<dyn PhysicalExpr>,
}

/// Rows that the filter was tested on, and those that passed.
#[derive(Default)]
struct Tally {
    tested: AtomicU64,
    passed: AtomicU64,
}

/// What is opened.
pub(super) struct Job {
    pub source: Source,
    pub access: ParquetAccessPlan,
    /// All columns of the table that the scan knows.
    pub table: SchemaRef,
    /// Those that it delivers.
    pub delivered: Vec<usize>,
    pub condition: Condition,
    pub batch_rows: usize,
    /// Rows that are wanted at most.
    pub limit: Option<usize>,
    pub metrics: ExecutionPlanMetricsSet,
}

impl Late {
    /// `bytes` says how much of the files a column is; `None` if nothing is decoded but what the filter looks at first.
    pub(super) fn new(
        filter: &Expr,
        columns: &Arc<[TableColumn]>,
        delivered: &[usize],
        bytes: &dyn Fn(usize) -> u64,
    ) -> Result<Option<Self>> {
        let steps = split(filter, bytes);
        let Some((first, _)) = steps.first().filter(|(first, _)| !first.is_empty()) else { return Ok(None) };
        let first: HashSet<usize> = first.iter().copied().collect();
        let of_steps = steps.iter().flat_map(|(columns, _)| columns);
        let others: HashSet<_> = of_steps.chain(delivered).copied().filter(|column| !first.contains(column)).collect();
        if others.is_empty() {
            return Ok(None);
        }
        let step = |(of, parts): (Vec<usize>, Vec<Expr>)| {
            let position = |column: usize| of.iter().position(|known| *known == column).unwrap_or(usize::MAX);
            let test = Condition::new(Arc::new(Expr::And(parts)), columns.clone(), &position)?;
            Ok(Step { test: Arc::new(test), columns: of })
        };
        let steps = steps.into_iter().map(step).collect::<Result<Vec<_>>>()?;
        let names = |of: HashSet<usize>| of.iter().filter_map(|at| columns.get(*at)).map(|c| c.name.clone()).collect();
        Ok(Some(Self { steps: steps.into(), first: names(first), others: names(others), tally: Tally::default() }))
    }

    /// Whether it pays for a piece.
    pub(super) fn pays(&self, piece: &Piece) -> bool {
        let descriptor = piece.metadata.file_metadata().schema_descr();
        let (mut first, mut rest) = (0u64, 0u64);
        for group in piece.access.row_group_index_iter().filter_map(|at| piece.metadata.row_groups().get(at)) {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let name = descriptor.get_column_root(leaf).name();
                if self.first.contains(name) {
                    first = first.saturating_add(size(chunk));
                } else if self.others.contains(name) {
                    rest = rest.saturating_add(size(chunk));
                }
            }
        }
        let (tested, passed) = (self.tally.tested.load(Ordering::Relaxed), self.tally.passed.load(Ordering::Relaxed));
        let few_pass = tested < ENOUGH_ROWS || passed.saturating_mul(PASSING) <= tested;
        few_pass && rest.saturating_mul(LESS) >= first
    }

    /// Counts the rows of a piece that was read to its end, and those of them that passed.
    pub(super) fn count(&self, tested: u64, passed: u64) {
        self.tally.tested.fetch_add(tested, Ordering::Relaxed);
        self.tally.passed.fetch_add(passed, Ordering::Relaxed);
    }

    /// The rows of a piece that pass.
    pub(super) fn open(&self, job: Job) -> BoxStream<'static, EngineResult<RecordBatch>> {
        futures::stream::once(open(job, self.steps.clone())).try_flatten().boxed()
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

async fn open(job: Job, steps: Arc<[Step]>) -> EngineResult<impl futures::Stream<Item = EngineResult<RecordBatch>>> {
    let Job { source, access, table, delivered, condition, batch_rows, limit, metrics } = job;
    let mut file = Decoded::new(source.metadata.clone(), &table)?;
    let access = rule_out(&condition, &source, &mut file, access, &metrics).await?;
    let output = file.columns(&delivered)?;
    let sieve = |step: &Step| -> EngineResult<Box<dyn ArrowPredicate>> {
        Ok(Box::new(Sieve { columns: file.columns(&step.columns)?, test: step.test.clone() }))
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
}

impl ArrowPredicate for Sieve {
    fn projection(&self) -> &ProjectionMask {
        &self.columns.mask
    }

    fn evaluate(&mut self, batch: RecordBatch) -> std::result::Result<BooleanArray, ArrowError> {
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
