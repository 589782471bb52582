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
