//! Filters, expressions, order, limits, distinct rows, sets, common tables, parameters; cancel.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::*;
use crate::expr::{Function, Type};
use crate::types::ColumnType;

#[test]
fn columns_come_in_the_order_that_is_asked_for() {
    let world = world();
    assert_eq!(world.set(&project(a(), vec![of_a(1), of_a(0)])), ["- 4", "x 1", "x 2", "y -", "y 3"]);
    let twice = Rel::Table { table: 0, columns: vec![0, 0] };
    assert_eq!(world.set(&twice), ["- -", "1 1", "2 2", "3 3", "4 4"]);
    assert_eq!(world.rows(&empty()), [""; 0]);
}

#[test]
fn delivered_floats_keep_their_sign() {
    let world = world();
    let mut values = world.set(&project(a(), vec![of_a(2)]));
    values.sort();
    assert_eq!(values, ["-", "-0.0", "0.0", "1.5", "NaN"]);
}

#[test]
fn a_condition_that_the_scan_knows_is_tested_there_and_nowhere_else() {
    let world = world();
    for (condition, expected) in [
        (is(Comparison::Gt, of_a(0), int(2)), vec!["3", "4"]),
        (is(Comparison::Lt, int(2), of_a(0)), vec!["3", "4"]),
        (eq(of_a(2), float(0.0)), vec!["2", "3"]),
        (is(Comparison::Gt, of_a(2), float(1.0)), vec!["1", "4"]),
        (is(Comparison::Lt, of_a(3), number("2.505")), vec!["-", "1", "2", "4"]),
        (eq(of_a(3), number("2.5000")), vec!["-", "2"]),
        (eq(of_a(1), text("y")), vec!["-", "3"]),
        (Expr::IsNull(Box::new(of_a(1))), vec!["4"]),
        (Expr::binary(Function::Like, of_a(1), text("x%")), vec!["1", "2"]),
        (Expr::Or(vec![eq(of_a(0), int(1)), eq(of_a(1), text("y"))]), vec!["-", "1", "3"]),
        (eq(of_a(1), text("x")).negated(), vec!["-", "3"]),
    ] {
        let rel = ids(condition);
        assert_eq!(world.set(&rel), expected, "{rel:?}");
        let plan = world.explain(&rel);
        assert!(!plan.contains("FilterExec") && plan.contains("filter="), "{plan}");
    }
}

#[test]
fn constants_that_no_column_can_hold_decide_alone() {
    let world = world();
    let all = ["1", "2", "3", "4"];
    let id = |comparison, value| world.set(&ids(is(comparison, of_a(0), int(value))));
    assert_eq!(id(Comparison::Lt, i64::MAX), all);
    let small = |comparison, value| {
        let rel = project(filter(b(), is(comparison, of_b(0), int(value))), vec![of_b(1)]);
        world.set(&rel)
    };
    assert_eq!(small(Comparison::Lt, 1 << 40), ["b2", "b3", "b9", "c3"]);
    assert_eq!(small(Comparison::Eq, 1 << 40), [""; 0]);
    assert_eq!(small(Comparison::NotEq, -(1 << 40)), ["b2", "b3", "b9", "c3"]);
    let numeric = |comparison, value: &str| world.set(&ids(is(comparison, of_a(3), number(value))));
    assert_eq!(numeric(Comparison::Eq, "2.505"), [""; 0]);
    assert_eq!(numeric(Comparison::NotEq, "2.505"), ["-", "1", "2", "4"]);
    assert_eq!(numeric(Comparison::Lt, "NaN"), ["-", "1", "2", "4"]);
    assert_eq!(numeric(Comparison::Lt, "-Infinity"), [""; 0]);
    assert_eq!(numeric(Comparison::GtEq, "-3.2500001"), ["-", "1", "2", "4"]);
    assert_eq!(numeric(Comparison::GtEq, &format!("-1{}", "0".repeat(60))), ["-", "1", "2", "4"]);
}

