//! Filters against statistics: whatever unit, scale or width a file stores, whoever wrote its minima and maxima, with row
//! groups, pages and Bloom filters to be ruled out, the rows are those that a plain comparison of the delivered values finds.

use std::cmp::Ordering;

use arrow::array::*;
use arrow::datatypes::{DataType, Decimal128Type, Int32Type};
use parquet::data_type::ByteArray;
use parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use parquet::file::properties::EnabledStatistics;
use parquet::file::statistics::{Statistics as ColumnStatistics, ValueStatistics};

use super::*;
use crate::trust::Trust;
use crate::types::{ColumnType, Declared};

const COMPARISONS: [Comparison; 6] =
    [Comparison::Eq, Comparison::NotEq, Comparison::Lt, Comparison::LtEq, Comparison::Gt, Comparison::GtEq];
const DAY: i64 = 86_400_000_000;

/// What PostgreSQL would compare: a number in the unit of the table, or a float.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
            other => panic!("{other:?}"),
        }
    }

    fn meets(self, comparison: Comparison, other: Self) -> bool {
        let order = self.order(other);
        match comparison {
            Comparison::Eq => order.is_eq(),
            Comparison::NotEq => order.is_ne(),
            Comparison::Lt => order.is_lt(),
            Comparison::LtEq => order.is_le(),
            Comparison::Gt => order.is_gt(),
            Comparison::GtEq => order.is_ge(),
        }
    }
}

/// One way to store a column.
struct Stored {
    name: &'static str,
    array: ArrayRef,
    declared: Declared,
    /// What is delivered for each row, in tenths of the table's unit, so that there are constants between all values.
    delivered: Vec<Option<Number>>,
    /// A constant of that many tenths; `None` if the type has none between its values.
    constant: fn(i128) -> Option<Value>,
    /// Whether statistics can rule anything out.
    prunes: bool,
}

fn tenths(values: impl IntoIterator<Item = Option<i128>>) -> Vec<Option<Number>> {
    values.into_iter().map(|value| value.map(|value| Number::Whole(value * 10))).collect()
}

/// Of a type without fractions.
fn only_whole(tenths: i128) -> Option<i64> {
    (tenths % 10 == 0).then(|| i64::try_from(tenths / 10).ok()).flatten()
}

/// Digits as PostgreSQL prints them, of tenths of 10^-scale.
fn digits(tenths: i128, scale: u32) -> Option<Value> {
    let unit = 10u128.pow(scale + 1);
    let (sign, size) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
    Some(Value::Numeric(format!("{sign}{}.{:0>width$}", size / unit, size % unit, width = scale as usize + 1)))
}

macro_rules! whole {
    ($name:literal, $array:ty, $values:expr, $declared:expr, $to:expr, $constant:expr) => {{
        let values: Vec<Option<_>> = $values;
        let to = $to;
        Stored {
            name: $name,
            delivered: tenths(values.iter().map(|value| value.map(|value| to(i128::from(value))))),
            array: Arc::new(<$array>::from(values)),
            declared: $declared,
            constant: $constant,
            prunes: true,
        }
    }};
}

/// Rows that grow, in groups of three, with a NULL in some groups and one group of NULLs alone.
fn growing<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    let mut rows: Vec<Option<T>> = Vec::new();
    for pair in values.chunks(2) {
        rows.extend(pair.iter().copied().map(Some));
        rows.push(None);
    }
    rows.extend([None, None, None]);
    rows
}

