#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod late;
mod statistics;

use std::path::{Path, PathBuf};
use std::sync::Condvar;
use std::sync::Mutex;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::exec::plan::Plan;
use crate::exec::{pieces, rows_within};
use crate::expr::{Comparison, Expr, Function, Type, Value};
use crate::source::files::DataFile;
use crate::source::store::Rights;
use crate::source::{Location, files, table};
use crate::types::Kind;

const LONG: Duration = Duration::from_secs(20);

/// Ten row groups of a hundred rows: id counts up, x = id with a NaN in each row group, t names it.
fn sample(path: &Path) {
    let ids: Vec<i64> = (0..1000).collect();
    let floats = ids.iter().map(|id| if id % 100 == 50 { f64::NAN } else { *id as f64 });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("x", Arc::new(Float64Array::from_iter_values(floats))),
        ("t", Arc::new(StringArray::from_iter(ids.iter().map(|id| (id % 7 != 0).then(|| format!("row {id}")))))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn located(path: &Path) -> Location {
    Location::local(path, &Rights::everywhere()).unwrap()
}

fn opened(paths: &[PathBuf]) -> Result<Vec<DataFile>> {
    let locations = paths.iter().map(|path| located(path)).collect::<Vec<_>>();
    files::open(&files::look(&locations, &mut || true)?, &mut || true)
}

fn spec(path: &Path) -> Result<ScanSpec> {
    let files = opened(&[path.to_owned()])?;
    let columns = table::infer(&files)?;
    let projection = (0..columns.len()).collect();
    Ok(ScanSpec { files, columns, projection, filter: None, limit: None, parallelism: 2 })
}

/// Runs a scan to its end, as the glue does: waiting only when there is nothing.
fn run(spec: &ScanSpec) -> Result<(Vec<RecordBatch>, Statistics)> {
    let bell = Arc::new((Mutex::new(false), Condvar::new()));
    let ringer = bell.clone();
    let mut scan = Scan::start(
        spec,
        Arc::new(move || {
            *ringer.0.lock().unwrap() = true;
            ringer.1.notify_one();
        }),
    )?;
    let mut batches = Vec::new();
    loop {
        match scan.poll()? {
            Poll::Batch(batch) => batches.push(batch),
            Poll::Done => return Ok((batches, scan.statistics())),
            Poll::Pending => {
                let rung = bell.0.lock().unwrap();
                let (mut rung, waited) = bell.1.wait_timeout_while(rung, LONG, |rung| !*rung).unwrap();
                assert!(!waited.timed_out(), "the scan neither delivered nor ended");
                *rung = false;
            }
        }
    }
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn all_of(files: Vec<DataFile>, projection: Vec<usize>) -> Result<Vec<RecordBatch>> {
    let columns = table::infer(&files)?;
    let spec = ScanSpec { files, columns, projection, filter: None, limit: None, parallelism: 2 };
    Ok(run(&spec)?.0)
}

/// Rows that the first column of some files has.
pub(crate) fn rows_of(files: Vec<DataFile>) -> Result<usize> {
    Ok(rows(&all_of(files, vec![0])?))
}

/// Rows of some files, of which no column is asked for.
pub(crate) fn count(files: Vec<DataFile>) -> Result<usize> {
    Ok(rows(&all_of(files, vec![])?))
}

/// The sum of the first column, integers.
pub(crate) fn sum_of(files: Vec<DataFile>) -> Result<i64> {
    let batches = all_of(files, vec![0])?;
    Ok(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum())
}

/// A column of the table, and the type of constants beside it: the widest that compares with it.
fn column(spec: &ScanSpec, index: usize) -> (Expr, Kind) {
    let kind = spec.columns[index].ty.kind().unwrap();
    let widest = match kind {
        Kind::Int2 | Kind::Int4 => Kind::Int8,
        Kind::Float4 => Kind::Float8,
        other => other,
    };
    (Expr::Column(index, kind.into()), widest)
}

fn call(spec: &ScanSpec, function: impl Into<Function>, index: usize, value: Value) -> Expr {
    let (column, constant) = column(spec, index);
    Expr::binary(function, column, Expr::Constant(value, constant.into()))
}

fn compare(spec: &ScanSpec, function: impl Into<Function>, index: usize, value: Value) -> Option<Arc<Expr>> {
    Some(Arc::new(call(spec, function, index, value)))
}

#[test]
fn a_filter_prunes_row_groups_and_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let mut spec = spec(&path).unwrap();
    spec.filter = compare(&spec, Comparison::GtEq, 0, Value::Int(950));
    let (batches, statistics) = run(&spec).unwrap();
    assert_eq!(rows(&batches), 50);
    assert_eq!((statistics.row_groups, statistics.row_groups_pruned), (10, 9));
    assert_eq!((statistics.files, statistics.rows), (1, 50));
    assert!(statistics.bytes > 0);
}

#[test]
fn nan_is_greater_than_all_and_no_row_group_with_it_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let mut spec = spec(&path).unwrap();
    for (op, value, expected) in [
        (Comparison::Gt, 2000.0, 10),
        (Comparison::GtEq, f64::NAN, 10),
        (Comparison::Eq, -f64::NAN, 10),
        (Comparison::NotEq, 5.0, 999),
        (Comparison::Lt, 100.0, 99),
        (Comparison::LtEq, f64::INFINITY, 990),
    ] {
        spec.filter = compare(&spec, op, 1, Value::float(value));
        let (batches, _) = run(&spec).unwrap();
        assert_eq!(rows(&batches), expected, "{op:?} {value}");
    }
    spec.filter = compare(&spec, Comparison::Gt, 1, Value::float(2000.0));
    let (batches, _) = run(&spec).unwrap();
    let nan = |batch: &RecordBatch| batch.column(1).as_primitive::<Float64Type>().values().iter().all(|x| x.is_nan());
    assert!(batches.iter().all(nan));
}

#[test]
fn projection_filter_and_limit_are_independent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let mut spec = spec(&path).unwrap();
    spec.projection = vec![];
    assert_eq!(rows(&run(&spec).unwrap().0), 1000);
    spec.filter = compare(&spec, Comparison::Lt, 0, Value::Int(10));
    let (batches, _) = run(&spec).unwrap();
    assert_eq!((rows(&batches), batches[0].num_columns()), (10, 0));
    spec.projection = vec![2];
    spec.limit = Some(3);
    let (batches, statistics) = run(&spec).unwrap();
    assert_eq!((rows(&batches), batches[0].num_columns(), statistics.rows), (3, 1, 3));
    spec.limit = Some(0);
    assert_eq!(rows(&run(&spec).unwrap().0), 0);
    spec.filter = None;
    spec.limit = Some(150);
    spec.projection = vec![0];
    let (batches, _) = run(&spec).unwrap();
    let ids: Vec<i64> =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(ids, (0..150).collect::<Vec<_>>());
}

