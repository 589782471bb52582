#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod groups;
mod joins;
mod memory;
mod orders;
mod planning;
mod rows;
mod shipments;
mod statistics;
mod subqueries;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;
use crate::error::{Error, Result};
use crate::expr::{Comparison, Expr, Value};
use crate::source::store::Rights;
use crate::source::{Location, files, table};
use crate::types::Kind;

const LONG: Duration = Duration::from_secs(60);

/// The tables of most tests.
///
/// ```text
/// 0   id  g     f     n          1   id  v   m          2   id  (no rows)
///     1   x     NaN   1.00           2   b2  2.500
///     2   x    -0     2.50           3   b3  1.000
///     3   y     0     -              3   c3  7.125
///     4   -     1.5  -3.25           -   bn  -
///     -   y     -     2.50           9   b9  0.000
/// ```
struct World {
    _folder: TempDir,
    tables: Vec<Table>,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let decimal = |values: Vec<Option<i128>>, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(10, scale).unwrap())
    };
    let a: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None]))),
        ("g", Arc::new(StringArray::from(vec![Some("x"), Some("x"), Some("y"), None, Some("y")]))),
        ("f", Arc::new(Float64Array::from(vec![Some(-f64::NAN), Some(-0.0), Some(0.0), Some(1.5), None]))),
        ("n", decimal(vec![Some(100), Some(250), None, Some(-325), Some(250)], 2)),
    ];
    let b: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![Some(2), Some(3), Some(3), None, Some(9)]))),
        ("v", Arc::new(StringArray::from(vec!["b2", "b3", "c3", "bn", "b9"]))),
        ("m", decimal(vec![Some(2500), Some(1000), Some(7125), None, Some(0)], 3)),
    ];
    let empty: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(Int64Array::from(Vec::<i64>::new())))];
    let tables = [("a", a), ("b", b), ("empty", empty)];
    let tables = tables.into_iter().map(|(name, columns)| stored(&folder, name, columns)).collect();
    World { _folder: folder, tables }
}

/// A table of one file, in row groups of two rows.
fn stored(folder: &TempDir, name: &str, columns: Vec<(&str, ArrayRef)>) -> Table {
    let path = folder.path().join(format!("{name}.parquet"));
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let groups = if batch.num_rows() < 100 { 2 } else { 10_000 };
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(groups)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let location = Location::local(&path, &Rights::everywhere()).unwrap();
    let found = files::look(&[location], &mut || true).unwrap();
    let files = files::open(&found, &mut || true).unwrap();
    let columns = table::infer(&files).unwrap();
    Table { files, columns }
}

impl World {
    fn start(&self, rel: &Rel, options: &Options, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Query> {
        // What is not refused is what is run.
        check(rel, &self.tables, &[])?;
        Query::start(rel, &self.tables, &[], options, wake)
    }

    fn run(&self, rel: &Rel, options: &Options) -> Result<Vec<RecordBatch>> {
        run(|wake| self.start(rel, options, wake))
    }

    /// Rows in their order, with `-` for NULL.
    fn rows(&self, rel: &Rel) -> Vec<String> {
        self.try_rows(rel).unwrap_or_else(|error| panic!("{error}\n{rel:?}"))
    }

    fn try_rows(&self, rel: &Rel) -> Result<Vec<String>> {
        Ok(shown(&self.run(rel, &Options::default())?))
    }

    /// Rows in any order.
    fn set(&self, rel: &Rel) -> Vec<String> {
        let mut rows = self.rows(rel);
        rows.sort();
        rows
    }

    fn refused(&self, rel: &Rel) -> String {
        match check(rel, &self.tables, &[]) {
            Err(Error::NotSupported { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }

    fn explain(&self, rel: &Rel) -> String {
        explain(rel, &self.tables, &[], &Options::default()).unwrap().join("\n")
    }
}

/// The batches of a query, waiting only when there is nothing.
fn run(start: impl FnOnce(Arc<dyn Fn() + Send + Sync>) -> Result<Query>) -> Result<Vec<RecordBatch>> {
    let bell = Arc::new((Mutex::new(false), Condvar::new()));
    let ringer = bell.clone();
    let wake = move || {
        *ringer.0.lock().unwrap() = true;
        ringer.1.notify_one();
    };
    let mut query = start(Arc::new(wake))?;
    let mut batches = Vec::new();
    loop {
        match query.poll()? {
            Poll::Batch(batch) => batches.push(batch),
            Poll::Done => return Ok(batches),
            Poll::Pending => {
                let rung = bell.0.lock().unwrap();
                let (mut rung, waited) = bell.1.wait_timeout_while(rung, LONG, |rung| !*rung).unwrap();
                assert!(!waited.timed_out(), "the query neither delivered nor ended");
                *rung = false;
            }
        }
    }
}

/// Rows as text, with `-` for NULL.
fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let format = FormatOptions::new().with_null("-");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> =
            columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &format).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "));
        }
    }
    rows
}