#[test]
fn lists_know_null_nan_and_the_sign_of_zero() {
    let world = world();
    let list = |values: Vec<Value>, kind| Box::new(Expr::Constant(Value::List(values), Type::Array { array: kind }));
    let id = |values| Expr::In(Box::new(of_a(0)), list(values, Kind::Int8));
    assert_eq!(world.set(&ids(id(vec![Value::Int(1), Value::Int(7), Value::Null]))), ["1"]);
    assert_eq!(world.set(&ids(id(vec![Value::Int(1), Value::Null]).negated())), [""; 0]);
    assert_eq!(world.set(&ids(id(vec![Value::Int(1)]).negated())), ["2", "3", "4"]);
    assert_eq!(world.set(&ids(id(vec![]).negated())), ["-", "1", "2", "3", "4"]);
    let f = Expr::In(Box::new(of_a(2)), list(vec![Value::float(f64::NAN), Value::float(-0.0)], Kind::Float8));
    assert_eq!(world.set(&ids(f)), ["1", "2", "3"]);
    let n = Expr::In(
        Box::new(of_a(3)),
        list(vec![Value::Numeric("2.500".into()), Value::Numeric("1.005".into())], Kind::Numeric),
    );
    assert_eq!(world.set(&ids(n)), ["-", "2"]);
}

#[test]
fn columns_of_two_types_are_compared_as_numbers() {
    let world = world();
    let both = join(JoinKind::Inner, a(), b(), None);
    let pairs = |condition| world.set(&project(filter(both.clone(), condition), vec![of_a(0), right(1)]));
    assert_eq!(pairs(eq(of_a(3), right(2))), ["- b2", "1 b3", "2 b2"]);
    assert_eq!(pairs(eq(of_a(0), right(0))), ["2 b2", "3 b3", "3 c3"]);
}

#[test]
fn case_and_coalesce_take_the_first_that_fits() {
    let world = world();
    let case = Expr::Case(
        vec![(eq(of_a(1), text("x")), text("first")), (Expr::IsNull(Box::new(of_a(1))), text("none"))],
        None,
        Kind::Text.into(),
    );
    assert_eq!(world.set(&project(a(), vec![of_a(0), case])), ["- -", "1 first", "2 first", "3 -", "4 none"]);
    let coalesced = Expr::Coalesce(vec![of_a(3), number("0")], Kind::Numeric.into());
    let rel = project(a(), vec![of_a(0), coalesced]);
    // PostgreSQL shows the zero as 0: how many digits it shows goes along.
    assert_eq!(world.set(&rel), ["- 2.50 2", "1 1.00 2", "2 2.50 2", "3 0.00 0", "4 -3.25 2"]);
    assert_eq!(check(&rel, &world.tables, &[]).unwrap(), [Some(ColumnType::Int8), None]);
    let found = outputs(&rel, &world.tables, &[]).unwrap();
    assert_eq!(found[1], Some(Output { ty: ColumnType::numeric(10, 2), digits: Some(2) }));
    let same = Expr::Coalesce(vec![of_a(3), number("0.00")], Kind::Numeric.into());
    let types = check(&project(a(), vec![same]), &world.tables, &[]).unwrap();
    assert_eq!(types, [Some(ColumnType::numeric(10, 2))]);
}

#[test]
fn order_has_nulls_where_they_belong_and_nan_last() {
    let world = world();
    let by = |keys| world.rows(&project(sort(a(), keys), vec![of_a(0)]));
    assert_eq!(by(vec![ascending(of_a(2)), ascending(of_a(0))]), ["2", "3", "4", "1", "-"]);
    assert_eq!(by(vec![descending(of_a(2)), descending(of_a(0))]), ["-", "1", "4", "3", "2"]);
    let first = SortKey { nulls_first: true, ..ascending(of_a(1)) };
    assert_eq!(by(vec![first, descending(of_a(0))]), ["4", "2", "1", "-", "3"]);
}