fn ways() -> Vec<Stored> {
    use ColumnType::*;
    let exactly = Declared::Exactly;
    let int = |tenths| only_whole(tenths).map(Value::Int);
    let date = |tenths| only_whole(tenths).filter(|days| i32::try_from(*days).is_ok()).map(Value::Int);
    let near =
        [-1_500_001i64, -1_500_000, -1_000_001, -1_000_000, -1_500, -1_001, -1_000, -999, -1, 0, 1, 999, 1_000, 1_001];
    let small = [-3i64, -2, -1, 0, 1, 2, 60, 3600];
    let clock = [0i64, 1, 2, 999, 1_000, 1_001, 43_200, 86_399];
    let narrow = |values: &[i64]| values.iter().map(|value| *value as i32).collect::<Vec<_>>();
    let decimals = |precision: u8, scale: i8, values: &[i128]| -> ArrayRef {
        let array = PrimitiveArray::<Decimal128Type>::from(growing(values));
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    };
    let cents = [-10_000i128, -101, -100, -99, -1, 0, 1, 99, 100, 12_345];
    let numeric = |name, array, declared, factor: i128, constant| Stored {
        name,
        array,
        declared,
        delivered: tenths(growing(&cents).into_iter().map(|value| value.map(|value| value * factor))),
        constant,
        prunes: true,
    };
    let floats = [f64::NEG_INFINITY, -2.5, -1.0, -0.0, 0.0, 0.1, 1.0, f64::INFINITY, f64::NAN, 7.0];
    vec![
        whole!("int8", Int8Array, growing(&[-128i8, -2, 0, 1, 126, 127]), exactly(Int2), |x| x, int),
        whole!("int16", Int16Array, growing(&[i16::MIN, -2, 0, 1, 5, i16::MAX]), exactly(Int4), |x| x, int),
        whole!("int32", Int32Array, growing(&[i32::MIN, -2, 0, 1, 5, i32::MAX]), exactly(Int8), |x| x, int),
        whole!("int64", Int64Array, growing(&[i64::MIN, -2, 0, 1, 5, i64::MAX]), exactly(Int8), |x| x, int),
        whole!("uint8", UInt8Array, growing(&[0u8, 1, 127, 128, 200, 255]), exactly(Int2), |x| x, int),
        whole!("uint16", UInt16Array, growing(&[0u16, 1, 32_767, 32_768, 65_535]), exactly(Int4), |x| x, int),
        whole!("uint32", UInt32Array, growing(&[0u32, 1, 1 << 31, u32::MAX]), exactly(Int8), |x| x, int),
        whole!("uint64", UInt64Array, growing(&[0u64, 1, 1 << 63, u64::MAX]), Declared::AnyNumeric, |x| x, |t| digits(
            t, 0
        )),
        whole!(
            "int32 as numeric",
            Int32Array,
            growing(&[i32::MIN, -1, 0, 1, 7]),
            exactly(ColumnType::numeric(14, 3)),
            |x| x * 1000,
            |t| digits(t, 3)
        ),
        whole!("date32", Date32Array, growing(&narrow(&small)), exactly(Date), |x| x, date),
        whole!(
            "date64",
            Date64Array,
            growing(&[-86_400_001i64, -86_400_000, -1, 0, 1, 86_399_999, 86_400_000]),
            exactly(Date),
            |x: i128| x.div_euclid(86_400_000),
            date
        ),
        whole!("time s", Time32SecondArray, growing(&narrow(&clock)), exactly(Time), |x| x * 1_000_000, int),
        whole!("time ms", Time32MillisecondArray, growing(&narrow(&clock)), exactly(Time), |x| x * 1000, int),
        whole!("time us", Time64MicrosecondArray, growing(&clock), exactly(Time), |x| x, int),
        whole!("time ns", Time64NanosecondArray, growing(&clock), exactly(Time), |x: i128| x.div_euclid(1000), int),
        whole!("timestamp s", TimestampSecondArray, growing(&small), exactly(Timestamp), |x| x * 1_000_000, int),
        whole!("timestamp ms", TimestampMillisecondArray, growing(&near), exactly(Timestamp), |x| x * 1000, int),
        whole!("timestamp us", TimestampMicrosecondArray, growing(&near), exactly(Timestamp), |x| x, int),
        whole!(
            "timestamp ns",
            TimestampNanosecondArray,
            growing(&near),
            exactly(Timestamp),
            |x: i128| x.div_euclid(1000),
            int
        ),
        Stored {
            array: Arc::new(TimestampSecondArray::from(growing(&small)).with_timezone("UTC")),
            ..whole!(
                "timestamptz s",
                TimestampSecondArray,
                growing(&small),
                exactly(Timestamptz),
                |x| x * 1_000_000,
                int
            )
        },
        Stored {
            array: Arc::new(TimestampNanosecondArray::from(growing(&near)).with_timezone("+02:00")),
            ..whole!(
                "timestamptz ns",
                TimestampNanosecondArray,
                growing(&near),
                exactly(Timestamptz),
                |x: i128| x.div_euclid(1000),
                int
            )
        },
        numeric("decimal(7,2)", decimals(7, 2, &cents), Declared::AnyNumeric, 1, |t| digits(t, 2)),
        numeric("decimal(18,2)", decimals(18, 2, &cents), Declared::AnyNumeric, 1, |t| digits(t, 2)),
        numeric("decimal(38,2)", decimals(38, 2, &cents), Declared::AnyNumeric, 1, |t| digits(t, 2)),
        numeric("decimal(7,2) as (12,4)", decimals(7, 2, &cents), exactly(ColumnType::numeric(12, 4)), 100, |t| {
            digits(t, 4)
        }),
        Stored {
            name: "double",
            array: Arc::new(Float64Array::from(growing(&floats))),
            declared: exactly(Float8),
            delivered: growing(&floats).into_iter().map(|x| x.map(Number::Float)).collect(),
            constant: |_| None,
            prunes: false,
        },
        Stored {
            name: "real beside double precision",
            array: Arc::new(Float32Array::from(growing(&floats.map(|x| x as f32)))),
            declared: exactly(Float4),
            delivered: growing(&floats).into_iter().map(|x| x.map(|x| Number::Float(f64::from(x as f32)))).collect(),
            constant: |_| None,
            prunes: false,
        },
    ]
}

