//! Groups, grouping sets, aggregates, windows.

use super::*;
use crate::expr::Function;

#[test]
fn aggregates_of_all_rows_have_one_row_even_of_none() {
    let world = world();
    let of = |input, column: Expr| {
        let max = call("max", vec![column.clone()]);
        world.rows(&aggregate(
            input,
            vec![],
            vec![count(), call("count", vec![column.clone()]), call("min", vec![column]), max],
        ))
    };
    assert_eq!(of(a(), of_a(0)), ["5 4 1 4"]);
    assert_eq!(of(a(), of_a(1)), ["5 4 x y"]);
    assert_eq!(of(a(), of_a(3)), ["5 4 -3.25 2.50"]);
    assert_eq!(of(empty(), column(0, Kind::Int8)), ["0 0 - -"]);
    let mut distinct = call("count", vec![of_a(2)]);
    distinct.distinct = true;
    let mut filtered = count();
    filtered.filter = Some(is(Comparison::Gt, of_a(0), int(1)));
    assert_eq!(world.rows(&aggregate(a(), vec![], vec![distinct, filtered])), ["3 3"]);
    assert_eq!(world.rows(&project(aggregate(a(), vec![], vec![]), vec![int(1)])), ["1"]);
}

#[test]
fn sums_and_averages_are_exact() {
    let world = world();
    let of = |column: Expr| vec![call("sum", vec![column.clone()]), call("avg", vec![column])];
    // The average of four numbers between -3.25 and 2.50, with the digits that PostgreSQL shows.
    let rows = world.rows(&aggregate(a(), vec![], of(of_a(3))));
    assert!(rows.len() == 1 && rows[0].starts_with("2.75 0.6875"), "{rows:?}");
    let rows = world.rows(&aggregate(a(), vec![], of(of_a(0))));
    assert!(rows.len() == 1 && rows[0].starts_with("10 2.5"), "{rows:?}");
    assert_eq!(world.rows(&aggregate(b(), vec![], vec![call("sum", vec![of_b(0)])])), ["17"]);
    assert!(world.rows(&aggregate(empty(), vec![], of(column(0, Kind::Int8))))[0].starts_with("- -"));
    let by_group = aggregate(a(), vec![of_a(1)], vec![call("sum", vec![of_a(3)])]);
    assert_eq!(world.set(&by_group), ["- -3.25", "x 3.50", "y 2.50"]);
    // Some values with more digits than others: of each sum it is known which it shows.
    let mixed = Expr::Case(vec![(eq(of_a(1), text("x")), of_a(3))], Some(Box::new(number("0"))), Kind::Numeric.into());
    let by_group = aggregate(a(), vec![of_a(1)], vec![call("sum", vec![mixed])]);
    assert_eq!(world.set(&by_group), ["- 0.00 0", "x 3.50 2", "y 0.00 0"]);
}

#[test]
fn products_of_more_than_38_digits_begin_again_with_more_bits() {
    let folder = tempfile::tempdir().unwrap();
    let wide = |values: Vec<i128>| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, 0).unwrap())
    };
    let large = 10i128.pow(37);
    let tables = vec![stored(&folder, "w", vec![("a", wide(vec![large, 2])), ("b", wide(vec![3, large]))])];
    let world = World { _folder: folder, tables };
    let rows = || Rel::Table { table: 0, columns: vec![0, 1] };
    let of = |at| column(at, Kind::Numeric);
    let product = || Expr::Call(Function::Multiply, vec![of(0), of(1)]);
    let zeros = "0".repeat(37);
    assert_eq!(world.set(&project(rows(), vec![product()])), [format!("2{zeros}"), format!("3{zeros}")]);
    let squares = Expr::Call(Function::Multiply, vec![of(0), of(0)]);
    let sum = aggregate(rows(), vec![], vec![call("sum", vec![of(0)]), call("max", vec![squares])]);
    assert_eq!(world.rows(&sum), [format!("1{}2 1{}", "0".repeat(36), "0".repeat(74))]);
}

#[test]
fn null_is_a_group_and_equal_floats_are_one() {
    let world = world();
    assert_eq!(world.set(&aggregate(a(), vec![of_a(1)], vec![count()])), ["- 1", "x 2", "y 2"]);
    assert_eq!(world.set(&aggregate(a(), vec![of_a(2)], vec![count()])), ["- 1", "0.0 2", "1.5 1", "NaN 1"]);
    assert_eq!(world.set(&aggregate(empty(), vec![column(0, Kind::Int8)], vec![count()])), [""; 0]);
    let having =
        filter(aggregate(a(), vec![of_a(1)], vec![count()]), is(Comparison::Gt, column(1, Kind::Int8), int(1)));
    assert_eq!(world.set(&having), ["x 2", "y 2"]);
}