#[test]
fn limits_count_from_the_sorted_beginning() {
    let world = world();
    let sorted = || project(sort(a(), vec![ascending(of_a(0))]), vec![of_a(0)]);
    let null = || Some(Expr::Constant(Value::Null, Kind::Int8.into()));
    assert_eq!(world.rows(&limit(sorted(), Some(int(1)), Some(int(2)))), ["2", "3"]);
    assert_eq!(world.rows(&limit(sorted(), Some(int(3)), null())), ["4", "-"]);
    assert_eq!(world.rows(&limit(sorted(), null(), Some(int(0)))), [""; 0]);
    let below = filter(limit(sorted(), Some(int(1)), None), Expr::Constant(Value::Bool(true), Kind::Bool.into()));
    assert_eq!(world.refused(&below), "OFFSET without LIMIT in a subquery");
    let negative = |offset, count| check(&limit(sorted(), offset, count), &world.tables, &[]).unwrap_err().sqlstate();
    assert_eq!(negative(None, Some(int(-1))), "2201W");
    assert_eq!(negative(Some(int(-1)), None), "2201X");
}

#[test]
fn distinct_rows_are_those_that_postgresql_takes_for_different() {
    let world = world();
    let distinct = |column| {
        let rel = Rel::Distinct { input: Box::new(project(a(), vec![column])), on: None };
        world.set(&rel)
    };
    assert_eq!(distinct(of_a(1)), ["-", "x", "y"]);
    assert_eq!(distinct(of_a(2)), ["-", "0.0", "1.5", "NaN"]);
    let sorted = sort(a(), vec![ascending(of_a(1)), descending(of_a(0))]);
    let on = Rel::Distinct { input: Box::new(sorted), on: Some(vec![1]) };
    assert_eq!(world.rows(&project(on, vec![of_a(1), of_a(0)])), ["x 2", "y -", "- 4"]);
}

#[test]
fn sets_take_null_for_equal_to_null() {
    let world = world();
    let ids_of_a = || project(a(), vec![of_a(0)]);
    let wide = || Rel::SetOperation { kind: SetKind::Union, all: true, left: bx(ids_of_a()), right: bx(ids_of_a()) };
    let operation =
        |kind, all, left, right| world.set(&Rel::SetOperation { kind, all, left: bx(left), right: bx(right) });
    assert_eq!(operation(SetKind::Union, true, ids_of_a(), empty()), ["-", "1", "2", "3", "4"]);
    assert_eq!(operation(SetKind::Union, false, wide(), ids_of_a()), ["-", "1", "2", "3", "4"]);
    assert_eq!(operation(SetKind::Intersect, false, wide(), ids_of_a()), ["-", "1", "2", "3", "4"]);
    assert_eq!(operation(SetKind::Intersect, true, wide(), ids_of_a()), ["-", "1", "2", "3", "4"]);
    assert_eq!(operation(SetKind::Except, true, wide(), ids_of_a()), ["-", "1", "2", "3", "4"]);
    assert_eq!(operation(SetKind::Except, false, wide(), ids_of_a()), [""; 0]);
    assert_eq!(operation(SetKind::Except, false, wide(), empty()), ["-", "1", "2", "3", "4"]);
    let numbers = |left: &str, right: &str| {
        let one = |text: &str| Rel::Values { columns: vec![Kind::Numeric.into()], rows: vec![vec![number(text)]] };
        Rel::SetOperation { kind: SetKind::Union, all: false, left: bx(one(left)), right: bx(one(right)) }
    };
    assert_eq!(world.rows(&numbers("1.0", "1.000")), ["1.000"]);
    assert_eq!(outputs(&numbers("1.0", "1.000"), &world.tables, &[]).unwrap(), [None]);
    let both = Rel::SetOperation {
        kind: SetKind::Union,
        all: true,
        left: bx(project(filter(a(), eq(of_a(0), int(1))), vec![of_a(3)])),
        right: bx(project(filter(b(), eq(of_b(0), int(2))), vec![of_b(2)])),
    };
    assert_eq!(world.set(&both), ["1.000 2", "2.500 3"]);
}