/// One column beside its row number, in row groups of three rows and pages of one, with everything that a reader may use.
fn write(path: &Path, array: &ArrayRef) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..array.len() as i64));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("x", array.clone(), true)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(3))
        .set_data_page_row_count_limit(1)
        .set_write_batch_size(1)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(true)
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A scan that delivers the row numbers; its filters are on column 1.
fn ids_where(path: &Path, declared: &Declared) -> ScanSpec {
    let files = opened(&[path.to_owned()]).unwrap();
    let wanted = |name: &str, declared| (name.to_owned(), declared, String::new());
    let declared = [wanted("id", Declared::Exactly(ColumnType::Int8)), wanted("x", declared.clone())];
    let columns = table::resolve(&files, &declared).unwrap();
    ScanSpec { files, columns, projection: vec![0], filter: None, limit: None, parallelism: 1 }
}

fn within(spec: &ScanSpec, index: usize, list: Value) -> Expr {
    let (column, kind) = column(spec, index);
    Expr::In(Box::new(column), Box::new(Expr::Constant(list, Type::Array { array: kind })))
}

fn found(spec: &ScanSpec) -> (Vec<i64>, usize) {
    let (batches, statistics) = run(spec).unwrap();
    let mut ids: Vec<i64> =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    ids.sort_unstable();
    (ids, statistics.row_groups_pruned + statistics.pages_pruned)
}

#[test]
fn every_stored_unit_is_filtered_as_it_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    for way in ways() {
        let path = folder.path().join(format!("{}.parquet", way.name));
        write(&path, &way.array);
        let mut spec = ids_where(&path, &way.declared);
        let mut constants: Vec<(Number, Value)> = Vec::new();
        for number in way.delivered.iter().flatten() {
            match *number {
                Number::Float(x) => {
                    let beside = [x, x + 0.05, if x == 0.0 { -x } else { x }, f64::from(x as f32) + 1e-9];
                    constants.extend(beside.map(|x| (Number::Float(x), Value::float(x))));
                }
                Number::Whole(at) => {
                    let beside = [at - 10, at - 1, at, at + 1, at + 10];
                    constants
                        .extend(beside.into_iter().filter_map(|at| Some((Number::Whole(at), (way.constant)(at)?))));
                }
            }
        }
        if way.declared == Declared::Exactly(ColumnType::Timestamp) {
            for end in [i64::MIN, i64::MAX, -DAY, DAY] {
                constants.push((Number::Whole(i128::from(end) * 10), Value::Int(end)));
            }
        }
        let mut pruned = 0;
        let table = spec.clone();
        let mut check = |filter: Expr, expected: &dyn Fn(Number) -> bool| {
            let shown = format!("{}: {filter:?}", way.name);
            spec.filter = Some(Arc::new(filter.bind(Vec::new()).unwrap()));
            let (ids, ruled_out) = found(&spec);
            let rows = way.delivered.iter().enumerate();
            let expected: Vec<i64> =
                rows.filter(|(_, number)| number.is_some_and(expected)).map(|(row, _)| row as i64).collect();
            assert_eq!(ids, expected, "{shown}");
            pruned += ruled_out;
        };
        for (i, (number, constant)) in constants.iter().enumerate() {
            // All operators on some constants, and some on all: the product would take a minute.
            let ops = if i % 4 == 0 { &COMPARISONS[..] } else { &COMPARISONS[i % 3 * 2..i % 3 * 2 + 2] };
            for op in ops {
                check(call(&table, *op, 1, constant.clone()), &|x| x.meets(*op, *number));
            }
            let (other, second) = &constants[(i * 7 + 3) % constants.len()];
            let list = Value::List(vec![constant.clone(), second.clone()]);
            let within = within(&table, 1, list);
            let is_in = |x: Number| x.meets(Comparison::Eq, *number) || x.meets(Comparison::Eq, *other);
            if i % 3 == 0 {
                check(within.negated(), &|x| !is_in(x));
            } else {
                check(within, &is_in);
            }
        }
        let everything = Value::List(constants.iter().map(|(_, constant)| constant.clone()).collect());
        check(within(&table, 1, everything), &|_| true);
        assert_eq!(pruned > 0, way.prunes, "{}", way.name);
    }
}

