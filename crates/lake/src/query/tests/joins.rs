//! Joins of all kinds, lateral ones included.

use super::*;

fn on_id() -> Expr {
    eq(of_a(0), right(0))
}

fn pairs(world: &World, kind: JoinKind, condition: Option<Expr>) -> Vec<String> {
    world.set(&project(join(kind, a(), b(), condition), vec![of_a(0), right(1)]))
}

#[test]
fn rows_without_a_partner_are_kept_or_not() {
    let world = world();
    assert_eq!(pairs(&world, JoinKind::Inner, Some(on_id())), ["2 b2", "3 b3", "3 c3"]);
    assert_eq!(pairs(&world, JoinKind::Left, Some(on_id())), ["- -", "1 -", "2 b2", "3 b3", "3 c3", "4 -"]);
    assert_eq!(pairs(&world, JoinKind::Right, Some(on_id())), ["- b9", "- bn", "2 b2", "3 b3", "3 c3"]);
    assert_eq!(
        pairs(&world, JoinKind::Full, Some(on_id())),
        ["- -", "- b9", "- bn", "1 -", "2 b2", "3 b3", "3 c3", "4 -"]
    );
    assert_eq!(pairs(&world, JoinKind::Inner, None).len(), 25);
}

#[test]
fn what_is_no_equality_is_asked_for_each_pair() {
    let world = world();
    let residual = || Expr::And(vec![on_id(), is(Comparison::Gt, right(2), number("2"))]);
    assert_eq!(pairs(&world, JoinKind::Inner, Some(residual())), ["2 b2", "3 c3"]);
    assert_eq!(pairs(&world, JoinKind::Left, Some(residual())), ["- -", "1 -", "2 b2", "3 c3", "4 -"]);
    // A condition on one side alone is still one of the join.
    let left_only = Expr::And(vec![on_id(), eq(of_a(1), text("x"))]);
    assert_eq!(pairs(&world, JoinKind::Left, Some(left_only)), ["- -", "1 -", "2 b2", "3 -", "4 -"]);
    let less = is(Comparison::Lt, of_a(0), right(0));
    assert_eq!(
        pairs(&world, JoinKind::Left, Some(less.clone())),
        ["- -", "1 b2", "1 b3", "1 b9", "1 c3", "2 b3", "2 b9", "2 c3", "3 b9", "4 b9"]
    );
    assert_eq!(pairs(&world, JoinKind::Full, Some(less)).len(), 11);
}

/// A column with one value is NULL, too, above an outer join, so an order by it is one.
#[test]
fn what_has_one_value_below_an_outer_join_has_two_above() {
    let world = world();
    let one = || project(b(), vec![of_b(0), int(7)]);
    for kind in [JoinKind::Left, JoinKind::Full] {
        let joined = join(kind, project(a(), vec![of_a(0)]), one(), Some(eq(of_a(0), column(1, Kind::Int8))));
        let last = project(sort(joined.clone(), vec![ascending(column(2, Kind::Int8))]), vec![column(2, Kind::Int8)]);
        let first = project(sort(joined, vec![descending(column(2, Kind::Int8))]), vec![column(2, Kind::Int8)]);
        let (last, first) = (world.rows(&last), world.rows(&first));
        assert_eq!(last[0], "7", "{kind:?}");
        assert_eq!(last[last.len() - 1], "-", "{kind:?}");
        assert_eq!(first[0], "-", "{kind:?}");
        assert_eq!(first[first.len() - 1], "7", "{kind:?}");
    }
}

#[test]
fn joins_with_no_rows_on_a_side() {
    let world = world();
    let joined = |kind, left, right| {
        let condition = eq(column(0, Kind::Int8), column(1, Kind::Int8));
        world.set(&join(kind, left, right, Some(condition)))
    };
    let ids = || project(a(), vec![of_a(0)]);
    assert_eq!(joined(JoinKind::Inner, ids(), empty()), [""; 0]);
    assert_eq!(joined(JoinKind::Left, ids(), empty()), ["- -", "1 -", "2 -", "3 -", "4 -"]);
    assert_eq!(joined(JoinKind::Left, empty(), ids()), [""; 0]);
    assert_eq!(joined(JoinKind::Full, empty(), ids()), ["- -", "- 1", "- 2", "- 3", "- 4"]);
}

#[test]
fn floats_are_joined_as_postgresql_compares_them() {
    let world = world();
    let condition = eq(of_a(2), column(6, Kind::Float8));
    let joined = join(JoinKind::Inner, a(), a(), Some(condition));
    let rel = project(joined, vec![of_a(0), column(4, Kind::Int8)]);
    assert_eq!(world.set(&rel), ["1 1", "2 2", "2 3", "3 2", "3 3", "4 4"]);
}

