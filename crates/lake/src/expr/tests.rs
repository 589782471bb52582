#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::physical_expr::PhysicalExpr;

use super::*;
use crate::source::table::TableColumn;
use crate::types::{ColumnType, Kind};

const INT8: Type = Type::One(Kind::Int8);
const INT8S: Type = Type::Array { array: Kind::Int8 };

fn compare(comparison: Comparison, column: usize, value: Value) -> Expr {
    Expr::binary(comparison, Expr::Column(column, INT8), Expr::Constant(value, INT8))
}

fn equals(column: usize, value: i64) -> Expr {
    compare(Comparison::Eq, column, Value::Int(value))
}

fn within(column: usize, values: Vec<Value>) -> Expr {
    Expr::In(Box::new(Expr::Column(column, INT8)), Box::new(Expr::Constant(Value::List(values), INT8S)))
}

fn is_null(column: usize) -> Expr {
    Expr::IsNull(Box::new(Expr::Column(column, INT8)))
}

#[test]
fn parameters_are_bound_everywhere() {
    let expr = Expr::Or(vec![
        Expr::binary(Comparison::Eq, Expr::Column(0, INT8), Expr::Parameter(1, INT8)),
        Expr::In(Box::new(Expr::Column(1, INT8)), Box::new(Expr::Parameter(0, INT8S))),
    ])
    .negated();
    let bound = expr.bind(vec![Value::List(vec![Value::Int(1)]), Value::Int(2)]).unwrap();
    let text = serde_json::to_string(&bound).unwrap();
    assert!(!text.contains("Param"), "{text}");
    assert!(expr.bind(vec![]).is_err());
    let again: Expr = serde_json::from_str(&text).unwrap();
    assert_eq!(again, bound);
    let again: Expr = serde_json::from_str(&serde_json::to_string(&expr).unwrap()).unwrap();
    assert_eq!(again, expr);
}

#[test]
fn calls_are_known_by_name_and_argument_types() {
    let text = serde_json::to_string(&equals(0, 1)).unwrap();
    assert_eq!(text, r#"{"Call":["=",[{"Column":[0,"Int8"]},{"Constant":[{"Int":1},"Int8"]}]]}"#);
    assert!(serde_json::from_str::<Expr>(&text.replace('=', "==")).is_err());
    assert_eq!(equals(0, 1).ty(), Some(Type::One(Kind::Bool)));
    let unlisted = Expr::binary(Comparison::Eq, Expr::Column(0, INT8), Expr::Constant(Value::Null, Kind::Text.into()));
    assert_eq!(unlisted.ty(), None);
    let columns: Arc<[TableColumn]> =
        [TableColumn { name: "n".to_owned(), ty: ColumnType::Int8, trust: Default::default() }].into();
    for expr in [unlisted, Expr::Parameter(0, INT8), Expr::Constant(Value::Int(1), INT8)] {
        assert!(Condition::new(Arc::new(expr), columns.clone(), &|column| column).is_err());
    }
}

#[test]
fn columns_are_found_and_renumbered_everywhere() {
    let expr = Expr::And(vec![
        Expr::binary(Comparison::Lt, Expr::Column(3, INT8), Expr::Column(1, INT8)),
        within(2, vec![Value::Int(1)]).negated(),
        Expr::Or(vec![is_null(5), Expr::Is(Box::new(Expr::Column(4, Kind::Bool.into())), Truth::Unknown)]),
    ]);
    let columns = |expr: &Expr| {
        let mut seen = Vec::new();
        expr.visit_columns(&mut |column| seen.push(column));
        seen
    };
    assert_eq!(columns(&expr), [3, 1, 2, 5, 4]);
    assert_eq!(columns(&expr.map_columns(&|column| column + 10)), [13, 11, 12, 15, 14]);
}

#[test]
fn equalities_of_a_column_become_one_list() {
    let or = Expr::Or(vec![equals(0, 1), equals(1, 7), within(0, vec![Value::Null, Value::Int(3)]), is_null(0)]);
    let list = within(0, vec![Value::Int(1), Value::Null, Value::Int(3)]);
    assert_eq!(or.bind(vec![]).unwrap(), Expr::Or(vec![is_null(0), list.clone(), equals(1, 7)]));
    let unequal = compare(Comparison::NotEq, 0, Value::Int(1));
    let and = Expr::And(vec![unequal, list.negated()]);
    let Expr::And(parts) = and.bind(vec![]).unwrap() else { panic!() };
    assert_eq!(parts, [within(0, vec![Value::Int(1), Value::Int(1), Value::Null, Value::Int(3)]).negated()]);
    // What AND joins are equalities of which all must hold: they stay.
    let both = Expr::And(vec![equals(0, 1), equals(0, 2)]);
    assert_eq!(both.bind(vec![]).unwrap(), both);
}

#[test]
fn the_deepest_expression_survives_the_plan() {
    let mut expr = equals(0, 1).negated();
    for depth in 1..MAX_DEPTH {
        expr = if depth % 2 == 0 { Expr::And(vec![expr, equals(1, 2)]) } else { Expr::Or(vec![expr, equals(1, 2)]) };
    }
    // The plan joins its conditions once more.
    let plan = Some(Expr::And(vec![expr]));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Option<Expr>>(&text).unwrap(), plan);
}