#[test]
fn what_may_fail_is_computed_where_it_is_asked() {
    let world = world();
    let less = || Expr::Call(Function::Subtract, vec![of_a(0), int(2)]);
    let zero = || eq(less(), int(0));
    let other = || is(Comparison::NotEq, less(), int(0));
    // 10 / (id - 2) > 1, which is an error for the row with id 2.
    let ratio = || is(Comparison::Gt, Expr::Call(Function::Divide, vec![int(10), less()]), int(1));
    let shown = |expr| world.try_rows(&project(sort(a(), vec![ascending(of_a(0))]), vec![of_a(0), expr]));
    let and = |parts: Vec<Expr>| Expr::And(parts);
    let decided = ["1 false", "2 false", "3 true", "4 true", "- -"];
    assert_eq!(shown(and(vec![other(), ratio()])).unwrap(), decided);
    assert_eq!(shown(and(vec![Expr::IsNull(bx_expr(of_a(1))).negated(), other(), ratio()])).unwrap()[1], "2 false");
    assert_eq!(shown(Expr::Or(vec![zero(), ratio()])).unwrap(), ["1 false", "2 true", "3 true", "4 true", "- -"]);
    let truth = |value| Expr::Constant(Value::Bool(value), Kind::Bool.into());
    let case = Expr::Case(vec![(other(), ratio())], Some(bx_expr(truth(false))), Kind::Bool.into());
    assert_eq!(shown(case).unwrap(), ["1 false", "2 false", "3 true", "4 true", "- false"]);
    let case = Expr::Case(vec![(zero(), truth(true)), (ratio(), truth(false))], None, Kind::Bool.into());
    assert_eq!(shown(case).unwrap(), ["1 -", "2 true", "3 false", "4 false", "- -"]);
    assert_eq!(shown(and(vec![ratio(), other()])).unwrap_err().sqlstate(), "22012");
    // Of conditions PostgreSQL asks those first that have less to do.
    assert_eq!(world.set(&ids(and(vec![ratio(), other()]))), ["3", "4"]);
    assert_eq!(world.set(&ids(Expr::Or(vec![zero(), ratio()]))), ["2", "3", "4"]);
    assert_eq!(world.set(&filter(ids(other()), truth(true))).len(), 3);
    let joined = join(JoinKind::Left, a(), b(), Some(and(vec![eq(of_a(0), right(0)), ratio(), other()])));
    assert_eq!(world.set(&project(joined, vec![of_a(0), right(1)])), ["- -", "1 -", "2 -", "3 b3", "3 c3", "4 -"]);
    // Conditions of queries within queries are asked together.
    let inner = project(filter(a(), other()), vec![of_a(0), Expr::Call(Function::Divide, vec![int(10), less()])]);
    let outer = filter(inner, is(Comparison::Gt, column(1, Kind::Int8), int(1)));
    assert_eq!(world.set(&outer), ["3 10", "4 5"]);
    // An equality with a sum is still one that two tables are joined by.
    let sum = Expr::Call(Function::Add, vec![of_a(0), int(1)]);
    let cross = join(JoinKind::Inner, a(), b(), None);
    let rel = filter(cross, and(vec![eq(sum, right(0)), is(Comparison::Gt, right(2), number("2"))]));
    assert_eq!(world.set(&project(rel.clone(), vec![of_a(0), right(1)])), ["1 b2", "2 c3"]);
    let plan = world.explain(&rel);
    assert!(plan.contains("HashJoinExec"), "{plan}");
}

#[test]
fn peers_of_the_last_row_come_along() {
    let world = world();
    let ties = |offset: Option<i64>, count: Option<i64>| Rel::Ties {
        input: bx(project(a(), vec![of_a(0), of_a(1)])),
        keys: vec![ascending(column(1, Kind::Text))],
        offset: offset.map(int),
        count: count.map(int),
    };
    // x x y y and one without.
    let shown =
        |offset, count| -> Vec<String> { world.rows(&project(ties(offset, count), vec![column(1, Kind::Text)])) };
    assert_eq!(shown(None, Some(1)), ["x", "x"]);
    assert_eq!(shown(None, Some(2)), ["x", "x"]);
    assert_eq!(shown(None, Some(3)), ["x", "x", "y", "y"]);
    assert_eq!(shown(Some(1), Some(1)), ["x"]);
    assert_eq!(shown(Some(1), Some(2)), ["x", "y", "y"]);
    assert_eq!(shown(Some(4), Some(i64::MAX)), ["-"]);
    assert_eq!(shown(Some(9), Some(1)), [""; 0]);
    assert_eq!(shown(Some(1), Some(0)), [""; 0]);
    assert_eq!(shown(Some(3), None), ["y", "-"]);
    assert_eq!(world.try_rows(&ties(None, Some(-1))).unwrap_err().sqlstate(), "2201W");
    assert_eq!(world.try_rows(&ties(Some(-1), Some(1))).unwrap_err().sqlstate(), "2201X");
}

