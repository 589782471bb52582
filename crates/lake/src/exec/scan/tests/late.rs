//! Late materialisation: whichever columns are decoded first, the rows are the same.

use arrow::array::*;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type};
use parquet::file::properties::{EnabledStatistics, WriterVersion};

use super::*;

const ROWS: i64 = 20_000;

/// Columns of all kinds. `k` counts from 0 to 9, `t` is NULL in every third row.
fn all_kinds() -> RecordBatch {
    let ids = || 0..ROWS;
    let text = |id: i64| (id % 3 != 0).then(|| format!("row {id} of {ROWS}"));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for id in ids() {
        if id % 5 == 0 {
            lists.append_null();
            continue;
        }
        for item in 0..id % 4 {
            lists.values().append_option((item != 2).then(|| format!("{id}/{item}")));
        }
        lists.append(true);
    }
    let decimals = Decimal128Array::from_iter(ids().map(|id| (id % 11 != 0).then(|| i128::from(id) * 7)));
    let short = |id: i64| (id % 13 != 0).then(|| format!("{}", id % 5));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("k", Arc::new(Int32Array::from_iter_values(ids().map(|id| (id % 10) as i32)))),
        ("t", Arc::new(StringArray::from_iter(ids().map(text)))),
        ("list", Arc::new(lists.finish())),
        ("n", Arc::new(decimals.with_precision_and_scale(15, 2).unwrap())),
        ("ns", Arc::new(TimestampNanosecondArray::from_iter(ids().map(|id| (id % 7 != 0).then_some(id * 1001))))),
        (
            "d",
            Arc::new(
                ids()
                    .map(short)
                    .collect::<Vec<_>>()
                    .iter()
                    .map(Option::as_deref)
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("f", Arc::new(Float64Array::from_iter(ids().map(|id| (id % 17 != 0).then_some(id as f64 / 3.0))))),
        ("b", Arc::new(BooleanArray::from_iter(ids().map(|id| (id % 19 != 0).then_some(id % 2 == 0))))),
        ("u", Arc::new(FixedSizeBinaryArray::try_from_iter(ids().map(|id| [(id % 251) as u8; 16])).unwrap())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// In row groups of 5,000 rows and pages of some 500.
fn write(path: &Path, batch: &RecordBatch, version: WriterVersion, has_index: bool) {
    let level = if has_index { EnabledStatistics::Page } else { EnabledStatistics::Chunk };
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(5_000))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(100)
        .set_writer_version(version)
        .set_statistics_enabled(level)
        .set_offset_index_disabled(!has_index)
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn joined(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

/// The rows of a scan without a filter for whose id a test is true.
fn passing(spec: &ScanSpec, test: &dyn Fn(i64) -> bool) -> RecordBatch {
    let (all, _) = run(&ScanSpec { filter: None, ..spec.clone() }).unwrap();
    let all = joined(&all);
    let ids = all.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
    filter_record_batch(&all, &ids.values().iter().map(|id| Some(test(*id))).collect::<BooleanArray>()).unwrap()
}

#[test]
fn rows_are_the_same_whichever_columns_are_decoded_first() {
    let folder = tempfile::tempdir().unwrap();
    let batch = all_kinds();
    let text = |text: &str| Value::Text(text.to_owned());
    for (number, (version, has_index)) in [
        (WriterVersion::PARQUET_1_0, false),
        (WriterVersion::PARQUET_1_0, true),
        (WriterVersion::PARQUET_2_0, false),
        (WriterVersion::PARQUET_2_0, true),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{number}.parquet"));
        write(&path, &batch, version, has_index);
        let table = ScanSpec { parallelism: 1, ..spec(&path).unwrap() };
        let k = |comparison, value| call(&table, comparison, 1, Value::Int(value));
        let is_three = || k(Comparison::Eq, 3);
        let like = || call(&table, Function::Like, 2, text("row 1%"));
        let null = || Expr::IsNull(Box::new(Expr::Column(2, Kind::Text.into())));
        let first = || call(&table, Comparison::Lt, 0, Value::Int(700));
        let digit = || call(&table, Comparison::Eq, 6, text("4"));
        let begins_with_1 = |id: i64| id % 3 != 0 && id.to_string().starts_with('1');
        type Passes = Box<dyn Fn(i64) -> bool>;
        let cases: Vec<(Expr, Passes)> = vec![
            (is_three(), Box::new(|id| id % 10 == 3)),
            (Expr::And(vec![like(), k(Comparison::Lt, 2)]), Box::new(move |id| begins_with_1(id) && id % 10 < 2)),
            (Expr::And(vec![null(), k(Comparison::Gt, 7)]), Box::new(|id| id % 3 == 0 && id % 10 > 7)),
            (first(), Box::new(|id| id < 700)),
            (
                Expr::And(vec![first(), is_three(), like()]),
                Box::new(move |id| id < 700 && id % 10 == 3 && begins_with_1(id)),
            ),
            (
                Expr::Or(vec![is_three(), call(&table, Comparison::Eq, 0, Value::Int(12_345))]),
                Box::new(|id| id % 10 == 3 || id == 12_345),
            ),
            (Expr::And(vec![digit(), is_three()]), Box::new(|id| id % 13 != 0 && id % 5 == 4 && id % 10 == 3)),
            (Expr::And(vec![digit(), k(Comparison::Eq, 4)]), Box::new(|id| id % 13 != 0 && id % 10 == 4)),
            (k(Comparison::Gt, 100), Box::new(|_| false)),
        ];
        for (filter, test) in cases {
            let shown = format!("{version:?} {has_index} {filter:?}");
            for projection in [(0..10).collect::<Vec<_>>(), vec![3, 0], vec![9, 2, 0, 4]] {
                let spec = ScanSpec {
                    filter: Some(Arc::new(filter.clone().bind(Vec::new()).unwrap())),
                    projection,
                    ..table.clone()
                };
                let expected = passing(&spec, &*test);
                let (found, statistics) = run(&spec).unwrap();
                if expected.num_rows() == 0 {
                    assert_eq!(rows(&found), 0, "{shown}");
                    continue;
                }
                assert_eq!(joined(&found), expected, "{shown}");
                assert!(statistics.rows_skipped > 0, "{shown}: all columns were decoded of all rows");
            }
        }
    }
}

#[test]
fn a_filter_that_most_rows_pass_is_soon_tested_on_whole_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let ids = || 0..300_000i64;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("k", Arc::new(Int64Array::from_iter_values(ids().map(|id| id % 10)))),
        ("s", Arc::new(StringArray::from_iter_values(ids().map(|id| (id % 10).to_string())))),
        ("t", Arc::new(StringArray::from_iter_values(ids().map(|id| format!("{id:0100}"))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(30_000)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut spec = ScanSpec { parallelism: 1, ..spec(&path).unwrap() };
    let text = || Value::Text("9".to_owned());
    // Of texts nothing is known before some were tested.
    for (column, comparison, value, passing, skipped) in [
        (0, Comparison::Lt, Value::Int(9), 270_000, 0..=0),
        (0, Comparison::GtEq, Value::Int(9), 30_000, 270_000..=270_000),
        (1, Comparison::NotEq, text(), 270_000, 1..=10_000),
        (1, Comparison::Eq, text(), 30_000, 270_000..=270_000),
    ] {
        spec.filter = compare(&spec, comparison, column, value);
        let (batches, statistics) = run(&spec).unwrap();
        assert_eq!(rows(&batches), passing);
        assert!(skipped.contains(&statistics.rows_skipped), "{statistics:?}");
        // Few rows pass in every batch that is decoded, but not in those that are delivered.
        assert!(statistics.batches <= 60, "{statistics:?}");
    }
}

#[test]
fn a_limit_is_kept_and_a_cancel_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &all_kinds(), WriterVersion::PARQUET_1_0, true);
    let mut spec = spec(&path).unwrap();
    spec.filter = compare(&spec, Comparison::Eq, 1, Value::Int(3));
    for limit in [0, 1, 499, 501, 2000, 5000] {
        spec.limit = Some(limit);
        assert_eq!(rows(&run(&spec).unwrap().0) as u64, limit.min(2000));
    }
    spec.limit = None;
    for _ in 0..50 {
        let mut scan = Scan::start(&spec, Arc::new(|| {})).unwrap();
        assert!(scan.cancel(LONG), "the task did not end");
        assert!(matches!(scan.poll(), Ok(Poll::Done)));
    }
}

/// A page of a column that is decoded last is checked as any other.
#[test]
fn damage_in_what_is_decoded_last_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &all_kinds(), WriterVersion::PARQUET_1_0, false);
    let metadata = files::footer(&files::look(&[located(&path)], &mut || true).unwrap()[0]).unwrap();
    let (start, length) = metadata.row_group(0).column(2).byte_range();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(start + length / 2) as usize..(start + length) as usize].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let mut spec = spec(&path).unwrap();
    spec.filter = compare(&spec, Comparison::Eq, 1, Value::Int(3));
    let error = run(&spec).unwrap_err();
    assert_eq!(error.sqlstate(), "LG004", "{error}");
}

/// What rows that do not pass have in other columns is not looked at; what the filter looks at is.
#[test]
fn values_beyond_the_type_are_errors_where_they_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX / 2, 5]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("s", seconds)]).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut spec = spec(&path).unwrap();
    spec.filter = compare(&spec, Comparison::Eq, 0, Value::Int(2));
    assert_eq!(rows(&run(&spec).unwrap().0), 1);
    spec.filter = compare(&spec, Comparison::Eq, 0, Value::Int(1));
    let error = run(&spec).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().contains("\"s\"")), ("22008", true), "{error}");
    let looks = call(&spec, Comparison::Gt, 1, Value::Int(0));
    spec.filter = Some(Arc::new(looks));
    assert_eq!(run(&spec).unwrap_err().sqlstate(), "22008");
}

/// Lists of a type that is converted come late as they come at once.
#[test]
fn nested_columns_are_converted_late_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let values = Int32Array::from_iter_values(0..6_000);
    let offsets = arrow::buffer::OffsetBuffer::from_lengths((0..3_000).map(|_| 2));
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(values), None));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3_000));
    let batch = RecordBatch::try_from_iter([("id", ids), ("l", lists)]).unwrap();
    write(&path, &batch, WriterVersion::PARQUET_2_0, true);
    let mut spec = spec(&path).unwrap();
    spec.filter = compare(&spec, Comparison::Eq, 0, Value::Int(2_345));
    let found = joined(&run(&spec).unwrap().0);
    let list = found.column(1).as_list::<i32>().value(0);
    assert_eq!(list.as_primitive::<Int32Type>().values(), &[4_690, 4_691]);
}
