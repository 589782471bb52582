//! Subqueries: what they answer where NULLs, no rows or several rows are in the way.

use super::*;

fn b_ids(condition: Option<Expr>) -> Rel {
    let rows = match condition {
        Some(condition) => filter(b(), condition),
        None => b(),
    };
    project(rows, vec![of_b(0)])
}

fn known() -> Expr {
    Expr::IsNull(Box::new(of_b(0))).negated()
}

/// The rows of [`b`] whose id is that of the row of [`a`] around them.
fn matching() -> Rel {
    filter(b(), eq(of_b(0), outer(0)))
}

const NONE: [&str; 0] = [];

#[test]
fn in_is_a_semijoin() {
    let world = world();
    assert_eq!(world.set(&ids(within(of_a(0), b_ids(None)))), ["2", "3"]);
    assert_eq!(world.set(&ids(within(of_a(0), empty()))), NONE);
    let floats = project(a(), vec![of_a(2)]);
    assert_eq!(world.set(&ids(within(of_a(2), floats))), ["1", "2", "3", "4"]);
}

#[test]
fn not_in_knows_what_null_means() {
    let world = world();
    let not_in = |item, query| world.set(&ids(within(item, query).negated()));
    assert_eq!(not_in(of_a(0), b_ids(None)), NONE);
    assert_eq!(not_in(of_a(0), b_ids(Some(known()))), ["1", "4"]);
    assert_eq!(not_in(of_a(0), empty()), ["-", "1", "2", "3", "4"]);
    assert_eq!(not_in(of_a(0), b_ids(Some(eq(of_b(1), text("bn"))))), NONE);
    assert_eq!(not_in(of_a(0), b_ids(Some(eq(of_b(1), text("?"))))), ["-", "1", "2", "3", "4"]);
}

#[test]
fn in_as_a_value_is_true_false_or_unknown() {
    let world = world();
    let shown = |query| world.set(&project(a(), vec![of_a(0), within(of_a(0), query)]));
    assert_eq!(shown(b_ids(None)), ["- -", "1 -", "2 true", "3 true", "4 -"]);
    assert_eq!(shown(b_ids(Some(known()))), ["- -", "1 false", "2 true", "3 true", "4 false"]);
    assert_eq!(shown(empty()), ["- false", "1 false", "2 false", "3 false", "4 false"]);
    let unknown = Expr::IsNull(Box::new(within(of_a(0), b_ids(None))));
    assert_eq!(world.set(&ids(unknown)), ["-", "1", "4"]);
}

#[test]
fn correlated_in_and_not_in() {
    let world = world();
    // The values of b that belong to the row: 2 -> b2, 3 -> b3, c3.
    let values = || project(matching(), vec![of_b(1)]);
    assert_eq!(world.set(&ids(within(text("b3"), values()))), ["3"]);
    assert_eq!(world.set(&ids(within(text("b3"), values()).negated())), ["-", "1", "2", "4"]);
    let numbers = || project(filter(b(), is(Comparison::GtEq, of_b(0), outer(0))), vec![of_b(2)]);
    let shown = world.set(&project(a(), vec![of_a(0), within(of_a(3), numbers())]));
    // n: 1 -> 1.00, among 2.5, 1.0, 7.125, 0.0; 2 -> 2.50, among the same; 3 -> NULL; 4 -> -3.25, among 0.0.
    assert_eq!(shown, ["- false", "1 true", "2 true", "3 -", "4 false"]);
    let negated = world.set(&ids(within(of_a(3), numbers()).negated()));
    assert_eq!(negated, ["-", "4"]);
}

#[test]
fn exists_in_all_places() {
    let world = world();
    assert_eq!(world.set(&ids(exists(matching()))), ["2", "3"]);
    assert_eq!(world.set(&ids(exists(matching()).negated())), ["-", "1", "4"]);
    assert_eq!(world.set(&ids(Expr::Or(vec![eq(of_a(0), int(1)), exists(matching())]))), ["1", "2", "3"]);
    assert_eq!(world.set(&ids(exists(b()))), ["-", "1", "2", "3", "4"]);
    assert_eq!(world.set(&ids(exists(empty()))), NONE);
    assert_eq!(world.set(&ids(exists(empty()).negated())), ["-", "1", "2", "3", "4"]);
    let shown = project(a(), vec![of_a(0), exists(limit(matching(), None, Some(int(1))))]);
    assert_eq!(world.set(&shown), ["- false", "1 false", "2 true", "3 true", "4 false"]);
    // An aggregate without groups always has a row.
    assert_eq!(world.set(&ids(exists(aggregate(matching(), vec![], vec![count()])))).len(), 5);
    // Not only equalities.
    let larger = filter(b(), is(Comparison::Gt, of_b(0), outer(0)));
    assert_eq!(world.set(&ids(exists(larger.clone()))), ["1", "2", "3", "4"]);
    assert_eq!(world.set(&ids(exists(larger).negated())), ["-"]);
}