pub(super) fn bx(rel: Rel) -> Box<Rel> {
    Box::new(rel)
}

#[test]
fn values_and_a_select_without_from() {
    let world = world();
    let one = Rel::Values { columns: vec![], rows: vec![vec![]] };
    assert_eq!(world.rows(&project(one.clone(), vec![int(7), text("seven")])), ["7 seven"]);
    let null = Expr::Constant(Value::Null, Kind::Int8.into());
    let some = Rel::Values { columns: vec![Kind::Int8.into()], rows: vec![vec![int(1)], vec![null], vec![int(3)]] };
    assert_eq!(world.set(&some), ["-", "1", "3"]);
    let joined = join(JoinKind::Inner, a(), some, Some(eq(of_a(0), column(4, Kind::Int8))));
    assert_eq!(world.set(&project(joined, vec![of_a(0)])), ["1", "3"]);
}

#[test]
fn common_tables_are_seen_as_often_as_they_are_named() {
    let world = world();
    let first = project(filter(a(), is(Comparison::Gt, of_a(0), int(1))), vec![of_a(0)]);
    let named = |level, table| Rel::Common { level, table, columns: vec![Kind::Int8.into()] };
    let second = filter(named(0, 0), is(Comparison::Gt, column(0, Kind::Int8), int(2)));
    let body = join(
        JoinKind::Inner,
        named(0, 0),
        Rel::With { tables: vec![empty()], body: bx(named(1, 1)) },
        Some(eq(column(0, Kind::Int8), column(1, Kind::Int8))),
    );
    let with = Rel::With { tables: vec![first, second], body: bx(body) };
    assert_eq!(world.set(&with), ["3 3", "4 4"]);
}

#[test]
fn parameters_are_checked_without_values_and_bound_for_the_run() {
    let world = world();
    let parameter = |at, kind: Kind| Expr::Parameter(at, kind.into());
    let list = Expr::Parameter(2, Type::Array { array: Kind::Int8 });
    let condition = Expr::Or(vec![
        is(Comparison::Gt, of_a(3), parameter(0, Kind::Numeric)),
        eq(of_a(1), parameter(1, Kind::Text)),
        Expr::In(bx_expr(of_a(0)), bx_expr(list)),
    ]);
    let rel = limit(ids(condition), None, Some(parameter(3, Kind::Int8)));
    assert_eq!(check(&rel, &world.tables, &[]).unwrap(), [Some(ColumnType::Int8)]);
    let values = |n: &str, g, limit| [Value::Numeric(n.into()), g, Value::List(vec![Value::Int(4)]), limit];
    let bound = rel.bind(&values("2.499", Value::Null, Value::Null)).unwrap();
    assert_eq!(world.set(&bound), ["-", "2", "4"]);
    let bound = rel.bind(&values("NaN", Value::Text("y".into()), Value::Int(9))).unwrap();
    assert_eq!(world.set(&bound), ["-", "3", "4"]);
    assert!(rel.bind(&[]).is_err());
    // What a column cannot hold may be a value of a parameter, if all that is done with it is a comparison.
    let above = is(Comparison::Lt, of_a(3), parameter(0, Kind::Numeric));
    let infinite = ids(above).bind(&[Value::Above]).unwrap();
    assert_eq!(world.set(&infinite), ["-", "1", "2", "4"]);
    assert!(world.refused(&project(a(), vec![parameter(0, Kind::Date)])).contains("date"));
    // Text of an output would be shown with digits that are not known.
    assert!(world.refused(&project(a(), vec![parameter(0, Kind::Numeric)])).contains("numeric"));
}

fn bx_expr(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

pub(super) fn large() -> World {
    let folder = tempfile::tempdir().unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..200_000).map(|id| format!("{id:040}"))));
    let tables = vec![stored(&folder, "large", vec![("id", ids), ("t", texts)])];
    World { _folder: folder, tables }
}

/// As the server does: on a thread whose stack is known.
fn on_a_planning_stack(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(32 << 20).spawn_scoped(scope, f).unwrap();
    });
}