#[test]
fn several_files_are_one_scan() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "b.parquet", "c d%20é.parquet"] {
        sample(&folder.path().join(name));
    }
    let found = files::find(&located(folder.path()), &mut || true).unwrap();
    let files = files::open(&found, &mut || true).unwrap();
    let columns = table::infer(&files).unwrap();
    let spec = ScanSpec { files, columns, projection: vec![0], filter: None, limit: None, parallelism: 4 };
    let (batches, statistics) = run(&spec).unwrap();
    assert_eq!((rows(&batches), statistics.files, statistics.row_groups), (3000, 3, 30));
}

#[test]
fn a_cancelled_scan_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let spec = spec(&path).unwrap();
    for _ in 0..50 {
        let mut scan = Scan::start(&spec, Arc::new(|| {})).unwrap();
        assert!(scan.cancel(LONG), "the task did not end");
        assert!(matches!(scan.poll(), Ok(Poll::Done)));
    }
}

#[test]
fn a_file_that_goes_away_is_read_by_who_has_it_and_missing_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let spec = spec(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(rows(&run(&spec).unwrap().0), 1000);
    assert_eq!(opened(&[path]).unwrap_err().sqlstate(), "58P01");
}

#[test]
fn every_truncation_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(61).chain(0..16) {
        let cut = folder.path().join(format!("cut{length}.parquet"));
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let error = spec(&cut).expect_err("a truncated file was read");
        assert!(matches!(error.sqlstate(), "LG002" | "LG003" | "LG004"), "{length}: {error}");
    }
}

/// Damaged bytes may give an error or, in values, other values. They never end the process, hang or leave a scan waiting.
#[test]
fn damaged_bytes_never_hang_or_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    sample(&path);
    let bytes = std::fs::read(&path).unwrap();
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut errors = 0;
    for round in 0..600 {
        let mut damaged = bytes.clone();
        for _ in 0..=random(3) {
            // Half of the damage goes to the footer, which is where parsers are weakest.
            let at = if round % 2 == 0 { bytes.len() - 1 - random(2000) } else { random(bytes.len()) };
            damaged[at] = random(256) as u8;
        }
        let place = folder.path().join(format!("damaged{round}.parquet"));
        std::fs::write(&place, &damaged).unwrap();
        let outcome = spec(&place).and_then(|mut spec| {
            if round % 3 == 0 {
                spec.filter = compare(&spec, Comparison::Gt, 0, Value::Int(500))
                    .filter(|_| spec.columns.first().is_some_and(|c| c.ty == crate::types::ColumnType::Int8));
            }
            run(&spec)
        });
        if let Err(error) = outcome {
            errors += 1;
            assert!(!error.to_string().contains("panic") && error.sqlstate() != "XX000", "{error}");
        }
        std::fs::remove_file(&place).unwrap();
    }
    assert!(errors > 0);
}

