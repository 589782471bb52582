//! Plans that are made once, and where the time of planning goes.

use datafusion::execution::SessionStateBuilder;

use super::super::plan::{self, Sources};
use super::super::scan::Readings;
use super::super::{optimizer, session};
use super::*;
use crate::expr::functions::Width;
use crate::source::estimate;

const TIMES: u32 = 200;

/// Sales (item, shop, price), items (item, kind), shops (shop, region) and regions (region, size).
fn star() -> World {
    let folder = tempfile::tempdir().unwrap();
    let whole =
        |rows: i64, of: fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(of))) };
    let tables: Vec<Vec<(&str, ArrayRef)>> = vec![
        vec![
            ("item", whole(10_000, |at| at * 7 % 1000)),
            ("shop", whole(10_000, |at| at * 3 % 100)),
            ("price", whole(10_000, |at| at % 50)),
        ],
        vec![("item", whole(1000, |at| at)), ("kind", whole(1000, |at| at % 20))],
        vec![("shop", whole(100, |at| at)), ("region", whole(100, |at| at % 10))],
        vec![("region", whole(10, |at| at)), ("size", whole(10, |at| at % 3))],
    ];
    let tables = tables.into_iter().enumerate();
    let tables: Vec<_> = tables.map(|(at, columns)| stored(&folder, &format!("t{at}"), columns)).collect();
    for table in &tables {
        estimate::read(&table.files, &mut || true).unwrap();
    }
    World { _folder: folder, tables }
}

/// The ten kinds with the most sales in regions of a size: four tables, groups, order and a limit.
fn kinds() -> Rel {
    let whole = |at| column(at, Kind::Int8);
    let table = |table, columns: &[usize]| Rel::Table { table, columns: columns.to_vec() };
    let tables = [table(3, &[0, 1]), table(1, &[0, 1]), table(0, &[0, 1, 2]), table(2, &[0, 1])];
    let crossed = tables.into_iter().reduce(|left, right| join(JoinKind::Inner, left, right, None)).unwrap();
    let conditions = vec![
        eq(whole(4), whole(2)),
        eq(whole(5), whole(7)),
        eq(whole(8), whole(0)),
        eq(whole(1), int(2)),
        is(Comparison::Lt, whole(3), int(7)),
    ];
    let sales = filter(crossed, Expr::And(conditions));
    let calls = vec![count(), call("sum", vec![whole(6)]), call("max", vec![whole(6)])];
    let groups = aggregate(sales, vec![whole(3)], calls);
    limit(sort(groups, vec![descending(whole(1))]), None, Some(int(10)))
}

#[test]
fn what_was_asked_is_what_is_run() {
    let world = world();
    let product = Expr::Call(crate::expr::Function::Multiply, vec![of_a(3), of_a(3)]);
    let rel = aggregate(a(), vec![of_a(1)], vec![count(), call("sum", vec![product])]);
    let (columns, prepared) = prepare(&rel, &world.tables, &[], &Options::default()).unwrap();
    assert_eq!(columns, outputs(&rel, &world.tables, &[]).unwrap());
    let mut rows = shown(&run(|wake| Query::run(prepared, wake)).unwrap());
    rows.sort();
    assert_eq!(rows, world.set(&rel));
    let refused =
        prepare(&aggregate(a(), vec![], vec![call("xmlagg", vec![of_a(1)])]), &world.tables, &[], &Options::default());
    assert!(matches!(refused, Err(Error::NotSupported { .. })));
}

#[test]
fn a_plan_that_is_not_run_gives_back_its_files() {
    let world = world();
    let file = world.tables[0].files[0].clone();
    let before = Arc::strong_count(&file.footer);
    drop(prepare(&a(), &world.tables, &[], &Options::default()).unwrap());
    assert_eq!(Arc::strong_count(&file.footer), before);
}

/// Figures are only worth something of optimised code:
/// `cargo test --release -p lagoon-lake --lib planning_time -- --ignored --nocapture`.
#[test]
#[ignore = "prints times"]
fn planning_time() {
    let (world, rel) = (star(), kinds());
    let sources = Sources { tables: &world.tables, shipments: &[], readings: &Readings::default() };
    let options = Options::default();
    let mut spent: Vec<(String, Duration)> = Vec::new();
    let mut add = |what: &str, time: Duration| match spent.iter_mut().find(|(name, _)| name == what) {
        Some((_, sum)) => *sum += time,
        None => spent.push((what.to_owned(), time)),
    };
    let now = std::time::Instant::now;
    for _ in 0..TIMES {
        let start = now();
        let state = session::session(&options).unwrap();
        add("session", start.elapsed());
        let start = now();
        let planned = plan::plan(Width::Wide, &rel, sources).unwrap();
        add("logical plan", start.elapsed());
        let start = now();
        let optimized = optimizer::optimized(&state, &planned.plan).unwrap();
        add("optimizer", start.elapsed());
        let bare = SessionStateBuilder::new_from_existing(state.clone()).with_physical_optimizer_rules(vec![]).build();
        let start = now();
        let physical = bare.query_planner().create_physical_plan(&optimized, &bare);
        let mut physical = session::at_once(physical).unwrap().unwrap();
        add("physical plan", start.elapsed());
        for rule in state.physical_optimizers() {
            let start = now();
            physical = rule.optimize(physical, state.config_options()).unwrap();
            add(rule.name(), start.elapsed());
        }
    }
    for _ in 0..TIMES {
        let start = now();
        check(&rel, &world.tables, &[]).unwrap();
        add("check, all in all", start.elapsed());
        let start = now();
        drop(Query::start(&rel, &world.tables, &[], &options, Arc::new(|| {})).unwrap());
        add("start, all in all", start.elapsed());
    }
    spent.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    spent.iter().for_each(|(what, time)| println!("{what:>30} {:?}", *time / TIMES));
}
