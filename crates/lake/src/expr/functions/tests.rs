//! Every function against PostgreSQL: tests/values.tsv has what it answers (made by tests/values.sql).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, RecordBatch,
    StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::compute::nullif;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Schema, Time64MicrosecondType, TimestampMicrosecondType,
    i256,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{Expr, Operator, binary_expr, col};
use datafusion::physical_expr::create_physical_expr;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;
use crate::error::Error;
use crate::expr::rules::{AGGREGATES, QUERY_RULES, Rule};
use crate::expr::{Comparison, Function, Type};
use crate::types::{ColumnType, Numeric};

/// A line of the file.
struct Case<'a> {
    arguments: Vec<&'a str>,
    state: &'a str,
    answer: &'a str,
}

/// Calls with arguments of these types.
struct Calls<'a> {
    function: &'a str,
    types: Vec<ColumnType>,
    cases: Vec<Case<'a>>,
}

fn column_type(name: &str) -> ColumnType {
    match name {
        "int2" => ColumnType::Int2,
        "int4" => ColumnType::Int4,
        "int8" => ColumnType::Int8,
        "float4" => ColumnType::Float4,
        "float8" => ColumnType::Float8,
        "bool" => ColumnType::Bool,
        "text" => ColumnType::Text,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "interval" => ColumnType::Interval,
        "timestamp" => ColumnType::Timestamp,
        "timestamptz" => ColumnType::Timestamptz,
        "bytea" => ColumnType::Bytea,
        numeric => ColumnType::Numeric(modifier(numeric).unwrap()),
    }
}

fn modifier(numeric: &str) -> Option<Numeric> {
    let (precision, scale) = numeric.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some(Numeric { precision: precision.parse().ok()?, scale: scale.parse().ok()? })
}

fn calls<'a>(file: &'a str) -> Vec<Calls<'a>> {
    let mut found: BTreeMap<(&str, &str), Vec<Case<'a>>> = BTreeMap::new();
    for line in file.lines().filter(|line| !line.starts_with("agg ")) {
        let [function, types, arguments, state, answer] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let arguments: Vec<_> = arguments.split(';').collect();
        let is_infinite = function.starts_with("extract") && answer.ends_with("Infinity");
        // Answers that the engine has not: numerics of Arrow have no infinities, and microseconds from 1970 end before
        // PostgreSQL's do.
        let gives_times =
            matches!(function, "+" | "-" | "cast timestamp") && !types.contains("numeric") && state == "ok";
        let is_late = gives_times
            && answer.parse::<i128>().is_ok_and(|micros| {
                micros > i128::from(i64::MAX)
                    || types.contains("date") && [i64::MIN, i64::MAX].map(i128::from).contains(&micros)
            });
        let of_infinite_date = function.starts_with("date_part")
            && types == "date"
            && ["2147483647", "-2147483648"].contains(&arguments[0]);
        // What files have as the last timestamp is how infinite dates look that became timestamps: PostgreSQL is asked.
        let is_computed =
            ["+", "-", "cast date", "extract", "date_part", "date_trunc"].iter().any(|name| function.starts_with(name));
        let types_of = types.split(';').collect::<Vec<_>>();
        let is_last = is_computed
            && types_of.iter().zip(&arguments).any(|(ty, argument)| match *ty {
                "date" if function.starts_with("date_") => ["2147483647", "-2147483648"].contains(argument),
                ty if ty.starts_with("timestamp") => ["9223372036854775807", "-9223372036854775808"].contains(argument),
                _ => false,
            });
        let (state, answer) = if is_late || is_last || of_infinite_date {
            ("0A000", "the engine for Parquet files has no timestamps after 294247-01-10")
        } else if is_infinite {
            ("0A000", "the engine for Parquet files has no infinite numerics")
        } else {
            (state, answer)
        };
        found.entry((function, types)).or_default().push(Case { arguments, state, answer });
    }
    let calls = found.into_iter().map(|((function, types), cases)| Calls {
        function,
        types: types.split(';').map(column_type).collect(),
        cases,
    });
    calls.collect()
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    (text != "\\N").then(|| text.parse().ok().unwrap_or_else(|| panic!("{text}")))
}

/// Months, days and microseconds.
fn interval(text: &str) -> Option<IntervalMonthDayNano> {
    let mut parts = text.split(',').map(number::<i64>);
    let mut part = || parts.next().flatten();
    let (months, days, micros) = (part()?, part()?, part()?);
    Some(IntervalMonthDayNano::new(months as i32, days as i32, micros * 1_000))
}