#[test]
fn nan_is_the_largest_float_and_infinities_are_floats() {
    let folder = tempfile::tempdir().unwrap();
    let groups: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 2, 3, 4, 4]));
    let infinity = f64::INFINITY;
    let values = vec![f64::NAN, 5.0, -infinity, -infinity, infinity, 5.0, -f64::NAN];
    let tables = vec![stored(&folder, "f", vec![("g", groups), ("x", Arc::new(Float64Array::from(values)))])];
    let world = World { _folder: folder, tables };
    let rows = || Rel::Table { table: 0, columns: vec![0, 1] };
    let x = || vec![column(1, Kind::Float8)];
    let extremes = || vec![call("min", x()), call("max", x())];
    let by_group = aggregate(rows(), vec![column(0, Kind::Int8)], extremes());
    assert_eq!(world.set(&by_group), ["1 5.0 NaN", "2 -inf -inf", "3 inf inf", "4 5.0 NaN"]);
    assert_eq!(world.rows(&aggregate(rows(), vec![], extremes())), ["-inf NaN"]);
}

fn in_sets(input: Rel, sets: Vec<Vec<usize>>, calls: Vec<Aggregate>, groups: Vec<Expr>) -> Rel {
    Rel::Aggregate { input: Box::new(input), groups, sets: Some(sets), aggregates: calls }
}

#[test]
fn grouping_sets_with_what_they_group_by() {
    let world = world();
    let groups = || vec![of_a(1), of_a(2)];
    let grouping = || call("grouping", groups());
    let calls = || vec![count(), grouping()];
    let rollup = in_sets(filter(a(), eq(of_a(1), text("x"))), vec![vec![0, 1], vec![0], vec![]], calls(), groups());
    assert_eq!(world.set(&rollup), ["- - 2 3", "x - 2 1", "x 0.0 1 0", "x NaN 1 0"]);
    let none = in_sets(filter(a(), eq(of_a(1), text("?"))), vec![vec![0], vec![]], calls(), groups());
    assert_eq!(world.set(&none), ["- - 0 3"]);
    let twice = in_sets(a(), vec![vec![0], vec![0]], vec![count()], vec![of_a(1)]);
    assert_eq!(world.set(&twice), ["- 1", "- 1", "x 2", "x 2", "y 2", "y 2"]);
    let nulls = in_sets(a(), vec![vec![0], vec![1]], vec![count(), call("grouping", vec![of_a(1)])], groups());
    assert_eq!(world.set(&nulls), ["- - 1 0", "- - 1 1", "- 0.0 2 1", "- 1.5 1 1", "- NaN 1 1", "x - 2 0", "y - 2 0"]);
}

fn window(function: &str, arguments: Vec<Expr>, partition: Vec<Expr>, order: Vec<SortKey>, frame: Frame) -> Rel {
    let call = WindowCall { function: function.to_owned(), arguments, filter: None, partition, order, frame };
    let windowed = Rel::Window { input: Box::new(a()), calls: vec![call] };
    project(windowed, vec![of_a(0), column(4, Kind::Int8)])
}

fn up_to_here() -> Frame {
    Frame { unit: FrameUnit::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow }
}

#[test]
fn windows_number_and_look_around() {
    let world = world();
    let by_g = || vec![of_a(1)];
    let by_id = || vec![ascending(of_a(0))];
    let shown = |function: &str, arguments, order| world.set(&window(function, arguments, by_g(), order, up_to_here()));
    assert_eq!(shown("row_number", vec![], by_id()), ["- 2", "1 1", "2 2", "3 1", "4 1"]);
    assert_eq!(shown("rank", vec![], vec![ascending(of_a(1))]), ["- 1", "1 1", "2 1", "3 1", "4 1"]);
    assert_eq!(shown("lag", vec![of_a(0)], by_id()), ["- 3", "1 -", "2 1", "3 -", "4 -"]);
    assert_eq!(shown("lead", vec![of_a(0), int(1), int(0)], by_id()), ["- 0", "1 2", "2 0", "3 -", "4 0"]);
    assert_eq!(shown("first_value", vec![of_a(0)], by_id()), ["- 3", "1 1", "2 1", "3 3", "4 4"]);
    assert_eq!(shown("last_value", vec![of_a(0)], by_id()), ["- -", "1 1", "2 2", "3 3", "4 4"]);
    assert_eq!(shown("count", vec![of_a(0)], by_id()), ["- 1", "1 1", "2 2", "3 1", "4 1"]);
    // Without an order all rows of a partition are peers.
    assert_eq!(shown("count", vec![], vec![]), ["- 2", "1 2", "2 2", "3 2", "4 1"]);
    let ranks = world.set(&window("rank", vec![], vec![], vec![ascending(of_a(2))], up_to_here()));
    assert_eq!(ranks, ["- 5", "1 4", "2 1", "3 1", "4 3"]);
    let ranks = world.set(&window("dense_rank", vec![], vec![], vec![ascending(of_a(2))], up_to_here()));
    assert_eq!(ranks, ["- 4", "1 3", "2 1", "3 1", "4 2"]);
}

