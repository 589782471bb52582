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
fn texts_are_joined_in_their_own_order() {
    let world = world();
    let joined = |key: fn(Expr) -> SortKey, input: Rel, of: Expr, groups: Vec<Expr>| {
        let mut joined = call("string_agg", vec![of.clone(), text("+")]);
        joined.order = vec![key(of)];
        aggregate(input, groups, vec![joined])
    };
    assert_eq!(world.rows(&joined(ascending, a(), of_a(1), vec![])), ["x+x+y+y"]);
    assert_eq!(world.rows(&joined(descending, a(), of_a(1), vec![])), ["y+y+x+x"]);
    let nothing = filter(a(), is(Comparison::Gt, of_a(0), int(99)));
    assert_eq!(world.rows(&joined(ascending, nothing, of_a(1), vec![])), ["-"]);
    assert_eq!(world.set(&joined(ascending, a(), of_a(1), vec![of_a(1)])), ["- -", "x x+x", "y y+y"]);
    // With two orders at once, and beside an aggregate that has none.
    let of = |key: fn(Expr) -> SortKey| {
        let mut joined = call("string_agg", vec![of_a(1), text("+")]);
        joined.order = vec![key(of_a(1))];
        joined
    };
    let rows = world.rows(&aggregate(a(), vec![], vec![of(ascending), of(descending), count()]));
    assert_eq!(rows, ["x+x+y+y y+y+x+x 5"]);
    // Where rows have no order, or one that leaves some open, PostgreSQL has to do it.
    let without = aggregate(a(), vec![], vec![call("string_agg", vec![of_a(1), text("+")])]);
    assert!(matches!(outputs(&without, &world.tables, &[]), Err(Error::NotSupported { .. })));
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
fn digits_are_integers_of_32_bits() {
    let world = world();
    let some = || Expr::Coalesce(vec![of_a(3), number("0")], Kind::Numeric.into());
    let quotient = || Expr::Call(Function::Divide, vec![of_a(3), some()]);
    let product = Expr::Call(Function::Multiply, vec![some(), quotient()]);
    let nonzero = || filter(a(), is(Comparison::NotEq, some(), number("0")));
    let numeric = |at| column(at, Kind::Numeric);
    let rows = || project(nonzero(), vec![quotient(), product.clone(), some()]);
    let sums = aggregate(rows(), vec![], (0..3).map(|at| call("sum", vec![numeric(at)])).collect());
    let both =
        Rel::SetOperation { kind: SetKind::Union, all: true, left: Box::new(rows()), right: Box::new(sums.clone()) };
    for rel in [rows(), sums, both] {
        let found = outputs(&rel, &world.tables, &[]).unwrap();
        for batch in world.run(&rel, &Options::default()).unwrap() {
            for output in &found {
                let at = output.as_ref().and_then(|output| output.digits).unwrap();
                assert_eq!(batch.column(at).data_type(), &arrow::datatypes::DataType::Int32);
                assert_eq!(batch.num_columns(), 6);
            }
        }
    }
}

#[test]
fn no_row_is_delivered_twice_when_a_late_one_needs_more_bits() {
    let large = 10i128.pow(37);
    let wide = format!("1{}", "0".repeat(74));
    // Fewer rows than are held back, and more.
    for count in [1_000, 250_000] {
        let folder = tempfile::tempdir().unwrap();
        let values = Decimal128Array::from_iter_values((1..count).chain([large]));
        let values: ArrayRef = Arc::new(values.with_precision_and_scale(38, 0).unwrap());
        let world = World { tables: vec![stored(&folder, "late", vec![("n", values)])], _folder: folder };
        let rows = || Rel::Table { table: 0, columns: vec![0] };
        let n = || column(0, Kind::Numeric);
        let square = || Expr::Call(Function::Multiply, vec![n(), n()]);
        // Several columns of which each has its bytes.
        let product = |factor: &str| Expr::Call(Function::Multiply, vec![number(factor), n()]);
        let shown = project(rows(), vec![square(), product("2"), product("3"), product("4")]);
        let found = world.rows(&shown);
        assert_eq!(found.len(), count as usize);
        assert!(found.iter().any(|row| row.starts_with(&wide)));
        let sorted = world.rows(&sort(project(shown, vec![n()]), vec![descending(n())]));
        assert_eq!((sorted.len(), &sorted[0]), (count as usize, &wide));
    }
}

/// Two numerics of 38 digits, whose products have 75.
fn factors() -> World {
    let folder = tempfile::tempdir().unwrap();
    let wide = |values: Vec<Option<i128>>| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, 0).unwrap())
    };
    let large = 10i128.pow(37);
    let a = wide(vec![Some(large), Some(2), Some(large), Some(-large), None, Some(7)]);
    let b = wide(vec![Some(3), Some(large), Some(2), Some(large), Some(1), Some(0)]);
    let tables = vec![stored(&folder, "w", vec![("a", a), ("b", b)])];
    World { _folder: folder, tables }
}