fn unscaled(text: &str, scale: u8) -> Option<i256> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    number(&format!("{whole}{fraction:0<width$}", width = usize::from(scale)))
}

/// An array of values as PostgreSQL prints them.
fn array(ty: &ColumnType, values: &[&str]) -> ArrayRef {
    match ty {
        ColumnType::Int2 => Arc::new(values.iter().map(|text| number(text)).collect::<Int16Array>()),
        ColumnType::Int4 => Arc::new(values.iter().map(|text| number(text)).collect::<Int32Array>()),
        ColumnType::Int8 => Arc::new(values.iter().map(|text| number(text)).collect::<Int64Array>()),
        ColumnType::Float4 => Arc::new(values.iter().map(|text| number(text)).collect::<Float32Array>()),
        ColumnType::Float8 => Arc::new(values.iter().map(|text| number(text)).collect::<Float64Array>()),
        ColumnType::Bool => {
            Arc::new(values.iter().map(|text| (*text != "\\N").then_some(*text == "t")).collect::<BooleanArray>())
        }
        ColumnType::Numeric(numeric) => {
            let values = values.iter().map(|text| (*text != "\\N").then(|| unscaled(text, numeric.scale)).flatten());
            match ty.arrow() {
                narrow @ DataType::Decimal128(..) => {
                    let values = values.map(|value| value.map(|value| value.to_i128().unwrap()));
                    Arc::new(values.collect::<Decimal128Array>().with_data_type(narrow))
                }
                wide => Arc::new(values.collect::<Decimal256Array>().with_data_type(wide)),
            }
        }
        ColumnType::Date => Arc::new(values.iter().map(|text| number(text)).collect::<Date32Array>()),
        ColumnType::Timestamp => {
            Arc::new(values.iter().map(|text| number(text)).collect::<TimestampMicrosecondArray>())
        }
        ColumnType::Timestamptz => {
            let times = values.iter().map(|text| number(text)).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_data_type(ty.arrow()))
        }
        ColumnType::Time => Arc::new(values.iter().map(|text| number(text)).collect::<Time64MicrosecondArray>()),
        ColumnType::Interval => {
            Arc::new(values.iter().map(|text| interval(text)).collect::<IntervalMonthDayNanoArray>())
        }
        ColumnType::Bytea => {
            let bytes = values.iter().map(|text| (*text != "\\N").then_some(text.as_bytes()));
            Arc::new(bytes.collect::<BinaryViewArray>())
        }
        ColumnType::Text => {
            let text = |text: &&str| (*text != "\\N").then(|| text.replace("\\n", "\n"));
            Arc::new(values.iter().map(text).collect::<StringViewArray>())
        }
        other => panic!("{other}"),
    }
}

/// A value as PostgreSQL prints it, with so many digits behind the point if it is a numeric.
fn printed(array: &ArrayRef, row: usize, scale: Option<i32>) -> String {
    if array.is_null(row) {
        return "\\N".to_owned();
    }
    let decimal = |value: i256, own: i8| {
        let text = digits::numeric_text(value, own.unsigned_abs().into());
        let wanted = scale.unwrap_or(own.into());
        let more = i32::from(own) - wanted;
        if more <= 0 {
            return text + if own == 0 && more < 0 { "." } else { "" } + &"0".repeat(more.unsigned_abs() as usize);
        }
        let (kept, gone) = text.split_at(text.len() - more as usize);
        assert!(gone.bytes().all(|digit| digit == b'0'), "{text} has more than {wanted} digits");
        let kept = kept.trim_end_matches('.');
        if kept.bytes().all(|c| matches!(c, b'-' | b'0' | b'.')) { kept.trim_start_matches('-') } else { kept }
            .to_owned()
    };
    match array.data_type() {
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time64(_) => array.as_primitive::<Time64MicrosecondType>().value(row).to_string(),
        DataType::Interval(_) => {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            format!("{},{},{}", interval.months, interval.days, interval.nanoseconds / 1_000)
        }
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Float32 => format!("{:e}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => format!("{:e}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, own) => {
            decimal(i256::from_i128(array.as_primitive::<Decimal128Type>().value(row)), *own)
        }
        DataType::Decimal256(_, own) => decimal(array.as_primitive::<Decimal256Type>().value(row), *own),
        DataType::Utf8View => array.as_string_view().value(row).replace('\n', "\\n"),
        DataType::BinaryView => {
            let hex = array.as_binary_view().value(row).iter().map(|byte| format!("{byte:02x}"));
            format!("\\x{}", hex.collect::<String>())
        }
        other => panic!("{other}"),
    }
}