#[test]
fn frames_of_rows_and_groups() {
    let world = world();
    let by_id = || vec![ascending(of_a(0))];
    let rows = |start, end| Frame { unit: FrameUnit::Rows, start, end };
    let near = || rows(Bound::Preceding(int(1)), Bound::Following(int(1)));
    assert_eq!(world.set(&window("count", vec![], vec![], by_id(), near())), ["- 2", "1 2", "2 3", "3 3", "4 3"]);
    let max = world.set(&window("max", vec![of_a(0)], vec![], by_id(), near()));
    assert_eq!(max, ["- 4", "1 2", "2 3", "3 4", "4 4"]);
    let sums = world.set(&window("sum", vec![of_a(0)], vec![], by_id(), near()));
    assert_eq!(sums, ["- 4", "1 3", "2 6", "3 9", "4 7"]);
    assert!(world.refused(&window("max", vec![of_a(2)], vec![], by_id(), near())).contains("leaves behind"));
    let so_far = world.set(&window("max", vec![of_a(2)], vec![], by_id(), up_to_here()));
    assert_eq!(so_far, ["- NaN", "1 NaN", "2 NaN", "3 NaN", "4 NaN"]);
    let groups = Frame { unit: FrameUnit::Groups, start: Bound::Preceding(int(1)), end: Bound::CurrentRow };
    let counts = world.set(&window("count", vec![], vec![], vec![ascending(of_a(1))], groups));
    assert_eq!(counts, ["- 4", "1 2", "2 2", "3 4", "4 3"]);
    let negative = rows(Bound::Preceding(int(-1)), Bound::CurrentRow);
    let error = check(&window("count", vec![], vec![], by_id(), negative), &world.tables, &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "22013");
    let range = Frame { unit: FrameUnit::Range, start: Bound::Preceding(int(1)), end: Bound::CurrentRow };
    assert!(world.refused(&window("count", vec![], vec![], by_id(), range)).contains("range"));
}

#[test]
fn all_rows_are_counted_without_decoding_any() {
    let world = world();
    let two = aggregate(a(), vec![], vec![count(), count()]);
    let plan = world.explain(&two);
    assert!(plan.contains("FooterCount: files=1") && !plan.contains("LakeScan"), "{plan}");
    assert_eq!(world.rows(&two), ["5 5"]);
    assert_eq!(world.rows(&aggregate(empty(), vec![], vec![count()])), ["0"]);
    let mut query = world.start(&two, &Options::default(), Arc::new(|| {})).unwrap();
    while !matches!(query.poll().unwrap(), Poll::Done) {
        std::thread::yield_now();
    }
    let statistics = query.statistics();
    assert_eq!((statistics.bytes, statistics.row_groups_pruned, statistics.row_groups), (0, 3, 3));
    assert_eq!(world.rows(&aggregate(filter(a(), eq(of_a(1), text("x"))), vec![], vec![count()])), ["2"]);
    // What is not of all rows is counted row by row.
    for rel in [
        aggregate(filter(a(), eq(of_a(0), int(1))), vec![], vec![count()]),
        aggregate(a(), vec![of_a(1)], vec![count()]),
        aggregate(limit(a(), None, Some(int(2))), vec![], vec![count()]),
        aggregate(a(), vec![], vec![Aggregate { arguments: vec![of_a(0)], ..count() }]),
    ] {
        let plan = world.explain(&rel);
        assert!(plan.contains("LakeScan"), "{plan}");
    }
}

#[test]
fn a_file_that_changed_since_it_was_found_is_not_counted() {
    let world = world();
    let path = world._folder.path().join("a.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.push(0);
    std::fs::write(&path, bytes).unwrap();
    let error = world.run(&aggregate(a(), vec![], vec![count()]), &Options::default()).unwrap_err();
    assert_eq!(error.sqlstate(), "LG006", "{error}");
}

#[test]
fn moments_of_groups_are_those_of_their_rows() {
    let world = world();
    let moments = |input| {
        let calls = ["avg", "var_pop", "stddev_samp"].map(|name| call(name, vec![of_a(2)]));
        aggregate(input, vec![of_a(1)], calls.to_vec())
    };
    // NaN and -0; 0 and NULL; 1.5.
    assert_eq!(world.set(&moments(a())), ["- 1.5 0.0 -", "x NaN NaN NaN", "y 0.0 0.0 -"]);
    let none = moments(filter(a(), eq(of_a(1), text("z"))));
    assert_eq!(world.rows(&none), [""; 0]);
    let mut filtered = call("avg", vec![of_a(2)]);
    filtered.filter = Some(is(Comparison::Lt, of_a(0), int(4)));
    assert_eq!(world.set(&aggregate(a(), vec![of_a(1)], vec![filtered])), ["- -", "x NaN", "y 0.0"]);
}