#[test]
fn deep_trees_are_answered_or_refused() {
    let world = world();
    let plus = |expr, value| Expr::binary(Function::Add, expr, int(value));
    let levels = |input: Rel, count: usize| {
        let expr = (0..count).fold(column(0, Kind::Int8), |expr, _| plus(expr, 1));
        project(input, vec![expr])
    };
    let ids = || Rel::Table { table: 0, columns: vec![0] };
    let named = |level, table| Rel::Common { level, table, columns: vec![Kind::Int8.into()] };
    on_a_planning_stack(|| {
        // Three levels of the tree, then 49 and one for each of the relations.
        let five = (0..5).fold(ids(), |input, _| levels(input, 49));
        assert_eq!(world.set(&five), ["-", "246", "247", "248", "249"]);
        let six = levels(five.clone(), 49);
        assert!(world.refused(&six).contains("nested more than"));
        // A name is as deep as what it is the name of.
        let with = |tables: usize| {
            let tables: Vec<_> =
                (0..tables).map(|at| levels(if at == 0 { ids() } else { named(0, at - 1) }, 49)).collect();
            let last = tables.len() - 1;
            Rel::With { tables, body: bx(named(0, last)) }
        };
        assert_eq!(world.set(&with(5)), ["-", "246", "247", "248", "249"]);
        assert!(world.refused(&with(6)).contains("nested more than"));
    });
}

#[test]
fn a_cancelled_query_ends() {
    let world = large();
    let all = || Rel::Table { table: 0, columns: vec![0, 1] };
    let joined =
        join(JoinKind::Inner, all(), all(), Some(is(Comparison::Lt, column(0, Kind::Int8), column(2, Kind::Int8))));
    let rel = aggregate(joined, vec![], vec![count()]);
    for _ in 0..3 {
        let mut query = world.start(&rel, &Options::default(), Arc::new(|| {})).unwrap();
        std::thread::yield_now();
        assert!(query.cancel(LONG), "the task did not end");
        assert!(matches!(query.poll(), Ok(Poll::Done)));
    }
}

/// The ids of [`large`] to the third power, as numerics of up to 57 digits: what is tried with 128 bits first.
fn cubes(rows: Rel) -> Rel {
    let id = || Box::new(column(0, Kind::Int8));
    let id = || Expr::Cast(id(), Kind::Numeric.into(), None);
    let times = |left, right| Expr::Call(Function::Multiply, vec![left, right]);
    project(rows, vec![times(times(id(), id()), id())])
}

#[test]
fn rows_that_are_held_back_may_be_cancelled_and_take_no_more_memory_than_there_is() {
    let world = large();
    let all = || Rel::Table { table: 0, columns: vec![0] };
    let pairs =
        join(JoinKind::Inner, all(), all(), Some(is(Comparison::Lt, column(0, Kind::Int8), column(1, Kind::Int8))));
    let rel = cubes(pairs);
    for polls in [0, 1, 100] {
        let mut query = world.start(&rel, &Options::default(), Arc::new(|| {})).unwrap();
        (0..polls).for_each(|_| drop(query.poll().unwrap()));
        assert!(query.cancel(LONG), "the task did not end");
        assert!(matches!(query.poll(), Ok(Poll::Done)));
    }
    let batches = world.run(&cubes(all()), &Options { memory: 1 << 16, ..Options::default() }).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 200_000);
}

#[test]
fn a_date_is_compared_with_a_timestamp_in_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let days: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![Some(0), Some(1), Some(2), None]));
    let tables = vec![stored(&folder, "days", vec![("day", days)])];
    let world = World { _folder: folder, tables };
    let noon = 12 * 60 * 60 * 1_000_000;
    for (comparison, time, expected) in [
        (Comparison::Lt, 2 * noon, vec!["1970-01-01"]),
        (Comparison::LtEq, 2 * noon, vec!["1970-01-01", "1970-01-02"]),
        (Comparison::Lt, 3 * noon, vec!["1970-01-01", "1970-01-02"]),
        (Comparison::GtEq, 3 * noon, vec!["1970-01-03"]),
        (Comparison::Eq, 3 * noon, vec![]),
    ] {
        let time = Expr::Constant(Value::Int(time), Kind::Timestamp.into());
        let rel = filter(Rel::Table { table: 0, columns: vec![0] }, is(comparison, column(0, Kind::Date), time));
        assert_eq!(world.set(&rel), expected, "{comparison:?}");
        let plan = world.explain(&rel);
        assert!(!plan.contains("FilterExec"), "{plan}");
    }
}