/// Columns 0.. of table 0: id, g, f, n.
fn a() -> Rel {
    Rel::Table { table: 0, columns: vec![0, 1, 2, 3] }
}

/// Columns 0.. of table 1: id, v, m.
fn b() -> Rel {
    Rel::Table { table: 1, columns: vec![0, 1, 2] }
}

fn empty() -> Rel {
    Rel::Table { table: 2, columns: vec![0] }
}

const A: [Kind; 4] = [Kind::Int8, Kind::Text, Kind::Float8, Kind::Numeric];
const B: [Kind; 3] = [Kind::Int4, Kind::Text, Kind::Numeric];

/// A column of [`a`].
fn of_a(at: usize) -> Expr {
    Expr::Column(at, A[at].into())
}

/// A column of [`b`].
fn of_b(at: usize) -> Expr {
    Expr::Column(at, B[at].into())
}

/// A column of [`b`] to the right of those of [`a`].
fn right(at: usize) -> Expr {
    Expr::Column(A.len() + at, B[at].into())
}

/// A column of [`a`] from a query within.
fn outer(at: usize) -> Expr {
    Expr::Outer(1, at, A[at].into())
}

fn column(at: usize, kind: Kind) -> Expr {
    Expr::Column(at, kind.into())
}

fn int(value: i64) -> Expr {
    Expr::Constant(Value::Int(value), Kind::Int8.into())
}

fn number(value: &str) -> Expr {
    Expr::Constant(Value::Numeric(value.to_owned()), Kind::Numeric.into())
}

fn float(value: f64) -> Expr {
    Expr::Constant(Value::float(value), Kind::Float8.into())
}

fn text(value: &str) -> Expr {
    Expr::Constant(Value::Text(value.to_owned()), Kind::Text.into())
}

fn is(comparison: Comparison, left: Expr, right: Expr) -> Expr {
    Expr::binary(comparison, left, right)
}

fn eq(left: Expr, right: Expr) -> Expr {
    is(Comparison::Eq, left, right)
}

fn filter(input: Rel, condition: Expr) -> Rel {
    Rel::Filter { input: Box::new(input), condition }
}

fn project(input: Rel, columns: Vec<Expr>) -> Rel {
    Rel::Project { input: Box::new(input), columns }
}

/// The column `id` of the rows of [`a`] for which this is true.
fn ids(condition: Expr) -> Rel {
    project(filter(a(), condition), vec![of_a(0)])
}

fn join(kind: JoinKind, left: Rel, right: Rel, condition: Option<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), condition, lateral: false }
}

fn sort(input: Rel, keys: Vec<SortKey>) -> Rel {
    Rel::Sort { input: Box::new(input), keys }
}

/// As ORDER BY has it by default.
fn ascending(expr: Expr) -> SortKey {
    SortKey { expr, descending: false, nulls_first: false }
}

fn descending(expr: Expr) -> SortKey {
    SortKey { expr, descending: true, nulls_first: true }
}

fn limit(input: Rel, offset: Option<Expr>, count: Option<Expr>) -> Rel {
    Rel::Limit { input: Box::new(input), offset, count }
}

fn call(function: &str, arguments: Vec<Expr>) -> Aggregate {
    Aggregate { function: function.to_owned(), arguments, distinct: false, filter: None, order: Vec::new() }
}

fn count() -> Aggregate {
    call("count", Vec::new())
}

fn aggregate(input: Rel, groups: Vec<Expr>, aggregates: Vec<Aggregate>) -> Rel {
    Rel::Aggregate { input: Box::new(input), groups, sets: None, aggregates }
}

fn exists(query: Rel) -> Expr {
    Expr::Exists(Box::new(query))
}

fn within(item: Expr, query: Rel) -> Expr {
    Expr::InQuery(Box::new(item), Box::new(query))
}

fn scalar(query: Rel, kind: Kind) -> Expr {
    Expr::Scalar(Box::new(query), kind.into())
}
