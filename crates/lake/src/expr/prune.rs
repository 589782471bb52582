//! A filter on statistics: what the minima and maxima of a file must allow for any of its rows to pass.
//!
//! The engine compares it with the statistics of row groups and pages and asks Bloom filters. It may let too much through,
//! never too little. So it is made for each file, in the types in which that file stores its columns, with constants rounded
//! to values that are stored: nothing is left for the engine to cast. What cannot be said so is left out: floats (NaN stands
//! in no statistics), columns whose statistics are not to be trusted ([`crate::trust`]), and what makes the condition long.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, IsNullExpr, lit};

use super::number::{Place, Range};
use super::{Filter, Operand, Truth, Value};
use crate::pushable::Op;
use crate::schema::ColumnType;
use crate::source::table::TableColumn;

/// Comparisons of one condition. The engine's work on it grows with their square.
const MOST_COMPARISONS: usize = 60;
/// Elements of a list that are looked for one by one; of a longer one, what lies between the least and the greatest.
const MOST_ELEMENTS: usize = 20;

type Expr = Arc<dyn PhysicalExpr>;

/// The condition on a file with this schema; `None` if its statistics cannot rule anything out.
pub(super) fn predicate(filter: &Filter, columns: &[TableColumn], file: &Schema) -> Option<Expr> {
    Pruner { columns, file, left: MOST_COMPARISONS }.necessary(filter, false)
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
    /// What holds for every row for which the filter is true (or false, if negated).
    fn necessary(&mut self, filter: &Filter, negated: bool) -> Option<Expr> {
        match filter {
            Filter::And(filters) if !negated => self.all(filters, negated),
            Filter::Or(filters) if negated => self.all(filters, negated),
            Filter::And(filters) | Filter::Or(filters) => self.any(filters, negated),
            Filter::Not(inner) => self.necessary(inner, !negated),
            Filter::Is(inner, Truth::True) if !negated => self.necessary(inner, false),
            Filter::Is(inner, Truth::False) if !negated => self.necessary(inner, true),
            Filter::IsNull(i) => self.null(*i, negated),
            Filter::Compare { op, column, operand: Operand::Value(value) } => {
                let op = if negated { opposite(*op)? } else { *op };
                self.compare(op, *column, value)
            }
            Filter::In { column, list: Operand::Value(Value::List(values)) } if !negated => {
                self.within(*column, values)
            }
            _ => None,
        }
    }

    /// Of several that must hold, those that can be said.
    fn all(&mut self, filters: &[Filter], negated: bool) -> Option<Expr> {
        let mut all = None;
        for filter in filters {
            if self.left == 0 {
                break;
            }
            if let Some(one) = self.necessary(filter, negated) {
                all = Some(joined(all, Operator::And, one));
            }
        }
        all
    }

    /// Of several one of which must hold, all or nothing.
    fn any(&mut self, filters: &[Filter], negated: bool) -> Option<Expr> {
        if filters.len() > self.left {
            return None;
        }
        let mut any = None;
        for filter in filters {
            let one = self.necessary(filter, negated)?;
            any = Some(joined(any, Operator::Or, one));
        }
        any
    }

    fn null(&self, i: usize, negated: bool) -> Option<Expr> {
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

    fn compare(&mut self, op: Op, i: usize, value: &Value) -> Option<Expr> {
        let stored = self.stored(i)?;
        if let Some(place) = Place::of(&stored.table.ty, value) {
            let (range, negated) = Range::of(op, place)?;
            return if negated { None } else { self.range(&stored, range) };
        }
        let bytes = bytes(value)?;
        match op {
            Op::Eq => self.between(&stored, Some(bytes), Some(bytes)),
            Op::Lt | Op::LtEq => self.between(&stored, None, Some(bytes)),
            Op::Gt | Op::GtEq => self.between(&stored, Some(bytes), None),
            Op::Like => {
                let prefix = bytes.split(|byte| matches!(byte, b'%' | b'_' | b'\\')).next()?;
                let after = successor(std::str::from_utf8(prefix).ok()?);
                if prefix.is_empty() {
                    return None;
                }
                self.between(&stored, Some(prefix), after.as_deref().map(str::as_bytes))
            }
            Op::NotEq | Op::NotLike => None,
        }
    }

    fn within(&mut self, i: usize, values: &[Value]) -> Option<Expr> {
        let stored = self.stored(i)?;
        let known = values.iter().filter(|value| **value != Value::Null);
        let mut any = None;
        if matches!(stored.table.ty, ColumnType::Text | ColumnType::Bytea | ColumnType::Uuid) {
            let elements = known.map(bytes).collect::<Option<Vec<_>>>()?;
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
                if let Place::At { floor, exact: true } = Place::of(&stored.table.ty, value)? {
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
    fn range(&mut self, stored: &Stored<'_>, range: Range) -> Option<Expr> {
        let delivered = Delivered::of(stored.ty, &stored.table.ty)?;
        let Limits { least, greatest } = Limits::of(stored.ty)?;
        let Range { low, high } = delivered.source(range);
        if low > high || low > greatest || high < least {
            return Some(lit(false));
        }
        let literal = |number: i128| literal(stored.ty, number);
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
    fn between(&mut self, stored: &Stored<'_>, low: Option<&[u8]>, high: Option<&[u8]>) -> Option<Expr> {
        if low == high {
            return Some(self.comparison(stored, Operator::Eq, byte_literal(stored.ty, low?)?));
        }
        let mut both = None;
        if let Some(low) = low {
            both = Some(self.comparison(stored, Operator::GtEq, byte_literal(stored.ty, low)?));
        }
        if let Some(high) = high {
            let below = self.comparison(stored, Operator::LtEq, byte_literal(stored.ty, high)?);
            both = Some(joined(both, Operator::And, below));
        }
        both
    }

    fn comparison(&mut self, stored: &Stored<'_>, operator: Operator, value: ScalarValue) -> Expr {
        self.left = self.left.saturating_sub(1);
        let column = Arc::new(Column::new(&stored.table.name, stored.index));
        Arc::new(BinaryExpr::new(column, operator, lit(value)))
    }
}

fn joined(left: Option<Expr>, operator: Operator, right: Expr) -> Expr {
    match left {
        Some(left) => Arc::new(BinaryExpr::new(left, operator, right)),
        None => right,
    }
}

/// NOT (a op b) as a op' b, where neither is NULL.
fn opposite(op: Op) -> Option<Op> {
    Some(match op {
        Op::Eq => Op::NotEq,
        Op::NotEq => Op::Eq,
        Op::Lt => Op::GtEq,
        Op::LtEq => Op::Gt,
        Op::Gt => Op::LtEq,
        Op::GtEq => Op::Lt,
        Op::Like | Op::NotLike => return None,
    })
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Text(text) => Some(text.as_bytes()),
        Value::Bytea(bytes) => Some(bytes),
        Value::Uuid(bytes) => Some(bytes),
        _ => None,
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

/// How a stored number becomes the one that is delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Delivered {
    /// Times so many.
    Times(i128),
    /// Divided by so many, rounded down.
    Floor(i128),
}

impl Delivered {
    fn of(stored: &DataType, delivered: &ColumnType) -> Option<Self> {
        use DataType::*;
        let unit = |unit: &TimeUnit| match unit {
            TimeUnit::Second => Self::Times(1_000_000),
            TimeUnit::Millisecond => Self::Times(1_000),
            TimeUnit::Microsecond => Self::Times(1),
            TimeUnit::Nanosecond => Self::Floor(1_000),
        };
        let power = |digits: u8| 10i128.checked_pow(u32::from(digits)).map(Self::Times);
        match (delivered, stored) {
            (
                ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8,
                Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32,
            ) => Some(Self::Times(1)),
            (ColumnType::Numeric(_, scale), Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64) => {
                power(*scale)
            }
            (ColumnType::Numeric(_, scale), Decimal128(_, own)) => power(scale.checked_sub(u8::try_from(*own).ok()?)?),
            (ColumnType::Date, Date32) => Some(Self::Times(1)),
            (ColumnType::Date, Date64) => Some(Self::Floor(86_400_000)),
            (ColumnType::Time, Time32(own) | Time64(own)) => Some(unit(own)),
            (ColumnType::Timestamp | ColumnType::Timestamptz, Timestamp(own, _)) => Some(unit(own)),
            _ => None,
        }
    }

    /// The stored numbers that become one of the range.
    fn source(self, range: Range) -> Range {
        let Range { low, high } = range;
        match self {
            // The least x with x * unit >= low: rounded up.
            Self::Times(unit) => Range { low: -(-low.max(-i128::MAX)).div_euclid(unit), high: high.div_euclid(unit) },
            Self::Floor(unit) => {
                Range { low: low.saturating_mul(unit), high: high.saturating_mul(unit).saturating_add(unit - 1) }
            }
        }
    }
}

/// What a stored type can hold.
struct Limits {
    least: i128,
    greatest: i128,
}

impl Limits {
    fn of(ty: &DataType) -> Option<Self> {
        use DataType::*;
        let signed = |bits: u32| Self { least: -(1 << (bits - 1)), greatest: (1 << (bits - 1)) - 1 };
        let unsigned = |bits: u32| Self { least: 0, greatest: (1 << bits) - 1 };
        Some(match ty {
            Int8 => signed(8),
            Int16 => signed(16),
            Int32 | Date32 | Time32(_) => signed(32),
            Int64 | Date64 | Time64(_) | Timestamp(..) => signed(64),
            UInt8 => unsigned(8),
            UInt16 => unsigned(16),
            UInt32 => unsigned(32),
            UInt64 => unsigned(64),
            Decimal128(precision, _) => {
                let greatest = 10i128.checked_pow(u32::from(*precision))? - 1;
                Self { least: -greatest, greatest }
            }
            _ => return None,
        })
    }
}

fn literal(ty: &DataType, number: i128) -> Option<ScalarValue> {
    use DataType::*;
    Some(match ty {
        Int8 => ScalarValue::Int8(Some(number.try_into().ok()?)),
        Int16 => ScalarValue::Int16(Some(number.try_into().ok()?)),
        Int32 => ScalarValue::Int32(Some(number.try_into().ok()?)),
        Int64 => ScalarValue::Int64(Some(number.try_into().ok()?)),
        UInt8 => ScalarValue::UInt8(Some(number.try_into().ok()?)),
        UInt16 => ScalarValue::UInt16(Some(number.try_into().ok()?)),
        UInt32 => ScalarValue::UInt32(Some(number.try_into().ok()?)),
        UInt64 => ScalarValue::UInt64(Some(number.try_into().ok()?)),
        Decimal128(precision, scale) => ScalarValue::Decimal128(Some(number), *precision, *scale),
        Date32 => ScalarValue::Date32(Some(number.try_into().ok()?)),
        Date64 => ScalarValue::Date64(Some(number.try_into().ok()?)),
        Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(number.try_into().ok()?)),
        Time32(_) => ScalarValue::Time32Millisecond(Some(number.try_into().ok()?)),
        Time64(TimeUnit::Nanosecond) => ScalarValue::Time64Nanosecond(Some(number.try_into().ok()?)),
        Time64(_) => ScalarValue::Time64Microsecond(Some(number.try_into().ok()?)),
        Timestamp(unit, zone) => {
            let (number, zone) = (Some(i64::try_from(number).ok()?), zone.clone());
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(number, zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(number, zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(number, zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(number, zone),
            }
        }
        _ => return None,
    })
}

fn byte_literal(ty: &DataType, bytes: &[u8]) -> Option<ScalarValue> {
    let text = || std::str::from_utf8(bytes).ok().map(str::to_owned);
    Some(match ty {
        DataType::Utf8 => ScalarValue::Utf8(Some(text()?)),
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some(text()?)),
        DataType::Utf8View => ScalarValue::Utf8View(Some(text()?)),
        DataType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
        DataType::LargeBinary => ScalarValue::LargeBinary(Some(bytes.to_vec())),
        DataType::BinaryView => ScalarValue::BinaryView(Some(bytes.to_vec())),
        DataType::FixedSizeBinary(width) if usize::try_from(*width) == Ok(bytes.len()) => {
            ScalarValue::FixedSizeBinary(*width, Some(bytes.to_vec()))
        }
        DataType::Dictionary(_, value) => byte_literal(value, bytes)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_range_of_what_is_delivered_is_the_range_of_what_is_stored() {
        for delivered in [Delivered::Times(1000), Delivered::Floor(1000)] {
            let of = |x: i128| if delivered == Delivered::Times(1000) { x * 1000 } else { x.div_euclid(1000) };
            for low in [-2001, -2000, -1999, -1, 0, 1, 999, 1000, 1001] {
                for high in [-2000, -1001, -1, 0, 1, 1000, 1999, 2001] {
                    let Range { low: first, high: last } = delivered.source(Range { low, high });
                    for x in
                        (-10..=10).chain((-2010..=2010).map(|x| x * 1000 - 1)).chain((-2010..=2010).map(|x| x * 1000))
                    {
                        let inside = (low..=high).contains(&of(x));
                        assert_eq!(inside, (first..=last).contains(&x), "{delivered:?} {low}..{high}: {x}");
                    }
                }
            }
            let Range { low, high } = delivered.source(Range::ALL);
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