#[test]
fn numerics_of_more_than_38_digits_are_keys() {
    let world = factors();
    let rows = || Rel::Table { table: 0, columns: vec![0, 1] };
    let of = |at| column(at, Kind::Numeric);
    let product = || Expr::Call(Function::Multiply, vec![of(0), of(1)]);
    let products = || project(rows(), vec![product()]);
    let (two, three) = (format!("2{}", "0".repeat(37)), format!("3{}", "0".repeat(37)));
    let least = format!("-1{}", "0".repeat(74));
    let sorted = sort(products(), vec![descending(of(0))]);
    assert_eq!(world.rows(&sorted), ["-", &three, &two, &two, "0", &least]);
    assert_eq!(world.rows(&limit(sorted, Some(int(1)), Some(int(2)))), [&three[..], &two]);
    let mut groups =
        [format!("{two} 2"), format!("{three} 1"), format!("{least} 1"), "0 1".to_owned(), "- 1".to_owned()];
    groups.sort();
    assert_eq!(world.set(&aggregate(products(), vec![of(0)], vec![count()])), groups);
    assert_eq!(world.set(&Rel::Distinct { input: Box::new(products()), on: None }).len(), 5);
    let two_keys = aggregate(products(), vec![of(0), Expr::IsNull(Box::new(of(0)))], vec![count()]);
    assert_eq!(world.set(&two_keys).len(), 5);
    let mut distinct = call("count", vec![of(0)]);
    distinct.distinct = true;
    assert_eq!(world.rows(&aggregate(products(), vec![], vec![distinct])), ["4"]);
    let joined = join(JoinKind::Inner, products(), products(), Some(eq(of(0), of(1))));
    assert_eq!(world.rows(&aggregate(joined, vec![], vec![count()])), ["7"]);
    let all = Rel::SetOperation {
        kind: SetKind::Intersect,
        all: true,
        left: Box::new(products()),
        right: Box::new(products()),
    };
    assert_eq!(world.set(&all).len(), 6);
}

