#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::physical_expr::PhysicalExpr;

use super::*;
use crate::schema::ColumnType;
use crate::source::table::TableColumn;

fn equals(column: usize, value: i64) -> Filter {
    Filter::Compare { op: Op::Eq, column, operand: Operand::Value(Value::Int(value)) }
}

#[test]
fn parameters_are_bound_everywhere() {
    let filter = Filter::Not(Box::new(Filter::Or(vec![
        Filter::Compare { op: Op::Eq, column: 0, operand: Operand::Param(1) },
        Filter::In { column: 1, list: Operand::Param(0) },
    ])));
    let bound = filter.bind(vec![Value::List(vec![Value::Int(1)]), Value::Int(2)]).unwrap();
    let text = serde_json::to_string(&bound).unwrap();
    assert!(!text.contains("Param"), "{text}");
    assert!(filter.bind(vec![]).is_err());
    let again: Filter = serde_json::from_str(&text).unwrap();
    assert_eq!(again, bound);
}

#[test]
fn equalities_of_a_column_become_one_list() {
    let or = Filter::Or(vec![
        equals(0, 1),
        equals(1, 7),
        Filter::In { column: 0, list: Operand::Value(Value::List(vec![Value::Null, Value::Int(3)])) },
        Filter::IsNull(0),
    ]);
    let list =
        Filter::In { column: 0, list: Operand::Value(Value::List(vec![Value::Int(1), Value::Null, Value::Int(3)])) };
    assert_eq!(or.bind(vec![]).unwrap(), Filter::Or(vec![Filter::IsNull(0), list.clone(), equals(1, 7)]));
    let unequal = |value| Filter::Compare { op: Op::NotEq, column: 0, operand: Operand::Value(Value::Int(value)) };
    let and = Filter::And(vec![unequal(1), Filter::Not(Box::new(list))]);
    let Filter::And(parts) = and.bind(vec![]).unwrap() else { panic!() };
    assert!(matches!(&parts[..], [Filter::Not(inner)] if matches!(**inner, Filter::In { column: 0, .. })));
    // What AND joins are equalities of which all must hold: they stay.
    assert_eq!(
        Filter::And(vec![equals(0, 1), equals(0, 2)]).bind(vec![]).unwrap(),
        Filter::And(vec![equals(0, 1), equals(0, 2)])
    );
}

#[test]
fn the_deepest_filter_survives_the_plan() {
    let mut filter = Filter::Not(Box::new(equals(0, 1)));
    for depth in 1..MAX_DEPTH {
        filter = if depth % 2 == 0 {
            Filter::And(vec![filter, equals(1, 2)])
        } else {
            Filter::Or(vec![filter, equals(1, 2)])
        };
    }
    let text = format!("[{}]", serde_json::to_string(&filter).unwrap());
    assert_eq!(serde_json::from_str::<Vec<Filter>>(&text).unwrap(), [filter]);
}

/// The answer for one row, by the book.
fn by_the_book(filter: &Filter, number: Option<i64>, flag: Option<bool>) -> Option<bool> {
    let all = |filters: &[Filter], stop: bool| {
        let answers: Vec<_> = filters.iter().map(|filter| by_the_book(filter, number, flag)).collect();
        match (answers.contains(&Some(stop)), answers.contains(&None)) {
            (true, _) => Some(stop),
            (false, true) => None,
            (false, false) => Some(!stop),
        }
    };
    match filter {
        Filter::And(filters) => all(filters, false),
        Filter::Or(filters) => all(filters, true),
        Filter::Not(inner) => by_the_book(inner, number, flag).map(|answer| !answer),
        Filter::Is(inner, Truth::True) => Some(by_the_book(inner, number, flag) == Some(true)),
        Filter::Is(inner, Truth::False) => Some(by_the_book(inner, number, flag) == Some(false)),
        Filter::Is(inner, Truth::Unknown) => Some(by_the_book(inner, number, flag).is_none()),
        Filter::IsNull(_) => Some(number.is_none()),
        Filter::Column(_) => flag,
        Filter::Compare { op, operand: Operand::Value(Value::Int(value)), .. } => number.map(|number| match op {
            Op::Eq => number == *value,
            Op::NotEq => number != *value,
            Op::Lt => number < *value,
            _ => number >= *value,
        }),
        Filter::Compare { .. } => None,
        Filter::In { list: Operand::Value(Value::List(values)), .. } if values.is_empty() => Some(false),
        Filter::In { list: Operand::Value(Value::List(values)), .. } => number.and_then(|number| {
            let found = values.contains(&Value::Int(number));
            if found || !values.contains(&Value::Null) { Some(found) } else { None }
        }),
        Filter::In { .. } => None,
    }
}

#[test]
fn conditions_answer_with_three_values_whatever_is_decided_first() {
    let mut seed = 11u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    fn any(random: &mut dyn FnMut(u64) -> u64, depth: u64) -> Filter {
        let value = |random: &mut dyn FnMut(u64) -> u64| match random(9) {
            0 => Value::Null,
            _ => Value::Int(random(400) as i64 - 50),
        };
        let op = [Op::Eq, Op::NotEq, Op::Lt, Op::GtEq][random(4) as usize];
        let branches =
            |random: &mut dyn FnMut(u64) -> u64| (0..random(6) + 1).map(|_| any(random, depth - 1)).collect();
        match random(if depth == 0 { 4 } else { 8 }) {
            0 => Filter::IsNull(0),
            1 => Filter::Column(1),
            2 => Filter::In {
                column: 0,
                list: Operand::Value(Value::List((0..random(5)).map(|_| value(random)).collect())),
            },
            3 => Filter::Compare { op, column: 0, operand: Operand::Value(value(random)) },
            4 => Filter::Not(Box::new(any(random, depth - 1))),
            5 => Filter::Is(
                Box::new(any(random, depth - 1)),
                [Truth::True, Truth::False, Truth::Unknown][random(3) as usize],
            ),
            6 => Filter::And(branches(random)),
            _ => Filter::Or(branches(random)),
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
        let filter = any(&mut random, 4);
        let bound = Arc::new(filter.bind(Vec::new()).unwrap());
        let condition = Condition::new(bound, columns.clone(), &|column| column).unwrap();
        let answers = condition.evaluate(&batch).unwrap().into_array(batch.num_rows()).unwrap();
        let expected = numbers.iter().zip(&flags).map(|(number, flag)| by_the_book(&filter, *number, *flag));
        assert_eq!(answers.as_boolean(), &BooleanArray::from_iter(expected), "{filter:?}");
    }
}