#[test]
fn a_value_beyond_the_type_is_a_data_exception() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let seconds: ArrayRef = Arc::new(arrow::array::TimestampSecondArray::from(vec![i64::MAX / 2]));
    let batch = RecordBatch::try_from_iter([("s", seconds)]).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let error = run(&spec(&path).unwrap()).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().contains("\"s\"")), ("22008", true), "{error}");
}

/// Values of two megabytes each, of a dictionary of one: a batch of 8,192 would be 16 GB for whoever copies them.
#[test]
fn wide_values_come_in_pieces_that_their_consumer_can_take() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let wide = "x".repeat(2_000_000);
    let values: ArrayRef = Arc::new(arrow::array::DictionaryArray::<arrow::datatypes::Int32Type>::new(
        arrow::array::Int32Array::from(vec![0; 300]),
        Arc::new(StringArray::from(vec![wide.as_str()])),
    ));
    let batch = RecordBatch::try_from_iter([("t", values)]).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (batches, _) = run(&spec(&path).unwrap()).unwrap();
    assert_eq!(rows(&batches), 300);
    let mut pieces = 0;
    for mut batch in batches {
        while batch.num_rows() > 0 {
            let taken = rows_within(&batch, 5_000_000);
            assert_eq!(taken, 2.min(batch.num_rows()));
            batch = batch.slice(taken, batch.num_rows() - taken);
            pieces += 1;
        }
    }
    assert!(pieces >= 150);
}

/// A row group larger than a piece may be is cut where its pages begin, with the same rows as a whole.
#[test]
fn large_row_groups_are_cut_where_pages_begin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter((0..200_000).map(|id| (id % 3 != 0).then(|| format!("{id:050}")))));
    let batch = RecordBatch::try_from_iter([("id", ids), ("t", texts)]).unwrap();
    use parquet::file::properties::WriterVersion::{PARQUET_1_0, PARQUET_2_0};
    for (dictionary, version) in [(false, PARQUET_1_0), (true, PARQUET_1_0), (false, PARQUET_2_0)] {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_writer_version(version)
            .set_encoding(parquet::basic::Encoding::PLAIN)
            .set_compression(parquet::basic::Compression::SNAPPY)
            .set_data_page_size_limit(100_000)
            .build();
        let mut writer =
            ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let spec = spec(&path).unwrap();
        let pieces = pieces::cut(&spec.files[0], &[0, 1], &[], 1 << 20).unwrap();
        assert!(pieces.len() > 3, "{}", pieces.len());
        let work = work_of(&spec);
        let mut ids = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for piece in &pieces {
            let plan = work.of(piece, None).unwrap();
            let context = Arc::new(datafusion::execution::TaskContext::default());
            let batches =
                runtime.block_on(datafusion::physical_plan::common::collect(plan.execute(0, context).unwrap()));
            for batch in batches.unwrap() {
                for (id, text) in
                    batch.column(0).as_primitive::<Int64Type>().values().iter().zip(batch.column(1).as_string_view())
                {
                    assert_eq!(text.map(|text| text.parse::<i64>().unwrap()), (id % 3 != 0).then_some(*id));
                    ids.push(*id);
                }
            }
        }
        assert_eq!(ids, (0..200_000).collect::<Vec<_>>());
    }
}

fn work_of(spec: &ScanSpec) -> Plan {
    Plan::new(spec, Arc::default()).unwrap()
}

/// A column of no width takes no memory that 1,600 of them would multiply.
#[test]
fn batches_are_no_longer_than_the_rows_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter((0..200).map(|i| (format!("c{i}"), one.clone()))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let spec = spec(&path).unwrap();
    let pieces = pieces::cut(&spec.files[0], &(0..200).collect::<Vec<_>>(), &[], 1 << 20).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.batch_rows).collect::<Vec<_>>(), [1]);
}

/// The error of a damaged file names that file, whichever of the scan it is.
#[test]
fn errors_name_the_file_that_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "b.parquet", "c.parquet"] {
        sample(&folder.path().join(name));
    }
    let damaged = folder.path().join("b.parquet");
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[4..2000].fill(0xff);
    std::fs::write(&damaged, bytes).unwrap();
    let found = files::find(&located(folder.path()), &mut || true).unwrap();
    let error = rows_of(files::open(&found, &mut || true).unwrap()).unwrap_err();
    assert_eq!(error.sqlstate(), "LG004");
    assert!(error.to_string().contains("b.parquet"), "{error}");
}
