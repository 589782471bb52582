//! Shares of rows by what footers say.

use super::super::statistics::TableStatistics;
use super::*;
use crate::expr::{Function, Type};

/// A thousand rows: `id` from 0, `g` of ten values, one in four NULL, `t` a word for each hundred rows.
fn thousand() -> (TempDir, TableStatistics) {
    let folder = tempfile::tempdir().unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let groups: ArrayRef = Arc::new(Int64Array::from_iter((0..1000).map(|id| (id % 4 > 0).then_some(id % 10))));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|id| format!("word {}", id / 100))));
    let table = stored(&folder, "thousand", vec![("id", ids), ("g", groups), ("t", texts)]);
    let statistics = TableStatistics::new(&table.files, &table.columns);
    (folder, statistics)
}

fn id() -> Expr {
    column(0, Kind::Int8)
}

fn group() -> Expr {
    column(1, Kind::Int8)
}

fn word() -> Expr {
    column(2, Kind::Text)
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.02 * expected.max(0.01), "{found}, not {expected}");
}

#[test]
fn bounds_and_numbers_of_values_say_what_passes() {
    let (_folder, of) = thousand();
    let share = |condition: Expr| of.selectivity(&condition);
    close(of.rows(), 1000.0);
    close(share(is(Comparison::Lt, id(), int(250))), 0.25);
    close(share(is(Comparison::GtEq, id(), int(250))), 0.75);
    close(share(eq(id(), int(7))), 0.001);
    close(share(is(Comparison::NotEq, id(), int(7))), 0.999);
    close(share(eq(group(), int(3))), 0.075);
    close(share(Expr::IsNull(Box::new(group()))), 0.25);
    close(share(Expr::IsNull(Box::new(group())).negated()), 0.75);
    close(share(eq(group(), int(3)).negated()), 0.675);
    close(share(eq(word(), text("word 4"))), 0.1);
    let list = Expr::Constant(Value::List(vec![Value::Int(1), Value::Int(2)]), Type::Array { array: Kind::Int8 });
    close(share(Expr::In(Box::new(group()), Box::new(list))), 0.15);
}

#[test]
fn two_bounds_are_a_range_and_other_conditions_independent() {
    let (_folder, of) = thousand();
    let share = |condition: Expr| of.selectivity(&condition);
    let above = |number| is(Comparison::GtEq, id(), int(number));
    let below = |number| is(Comparison::Lt, id(), int(number));
    close(share(Expr::And(vec![above(400), below(500)])), 0.1);
    close(share(Expr::And(vec![below(500), eq(group(), int(3))])), 0.0375);
    close(share(Expr::Or(vec![below(500), eq(group(), int(3))])), 0.5375);
}

#[test]
fn what_cannot_be_is_not_expected() {
    let (_folder, of) = thousand();
    let share = |condition: Expr| of.selectivity(&condition);
    close(share(eq(id(), int(5000))), 0.001);
    close(share(is(Comparison::Gt, id(), int(5000))), 0.001);
    close(share(eq(group(), int(99))), 0.001);
    close(share(Expr::Constant(Value::Bool(false), Kind::Bool.into())), 0.0);
    assert!(share(Expr::binary(Function::Like, word(), text("%word%"))) < 0.2);
}
