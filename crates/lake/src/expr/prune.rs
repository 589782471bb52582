//! A condition on statistics: what the minima and maxima of a file must allow for any of its rows to pass.
//!
//! The engine compares it with the statistics of row groups and pages and asks Bloom filters. It may let too much through,
//! never too little. So it is made for each file, in the types in which that file stores its columns, with constants rounded
//! to values that are stored: nothing is left for the engine to cast. What cannot be said so is left out: floats (NaN stands
//! in no statistics), columns whose statistics are not to be trusted ([`crate::trust`]), and what makes the condition long.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, IsNullExpr, lit};

use super::function::{Comparison, Function};
use super::functions::like::prefix;
use super::ir::{Expr, Truth, Type};
use super::range::Range;
use crate::source::table::TableColumn;
use crate::types::{self, Compared, Kind, Limits, Place, Unit, Value};

/// Comparisons of one condition. The engine's work on it grows with their square.
const MOST_COMPARISONS: usize = 60;
/// Elements of a list that are looked for one by one; of a longer one, what lies between the least and the greatest.
const MOST_ELEMENTS: usize = 20;

type Predicate = Arc<dyn PhysicalExpr>;

/// The condition on a file with this schema; `None` if its statistics cannot rule anything out.
pub(super) fn predicate(expr: &Expr, columns: &[TableColumn], file: &Schema) -> Option<Predicate> {
    Pruner { columns, file, left: MOST_COMPARISONS }.necessary(expr, false)
}

struct Pruner<'a> {
    columns: &'a [TableColumn],
    file: &'a Schema,
    /// Comparisons that may still be added.
    left: usize,
}

/// A column whose minima and maxima can be used.
struct Stored<'a> {
    table: &'a TableColumn,
    index: usize,
    ty: &'a DataType,
}

