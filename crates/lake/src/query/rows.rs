//! The rows that a partition of a scan delivers: those that may still matter, in batches that are worth a call.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, and, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_expr_common::physical_expr::snapshot_generation;

use super::learned;
use crate::engine::runtime::Live;
use crate::error::{Error, Result};
use crate::exec::{BATCH_ROWS, Learned, Opened, Reading};
use crate::types::ColumnType;

/// Batches of more rows are delivered as they come.
const SMALL_BATCH: usize = BATCH_ROWS / 2;
/// A filter that lets more than three rows of so many pass is left alone for a while: whoever learned it asks again.
const USEFUL: u64 = 4;
/// Rows after which it is believed how many pass, and after which that is looked at anew.
const ENOUGH_ROWS: u64 = 1 << 16;
const RECENT_ROWS: u64 = 1 << 20;
/// Pieces that are read while rows wait for others, at most.
const MOST_PIECES: usize = 4;

/// Where a partition is.
pub(super) struct Rows {
    reading: Arc<Reading>,
    piece: Option<Opened>,
    schema: SchemaRef,
    /// The columns of the table behind those of the schema.
    columns: Arc<[(usize, ColumnType)]>,
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// What `dynamic` says, and of which generation that is.
    learned: Learned,
    generation: Option<u64>,
    use_of: Use,
    /// Rows that wait for others, for so many pieces.
    batches: BatchCoalescer,
    waited: usize,
    is_done: bool,
    _live: Live,
}

impl Rows {
    /// `columns` are those of the table behind those of `schema`, which the reading delivers.
    pub(super) fn new(
        reading: Arc<Reading>,
        schema: SchemaRef,
        columns: Arc<[(usize, ColumnType)]>,
        dynamic: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        let batches = BatchCoalescer::new(schema.clone(), BATCH_ROWS);
        let batches = batches.with_biggest_coalesce_batch_size(Some(SMALL_BATCH));
        let (learned, generation, use_of) = (Learned::default(), None, Use::default());
        let (piece, waited, is_done, _live) = (None, 0, false, Live::new());
        Self { reading, piece, schema, columns, dynamic, learned, generation, use_of, batches, waited, is_done, _live }
    }

    /// The next batch, one row at least; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batches.next_completed_batch() {
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            // Where no row matters nothing else gives others their turn, or is ended by a cancel.
            tokio::task::coop::consume_budget().await;
            self.read().await?;
        }
    }

    /// Reads one batch, or takes the next piece, or ends.
    async fn read(&mut self) -> Result<()> {
        if self.piece.is_none() {
            self.learn()?;
            self.piece = self.reading.next(Some(&self.learned)).await?;
        }
        let Some(piece) = &mut self.piece else { return self.end() };
        let Some(batch) = piece.next().await? else {
            self.piece = None;
            self.waited = if self.batches.get_buffered_rows() == 0 { 0 } else { self.waited + 1 };
            return if self.waited < MOST_PIECES { Ok(()) } else { self.flush() };
        };
        let rows = batch.num_rows();
        let wanted = usize::try_from(self.reading.deliver(rows as u64)).unwrap_or(rows);
        if wanted == 0 {
            return self.end();
        }
        let batch = renamed(&batch.slice(0, wanted), &self.schema).map_err(Error::internal)?;
        let test = if piece.is_tested() { None } else { self.use_of.test(&self.dynamic, &batch)? };
        if let Some(test) = &test {
            piece.dropped(batch.num_rows() - test.true_count());
        }
        let is_wide = piece.is_wide();
        self.put(batch, test, is_wide)
    }

    /// Adds the rows of a batch for which the test is true.
    fn put(&mut self, batch: RecordBatch, test: Option<BooleanArray>, is_wide: bool) -> Result<()> {
        let put = match test {
            Some(test) if is_wide => {
                let batch = filter_record_batch(&batch, &test).map_err(Error::internal)?;
                return self.put(batch, None, is_wide);
            }
            Some(test) => self.batches.push_batch_with_filter(batch, &test),
            // Eight thousand wide rows would be more than a batch may have.
            None if is_wide => {
                self.flush()?;
                self.batches.set_biggest_coalesce_batch_size(Some(0));
                let put = self.batches.push_batch(batch);
                self.batches.set_biggest_coalesce_batch_size(Some(SMALL_BATCH));
                put
            }
            None => self.batches.push_batch(batch),
        };
        put.map_err(Error::internal)
    }

    fn end(&mut self) -> Result<()> {
        self.is_done = true;
        self.piece = None;
        self.flush()
    }

    /// Lets go of the rows that wait.
    fn flush(&mut self) -> Result<()> {
        self.waited = 0;
        self.batches.finish_buffered_batch().map_err(Error::internal)
    }

    /// Takes notice of what was learned since the last time.
    fn learn(&mut self) -> Result<()> {
        let generation = self.dynamic.iter().map(snapshot_generation).fold(0, u64::wrapping_add);
        if self.generation == Some(generation) {
            return Ok(());
        }
        self.generation = Some(generation);
        let find = |name: &str| {
            let (at, ty) = self.columns.get(self.schema.index_of(name).ok()?)?;
            Some((*at, ty))
        };
        let known = learned::all(self.dynamic.iter().map(|filter| learned::necessary(filter, &find)).collect());
        let tests: Vec<_> = self.dynamic.iter().filter(|filter| says_something(filter)).cloned().collect();
        self.learned = self.reading.learned(known, &tests)?;
        Ok(())
    }
}