#[test]
fn numerics_of_more_than_38_digits_are_compared_with_constants() {
    let world = factors();
    let of = |at| column(at, Kind::Numeric);
    let product = || Expr::Call(Function::Multiply, vec![of(0), of(1)]);
    let counted = |condition| {
        let rows = filter(Rel::Table { table: 0, columns: vec![0, 1] }, condition);
        world.rows(&aggregate(rows, vec![], vec![count()])).concat()
    };
    let two = format!("2{}", "0".repeat(37));
    let compared = |comparison, value: &str| counted(is(comparison, product(), number(value)));
    assert_eq!(compared(Comparison::Eq, &two), "2");
    assert_eq!(compared(Comparison::Gt, &format!("{two}.5")), "1");
    assert_eq!(compared(Comparison::Gt, &format!("{}.5", &two[1..])), "3");
    assert_eq!(compared(Comparison::Lt, "NaN"), "5");
    assert_eq!(compared(Comparison::Lt, "-Infinity"), "0");
    assert_eq!(compared(Comparison::Lt, &format!("1{}", "0".repeat(90))), "5");
    let values = vec![Value::Numeric(two), Value::Numeric("0.0".into()), Value::Numeric("0.5".into()), Value::Null];
    let list = Expr::Constant(Value::List(values), crate::expr::Type::Array { array: Kind::Numeric });
    assert_eq!(counted(Expr::In(Box::new(product()), Box::new(list))), "3");
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

#[test]
fn a_condition_without_columns_decides_whether_there_is_a_row() {
    let world = world();
    let counted = |groups| aggregate(a(), groups, vec![count()]);
    let never = || Expr::Constant(Value::Bool(false), Kind::Bool.into());
    let unknown = || Expr::Constant(Value::Null, Kind::Bool.into());
    for condition in [never(), unknown()] {
        let having = |groups| world.set(&filter(counted(groups), condition.clone()));
        assert_eq!(having(vec![]), [""; 0]);
        assert_eq!(having(vec![of_a(1)]), [""; 0]);
        let enough = is(Comparison::Gt, column(0, Kind::Int8), int(1));
        let both = filter(filter(counted(vec![]), enough), condition.clone());
        assert_eq!(world.set(&both), [""; 0]);
        let projected = filter(project(counted(vec![]), vec![int(7)]), condition.clone());
        assert_eq!(world.set(&projected), [""; 0]);
    }
    // One that becomes such only when it meets a constant.
    let seven = filter(project(counted(vec![]), vec![int(7)]), eq(column(0, Kind::Int8), int(8)));
    assert_eq!(world.set(&seven), [""; 0]);
    // As the right side of joins that keep the rows of the left one.
    let none = || filter(counted(vec![]), never());
    assert_eq!(world.set(&join(JoinKind::Left, empty(), none(), Some(eq(int(1), int(1))))), [""; 0]);
    let joined = join(JoinKind::Left, project(a(), vec![of_a(0)]), none(), Some(eq(int(1), int(1))));
    assert_eq!(world.set(&joined).len(), 5);
    assert_eq!(world.set(&ids(exists(none()))), [""; 0]);
    assert_eq!(world.set(&ids(exists(none()).negated())).len(), 5);
}

#[test]
fn having_is_asked_of_groups_not_of_rows() {
    let world = world();
    let rollup = |condition| {
        let sets = in_sets(a(), vec![vec![0], vec![]], vec![count()], vec![of_a(1)]);
        world.set(&filter(sets, condition))
    };
    assert_eq!(rollup(eq(of_group(), text("x"))), ["x 2"]);
    assert_eq!(rollup(eq(of_group(), text("?"))), [""; 0]);
    assert_eq!(rollup(Expr::IsNull(Box::new(of_group()))), ["- 1", "- 5"]);
    assert_eq!(rollup(Expr::IsNull(Box::new(of_group())).negated()), ["x 2", "y 2"]);
    let two = in_sets(a(), vec![vec![0], vec![1]], vec![count()], vec![of_a(1), of_a(0)]);
    let without = filter(two, Expr::IsNull(Box::new(of_group())));
    assert_eq!(world.set(&without), ["- - 1", "- - 1", "- 1 1", "- 2 1", "- 3 1", "- 4 1"]);
}

fn of_group() -> Expr {
    column(0, Kind::Text)
}

#[test]
fn what_a_filter_leaves_out_is_not_computed() {
    let world = world();
    // 10 / (id - 2) of all but the row with id 2.
    let quotient = || {
        let less = Expr::Call(Function::Subtract, vec![of_a(0), int(2)]);
        Expr::Call(Function::Divide, vec![int(10), less])
    };
    let other = || is(Comparison::NotEq, of_a(0), int(2));
    let sum = Aggregate { filter: Some(other()), ..call("sum", vec![quotient()]) };
    assert_eq!(world.rows(&aggregate(a(), vec![], vec![sum.clone(), count()])), ["5 5"]);
    assert_eq!(world.set(&aggregate(a(), vec![of_a(1)], vec![sum])), ["- 5", "x -10", "y 10"]);
    let error = world.try_rows(&aggregate(a(), vec![], vec![call("sum", vec![quotient()])])).unwrap_err();
    assert_eq!(error.sqlstate(), "22012");
    let windowed = WindowCall {
        function: "sum".to_owned(),
        arguments: vec![quotient()],
        filter: Some(other()),
        partition: vec![],
        order: vec![],
        frame: up_to_here(),
    };
    let rel = project(Rel::Window { input: Box::new(a()), calls: vec![windowed] }, vec![column(4, Kind::Numeric)]);
    assert_eq!(world.rows(&rel), ["5"; 5]);
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
    let unknown = rows(Bound::Preceding(Expr::Constant(Value::Null, Kind::Int8.into())), Bound::CurrentRow);
    let error = check(&window("count", vec![], vec![], by_id(), unknown), &world.tables, &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "22004");
    let later = |at| Expr::Parameter(at, Kind::Int8.into());
    let open = |start, end| window("count", vec![], vec![], by_id(), rows(start, end));
    assert!(check(&open(Bound::Preceding(later(0)), Bound::Following(later(1))), &world.tables, &[]).is_ok());
    let behind = open(Bound::Preceding(later(0)), Bound::Preceding(later(1)));
    assert!(world.refused(&behind).contains("only at execution"));
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
