//! Rows that PostgreSQL sends, beside those of files.

use super::*;
use crate::types::ColumnType;

/// The tables of [`world`], and what is sent beside them.
struct Sent {
    world: World,
    shipment: Shipment,
}

impl Sent {
    fn rows(&self, rel: &Rel) -> Vec<String> {
        let (tables, shipments) = (&self.world.tables, std::slice::from_ref(&self.shipment));
        outputs(rel, tables, std::slice::from_ref(&self.shipment.columns)).unwrap();
        let batches = run(|wake| Query::start(rel, tables, shipments, &Options::default(), wake));
        shown(&batches.unwrap_or_else(|error| panic!("{error}\n{rel:?}")))
    }

    fn set(&self, rel: &Rel) -> Vec<String> {
        let mut rows = self.rows(rel);
        rows.sort();
        rows
    }
}

fn columns() -> Vec<Output> {
    vec![ColumnType::Int8.into(), ColumnType::Text.into(), ColumnType::numeric(10, 2).into()]
}

/// Rows of `bigint, text, numeric(10,2)`, sent.
fn sent(rows: &[(Option<i64>, &str, &str)]) -> Sent {
    let mut packing = Packing::new(&columns(), 1 << 30).unwrap();
    for (id, name, price) in rows {
        let id = id.map_or(Value::Null, Value::Int);
        let row = [id, Value::Text((*name).to_owned()), Value::Numeric((*price).to_owned())];
        packing.push(&row).unwrap().unwrap();
    }
    Sent { world: world(), shipment: packing.finish().unwrap() }
}

const SENT: [Kind; 3] = [Kind::Int8, Kind::Text, Kind::Numeric];

fn shipped() -> Rel {
    Rel::Shipped { shipment: 0, columns: SENT.iter().map(|kind| (*kind).into()).collect() }
}

fn of_shipped(at: usize) -> Expr {
    Expr::Column(at, SENT[at].into())
}

/// A column of [`shipped`] to the right of those of [`a`].
fn beside_a(at: usize) -> Expr {
    Expr::Column(A.len() + at, SENT[at].into())
}

const ROWS: [(Option<i64>, &str, &str); 4] =
    [(Some(1), "one", "10.00"), (Some(3), "three", "0.50"), (Some(7), "seven", "-1.25"), (None, "none", "2.00")];

#[test]
fn they_join_with_those_of_files() {
    let world = sent(&ROWS);
    let joined = |kind| {
        let on = eq(of_a(0), beside_a(0));
        world.set(&project(join(kind, a(), shipped(), Some(on)), vec![of_a(0), beside_a(1)]))
    };
    assert_eq!(joined(JoinKind::Inner), ["1 one", "3 three"]);
    assert_eq!(joined(JoinKind::Left), ["- -", "1 one", "2 -", "3 three", "4 -"]);
    assert_eq!(joined(JoinKind::Right), ["- none", "- seven", "1 one", "3 three"]);
    assert_eq!(joined(JoinKind::Full), ["- -", "- none", "- seven", "1 one", "2 -", "3 three", "4 -"]);
}

#[test]
fn they_are_filtered_grouped_and_sorted_as_all_others() {
    let world = sent(&ROWS);
    let cheap = filter(shipped(), is(Comparison::Lt, of_shipped(2), number("2.00")));
    assert_eq!(world.set(&project(cheap, vec![of_shipped(1)])), ["seven", "three"]);
    let sum = aggregate(shipped(), Vec::new(), vec![count(), call("sum", vec![of_shipped(2)])]);
    assert_eq!(world.rows(&sum), ["4 11.25"]);
    let sorted = sort(project(shipped(), vec![of_shipped(0)]), vec![descending(column(0, Kind::Int8))]);
    assert_eq!(world.rows(&sorted), ["-", "7", "3", "1"]);
}