impl<'a> Pruner<'a> {
    /// What holds for every row for which the expression is true (or false, if negated).
    fn necessary(&mut self, expr: &Expr, negated: bool) -> Option<Predicate> {
        match expr {
            Expr::Constant(Value::Bool(value), _) if *value == negated => Some(lit(false)),
            Expr::Constant(Value::Null, _) => Some(lit(false)),
            Expr::And(parts) if !negated => self.all(parts, negated),
            Expr::Or(parts) if negated => self.all(parts, negated),
            Expr::And(parts) | Expr::Or(parts) => self.any(parts, negated),
            Expr::Not(inner) => self.necessary(inner, !negated),
            Expr::Is(inner, Truth::True) if !negated => self.necessary(inner, false),
            Expr::Is(inner, Truth::False) if !negated => self.necessary(inner, true),
            Expr::IsNull(inner) => match &**inner {
                Expr::Column(i, _) => self.null(*i, negated),
                _ => None,
            },
            Expr::Call(function, arguments) => match (function, &arguments[..]) {
                (Function::Compare(comparison), [Expr::Column(i, _), Expr::Constant(value, Type::One(kind))]) => {
                    self.compare(if negated { comparison.opposite() } else { *comparison }, *i, value, *kind)
                }
                (Function::Like, [Expr::Column(i, _), Expr::Constant(value, _)]) if !negated => self.like(*i, value),
                _ => None,
            },
            Expr::In(item, list) if !negated => match (&**item, &**list) {
                (Expr::Column(i, _), Expr::Constant(Value::List(values), Type::Array { array })) => {
                    self.within(*i, values, *array)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Of several that must hold, those that can be said.
    fn all(&mut self, parts: &[Expr], negated: bool) -> Option<Predicate> {
        let mut all = None;
        for part in parts {
            if self.left == 0 {
                break;
            }
            if let Some(one) = self.necessary(part, negated) {
                all = Some(joined(all, Operator::And, one));
            }
        }
        all
    }

    /// Of several one of which must hold, all or nothing.
    fn any(&mut self, parts: &[Expr], negated: bool) -> Option<Predicate> {
        if parts.len() > self.left {
            return None;
        }
        let mut any = None;
        for part in parts {
            let one = self.necessary(part, negated)?;
            any = Some(joined(any, Operator::Or, one));
        }
        any
    }

    fn null(&self, i: usize, negated: bool) -> Option<Predicate> {
        let column = self.columns.get(i).filter(|column| column.trust.nulls)?;
        let (index, _) = self.file.column_with_name(&column.name)?;
        let column = Arc::new(Column::new(&column.name, index));
        Some(if negated { Arc::new(IsNotNullExpr::new(column)) } else { Arc::new(IsNullExpr::new(column)) })
    }

    fn stored(&self, i: usize) -> Option<Stored<'a>> {
        let table = self.columns.get(i).filter(|column| column.trust.order)?;
        let (index, field) = self.file.column_with_name(&table.name)?;
        Some(Stored { table, index, ty: field.data_type() })
    }

    fn compare(&mut self, comparison: Comparison, i: usize, value: &Value, kind: Kind) -> Option<Predicate> {
        let stored = self.stored(i)?;
        if let Some(place) = stored.table.ty.place(value, kind) {
            let (range, negated) = Range::of(comparison, place);
            return if negated { None } else { self.range(&stored, range) };
        }
        let bytes = value.bytes()?;
        match comparison {
            Comparison::Eq => self.between(&stored, Some(bytes), Some(bytes)),
            Comparison::Lt | Comparison::LtEq => self.between(&stored, None, Some(bytes)),
            Comparison::Gt | Comparison::GtEq => self.between(&stored, Some(bytes), None),
            Comparison::NotEq => None,
        }
    }

    /// What begins as the pattern does.
    fn like(&mut self, i: usize, pattern: &Value) -> Option<Predicate> {
        let stored = self.stored(i)?;
        let prefix = prefix(pattern.bytes()?);
        let after = successor(std::str::from_utf8(&prefix).ok()?);
        if prefix.is_empty() {
            return None;
        }
        self.between(&stored, Some(&prefix), after.as_deref().map(str::as_bytes))
    }

    fn within(&mut self, i: usize, values: &[Value], kind: Kind) -> Option<Predicate> {
        let stored = self.stored(i)?;
        let known = values.iter().filter(|value| **value != Value::Null);
        let mut any = None;
        if stored.table.ty.compared() == Some(Compared::Bytes) {
            let elements = known.map(Value::bytes).collect::<Option<Vec<_>>>()?;
            if elements.len() > MOST_ELEMENTS.min(self.left) {
                let (least, greatest) = (elements.iter().min().copied(), elements.iter().max().copied());
                return self.between(&stored, least, greatest);
            }
            for element in elements {
                any = Some(joined(any, Operator::Or, self.between(&stored, Some(element), Some(element))?));
            }
        } else {
            let mut numbers = Vec::new();
            for value in known {
                if let Place::At { floor, exact: true } = stored.table.ty.place(value, kind)? {
                    numbers.push(floor);
                }
            }
            if numbers.len() > MOST_ELEMENTS.min(self.left) {
                let (low, high) = (numbers.iter().copied().min()?, numbers.iter().copied().max()?);
                return self.range(&stored, Range { low, high });
            }
            for number in numbers {
                let one = self.range(&stored, Range { low: number, high: number })?;
                any = Some(joined(any, Operator::Or, one));
            }
        }
        any
    }

    /// The stored numbers that are delivered as numbers in the range.
    fn range(&mut self, stored: &Stored<'_>, range: Range) -> Option<Predicate> {
        let unit = stored.table.ty.unit(stored.ty)?;
        let Limits { least, greatest } = types::limits(stored.ty)?;
        let Range { low, high } = source(unit, range);
        if low > high || low > greatest || high < least {
            return Some(lit(false));
        }
        let literal = |number: i128| types::number(stored.ty, number);
        if low == high {
            return Some(self.comparison(stored, Operator::Eq, literal(low)?));
        }
        let mut both = None;
        if low > least {
            both = Some(self.comparison(stored, Operator::GtEq, literal(low)?));
        }
        if high < greatest {
            let below = self.comparison(stored, Operator::LtEq, literal(high)?);
            both = Some(joined(both, Operator::And, below));
        }
        both
    }

    /// Text, bytea or uuid from `low` to `high`, by their bytes.
    fn between(&mut self, stored: &Stored<'_>, low: Option<&[u8]>, high: Option<&[u8]>) -> Option<Predicate> {
        if low == high {
            return Some(self.comparison(stored, Operator::Eq, types::bytes(stored.ty, low?)?));
        }
        let mut both = None;
        if let Some(low) = low {
            both = Some(self.comparison(stored, Operator::GtEq, types::bytes(stored.ty, low)?));
        }
        if let Some(high) = high {
            let below = self.comparison(stored, Operator::LtEq, types::bytes(stored.ty, high)?);
            both = Some(joined(both, Operator::And, below));
        }
        both
    }

    fn comparison(&mut self, stored: &Stored<'_>, operator: Operator, value: ScalarValue) -> Predicate {
        self.left = self.left.saturating_sub(1);
        let column = Arc::new(Column::new(&stored.table.name, stored.index));
        Arc::new(BinaryExpr::new(column, operator, lit(value)))
    }
}

fn joined(left: Option<Predicate>, operator: Operator, right: Predicate) -> Predicate {
    match left {
        Some(left) => Arc::new(BinaryExpr::new(left, operator, right)),
        None => right,
    }
}

/// A text that is greater than all that begin with `prefix`.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The stored numbers that become one of the range.
fn source(unit: Unit, range: Range) -> Range {
    let Range { low, high } = range;
    match unit {
        // The least x with x * unit >= low: rounded up.
        Unit::Times(unit) => Range { low: -(-low.max(-i128::MAX)).div_euclid(unit), high: high.div_euclid(unit) },
        Unit::Floor(unit) => {
            Range { low: low.saturating_mul(unit), high: high.saturating_mul(unit).saturating_add(unit - 1) }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_range_of_what_is_delivered_is_the_range_of_what_is_stored() {
        for unit in [Unit::Times(1000), Unit::Floor(1000)] {
            let of = |x: i128| if unit == Unit::Times(1000) { x * 1000 } else { x.div_euclid(1000) };
            for low in [-2001, -2000, -1999, -1, 0, 1, 999, 1000, 1001] {
                for high in [-2000, -1001, -1, 0, 1, 1000, 1999, 2001] {
                    let Range { low: first, high: last } = source(unit, Range { low, high });
                    for x in
                        (-10..=10).chain((-2010..=2010).map(|x| x * 1000 - 1)).chain((-2010..=2010).map(|x| x * 1000))
                    {
                        let inside = (low..=high).contains(&of(x));
                        assert_eq!(inside, (first..=last).contains(&x), "{unit:?} {low}..{high}: {x}");
                    }
                }
            }
            let Range { low, high } = source(unit, Range::ALL);
            assert!(low < i64::MIN.into() && high > i64::MAX.into());
        }
    }

    #[test]
    fn texts_with_a_prefix_end_before_its_successor() {
        assert_eq!(successor("ab").as_deref(), Some("ac"));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }
}