/// The answer for one row, by the book.
fn by_the_book(expr: &Expr, number: Option<i64>, flag: Option<bool>) -> Option<bool> {
    let all = |parts: &[Expr], stop: bool| {
        let answers: Vec<_> = parts.iter().map(|part| by_the_book(part, number, flag)).collect();
        match (answers.contains(&Some(stop)), answers.contains(&None)) {
            (true, _) => Some(stop),
            (false, true) => None,
            (false, false) => Some(!stop),
        }
    };
    match expr {
        Expr::And(parts) => all(parts, false),
        Expr::Or(parts) => all(parts, true),
        Expr::Not(inner) => by_the_book(inner, number, flag).map(|answer| !answer),
        Expr::Is(inner, Truth::True) => Some(by_the_book(inner, number, flag) == Some(true)),
        Expr::Is(inner, Truth::False) => Some(by_the_book(inner, number, flag) == Some(false)),
        Expr::Is(inner, Truth::Unknown) => Some(by_the_book(inner, number, flag).is_none()),
        Expr::IsNull(_) => Some(number.is_none()),
        Expr::Column(..) => flag,
        Expr::Call(Function::Compare(comparison), arguments) => match &arguments[1] {
            Expr::Constant(Value::Int(value), _) => number.map(|number| comparison.holds(number.cmp(value))),
            _ => None,
        },
        Expr::In(_, list) => match &**list {
            Expr::Constant(Value::List(values), _) if values.is_empty() => Some(false),
            Expr::Constant(Value::List(values), _) => number.and_then(|number| {
                let found = values.contains(&Value::Int(number));
                if found || !values.contains(&Value::Null) { Some(found) } else { None }
            }),
            _ => None,
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn conditions_answer_with_three_values_whatever_is_decided_first() {
    let mut seed = 11u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    fn any(random: &mut dyn FnMut(u64) -> u64, depth: u64) -> Expr {
        let value = |random: &mut dyn FnMut(u64) -> u64| match random(9) {
            0 => Value::Null,
            _ => Value::Int(random(400) as i64 - 50),
        };
        use Comparison::{Eq, GtEq, Lt, NotEq};
        let comparison = [Eq, NotEq, Lt, GtEq][random(4) as usize];
        let branches =
            |random: &mut dyn FnMut(u64) -> u64| (0..random(6) + 1).map(|_| any(random, depth - 1)).collect();
        match random(if depth == 0 { 4 } else { 8 }) {
            0 => is_null(0),
            1 => Expr::Column(1, Kind::Bool.into()),
            2 => within(0, (0..random(5)).map(|_| value(random)).collect()),
            3 => compare(comparison, 0, value(random)),
            4 => any(random, depth - 1).negated(),
            5 => Expr::Is(
                Box::new(any(random, depth - 1)),
                [Truth::True, Truth::False, Truth::Unknown][random(3) as usize],
            ),
            6 => Expr::And(branches(random)),
            _ => Expr::Or(branches(random)),
        }
    }
    let numbers: Vec<Option<i64>> = (0..300).map(|row| (row % 7 != 0).then_some(row)).collect();
    let flags: Vec<Option<bool>> = (0..300).map(|row| (row % 5 != 0).then_some(row % 3 == 0)).collect();
    let arrays: [ArrayRef; 2] =
        [Arc::new(Int64Array::from(numbers.clone())), Arc::new(BooleanArray::from(flags.clone()))];
    let batch = RecordBatch::try_from_iter_with_nullable(["n", "b"].into_iter().zip(arrays).map(|(n, a)| (n, a, true)))
        .unwrap();
    let column = |name: &str, ty| TableColumn { name: name.to_owned(), ty, trust: Default::default() };
    let columns: Arc<[TableColumn]> = [column("n", ColumnType::Int8), column("b", ColumnType::Bool)].into();
    for _ in 0..2_000 {
        let expr = any(&mut random, 4);
        let bound = Arc::new(expr.bind(Vec::new()).unwrap());
        let condition = Condition::new(bound, columns.clone(), &|column| column).unwrap();
        let answers = condition.evaluate(&batch).unwrap().into_array(batch.num_rows()).unwrap();
        let expected = numbers.iter().zip(&flags).map(|(number, flag)| by_the_book(&expr, *number, *flag));
        assert_eq!(answers.as_boolean(), &BooleanArray::from_iter(expected), "{expr:?}");
    }
}

/// Dates beside timestamps, as constants and as columns, against what PostgreSQL answers. Files have no infinite values.
#[test]
fn dates_and_timestamps_are_compared_as_points_in_time() {
    let column = |name: &str, ty| TableColumn { name: name.to_owned(), ty, trust: Default::default() };
    let mut asked = 0;
    for line in include_str!("functions/tests/values.tsv").lines() {
        let [function, types @ ("date;timestamp" | "timestamp;date"), values, "ok", answer] =
            line.split('\t').collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let Some(function) = Function::from_name(function) else { panic!("{line}") };
        let (left, right) = values.split_once(';').unwrap();
        let (left, right): (i64, i64) = (left.parse().unwrap(), right.parse().unwrap());
        let is_infinite = |kind, value| match kind {
            Kind::Date => value == i64::from(i32::MIN) || value == i64::from(i32::MAX),
            _ => value == i64::MIN || value == i64::MAX,
        };
        let (kind, other) =
            if types == "date;timestamp" { (Kind::Date, Kind::Timestamp) } else { (Kind::Timestamp, Kind::Date) };
        let array = |kind, value: i64| -> ArrayRef {
            match kind {
                Kind::Date => Arc::new(Date32Array::from(vec![value as i32])),
                _ => Arc::new(TimestampMicrosecondArray::from(vec![value])),
            }
        };
        if is_infinite(kind, left) {
            continue;
        }
        let ty = |kind| if kind == Kind::Date { ColumnType::Date } else { ColumnType::Timestamp };
        let columns: Arc<[TableColumn]> = [column("a", ty(kind)), column("b", ty(other))].into();
        let constant = match right {
            i64::MIN => Value::Below,
            i64::MAX => Value::Above,
            value => Value::Int(value),
        };
        let mut operands = vec![Expr::Constant(constant, other.into())];
        if !is_infinite(other, right) {
            operands.push(Expr::Column(1, other.into()));
        }
        let batch = RecordBatch::try_from_iter([("a", array(kind, left)), ("b", array(other, right))]).unwrap();
        for operand in operands {
            let expr = Expr::binary(function, Expr::Column(0, kind.into()), operand);
            let condition = Condition::new(Arc::new(expr.clone()), columns.clone(), &|column| column).unwrap();
            let answers = condition.evaluate(&batch).unwrap().into_array(1).unwrap();
            assert_eq!(answers.as_boolean().value(0), answer == "true", "{line}: {expr:?}");
            asked += 1;
        }
    }
    assert!(asked > 500, "{asked}");
}

/// From 294247 on, timestamps are those of dates, although 64 bits do not count them from 1970.
#[test]
fn late_timestamps_lie_between_late_dates() {
    let columns: Arc<[TableColumn]> =
        [TableColumn { name: "d".to_owned(), ty: ColumnType::Date, trust: Default::default() }].into();
    // A second after a midnight.
    let late = Value::Late(9_223_142_976_001_000_000);
    let day = 106_760_297;
    let batch =
        RecordBatch::try_from_iter([("d", Arc::new(Date32Array::from(vec![day, day + 1])) as ArrayRef)]).unwrap();
    let call =
        Expr::binary(Comparison::Lt, Expr::Column(0, Kind::Date.into()), Expr::Constant(late, Kind::Timestamp.into()));
    let condition = Condition::new(Arc::new(call), columns, &|column| column).unwrap();
    let answers = condition.evaluate(&batch).unwrap().into_array(2).unwrap();
    assert_eq!(answers.as_boolean(), &BooleanArray::from(vec![true, false]));
}