#[test]
fn texts_of_every_representation_are_filtered_by_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let long = "é".repeat(60);
    let values: Vec<Option<&str>> = vec![
        Some(""),
        Some("a"),
        None,
        Some("ab"),
        Some("az"),
        Some("aé"),
        Some("b"),
        None,
        Some("b\u{d7ff}"),
        Some(&long),
    ];
    let names: DictionaryArray<Int32Type> = values.iter().copied().collect();
    let arrays: [(ArrayRef, ColumnType); 5] = [
        (Arc::new(StringArray::from(values.clone())), ColumnType::Text),
        (Arc::new(LargeStringArray::from(values.clone())), ColumnType::Text),
        (Arc::new(StringViewArray::from(values.clone())), ColumnType::Text),
        (Arc::new(names), ColumnType::Text),
        (
            Arc::new(BinaryArray::from(values.iter().map(|value| value.map(str::as_bytes)).collect::<Vec<_>>())),
            ColumnType::Text,
        ),
    ];
    for (i, (array, ty)) in arrays.into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.parquet"));
        write(&path, &array);
        let mut spec = ids_where(&path, &Declared::Exactly(ty));
        let mut pruned = 0;
        for constant in ["", "a", "aa", "ab", "aé", "az", "b\u{d7ff}", "b\u{d7fe}", "zz", &long, &long[..20]] {
            for op in COMPARISONS {
                spec.filter = compare(&spec, op, 1, Value::Text(constant.to_owned()));
                let (ids, ruled_out) = found(&spec);
                pruned += ruled_out;
                let holds = |value: &str| match op {
                    Comparison::Eq => value == constant,
                    Comparison::NotEq => value != constant,
                    Comparison::Lt => value < constant,
                    Comparison::LtEq => value <= constant,
                    Comparison::Gt => value > constant,
                    Comparison::GtEq => value >= constant,
                };
                let rows = values.iter().enumerate().filter(|(_, value)| value.is_some_and(holds));
                assert_eq!(
                    ids,
                    rows.map(|(row, _)| row as i64).collect::<Vec<_>>(),
                    "{:?} {op:?} {constant}",
                    array.data_type()
                );
            }
            spec.filter = compare(&spec, Function::Like, 1, Value::Text(format!("{constant}%")));
            let (ids, _) = found(&spec);
            let rows =
                values.iter().enumerate().filter(|(_, value)| value.is_some_and(|value| value.starts_with(constant)));
            assert_eq!(
                ids,
                rows.map(|(row, _)| row as i64).collect::<Vec<_>>(),
                "{:?} LIKE {constant}%",
                array.data_type()
            );
        }
        assert!(pruned > 0, "{:?}", array.data_type());
        let is_null = Expr::IsNull(Box::new(column(&spec, 1).0));
        spec.filter = Some(Arc::new(is_null.clone()));
        assert_eq!(found(&spec).0, [2, 7]);
        spec.filter = Some(Arc::new(is_null.negated()));
        assert_eq!(found(&spec).0.len(), values.len() - 2);
    }
}

/// One row group with `aé` and `az`, whose minimum and maximum are as signed bytes have them, by this writer. The metadata
/// that is given back says nothing of orders; the file does.
fn signed(path: &Path, created_by: Option<&str>, deprecated: bool) -> ParquetMetaData {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["az", "aé"]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("x", text, true)]).unwrap();
    let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::Chunk).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&std::fs::File::open(path).unwrap()).unwrap();
    let (file, group) = (metadata.file_metadata(), metadata.row_group(0).clone());
    let bound = |text: &str| Some(ByteArray::from(text.as_bytes().to_vec()));
    let wrong = ValueStatistics::new(bound("aé"), bound("az"), None, Some(0), deprecated);
    let wrong = ColumnStatistics::ByteArray(wrong.with_backwards_compatible_min_max(deprecated));
    let text = group.column(1).clone().into_builder().set_statistics(wrong).build().unwrap();
    let columns = vec![group.column(0).clone(), text];
    let group = group.into_builder().set_column_metadata(columns).build().unwrap();
    let with_orders = |orders| {
        let (created_by, properties) = (created_by.map(str::to_owned), file.key_value_metadata().cloned());
        let schema = file.schema_descr_ptr();
        let file = FileMetaData::new(file.version(), file.num_rows(), created_by, properties, schema, orders);
        ParquetMetaDataBuilder::new(file).set_row_groups(vec![group.clone()]).build()
    };
    let mut bytes = std::fs::read(path).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    bytes.truncate(bytes.len() - 8 - length);
    ParquetMetaDataWriter::new(&mut bytes, &with_orders(file.column_orders().cloned())).finish().unwrap();
    std::fs::write(path, bytes).unwrap();
    with_orders(None)
}

