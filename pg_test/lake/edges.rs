//! Columns of edge values, one for each type that filters can be pushed on.

use std::sync::Arc;

use lagoon_lake::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use lagoon_lake::types::{ColumnType, Kind};

/// A column of edge values, as Arrow array and as SQL literals.
pub(super) struct Edge {
    pub name: &'static str,
    pub sql: &'static str,
    /// The type in rules.
    pub kind: Kind,
    pub array: ArrayRef,
    pub literals: Vec<Option<String>>,
    /// Constants that are compared with, beside the values themselves: literals with type.
    pub more: Vec<&'static str>,
}

pub(super) const ROWS: usize = 24;

fn cycle<T: Clone>(values: &[Option<T>]) -> Vec<Option<T>> {
    values.iter().cloned().cycle().take(ROWS).collect()
}

fn literals<T: std::fmt::Display>(values: &[Option<T>]) -> Vec<Option<String>> {
    values.iter().map(|value| value.as_ref().map(ToString::to_string)).collect()
}

fn number_edge<T: Clone + std::fmt::Display, A: Array + From<Vec<Option<T>>> + 'static>(
    name: &'static str,
    sql: &'static str,
    values: &[Option<T>],
    more: &[&'static str],
) -> Edge {
    let values = cycle(values);
    edge(name, sql, Arc::new(A::from(values.clone())), literals(&values), more)
}