/// What PostgreSQL printed, as [`printed`] does.
fn expected(ty: &ColumnType, text: &str) -> String {
    match ty {
        ColumnType::Float4 if text != "\\N" => format!("{:e}", text.parse::<f32>().unwrap()),
        ColumnType::Float8 if text != "\\N" => format!("{:e}", text.parse::<f64>().unwrap()),
        _ => text.to_owned(),
    }
}

/// Columns a, b, ... of these types.
fn column(at: usize, ty: &ColumnType) -> Typed {
    Typed::new(col(["a", "b", "c"][at]), ty.clone())
}

fn literal(array: &ArrayRef, ty: &ColumnType) -> Typed {
    Typed::new(Expr::Literal(ScalarValue::try_from_array(array, 0).unwrap(), None), ty.clone())
}

fn evaluate(expr: &Expr, batch: &RecordBatch) -> Result<ArrayRef> {
    let schema = DFSchema::try_from(batch.schema()).unwrap();
    let physical = create_physical_expr(expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
        .expect("a plan");
    let answer = physical.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    answer.map_err(|error: DataFusionError| Error::from_engine(&error, &"no file"))
}

/// The call with these arguments, or `None` if it is refused.
fn made(function: &str, width: Width, arguments: Vec<Typed>) -> Option<Typed> {
    let [first, ..] = &arguments[..] else { panic!() };
    let named = |name: &str| Function::from_name(name).unwrap();
    if let Some(Function::Compare(comparison)) = Function::from_name(function) {
        let [left, right] = <[Typed; 2]>::try_from(common(arguments.into_iter().map(span).collect()).unwrap()).unwrap();
        let operator = match comparison {
            Comparison::Eq => Operator::Eq,
            Comparison::NotEq => Operator::NotEq,
            Comparison::Lt => Operator::Lt,
            Comparison::LtEq => Operator::LtEq,
            Comparison::Gt => Operator::Gt,
            Comparison::GtEq => Operator::GtEq,
        };
        let expr = binary_expr(canonical(left).expr, operator, canonical(right).expr);
        return Some(Typed::new(expr, ColumnType::Bool));
    }
    let made = match function.split_once(' ') {
        Some(("cast", to)) => {
            let kind = column_type(if to == "numeric" { "numeric(1,0)" } else { to }).kind().unwrap();
            cast(first.clone(), Type::One(kind), modifier(to))
        }
        Some((name @ ("repeat" | "lpad" | "rpad"), constants)) => {
            let (count, fill) = constants.split_once(' ').unzip();
            let count = literal(&array(&ColumnType::Int4, &[count.unwrap_or(constants)]), &ColumnType::Int4);
            let fill = fill.map(|fill| literal(&array(&ColumnType::Text, &[fill]), &ColumnType::Text));
            call(width, named(name), [first.clone(), count].into_iter().chain(fill).collect())
        }
        Some((name @ ("~" | "!~" | "regexp_replace"), constants)) => {
            let constant = |text: &str| {
                let text = Expr::Literal(ScalarValue::Utf8View(Some(text.to_owned())), None);
                Typed::new(text, ColumnType::Text)
            };
            let constants = constants.split(' ').map(constant);
            call(width, named(name), [first.clone()].into_iter().chain(constants).collect())
        }
        Some((name @ ("+" | "-"), by)) => {
            let by = literal(&array(&ColumnType::Interval, &[by]), &ColumnType::Interval);
            call(width, named(name), vec![first.clone(), by])
        }
        Some((name, field)) => {
            let (field, zone) = field.split_once(' ').map_or((field, None), |(field, zone)| (field, Some(zone)));
            let text = |text: &str| literal(&array(&ColumnType::Text, &[text]), &ColumnType::Text);
            call(width, named(name), [text(field), first.clone()].into_iter().chain(zone.map(text)).collect())
        }
        None => call(width, named(function), arguments),
    };
    match made {
        Ok(made) => Some(made),
        Err(Error::NotSupported { .. }) => None,
        Err(error) => panic!("{function}: {error}"),
    }
}

fn batch(types: &[ColumnType], rows: &[Vec<&str>]) -> RecordBatch {
    let field = |at: usize| Field::new(["a", "b", "c"][at], types[at].arrow(), true);
    let schema = Schema::new((0..types.len()).map(field).collect::<Vec<_>>());
    let of = |at: usize| array(&types[at], &rows.iter().map(|row| row[at]).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), (0..types.len()).map(of).collect()).unwrap()
}