#[test]
fn bounds_of_signed_bytes_rule_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let newest = Some("parquet-cpp-arrow version 21.0.0");
    let writers = [
        (newest, true),
        (Some("parquet-mr version 1.8.1 (build 4aba4dae7bb0d4edbcf7923ae1339f28fd3f7fcf)"), false),
        (Some("parquet-mr version 1.6.0"), true),
        (None, true),
    ];
    for (i, (created_by, deprecated)) in writers.into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.parquet"));
        signed(&path, created_by, deprecated);
        let mut spec = ids_where(&path, &Declared::Exactly(ColumnType::Text));
        for (op, value, expected) in [
            (Comparison::Eq.into(), "az", &[0][..]),
            (Comparison::Eq.into(), "aé", &[1]),
            (Comparison::Gt.into(), "az", &[1]),
            (Comparison::Lt.into(), "aé", &[0]),
            (Function::Like, "az%", &[0]),
        ] {
            spec.filter = compare(&spec, op, 1, Value::Text(value.to_owned()));
            assert_eq!(found(&spec).0, expected, "{created_by:?} {deprecated} {op:?} {value}");
        }
    }
    // What the right writers say is used: this one lies, so the row is not looked for.
    let path = folder.path().join("right.parquet");
    let unordered = signed(&path, newest, false);
    let mut spec = ids_where(&path, &Declared::Exactly(ColumnType::Text));
    spec.filter = compare(&spec, Comparison::Eq, 1, Value::Text("az".to_owned()));
    assert_eq!(found(&spec), (vec![], 1));
    // Where nothing is said of orders, numbers have theirs and texts have none.
    assert!(Trust::of(&unordered, 0).order && !Trust::of(&unordered, 1).order);
}

#[test]
fn lists_of_finer_units_are_rounded_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut lists = ListBuilder::new(TimestampNanosecondBuilder::new());
    lists.append_value([Some(-1), None, Some(-1000), Some(1999)]);
    lists.append_null();
    write(&path, &(Arc::new(lists.finish()) as ArrayRef));
    let mut spec = spec(&path).unwrap();
    spec.projection = vec![1];
    let (batches, _) = run(&spec).unwrap();
    let list = batches[0].column(0).as_list::<i32>().value(0);
    assert_eq!(list.data_type(), &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None));
    let micros = list.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(micros.iter().collect::<Vec<_>>(), [Some(-1), None, Some(-1), Some(1)]);
}

/// INT96 has no order that a writer could have used, so its statistics are never looked at.
#[test]
fn int96_is_filtered_as_it_is_delivered() {
    use parquet::data_type::{Int64Type as Long, Int96, Int96Type};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let message = "message m { required int64 id; required int96 x; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let (epoch, day_nanos) = (2_440_588i64, 86_400_000_000_000i64);
    let nanos = [-1_001i64, -1_000, -1, 0, 999, 1_000, day_nanos - 1, -day_nanos];
    for (id, nanos) in (0i64..).zip(nanos) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Long>().write_batch(&[id], None, None).unwrap();
        column.close().unwrap();
        let (day, rest) = (epoch + nanos.div_euclid(day_nanos), nanos.rem_euclid(day_nanos));
        let mut value = Int96::new();
        value.set_data(rest as u32, (rest >> 32) as u32, day as u32);
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int96Type>().write_batch(&[value], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    let mut spec = ids_where(&path, &Declared::Exactly(ColumnType::Timestamp));
    for constant in [-2i64, -1, 0, 1, -86_400_000_000, 86_399_999_999] {
        for op in COMPARISONS {
            spec.filter = compare(&spec, op, 1, Value::Int(constant));
            let holds =
                |nanos: i64| Number::Whole(nanos.div_euclid(1000).into()).meets(op, Number::Whole(constant.into()));
            let expected: Vec<i64> = (0i64..).zip(nanos).filter(|(_, nanos)| holds(*nanos)).map(|(id, _)| id).collect();
            assert_eq!(found(&spec).0, expected, "{op:?} {constant}");
        }
    }
}