#[test]
fn what_was_read_is_counted() {
    let world = large();
    let rel = filter(Rel::Table { table: 0, columns: vec![0] }, is(Comparison::Lt, column(0, Kind::Int8), int(5)));
    let mut query = world.start(&rel, &Options::default(), Arc::new(|| {})).unwrap();
    let mut rows = 0;
    loop {
        match query.poll().unwrap() {
            Poll::Batch(batch) => rows += batch.num_rows(),
            Poll::Done => break,
            Poll::Pending => std::thread::yield_now(),
        }
    }
    let statistics = query.statistics();
    assert_eq!((rows, statistics.rows, statistics.files, statistics.row_groups), (5, 5, 1, 20));
    assert!(statistics.row_groups_pruned == 19 && statistics.bytes > 0, "{statistics:?}");
}

/// What a query delivers, one partition after another, and what was read for it.
fn counted(world: &World, rel: &Rel) -> (Vec<RecordBatch>, Statistics) {
    let options = Options { parallelism: 1, ..Options::default() };
    let mut query = world.start(rel, &options, Arc::new(|| {})).unwrap();
    let mut batches = Vec::new();
    loop {
        match query.poll().unwrap() {
            Poll::Batch(batch) => batches.push(batch),
            Poll::Done => return (batches, query.statistics()),
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

fn numbers(ids: &[i64]) -> Rel {
    Rel::Values { columns: vec![Kind::Int8.into()], rows: ids.iter().map(|id| vec![int(*id)]).collect() }
}

#[test]
fn row_groups_without_a_partner_are_not_read() {
    let world = large();
    let all = || Rel::Table { table: 0, columns: vec![0, 1] };
    let joined = |ids: &[i64]| {
        let on = Some(eq(column(0, Kind::Int8), column(1, Kind::Int8)));
        project(join(JoinKind::Inner, numbers(ids), all(), on), vec![column(1, Kind::Int8), column(2, Kind::Text)])
    };
    let (batches, statistics) = counted(&world, &joined(&[25_001, 25_002]));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!((statistics.row_groups, statistics.row_groups_pruned), (20, 19), "{statistics:?}");
    assert!(statistics.rows_skipped > 9_000, "{statistics:?}");
    let (batches, statistics) = counted(&world, &joined(&[-7]));
    assert!(batches.is_empty() && statistics.row_groups_pruned == 20 && statistics.bytes == 0, "{statistics:?}");
}

#[test]
fn row_groups_behind_the_last_row_of_a_limit_are_not_read() {
    let world = large();
    let all = || Rel::Table { table: 0, columns: vec![0, 1] };
    let sorted = limit(sort(all(), vec![ascending(column(0, Kind::Int8))]), None, Some(int(3)));
    let (batches, statistics) = counted(&world, &sorted);
    let ids: Vec<_> = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values()).collect();
    assert_eq!(ids, [&0, &1, &2]);
    assert!(statistics.row_groups_pruned >= 10, "{statistics:?}");
    // The last rows of the files are looked for at their end.
    let sorted = limit(sort(all(), vec![descending(column(0, Kind::Int8))]), None, Some(int(3)));
    let (batches, statistics) = counted(&world, &sorted);
    let ids: Vec<_> = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values()).collect();
    assert_eq!(ids, [&199_999, &199_998, &199_997]);
    assert!(statistics.row_groups_pruned >= 10, "{statistics:?}");
}

#[test]
fn batches_of_few_rows_are_put_together() {
    let world = large();
    let all = || Rel::Table { table: 0, columns: vec![0, 1] };
    // Every hundredth row has a partner, in every row group.
    let ids: Vec<_> = (0..2_000).map(|id| id * 100).collect();
    let on = Some(eq(column(0, Kind::Int8), column(1, Kind::Int8)));
    let joined = join(JoinKind::Inner, numbers(&ids), all(), on);
    let (batches, _) = counted(&world, &joined);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2_000);
    assert!(batches.len() <= 5, "{}", batches.len());
}