/// Whether the answers for these rows, which are none of errors, are PostgreSQL's, and those of empty batches and NULLs right.
fn check_values(calls: &Calls<'_>, made: &Typed, what: &str) {
    let right: Vec<&Case<'_>> = calls.cases.iter().filter(|case| case.state == "ok").collect();
    // And NULLs, behind which there are values that are errors.
    let mut rows: Vec<Vec<&str>> = right.iter().map(|case| case.arguments.clone()).collect();
    rows.extend(calls.cases.iter().filter(|case| case.state != "ok").map(|case| case.arguments.clone()));
    rows.push(vec!["\\N"; calls.types.len()]);
    let batch = batch(&calls.types, &rows);
    let wrong = (0..rows.len()).map(|row| row >= right.len()).collect::<Vec<_>>();
    let mut columns = batch.columns().to_vec();
    columns[0] = nullif(&columns[0], &BooleanArray::from(wrong)).unwrap();
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let answers = evaluate(&made.expr, &batch).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(answers.data_type(), &made.ty.arrow(), "{what}");
    let scales = match &made.scale {
        Scale::Each(scale) => Some(evaluate(scale, &batch).unwrap()),
        _ => None,
    };
    for (row, case) in right.iter().enumerate() {
        let scale = scales.as_ref().map(|scales| scales.as_primitive::<Int32Type>().value(row));
        let answer = printed(&answers, row, scale);
        assert_eq!(answer, expected(&made.ty, case.answer), "{what} of {:?}", case.arguments);
    }
    assert!((right.len()..rows.len()).all(|row| answers.is_null(row)), "{what} of NULL");
    assert_eq!(evaluate(&made.expr, &batch.slice(0, 0)).unwrap().len(), 0, "{what} of no rows");
}

/// Whether each row alone is the error that it is in PostgreSQL.
fn check_errors(calls: &Calls<'_>, made: &Typed, what: &str) {
    for case in calls.cases.iter().filter(|case| case.state != "ok") {
        let error = evaluate(&made.expr, &batch(&calls.types, std::slice::from_ref(&case.arguments)));
        let error =
            error.map(|answer| printed(&answer, 0, None)).expect_err(&format!("{what} of {:?}", case.arguments));
        assert_eq!(
            (error.sqlstate(), &*error.to_string()),
            (case.state, case.answer),
            "{what} of {:?}",
            case.arguments
        );
    }
}

