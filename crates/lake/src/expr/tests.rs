#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

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
