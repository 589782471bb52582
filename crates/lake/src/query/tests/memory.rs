//! Queries with less memory than they need: they go on in temporary files, or end with an error.

use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::rows::{bx, large};
use super::*;
use crate::engine::spill::Place;
use crate::expr::Function;

/// Enough for a scan and a few batches of everything else, not for all rows.
const LITTLE: u64 = 16 << 20;
/// Less than a table of hashes of all numbers takes.
const LESS: u64 = 2700 << 10;

fn little(folder: &Path, limit: Option<u64>) -> Options {
    let place = Place { folder: folder.to_owned(), prefix: "pgsql_tmp1.".to_owned(), limit };
    Options { parallelism: 2, memory: LITTLE, spill: Some(Arc::new(place)) }
}

fn without_files() -> Options {
    Options { spill: None, ..little(Path::new(""), None) }
}

fn table() -> Rel {
    Rel::Table { table: 0, columns: vec![0, 1] }
}

/// All rows of the table, the last ones first.
fn sorted() -> Rel {
    sort(table(), vec![descending(column(1, Kind::Text))])
}

fn values(batches: &[RecordBatch], column: usize) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(column).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn is_empty(folder: &TempDir) -> bool {
    std::fs::read_dir(folder.path()).unwrap().count() == 0
}

#[test]
fn a_sort_goes_on_in_files() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let batches = world.run(&sorted(), &little(folder.path(), None)).unwrap();
    assert!(values(&batches, 0).into_iter().eq((0..200_000).rev()));
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn groups_go_on_in_files() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let rel = aggregate(table(), vec![column(1, Kind::Text)], vec![call("max", vec![column(0, Kind::Int8)]), count()]);
    let batches = world.run(&rel, &little(folder.path(), None)).unwrap();
    let mut found = values(&batches, 1);
    found.sort_unstable();
    assert!(found.into_iter().eq(0..200_000));
    assert!(values(&batches, 2).into_iter().all(|count| count == 1));
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn without_files_what_has_no_room_is_an_error() {
    let world = large();
    let error = world.run(&sorted(), &without_files()).unwrap_err();
    assert_eq!(error.sqlstate(), "53200", "{error}");
    assert!(error.hint().unwrap().contains("lagoon.memory_limit"), "{error}");
    let rows: usize = world.run(&sorted(), &Options::default()).unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 200_000);
}

#[test]
fn files_have_a_limit_of_their_own() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let error = world.run(&sorted(), &little(folder.path(), Some(1 << 20))).unwrap_err();
    assert_eq!(error.sqlstate(), "53400", "{error}");
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn a_query_that_nobody_waits_for_leaves_no_file() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let mut query = world.start(&sorted(), &little(folder.path(), None), Arc::new(|| {})).unwrap();
    wait_for("a file", || !is_empty(&folder));
    assert!(query.cancel(LONG), "the task did not end");
    drop(query);
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn a_join_that_has_no_room_goes_on_in_files() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let ids = || Rel::Table { table: 0, columns: vec![0] };
    let rel = join(JoinKind::Inner, ids(), ids(), Some(eq(column(0, Kind::Int8), column(1, Kind::Int8))));
    let error = world.run(&rel, &Options { memory: LESS, ..without_files() }).unwrap_err();
    assert_eq!(error.sqlstate(), "53200", "{error}");
    let batches = world.run(&rel, &Options { memory: LESS, ..little(folder.path(), None) }).unwrap();
    let mut found = values(&batches, 0);
    assert!(found == values(&batches, 1));
    found.sort_unstable();
    assert!(found.into_iter().eq(0..200_000));
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn what_is_computed_once_for_several_goes_on_in_files_too() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let ids = || Rel::Table { table: 0, columns: vec![0] };
    let joined = join(JoinKind::Inner, ids(), ids(), Some(eq(column(0, Kind::Int8), column(1, Kind::Int8))));
    let counted = aggregate(joined, vec![], vec![count()]);
    let named = || Rel::Common { level: 0, table: 0, columns: vec![Kind::Int8.into()] };
    let rel = Rel::With { tables: vec![counted], body: bx(join(JoinKind::Inner, named(), named(), None)) };
    assert!(world.explain(&rel).contains("Common"), "it is computed twice");
    let error = world.run(&rel, &Options { memory: LESS, ..without_files() }).unwrap_err();
    assert_eq!(error.sqlstate(), "53200", "{error}");
    let batches = world.run(&rel, &Options { memory: LESS, ..little(folder.path(), None) }).unwrap();
    assert_eq!((values(&batches, 0), values(&batches, 1)), (vec![200_000], vec![200_000]));
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn a_window_that_keeps_more_than_there_is_room_for_is_an_error() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let everything = Frame { unit: FrameUnit::Rows, start: Bound::UnboundedPreceding, end: Bound::UnboundedFollowing };
    let last = WindowCall {
        function: "max".to_owned(),
        arguments: vec![column(0, Kind::Int8)],
        filter: None,
        partition: vec![],
        order: vec![],
        frame: everything,
    };
    let rel = Rel::Window { input: bx(table()), calls: vec![last] };
    let rel = aggregate(rel, vec![], vec![call("min", vec![column(2, Kind::Int8)])]);
    let error = world.run(&rel, &Options { memory: LESS, ..little(folder.path(), None) }).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().contains("a window needs")), ("53200", true), "{error}");
    let batches = world.run(&rel, &Options::default()).unwrap();
    assert_eq!(values(&batches, 0), [199_999]);
    wait_for("the files to be gone", || is_empty(&folder));
}