#[test]
fn functions_answer_as_postgresql_does() {
    let (mut refused, mut failed) = (Vec::new(), Vec::new());
    for calls in calls(include_str!("tests/values.tsv")) {
        let types: Vec<String> = calls.types.iter().map(ToString::to_string).collect();
        let what = format!("{}({})", calls.function, types.join(", "));
        // The second argument of these is a constant, one a group.
        if matches!(calls.function, "round" | "trunc") && calls.types.len() == 2 {
            check_places(&calls, &what);
            continue;
        }
        let columns = || calls.types.iter().enumerate().map(|(at, ty)| column(at, ty)).collect::<Vec<_>>();
        let Some(wide) = made(calls.function, Width::Wide, columns()) else {
            refused.push(what);
            continue;
        };
        // The other calls are tried, too.
        let checked = catch_unwind(AssertUnwindSafe(|| {
            check_values(&calls, &wide, &what);
            check_errors(&calls, &wide, &what);
            check_fast(&calls, columns(), &what);
            check_scalars(&calls, &what);
        }));
        if checked.is_err() {
            failed.push(what);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(refused, REFUSED, "what has to stay in PostgreSQL");
}

/// Quotients that may have more than 76 digits.
const REFUSED: &[&str] = &[
    "/(numeric(38,0), numeric(38,0))",
    "/(numeric(38,0), numeric(38,10))",
    "/(numeric(38,10), numeric(38,0))",
    "/(numeric(38,10), numeric(38,10))",
];

/// With 38 digits the answer is the same, or that they are too few.
fn check_fast(calls: &Calls<'_>, columns: Vec<Typed>, what: &str) {
    let Some(fast) = made(calls.function, Width::Fast, columns) else { panic!("{what} with 38 digits") };
    for case in calls.cases.iter().filter(|case| case.state == "ok") {
        let batch = batch(&calls.types, std::slice::from_ref(&case.arguments));
        match evaluate(&fast.expr, &batch) {
            Ok(answers) => {
                let scale = match &fast.scale {
                    Scale::Each(scale) => Some(evaluate(scale, &batch).unwrap().as_primitive::<Int32Type>().value(0)),
                    _ => None,
                };
                let answer = printed(&answers, 0, scale);
                assert_eq!(answer, expected(&fast.ty, case.answer), "{what} of {:?}, fast", case.arguments);
            }
            Err(Error::Function(crate::Fault::TooWide)) => {
                assert!(
                    case.answer.trim_start_matches('-').replace('.', "").len() > 38,
                    "{what} of {:?}",
                    case.arguments
                );
            }
            Err(error) => panic!("{what} of {:?}: {error}", case.arguments),
        }
    }
}

/// With a constant on either side, and on both.
fn check_scalars(calls: &Calls<'_>, what: &str) {
    for case in &calls.cases {
        let one = batch(&calls.types, std::slice::from_ref(&case.arguments));
        for constants in 1..1 << calls.types.len() {
            let argument = |(at, ty): (usize, &ColumnType)| {
                if constants >> at & 1 == 1 { literal(one.column(at), ty) } else { column(at, ty) }
            };
            let arguments: Vec<Typed> = calls.types.iter().enumerate().map(argument).collect();
            let Some(made) = made(calls.function, Width::Wide, arguments) else { panic!("{what}") };
            match evaluate(&made.expr, &one) {
                Ok(answers) => {
                    let scale = match &made.scale {
                        Scale::Each(scale) => Some(evaluate(scale, &one).unwrap().as_primitive::<Int32Type>().value(0)),
                        _ => None,
                    };
                    let answer = printed(&answers, 0, scale);
                    assert_eq!(answer, expected(&made.ty, case.answer), "{what} of {:?}, constant", case.arguments);
                }
                Err(error) => assert_eq!(error.sqlstate(), case.state, "{what} of {:?}", case.arguments),
            }
        }
    }
}

/// `round` and `trunc` to as many digits as a constant says.
fn check_places(calls: &Calls<'_>, what: &str) {
    for case in &calls.cases {
        let [ty, digits] = &calls.types[..] else { panic!() };
        let digits = literal(&array(digits, &[case.arguments[1]]), digits);
        let Some(made) = made(calls.function, Width::Wide, vec![column(0, ty), digits]) else { panic!("{what}") };
        let one = batch(&calls.types[..1], &[vec![case.arguments[0]]]);
        let answer = printed(&evaluate(&made.expr, &one).unwrap(), 0, None);
        assert_eq!(answer, case.answer, "{what} of {:?}", case.arguments);
    }
}

/// Aggregates of one group and of two, in one go and in parts.
#[test]
fn aggregates_answer_as_postgresql_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for line in include_str!("tests/values.tsv").lines().filter(|line| line.starts_with("agg ")) {
        let [function, types, arguments, state, answer] = line.split('\t').collect::<Vec<_>>()[..] else { panic!() };
        let ty = column_type(types);
        let (name, is_distinct) = match function["agg ".len()..].split_once(' ') {
            Some((name, _)) => (name, true),
            None => (&function["agg ".len()..], false),
        };
        let values: Vec<&str> = arguments.split(';').collect();
        // In one go, and in parts, whose order floats would show.
        for (width, parts) in [(Width::Fast, 1), (Width::Wide, 3)] {
            if parts > 1 && !matches!(name, "count" | "min" | "max") && types.starts_with("float") {
                continue;
            }
            let made = aggregate(width, name, vec![column(0, &ty)], is_distinct, None, Vec::new()).unwrap();
            let what = format!("{line} {width:?} {parts}");
            match runtime.block_on(aggregated(&made, &ty, &values, parts)) {
                Ok(found) => {
                    assert_eq!((state, &*expected(&made.ty, answer)), ("ok", &*found[0]), "{what}");
                    assert_eq!(found[0], found[1], "{what}, by groups");
                }
                Err(Error::Function(crate::Fault::TooWide)) => assert_eq!(width, Width::Fast, "{what}"),
                Err(error) => assert_eq!((error.sqlstate(), &*error.to_string()), (state, answer), "{what}"),
            }
        }
    }
}

/// The aggregate of all values, and of the first of two groups that has the same ones.
async fn aggregated(made: &Typed, ty: &ColumnType, values: &[&str], parts: usize) -> Result<[String; 2]> {
    let wrapped = |error: DataFusionError| Error::from_engine(&error, &"no file");
    let schema =
        Arc::new(Schema::new(vec![Field::new("a", ty.arrow(), true), Field::new("g", DataType::Int32, false)]));
    let batches = |groups: i32| {
        let mut partitions = vec![Vec::new(); parts];
        for (at, values) in values.chunks(2).enumerate() {
            for group in 0..groups {
                let column: ArrayRef = array(ty, values);
                let group: ArrayRef = Arc::new(Int32Array::from(vec![group; values.len()]));
                partitions[at % parts].push(RecordBatch::try_new(schema.clone(), vec![column, group]).unwrap());
            }
        }
        partitions
    };
    let mut found = Vec::new();
    for groups in [1, 2] {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(parts));
        let table = MemTable::try_new(schema.clone(), batches(groups)).unwrap();
        let frame = context.read_table(Arc::new(table)).unwrap();
        let mut parts = vec![made.expr.clone()];
        if let Scale::Each(scale) = &made.scale {
            parts.push((**scale).clone());
        }
        let aggregates = find_aggregate_exprs(&parts);
        let keys = if groups == 1 { Vec::new() } else { vec![col("g")] };
        let named = |at: usize| format!("aggregate{at}");
        let aliased = aggregates.iter().enumerate().map(|(at, aggregate)| aggregate.clone().alias(named(at)));
        let frame = frame.aggregate(keys, aliased.collect()).unwrap();
        let frame = if groups == 1 { frame } else { frame.sort(vec![col("g").sort(true, false)]).unwrap() };
        // Columns in place of the aggregates.
        let outer = parts.into_iter().enumerate().map(|(at, part)| {
            let rebased = part.transform(|expr| {
                let found = aggregates.iter().position(|aggregate| *aggregate == expr);
                Ok(match found {
                    Some(at) => Transformed::yes(col(named(at))),
                    None => Transformed::no(expr),
                })
            });
            rebased.unwrap().data.alias(format!("out{at}"))
        });
        let answers = frame.select(outer.collect::<Vec<_>>()).unwrap().collect().await.map_err(wrapped)?;
        let batch = &answers.iter().find(|batch| batch.num_rows() > 0).unwrap();
        let scale = (batch.num_columns() > 1 && batch.column(1).is_valid(0))
            .then(|| batch.column(1).as_primitive::<Int32Type>().value(0));
        assert_eq!(batch.column(0).data_type(), &made.ty.arrow());
        found.push(printed(batch.column(0), 0, scale));
    }
    Ok(found.try_into().unwrap())
}