fn edge(
    name: &'static str,
    sql: &'static str,
    array: ArrayRef,
    literals: Vec<Option<String>>,
    more: &[&'static str],
) -> Edge {
    let delivered = ColumnType::of_arrow(array.data_type(), sql == "uuid").unwrap();
    Edge { name, sql, kind: delivered.kind().unwrap(), array, literals, more: more.to_vec() }
}

fn parsed_edge<T: Clone>(
    name: &'static str,
    sql: &'static str,
    values: &[Option<(&str, T)>],
    build: impl Fn(Vec<Option<T>>) -> ArrayRef,
    more: &[&'static str],
) -> Edge {
    let values = cycle(values);
    let literals = values.iter().map(|value| value.as_ref().map(|(text, _)| (*text).to_owned())).collect();
    let array = build(values.into_iter().map(|value| value.map(|(_, value)| value)).collect());
    edge(name, sql, array, literals, more)
}

fn decimals(precision: u8, scale: i8) -> impl Fn(Vec<Option<i128>>) -> ArrayRef {
    move |values| Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
}

pub(super) fn edges() -> Vec<Edge> {
    const DAY: i64 = 86_400_000_000;
    let instants: [Option<(&str, i64)>; 8] = [
        Some(("1970-01-01 00:00:00", 0)),
        Some(("1969-12-31 23:59:59.999999", -1)),
        Some(("0001-01-01 00:00:00", -719_162 * DAY)),
        None,
        Some(("9999-12-31 00:00:00", 2_932_896 * DAY)),
        Some(("2024-02-29 12:30:00.5", 19_782 * DAY + 45_000_500_000)),
        Some(("2000-01-01 00:00:00", 10_957 * DAY)),
        // The last one that a file can hold; it is not infinity.
        Some(("294247-01-10 04:00:54.775807", i64::MAX)),
    ];
    let int_more =
        &["'-32769'::int4", "0::int2", "1::int4", "1::int8", "2147483648::int8", "'-9223372036854775808'::int8"];
    let float_more = &[
        "'NaN'::float8",
        "'NaN'::float4",
        "0.1::float4",
        "0.1::float8",
        "'-0'::float8",
        "'Infinity'::float8",
        "1e300::float8",
    ];
    vec![
        number_edge::<bool, BooleanArray>("b", "boolean", &[Some(true), Some(false), None], &[]),
        number_edge::<i16, Int16Array>(
            "i2",
            "smallint",
            &[Some(i16::MIN), Some(-1), Some(0), None, Some(1), Some(i16::MAX)],
            int_more,
        ),
        number_edge::<i32, Int32Array>(
            "i4",
            "integer",
            &[Some(i32::MIN), Some(-1), Some(0), None, Some(1), Some(32768), Some(i32::MAX)],
            int_more,
        ),
        number_edge::<i64, Int64Array>(
            "i8",
            "bigint",
            &[Some(i64::MIN), Some(-1), None, Some(0), Some(1), Some(i64::MAX)],
            int_more,
        ),
        parsed_edge(
            "f4",
            "real",
            &[
                Some(("NaN", f32::NAN)),
                Some(("NaN", -f32::NAN)),
                Some(("0", 0.0)),
                Some(("-0", -0.0)),
                None,
                Some(("0.1", 0.1)),
                Some(("Infinity", f32::INFINITY)),
                Some(("-Infinity", f32::NEG_INFINITY)),
                Some(("1.5", 1.5)),
                Some(("-1e38", -1e38)),
            ],
            |values| Arc::new(Float32Array::from(values)),
            float_more,
        ),
        parsed_edge(
            "f8",
            "double precision",
            &[
                Some(("1.5", 1.5)),
                Some(("NaN", f64::NAN)),
                Some(("NaN", -f64::NAN)),
                Some(("0", 0.0)),
                Some(("-0", -0.0)),
                None,
                Some(("0.1", 0.1)),
                Some(("Infinity", f64::INFINITY)),
                Some(("-Infinity", f64::NEG_INFINITY)),
                Some(("1e300", 1e300)),
            ],
            |values| Arc::new(Float64Array::from(values)),
            float_more,
        ),
        parsed_edge(
            "n",
            "numeric(10,2)",
            &[
                Some(("-99999999.99", -9_999_999_999)),
                Some(("-1.01", -101)),
                Some(("-1", -100)),
                Some(("0", 0)),
                None,
                Some(("0.01", 1)),
                Some(("1", 100)),
                Some(("1.01", 101)),
                Some(("99999999.99", 9_999_999_999)),
            ],
            decimals(10, 2),
            &[
                "1.005::numeric",
                "'-1.005'::numeric",
                "1.0000::numeric",
                "'NaN'::numeric",
                "'Infinity'::numeric",
                "'-Infinity'::numeric",
                "1e45::numeric",
                "'-1e45'::numeric",
                "99999999.991::numeric",
                "100000000::numeric",
                "0.000000000000000000000000000000000000000000000001::numeric",
            ],
        ),
        parsed_edge(
            "n38",
            "numeric(38,19)",
            &[
                Some(("1234567890123456789.0123456789012345678", 12_345_678_901_234_567_890_123_456_789_012_345_678)),
                Some(("-0.0000000000000000001", -1)),
                None,
                Some(("0", 0)),
                Some(("10000", 100_000_000_000_000_000_000_000)),
            ],
            decimals(38, 19),
            &["'-0.00000000000000000005'::numeric", "10000.00000000000000000001::numeric"],
        ),
        number_edge::<&str, StringArray>(
            "t",
            "text",
            &[
                Some(""),
                Some("a"),
                Some("A"),
                Some("é"),
                Some("e"),
                None,
                Some("aé"),
                Some("a_b"),
                Some("50%"),
                Some("b\\"),
                Some("x\ny"),
                Some("a "),
            ],
            &["'zzz'::text", "'A'::varchar", "'a'::text COLLATE \"C\"", "'e\u{301}'::text"],
        ),
        parsed_edge(
            "y",
            "bytea",
            &[
                Some(("\\x", &b""[..])),
                Some(("\\x00", b"\0")),
                Some(("\\xff", b"\xff")),
                None,
                Some(("\\x00ff", b"\0\xff")),
            ],
            |values| Arc::new(BinaryArray::from(values)),
            &["'\\x0000'::bytea"],
        ),
        parsed_edge(
            "d",
            "date",
            &[
                Some(("1970-01-01", 0)),
                Some(("1969-12-31", -1)),
                Some(("0001-01-01", -719_162)),
                None,
                Some(("9999-12-31", 2_932_896)),
                Some(("2024-02-29", 19_782)),
            ],
            |values| Arc::new(Date32Array::from(values)),
            &["'infinity'::date", "'-infinity'::date", "'4713-01-01 BC'::date"],
        ),
        parsed_edge(
            "tm",
            "time",
            &[Some(("00:00:00", 0)), Some(("12:34:56.789", 45_296_789_000)), None, Some(("23:59:59.999999", DAY - 1))],
            |values| Arc::new(Time64MicrosecondArray::from(values)),
            &["'24:00'::time"],
        ),
        parsed_edge(
            "ts",
            "timestamp",
            &instants,
            |values| Arc::new(TimestampMicrosecondArray::from(values)),
            &["'infinity'::timestamp", "'-infinity'::timestamp", "'294276-12-31'::timestamp"],
        ),
        parsed_edge(
            "tz",
            "timestamptz",
            &instants,
            |values| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")),
            &[
                "'infinity'::timestamptz",
                "'-infinity'::timestamptz",
                "'294276-12-31'::timestamptz",
                "'1970-01-01 02:00:00+02'::timestamptz",
            ],
        ),
        parsed_edge(
            "u",
            "uuid",
            &[
                Some(("00000000-0000-0000-0000-000000000000", [0u8; 16])),
                Some(("ffffffff-ffff-ffff-ffff-ffffffffffff", [255u8; 16])),
                None,
                Some(("80808080-8080-8080-8080-808080808080", [128u8; 16])),
            ],
            |values| Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 16).unwrap()),
            &["'7f7f7f7f-0000-0000-0000-000000000000'::uuid"],
        ),
    ]
}