#[test]
fn subqueries_look_at_them() {
    let world = sent(&ROWS);
    let keys = || project(shipped(), vec![of_shipped(0)]);
    assert_eq!(world.set(&ids(within(of_a(0), keys()))), ["1", "3"]);
    let of_b = project(join(JoinKind::Inner, b(), shipped(), None), vec![of_b(0)]);
    assert_eq!(world.set(&ids(within(of_a(0), of_b))), ["2", "3"]);
    // There is a NULL among them, so that nothing is surely absent.
    assert_eq!(world.set(&ids(within(of_a(0), keys()).negated())), Vec::<String>::new());
    let same = filter(shipped(), eq(of_shipped(0), outer(0)));
    assert_eq!(world.set(&ids(exists(same))), ["1", "3"]);
    let most = aggregate(shipped(), Vec::new(), vec![call("max", vec![of_shipped(0)])]);
    assert_eq!(world.set(&ids(is(Comparison::Lt, of_a(0), scalar(most, Kind::Int8)))), ["1", "2", "3", "4"]);
}

#[test]
fn one_shipment_may_stand_in_a_tree_twice() {
    let world = sent(&ROWS);
    let both = join(JoinKind::Inner, shipped(), shipped(), Some(eq(of_shipped(0), Expr::Column(3, Kind::Int8.into()))));
    assert_eq!(
        world.set(&project(both, vec![of_shipped(1), Expr::Column(4, Kind::Text.into())])),
        ["one one", "seven seven", "three three"]
    );
}

#[test]
fn no_rows_are_a_table_too() {
    let world = sent(&[]);
    let on = eq(of_a(0), beside_a(0));
    assert_eq!(
        world.set(&project(join(JoinKind::Inner, a(), shipped(), Some(on)), vec![of_a(0)])),
        Vec::<String>::new()
    );
    assert_eq!(world.rows(&aggregate(shipped(), Vec::new(), vec![count()])), ["0"]);
}

#[test]
fn a_tree_is_checked_before_anything_is_sent() {
    let given = outputs(&shipped(), &[], &[columns()]).unwrap();
    assert_eq!(given, columns().into_iter().map(Some).collect::<Vec<_>>());
}

#[test]
fn digits_of_a_numeric_without_precision_come_back() {
    let mut packing = Packing::new(&[ColumnType::Int8.into(), column_of_prices()], 1 << 20).unwrap();
    for (id, price) in [(1, "7"), (2, "7.00"), (3, "0.125")] {
        packing.push(&[Value::Int(id), Value::Numeric(price.to_owned())]).unwrap().unwrap();
    }
    let sent = Sent { world: world(), shipment: packing.finish().unwrap() };
    let shipped = || Rel::Shipped { shipment: 0, columns: vec![Kind::Int8.into(), Kind::Numeric.into()] };
    let price = || column(1, Kind::Numeric);
    assert_eq!(
        outputs(&shipped(), &[], std::slice::from_ref(&sent.shipment.columns)).unwrap(),
        [Some(ColumnType::Int8.into()), Some(column_of_prices())]
    );
    // The value, and how many digits of it are shown.
    assert_eq!(sent.set(&shipped()), ["1 7.0000000000 0", "2 7.0000000000 2", "3 0.1250000000 3"]);
    let on = eq(of_a(0), column(A.len(), Kind::Int8));
    let joined = join(JoinKind::Inner, a(), shipped(), Some(on));
    let joined = project(joined, vec![of_a(0), column(A.len() + 1, Kind::Numeric)]);
    assert_eq!(sent.set(&joined), ["1 7.0000000000 0", "2 7.0000000000 2", "3 0.1250000000 3"]);
    let dear = filter(shipped(), is(Comparison::Gt, price(), number("1")));
    assert_eq!(
        sent.rows(&aggregate(dear, Vec::new(), vec![count(), call("sum", vec![price()])])),
        ["2 14.0000000000 2"]
    );
}

fn column_of_prices() -> Output {
    Output { ty: ColumnType::numeric(28, 10), digits: Some(2) }
}

#[test]
fn rows_without_columns_are_rows() {
    let mut packing = Packing::new(&[], 1 << 20).unwrap();
    for _ in 0..3 {
        packing.push(&[]).unwrap().unwrap();
    }
    let world = Sent { world: world(), shipment: packing.finish().unwrap() };
    let shipped = Rel::Shipped { shipment: 0, columns: Vec::new() };
    let crossed = join(JoinKind::Inner, a(), shipped, None);
    assert_eq!(world.rows(&aggregate(crossed, Vec::new(), vec![count()])), ["15"]);
}
