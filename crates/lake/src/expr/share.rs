//! How many rows pass a condition, guessed from what is least and greatest in its columns. Nothing is answered by it: it says
//! what is worth trying.

use super::function::Function;
use super::ir::{Expr, Type};
use super::range::Range;
use crate::source::table::TableColumn;
use crate::types::Value;

/// Of what nothing is known, such as texts, one row in five is expected to pass.
const UNKNOWN: f64 = 0.2;

/// The least and the greatest number of a column, in the unit of the table, if it has such.
pub(crate) type Bounds<'a> = dyn Fn(usize) -> Option<(i128, i128)> + 'a;

/// The share of rows, from 0 to 1.
pub(super) fn share(expr: &Expr, columns: &[TableColumn], bounds: &Bounds<'_>) -> f64 {
    known(expr, columns, bounds).unwrap_or(UNKNOWN)
}

fn known(expr: &Expr, columns: &[TableColumn], bounds: &Bounds<'_>) -> Option<f64> {
    match expr {
        Expr::And(parts) => Some(parts.iter().map(|part| share(part, columns, bounds)).product()),
        Expr::Or(parts) => Some(1.0 - parts.iter().map(|part| 1.0 - share(part, columns, bounds)).product::<f64>()),
        Expr::Not(inner) => known(inner, columns, bounds).map(|share| 1.0 - share),
        Expr::Call(Function::Compare(comparison), arguments) => match &arguments[..] {
            [Expr::Column(at, _), Expr::Constant(value, Type::One(kind))] => {
                let (range, negated) = Range::of(*comparison, columns.get(*at)?.ty.place(value, *kind)?);
                let within = within(range, bounds(*at)?);
                Some(if negated { 1.0 - within } else { within })
            }
            _ => None,
        },
        Expr::In(item, list) => match (&**item, &**list) {
            (Expr::Column(at, _), Expr::Constant(Value::List(values), _)) => {
                let one = within(Range { low: 0, high: 0 }, (0, width(bounds(*at)?)));
                Some((one * values.len() as f64).min(1.0))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The share of numbers between two bounds that are in a range, if all are equally frequent.
fn within(range: Range, (least, greatest): (i128, i128)) -> f64 {
    let (low, high) = (range.low.max(least), range.high.min(greatest));
    if low > high {
        return 0.0;
    }
    (width((low, high)) as f64 + 1.0) / (width((least, greatest)) as f64 + 1.0)
}

fn width((least, greatest): (i128, i128)) -> i128 {
    greatest.saturating_sub(least).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Comparison;
    use crate::trust::Trust;
    use crate::types::{ColumnType, Kind};

    #[test]
    fn a_range_has_its_share_of_the_numbers_that_there_are() {
        let columns = [TableColumn { name: "k".to_owned(), ty: ColumnType::Int8, trust: Trust::default() }];
        let of = |expr: Expr| share(&expr, &columns, &|_| Some((0, 99)));
        let is = |comparison, value| {
            let constant = Expr::Constant(Value::Int(value), Kind::Int8.into());
            Expr::binary(Function::Compare(comparison), Expr::Column(0, Kind::Int8.into()), constant)
        };
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        near(of(is(Comparison::Lt, 25)), 0.25);
        near(of(is(Comparison::GtEq, -5)), 1.0);
        near(of(is(Comparison::Gt, 99)), 0.0);
        near(of(is(Comparison::NotEq, 7)), 0.99);
        near(of(is(Comparison::Lt, 50).negated()), 0.5);
        near(of(Expr::And(vec![is(Comparison::Lt, 50), is(Comparison::Lt, 50)])), 0.25);
        near(of(Expr::Or(vec![is(Comparison::Lt, 50), is(Comparison::Lt, 50)])), 0.75);
        near(of(Expr::IsNull(Box::new(Expr::Column(0, Kind::Int8.into())))), UNKNOWN);
    }
}
