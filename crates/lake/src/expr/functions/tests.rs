//! Every function against PostgreSQL: tests/values.tsv has what it answers (made by tests/values.sql).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Schema, i256,
};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{Expr, col};
use datafusion::physical_expr::create_physical_expr;

use super::*;
use crate::error::Error;
use crate::expr::{Function, Type};
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
        "timestamp" => ColumnType::Timestamp,
        numeric => ColumnType::Numeric(modifier(numeric).unwrap()),
    }
}

fn modifier(numeric: &str) -> Option<Numeric> {
    let (precision, scale) = numeric.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some(Numeric { precision: precision.parse().ok()?, scale: scale.parse().ok()? })
}

fn calls<'a>(file: &'a str) -> Vec<Calls<'a>> {
    let mut found: BTreeMap<(&str, &str), Vec<Case<'a>>> = BTreeMap::new();
    for line in file.lines() {
        let [function, types, arguments, state, answer] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let arguments = arguments.split(';').collect();
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
        other => panic!("{other}"),
    }
}

/// A value as PostgreSQL prints it, with so many digits behind the point if it is a numeric.
fn printed(array: &ArrayRef, row: usize, scale: Option<i32>) -> String {
    if array.is_null(row) {
        return "\\N".to_owned();
    }
    let decimal = |value: i256, own: i8| {
        let text = round::text(value, own.unsigned_abs().into());
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
        DataType::Float32 => format!("{:e}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => format!("{:e}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, own) => {
            decimal(i256::from_i128(array.as_primitive::<Decimal128Type>().value(row)), *own)
        }
        DataType::Decimal256(_, own) => decimal(array.as_primitive::<Decimal256Type>().value(row), *own),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
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

fn evaluate(expr: &Expr, batch: &RecordBatch) -> Result<ArrayRef, Error> {
    let schema = DFSchema::try_from(batch.schema()).unwrap();
    let physical = create_physical_expr(expr, &schema, &ExecutionProps::new()).expect("a plan");
    let answer = physical.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    answer.map_err(|error: DataFusionError| Error::from_engine(&error, &"no file"))
}

/// The call with these arguments, or `None` if it is refused.
fn made(function: &str, width: Width, arguments: Vec<Typed>) -> Option<Typed> {
    let [first, ..] = &arguments[..] else { panic!() };
    let made = match function.strip_prefix("cast ") {
        Some(to) => {
            let kind = column_type(if to == "numeric" { "numeric(1,0)" } else { to }).kind().unwrap();
            cast(first.clone(), Type::One(kind), modifier(to))
        }
        None => call(width, Function::from_name(function).unwrap(), arguments),
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
    // Between any two rows one with NULLs, behind which there are values that are errors.
    let mut rows: Vec<Vec<&str>> = right.iter().map(|case| case.arguments.clone()).collect();
    rows.push(vec!["\\N"; calls.types.len()]);
    let batch = batch(&calls.types, &rows);
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
    assert!(answers.is_null(right.len()), "{what} of NULL");
    assert_eq!(evaluate(&made.expr, &batch.slice(0, 0)).unwrap().len(), 0, "{what} of no rows");
}

/// Whether each row alone is the error that it is in PostgreSQL.
fn check_errors(calls: &Calls<'_>, made: &Typed, what: &str) {
    for case in calls.cases.iter().filter(|case| case.state != "ok") {
        let error = evaluate(&made.expr, &batch(&calls.types, &[case.arguments.clone()]));
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
    let mut refused = Vec::new();
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
        check_values(&calls, &wide, &what);
        check_errors(&calls, &wide, &what);
        check_fast(&calls, columns(), &what);
        check_scalars(&calls, &what);
    }
    assert_eq!(refused, REFUSED, "what has to stay in PostgreSQL");
}

/// Types for which a quotient or product may have more than 76 digits.
const REFUSED: &[&str] = &[];

/// With 38 digits the answer is the same, or that they are too few.
fn check_fast(calls: &Calls<'_>, columns: Vec<Typed>, what: &str) {
    let Some(fast) = made(calls.function, Width::Fast, columns) else { panic!("{what} with 38 digits") };
    for case in calls.cases.iter().filter(|case| case.state == "ok") {
        let batch = batch(&calls.types, &[case.arguments.clone()]);
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
        let one = batch(&calls.types, &[case.arguments.clone()]);
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