#[test]
fn a_scalar_of_no_row_is_null_and_of_two_an_error() {
    let world = world();
    let shown = |query, kind| {
        world.try_rows(&project(
            limit(sort(a(), vec![ascending(of_a(0))]), None, Some(int(1))),
            vec![scalar(query, kind)],
        ))
    };
    let text_of = |condition| project(filter(b(), condition), vec![of_b(1)]);
    assert_eq!(shown(text_of(eq(of_b(0), int(9))), Kind::Text).unwrap(), ["b9"]);
    assert_eq!(shown(text_of(eq(of_b(0), int(8))), Kind::Text).unwrap(), ["-"]);
    assert_eq!(shown(text_of(eq(of_b(0), int(3))), Kind::Text).unwrap_err().sqlstate(), "21000");
    let first = limit(sort(text_of(eq(of_b(0), int(3))), vec![descending(column(0, Kind::Text))]), None, Some(int(1)));
    assert_eq!(shown(first, Kind::Text).unwrap(), ["c3"]);
    let largest = aggregate(b(), vec![], vec![call("max", vec![of_b(2)])]);
    assert_eq!(shown(largest, Kind::Numeric).unwrap(), ["7.125"]);
    assert_eq!(shown(empty(), Kind::Int8).unwrap(), ["-"]);
}

#[test]
fn a_correlated_scalar_is_asked_for_each_row() {
    let world = world();
    let value = || scalar(project(matching(), vec![of_b(1)]), Kind::Text);
    let some = |condition| filter(a(), condition);
    let rows = some(is(Comparison::NotEq, of_a(0), int(3)));
    assert_eq!(world.set(&project(rows, vec![of_a(0), value()])), ["1 -", "2 b2", "4 -"]);
    let error = world.try_rows(&project(a(), vec![value()])).unwrap_err();
    assert_eq!(error.sqlstate(), "21000");
    // Only where it is asked for.
    let asked = Expr::Case(vec![(eq(of_a(0), int(3)), text("two"))], Some(Box::new(value())), Kind::Text.into());
    assert_eq!(world.set(&project(a(), vec![of_a(0), asked])), ["- -", "1 -", "2 b2", "3 two", "4 -"]);
}

#[test]
fn a_correlated_count_of_nothing_is_zero() {
    let world = world();
    let counted = || aggregate(matching(), vec![], vec![count()]);
    let shown = project(a(), vec![of_a(0), scalar(counted(), Kind::Int8)]);
    assert_eq!(world.set(&shown), ["- 0", "1 0", "2 1", "3 2", "4 0"]);
    let zero = eq(scalar(counted(), Kind::Int8), int(0));
    assert_eq!(world.set(&ids(zero)), ["-", "1", "4"]);
    let projected = project(
        counted(),
        vec![Expr::Case(
            vec![(eq(column(0, Kind::Int8), int(0)), text("none"))],
            Some(Box::new(text("some"))),
            Kind::Text.into(),
        )],
    );
    let shown = project(a(), vec![of_a(0), scalar(projected, Kind::Text)]);
    assert_eq!(world.set(&shown), ["- none", "1 none", "2 some", "3 some", "4 none"]);
    let largest = aggregate(matching(), vec![], vec![call("max", vec![of_b(1)])]);
    let shown = project(a(), vec![of_a(0), scalar(largest, Kind::Text)]);
    assert_eq!(world.set(&shown), ["- -", "1 -", "2 b2", "3 c3", "4 -"]);
    assert_eq!(world.set(&ids(within(int(0), counted()))), ["-", "1", "4"]);
}

#[test]
fn subqueries_within_subqueries() {
    let world = world();
    // Rows of b that a row of a with the same id has, where some row of a has no text.
    let inner = filter(a(), Expr::And(vec![eq(of_a(0), Expr::Outer(1, 0, Kind::Int4.into()))]));
    let query = filter(b(), Expr::And(vec![eq(of_b(0), outer(0)), exists(inner)]));
    assert_eq!(world.set(&ids(exists(query))), ["2", "3"]);
    let in_aggregate = aggregate(a(), vec![exists(matching())], vec![count()]);
    assert_eq!(world.set(&in_aggregate), ["false 3", "true 2"]);
}

#[test]
fn what_cannot_be_pulled_out_is_refused_with_a_reason() {
    let world = world();
    let less = || filter(b(), is(Comparison::Lt, of_b(0), outer(0)));
    let counted = aggregate(less(), vec![], vec![count()]);
    assert!(world.refused(&project(a(), vec![scalar(counted, Kind::Int8)])).contains("equality"));
    let limited = limit(matching(), None, Some(int(1)));
    let limited = project(limited, vec![of_b(1)]);
    assert!(world.refused(&project(a(), vec![scalar(limited, Kind::Text)])).contains("LIMIT"));
    let two_up = filter(b(), exists(filter(a(), eq(of_a(0), Expr::Outer(2, 0, Kind::Int8.into())))));
    assert!(world.refused(&ids(exists(two_up))).contains("two levels"));
    let both = join(JoinKind::Left, a(), b(), Some(exists(empty())));
    assert!(world.refused(&both).contains("outer join"));
}