/// A line of the rules for which there is no call in the file is not tested.
#[test]
fn functions_of_every_line_of_the_rules_have_calls() {
    let mut known: BTreeSet<(&str, Vec<Kind>)> = BTreeSet::new();
    for line in include_str!("tests/values.tsv").lines() {
        let mut fields = line.split('\t');
        let (function, types) = (fields.next().unwrap(), fields.next().unwrap());
        let mut kinds: Vec<Kind> = types.split(';').map(|ty| column_type(ty).kind().unwrap()).collect();
        let name = match function.split_once(' ') {
            Some(("agg", aggregate)) => aggregate,
            Some((name @ ("extract" | "date_part" | "date_trunc" | "timezone"), field)) => {
                kinds.insert(0, Kind::Text);
                kinds.extend(field.contains(' ').then_some(Kind::Text));
                name
            }
            Some((name @ ("+" | "-"), _)) => {
                kinds.push(Kind::Interval);
                name
            }
            Some((name @ ("repeat" | "lpad" | "rpad"), constants)) => {
                kinds.push(Kind::Int4);
                kinds.extend(constants.split(' ').skip(1).map(|_| Kind::Text));
                name
            }
            Some((name, constants)) => {
                kinds.extend(constants.split(' ').map(|_| Kind::Text));
                name
            }
            None => function,
        };
        known.insert((Function::from_name(name).map_or(name, Function::name), kinds));
    }
    for (function, kinds) in QUERY_RULES.iter().flat_map(Rule::signatures) {
        assert!(known.contains(&(function.name(), kinds.clone())), "{}{kinds:?}", function.name());
    }
    for (name, kind) in AGGREGATES.iter().filter_map(|rule| Some((rule.names[0], *rule.arguments.first()?.first()?))) {
        let known = known.iter().any(|(known, kinds)| *known == name && (name == "count" || kinds[0] == kind));
        assert!(known || matches!(kind, Kind::Bool | Kind::Text), "{name}({kind:?})");
    }
}