/// As hashes and as merges, whatever the kind and with or without more than keys.
#[test]
fn joins_that_go_on_in_files_find_the_same_rows() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let ids = || Rel::Table { table: 0, columns: vec![0] };
    // A third of the rows has none on the other side, a third two.
    let half = || Expr::binary(Function::Divide, column(0, Kind::Int8), int(2));
    let shifted = || project(ids(), vec![Expr::binary(Function::Add, half(), int(50_000))]);
    let keys = eq(column(0, Kind::Int8), column(1, Kind::Int8));
    let more = is(Comparison::Lt, column(0, Kind::Int8), int(120_000));
    let hashed = |rel: &Rel| world.run(rel, &Options::default()).unwrap();
    let merged = |rel: &Rel| world.run(rel, &Options { memory: LESS, ..little(folder.path(), None) }).unwrap();
    let mut needed = 0;
    for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti] {
        for condition in [keys.clone(), Expr::And(vec![keys.clone(), more.clone()])] {
            let rel = join(kind, ids(), shifted(), Some(condition));
            let of_left =
                vec![count(), call("count", vec![column(0, Kind::Int8)]), call("sum", vec![column(0, Kind::Int8)])];
            let rel = aggregate(rel, vec![], of_left);
            needed += usize::from(world.run(&rel, &Options { memory: LESS, ..without_files() }).is_err());
            assert_eq!(shown(&merged(&rel)), shown(&hashed(&rel)), "{kind:?}");
        }
    }
    assert!(needed > 6, "only {needed} have no room for hashes");
    wait_for("the files to be gone", || is_empty(&folder));
}

#[test]
fn a_join_without_keys_that_has_no_room_is_an_error() {
    let (world, folder) = (large(), tempfile::tempdir().unwrap());
    let condition = is(Comparison::Lt, column(1, Kind::Text), column(3, Kind::Text));
    let joined = join(JoinKind::Left, table(), table(), Some(condition));
    let options = Options { memory: LESS, ..little(folder.path(), None) };
    let error = world.run(&aggregate(joined, vec![], vec![count()]), &options).unwrap_err();
    assert_eq!(error.sqlstate(), "53200", "{error}");
}

fn shown(batches: &[RecordBatch]) -> String {
    arrow::util::pretty::pretty_format_batches(batches).unwrap().to_string()
}

/// Tasks that are not waited for end by themselves.
fn wait_for(what: &str, ready: impl Fn() -> bool) {
    let end = std::time::Instant::now() + LONG;
    while !ready() {
        assert!(std::time::Instant::now() < end, "no end of waiting for {what}");
        std::thread::yield_now();
    }
}