#[test]
fn what_is_named_twice_is_computed_once() {
    let world = world();
    // WITH c AS (SELECT g, count(*), sum(n) ... GROUP BY g) SELECT ... FROM c JOIN c AS d USING (g) WHERE d.count > 1
    let counted = aggregate(a(), vec![of_a(1)], vec![count(), call("sum", vec![of_a(3)])]);
    let kinds = [Kind::Text, Kind::Int8, Kind::Numeric];
    let named = || Rel::Common { level: 0, table: 0, columns: kinds.iter().map(|kind| (*kind).into()).collect() };
    let many = filter(named(), is(Comparison::Gt, column(1, Kind::Int8), int(1)));
    let both = join(JoinKind::Inner, named(), many, Some(eq(column(0, Kind::Text), column(3, Kind::Text))));
    let body = project(both, vec![column(0, Kind::Text), column(4, Kind::Int8), column(2, Kind::Numeric)]);
    let with = Rel::With { tables: vec![counted], body: Box::new(body) };
    assert_eq!(world.set(&with), ["x 2 3.50", "y 2 2.50"]);
    let plan = world.explain(&with);
    assert_eq!(plan.matches("LakeScan").count(), 1, "{plan}");
    assert_eq!(plan.matches("SharedExec").count(), 2, "{plan}");
}

#[test]
fn what_is_named_once_or_is_a_scan_is_no_table_of_its_own() {
    let world = world();
    let named = || Rel::Common { level: 0, table: 0, columns: vec![Kind::Int8.into()] };
    let crossed = || join(JoinKind::Inner, named(), named(), None);
    let scan = Rel::With { tables: vec![ids(eq(of_a(1), text("x")))], body: Box::new(crossed()) };
    assert_eq!(world.set(&scan), ["1 1", "1 2", "2 1", "2 2"]);
    assert!(!world.explain(&scan).contains("SharedExec"));
    let counted = || aggregate(a(), vec![], vec![count()]);
    let once = Rel::With { tables: vec![counted()], body: Box::new(named()) };
    assert_eq!(world.rows(&once), ["5"]);
    assert!(!world.explain(&once).contains("SharedExec"));
    let twice = Rel::With { tables: vec![counted()], body: Box::new(crossed()) };
    assert_eq!(world.rows(&twice), ["5 5"]);
    assert!(world.explain(&twice).contains("SharedExec"));
}

#[test]
fn readers_of_one_table_may_stop_at_any_row() {
    let world = world();
    let groups = aggregate(a(), vec![of_a(0)], vec![count()]);
    let kinds = [Kind::Int8, Kind::Int8];
    let named = || Rel::Common { level: 0, table: 0, columns: kinds.iter().map(|kind| (*kind).into()).collect() };
    let first = limit(named(), None, Some(int(1)));
    let body = Rel::SetOperation { kind: SetKind::Union, all: true, left: Box::new(first), right: Box::new(named()) };
    let with = Rel::With { tables: vec![groups], body: Box::new(body) };
    assert_eq!(world.rows(&with).len(), 6);
}

#[test]
fn rows_that_are_shared_count_as_memory() {
    let folder = tempfile::tempdir().unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let world = World { tables: vec![stored(&folder, "long", vec![("id", ids)])], _folder: folder };
    let all = || Rel::Table { table: 0, columns: vec![0] };
    let rows = limit(all(), None, Some(int(150_000)));
    let named = || Rel::Common { level: 0, table: 0, columns: vec![Kind::Int8.into()] };
    let body = Rel::SetOperation { kind: SetKind::Union, all: true, left: Box::new(named()), right: Box::new(named()) };
    let with = Rel::With { tables: vec![rows], body: Box::new(aggregate(body, vec![], vec![count()])) };
    assert_eq!(world.rows(&with), ["300000"]);
    let narrow = Options { memory: 200_000, ..Options::default() };
    assert!(matches!(world.run(&with, &narrow), Err(Error::MemoryLimit { .. })));
}