#[test]
fn a_where_over_a_cross_join_is_a_join() {
    let world = world();
    let rel = filter(join(JoinKind::Inner, a(), b(), None), on_id());
    assert_eq!(world.set(&project(rel.clone(), vec![of_a(0), right(1)])), ["2 b2", "3 b3", "3 c3"]);
    let plan = world.explain(&rel);
    assert!(plan.contains("HashJoinExec") && !plan.contains("CrossJoin"), "{plan}");
}

#[test]
fn what_a_join_learns_is_asked_in_the_scan_of_its_other_side() {
    let world = world();
    let rel = join(JoinKind::Inner, filter(a(), eq(of_a(1), text("x"))), b(), Some(on_id()));
    assert_eq!(world.set(&project(rel.clone(), vec![of_a(0), right(1)])), ["2 b2"]);
    let plan = world.explain(&rel);
    assert!(plan.contains("dynamic="), "{plan}");
}

fn lateral(kind: JoinKind, right: Rel, condition: Option<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(a()), right: Box::new(right), condition, lateral: true }
}

#[test]
fn a_lateral_side_sees_the_row_beside_it() {
    let world = world();
    let matching = || project(filter(b(), eq(of_b(0), outer(0))), vec![of_b(1)]);
    let shown = |rel| world.set(&project(rel, vec![of_a(0), column(4, Kind::Text)]));
    assert_eq!(shown(lateral(JoinKind::Inner, matching(), None)), ["2 b2", "3 b3", "3 c3"]);
    assert_eq!(shown(lateral(JoinKind::Left, matching(), None)), ["- -", "1 -", "2 b2", "3 b3", "3 c3", "4 -"]);
    let counted = || aggregate(filter(b(), eq(of_b(0), outer(0))), vec![], vec![count()]);
    assert_eq!(shown(lateral(JoinKind::Inner, counted(), None)), ["- 0", "1 0", "2 1", "3 2", "4 0"]);
    assert_eq!(shown(lateral(JoinKind::Left, counted(), None)), ["- 0", "1 0", "2 1", "3 2", "4 0"]);
    let none = eq(column(4, Kind::Int8), int(0));
    assert_eq!(shown(lateral(JoinKind::Inner, counted(), Some(none))), ["- 0", "1 0", "4 0"]);
}

/// What joins learn is asked before texts are decoded. It takes no row away that a join of this kind keeps.
#[test]
fn rows_are_kept_or_not_whatever_is_decoded_first() {
    let folder = tempfile::tempdir().unwrap();
    let key = |id: i64| (id % 11 != 0).then_some(id / 2);
    let keys: ArrayRef = Arc::new(Int64Array::from_iter((0..50_000).map(key)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..50_000).map(|id| format!("{id:050}"))));
    let few: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), Some(12_000), None, Some(90_000)]));
    let tables =
        vec![stored(&folder, "many", vec![("k", keys), ("t", texts)]), stored(&folder, "few", vec![("k", few)])];
    let world = World { _folder: folder, tables };
    let many = || Rel::Table { table: 0, columns: vec![0, 1] };
    let few = || Rel::Table { table: 1, columns: vec![0] };
    let rows = |kind, left: Rel, right: Rel, width| {
        let on = Some(eq(column(0, Kind::Int8), column(width, Kind::Int8)));
        let batches = world.run(&join(kind, left, right, on), &Options::default()).unwrap();
        batches.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    // Of 14 and 15 none is a multiple of 11, of 24,000 and 24,001 neither.
    let found = 4;
    assert_eq!(rows(JoinKind::Inner, many(), few(), 2), found);
    assert_eq!(rows(JoinKind::Inner, few(), many(), 1), found);
    assert_eq!(rows(JoinKind::Left, few(), many(), 1), found + 2);
    assert_eq!(rows(JoinKind::Left, many(), few(), 2), 50_000);
    assert_eq!(rows(JoinKind::Right, few(), many(), 1), 50_000);
    assert_eq!(rows(JoinKind::Full, few(), many(), 1), 50_002);
    assert_eq!(rows(JoinKind::Semi, many(), few(), 2), found);
    assert_eq!(rows(JoinKind::Anti, many(), few(), 2), 50_000 - found);
    assert_eq!(rows(JoinKind::Semi, few(), many(), 1), 2);
    assert_eq!(rows(JoinKind::Anti, few(), many(), 1), 2);
    // NULL on the right side: nothing is surely in no row. Without it, NULL on the left side is not, either.
    assert_eq!(rows(JoinKind::SurelyAnti, many(), few(), 2), 0);
    let known = filter(few(), Expr::IsNull(Box::new(column(0, Kind::Int8))).negated());
    let nulls = (0..50_000).filter(|id| id % 11 == 0).count();
    assert_eq!(rows(JoinKind::SurelyAnti, many(), known, 2), 50_000 - found - nulls);
}