/// Of how much use it is to test rows by what was learned.
#[derive(Default)]
struct Use {
    generation: u64,
    /// Rows that were tested, those that passed, and those since that were not tested.
    tested: u64,
    passed: u64,
    untested: u64,
}

impl Use {
    /// The rows that may still matter; `None` if all of them may, or they are not worth the asking.
    fn test(&mut self, filters: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        if filters.is_empty() {
            return Ok(None);
        }
        let rows = batch.num_rows() as u64;
        let generation = filters.iter().map(snapshot_generation).fold(0, u64::wrapping_add);
        if self.generation != generation || self.untested > RECENT_ROWS {
            *self = Self { generation, ..Self::default() };
        }
        if self.tested > ENOUGH_ROWS && self.passed > self.tested / USEFUL * (USEFUL - 1) {
            self.untested += rows;
            return Ok(None);
        }
        let test = mattering(filters, batch)?;
        self.tested += rows;
        self.passed += test.as_ref().map_or(rows, |test| test.true_count() as u64);
        Ok(test)
    }
}

/// Whether a filter was updated yet: until then it is true.
fn says_something(filter: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() else { return true };
    let is_true = |literal: &Literal| *literal.value() == ScalarValue::Boolean(Some(true));
    dynamic.current().is_ok_and(|current| !current.downcast_ref::<Literal>().is_some_and(is_true))
}

/// The rows that may still matter; `None` if all of them may.
fn mattering(filters: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Option<BooleanArray>> {
    let mut all: Option<BooleanArray> = None;
    for filter in filters.iter().filter(|filter| says_something(filter)) {
        let known = |error: DataFusionError| Error::from_query(&error);
        let test = filter.evaluate(batch).map_err(known)?.into_array(batch.num_rows()).map_err(known)?;
        if test.data_type() != &DataType::Boolean {
            continue;
        }
        let test = test.as_boolean();
        let test = if test.null_count() > 0 { prep_null_mask_filter(test) } else { test.clone() };
        if test.true_count() < batch.num_rows() {
            all = Some(match all {
                Some(before) => and(&before, &test).map_err(Error::internal)?,
                None => test,
            });
        }
    }
    Ok(all)
}

/// A batch with columns of other names.
pub(super) fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> arrow::error::Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
}
