//! How many rows pass, by what footers say of columns: estimates, from which nothing is answered.
//!
//! Shares of rows are PostgreSQL's formulas, and so are the shares of what nothing is known of; conditions are taken for
//! independent of each other, but for two bounds of one range.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use super::spot::{self, Spot};
use crate::exec::ScanSpec;
use crate::expr::{Comparison, Expr, Function, Truth, Type, Value};
use crate::source::estimate::{self, Estimate, Facts};
use crate::source::files::DataFile;
use crate::source::table::TableColumn;
use crate::types::{ColumnType, Kind};

/// Of rows, those that an equality leaves of which nothing is known, and those that are NULL.
pub(super) const EQUAL: f64 = 0.005;
/// Those that a comparison leaves.
pub(super) const COMPARED: f64 = 1.0 / 3.0;
/// Those that any other condition leaves.
pub(super) const ANY: f64 = 0.5;
/// Those that each character of a pattern leaves, by how much a wildcard makes that more, and what no pattern goes below.
const CHARACTER: f64 = 0.2;
const WILDCARD: f64 = 5.0;
const PATTERN: f64 = 0.02;
/// Bytes of a view of a text, beside the text.
const VIEW_BYTES: f64 = 16.0;
/// Bytes of a value of which nothing is known.
const VALUE_BYTES: f64 = 16.0;

/// What is known of a table. Footers are looked at when a column is asked for.
pub(super) struct TableStatistics {
    files: Vec<DataFile>,
    columns: Vec<TableColumn>,
    rows: f64,
    facts: OnceLock<Option<Facts>>,
    estimates: Vec<OnceLock<Estimate>>,
}

impl TableStatistics {
    pub(super) fn new(files: &[DataFile], columns: &[TableColumn]) -> Self {
        let rows = files.iter().map(|file| file.footer.rows).fold(0, u64::saturating_add);
        Self {
            files: files.to_vec(),
            columns: columns.to_vec(),
            rows: rows as f64,
            facts: OnceLock::new(),
            estimates: columns.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// All rows.
    pub(super) fn rows(&self) -> f64 {
        self.rows
    }

    /// What is known of a column.
    pub(super) fn column(&self, at: usize) -> Estimate {
        let Some((cell, column)) = self.estimates.get(at).zip(self.columns.get(at)) else { return Estimate::default() };
        cell.get_or_init(|| self.facts().map(|facts| facts.column(column)).unwrap_or_default()).clone()
    }

    /// A footer that cannot be read is an error of the scan; there is no estimate of it.
    fn facts(&self) -> Option<&Facts> {
        let read = || estimate::remembered(&self.files).or_else(|| estimate::read(&self.files, &mut || true).ok());
        self.facts.get_or_init(read).as_ref()
    }

    /// The type of a column.
    pub(super) fn ty(&self, at: usize) -> Option<&ColumnType> {
        self.columns.get(at).map(|column| &column.ty)
    }

    /// How many different values a column has, if that is known.
    pub(super) fn distinct(&self, at: usize) -> Option<f64> {
        self.column(at).distinct
    }

    /// The share of rows for which a condition is true.
    pub(super) fn selectivity(&self, condition: &Expr) -> f64 {
        share(self.passing(condition))
    }

    fn passing(&self, condition: &Expr) -> f64 {
        match condition {
            Expr::Constant(Value::Bool(true), _) => 1.0,
            Expr::Constant(..) => 0.0,
            Expr::Column(at, _) => self.equal(*at, &Value::Bool(true)),
            Expr::And(parts) => self.all(parts),
            Expr::Or(parts) => 1.0 - parts.iter().map(|part| 1.0 - self.selectivity(part)).product::<f64>(),
            Expr::Not(inner) => match &**inner {
                Expr::IsNull(item) => 1.0 - self.nulls(item),
                other => 1.0 - self.selectivity(other) - self.unknown(other),
            },
            Expr::IsNull(item) => self.nulls(item),
            Expr::Is(inner, Truth::True) => self.passing(inner),
            Expr::Is(inner, Truth::False) => 1.0 - self.selectivity(inner) - self.unknown(inner),
            Expr::Is(inner, Truth::Unknown) => self.unknown(inner),
            Expr::In(item, list) => self.within(item, list),
            Expr::Call(function, arguments) => self.call(*function, arguments),
            _ => ANY,
        }
    }

    /// Of several conditions: bounds of one column are a range of it, all else is independent.
    fn all(&self, parts: &[Expr]) -> f64 {
        let mut ranges: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut rest = 1.0;
        for part in parts {
            let passing = self.selectivity(part);
            match bounded(part) {
                Some(at) => ranges.entry(at).or_default().push(passing),
                None => rest *= passing,
            }
        }
        ranges.into_iter().fold(rest, |product, (at, shares)| product * self.overlap(at, &shares))
    }

    /// What is left between bounds from both sides.
    fn overlap(&self, at: usize, shares: &[f64]) -> f64 {
        let left_out: f64 = shares.iter().map(|passing| 1.0 - passing).sum();
        match shares {
            [one] => *one,
            _ if left_out < 1.0 => 1.0 - left_out,
            _ => self.one_of(at),
        }
    }

    /// The share of one value.
    fn one_of(&self, at: usize) -> f64 {
        let estimate = self.column(at);
        let filled = 1.0 - estimate.null_fraction.unwrap_or(0.0);
        estimate.distinct.map_or(EQUAL, |distinct| filled / distinct.max(1.0))
    }

    fn nulls(&self, item: &Expr) -> f64 {
        match item {
            Expr::Column(at, _) => self.column(*at).null_fraction.unwrap_or(EQUAL),
            _ => EQUAL,
        }
    }

    /// The share of rows for which a condition is neither true nor false: that of the column that it asks.
    fn unknown(&self, condition: &Expr) -> f64 {
        let mut nulls: f64 = 0.0;
        condition.visit_columns(&mut |at| nulls = nulls.max(self.column(at).null_fraction.unwrap_or(0.0)));
        nulls
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> f64 {
        let (Some(left), Some(right)) = (arguments.first(), arguments.get(1)) else { return ANY };
        match (function, left, right) {
            (Function::Compare(comparison), Expr::Column(at, _), Expr::Constant(value, Type::One(kind))) => {
                self.compared(comparison, *at, value, *kind)
            }
            (Function::Compare(Comparison::Eq), Expr::Column(one, _), Expr::Column(other, _)) => {
                self.one_of(*one).min(self.one_of(*other))
            }
            (Function::Compare(Comparison::NotEq), ..) => 1.0 - EQUAL,
            (Function::Compare(Comparison::Eq), ..) => EQUAL,
            (Function::Compare(_), ..) => COMPARED,
            (Function::Like, _, Expr::Constant(Value::Text(text), _)) => pattern(text),
            (Function::NotLike, _, Expr::Constant(Value::Text(text), _)) => 1.0 - pattern(text),
            _ => ANY,
        }
    }

    fn within(&self, item: &Expr, list: &Expr) -> f64 {
        match (item, list) {
            (Expr::Column(at, _), Expr::Constant(Value::List(values), _)) => {
                values.iter().map(|value| self.equal(*at, value)).sum()
            }
            _ => ANY,
        }
    }

    fn equal(&self, at: usize, value: &Value) -> f64 {
        let kind = self.columns.get(at).and_then(|column| column.ty.kind());
        kind.map_or(EQUAL, |kind| self.compared(Comparison::Eq, at, value, kind))
    }

    fn compared(&self, comparison: Comparison, at: usize, value: &Value, kind: Kind) -> f64 {
        if *value == Value::Null {
            return 0.0;
        }
        let estimate = self.column(at);
        let filled = 1.0 - estimate.null_fraction.unwrap_or(0.0);
        let one = self.one_of(at);
        let spot = self.columns.get(at).and_then(|column| spot::place(&column.ty, value, kind));
        let below = match (spot, &estimate.bounds) {
            (Some(Spot::Above), _) => Some(1.0),
            (Some(Spot::Below), _) => Some(0.0),
            (Some(Spot::At { floor, .. }), Some(bounds)) => below(&floor, bounds),
            (None, Some(bounds)) => direct(value).and_then(|value| below(&value, bounds)),
            (_, None) => None,
        };
        let is_outside = below.is_some_and(|below| !(0.0..=1.0).contains(&below));
        let equal = if is_outside { self.row() } else { one };
        match comparison {
            Comparison::Eq => equal,
            Comparison::NotEq => filled - equal,
            Comparison::Lt => below.map_or(COMPARED, |below| filled * below),
            Comparison::LtEq => below.map_or(COMPARED, |below| filled * below + equal),
            Comparison::Gt => below.map_or(COMPARED, |below| filled * (1.0 - below) - equal),
            Comparison::GtEq => below.map_or(COMPARED, |below| filled * (1.0 - below)),
        }
        .clamp(self.row(), filled.max(self.row()))
    }

    /// The share of one row.
    fn row(&self) -> f64 {
        1.0 / self.rows.max(1.0)
    }

    /// What DataFusion is told of a scan.
    pub(super) fn of_scan(&self, spec: &ScanSpec, schema: &SchemaRef) -> Statistics {
        let passing = spec.filter.as_ref().map_or(1.0, |filter| self.selectivity(filter));
        let limit = spec.limit.map_or(f64::INFINITY, |limit| limit as f64);
        let rows = (self.rows * passing).ceil().min(limit);
        let column = |at: &usize| {
            let estimate = self.column(*at);
            let bound = |last: bool| estimate.bounds.as_ref().and_then(|bounds| end(bounds, last));
            let precise = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Inexact);
            let counted =
                |count: Option<f64>| count.map_or(Precision::Absent, |count| Precision::Inexact(whole(count)));
            let distinct = estimate.distinct.map(|distinct| left(distinct, self.rows, rows));
            ColumnStatistics {
                null_count: counted(estimate.null_fraction.map(|nulls| nulls * rows)),
                min_value: precise(bound(false)),
                max_value: precise(bound(true)),
                distinct_count: counted(distinct),
                ..ColumnStatistics::new_unknown()
            }
        };
        let width = |(at, field): (&usize, &arrow::datatypes::FieldRef)| {
            let fixed = field.data_type().primitive_width().map(|bytes| bytes as f64);
            fixed.or_else(|| Some(self.column(*at).width? + VIEW_BYTES)).unwrap_or(VALUE_BYTES)
        };
        let bytes: f64 = spec.projection.iter().zip(schema.fields()).map(width).sum();
        Statistics {
            num_rows: Precision::Inexact(whole(rows)),
            total_byte_size: Precision::Inexact(whole(rows * bytes)),
            column_statistics: spec.projection.iter().map(column).collect(),
        }
    }
}

/// How many of so many different values are left in a part of the rows, if that is chosen by something else.
pub(super) fn left(distinct: f64, rows: f64, kept: f64) -> f64 {
    if kept >= rows || rows <= 0.0 {
        return distinct.min(kept.max(1.0));
    }
    let missed = (1.0 - kept / rows).powf(rows / distinct.max(1.0));
    (distinct * (1.0 - missed)).clamp(1.0, kept.max(1.0))
}

/// The share that a pattern of LIKE leaves.
pub(super) fn pattern(text: &str) -> f64 {
    let of = |share: f64, character: char| match character {
        '%' => share * WILDCARD,
        '_' => share,
        _ => share * CHARACTER,
    };
    text.chars().fold(1.0, of).clamp(PATTERN, 1.0)
}

/// A share is one.
pub(super) fn share(share: f64) -> f64 {
    if share.is_nan() { ANY } else { share.clamp(0.0, 1.0) }
}

fn whole(count: f64) -> usize {
    // The cast saturates, and takes what is no number for zero.
    count.ceil() as usize
}

/// The column of which a condition is one bound.
fn bounded(condition: &Expr) -> Option<usize> {
    let Expr::Call(Function::Compare(comparison), arguments) = condition else { return None };
    match (comparison, &arguments[..]) {
        (Comparison::Eq | Comparison::NotEq, _) => None,
        (_, [Expr::Column(at, _), Expr::Constant(..)]) => Some(*at),
        _ => None,
    }
}

/// A constant of a type whose values are not counted.
fn direct(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Text(text) => Some(ScalarValue::Utf8(Some(text.clone()))),
        Value::Bytes(bytes) => Some(ScalarValue::Binary(Some(bytes.clone()))),
        other => Some(ScalarValue::Float64(Some(other.as_float()?))),
    }
}

fn end(bounds: &ArrayRef, last: bool) -> Option<ScalarValue> {
    let at = if last { bounds.len().checked_sub(1)? } else { 0 };
    ScalarValue::try_from_array(bounds, at).ok()
}

/// The share of a range that is below a value: below zero or above one outside of it.
fn below(value: &ScalarValue, bounds: &ArrayRef) -> Option<f64> {
    let (least, greatest) = (end(bounds, false)?, end(bounds, true)?);
    let common = prefix(&[value, &least, &greatest]);
    let [value, least, greatest] = [value, &least, &greatest].map(|value| number(value, common));
    let (value, least, greatest) = (value?, least?, greatest?);
    if greatest > least {
        return Some((value - least) / (greatest - least));
    }
    Some(if value < least {
        -1.0
    } else if value > least {
        2.0
    } else {
        0.0
    })
}

/// Bytes that texts begin with in common.
fn prefix(values: &[&ScalarValue]) -> usize {
    let all: Vec<_> = values.iter().filter_map(|value| bytes(value)).collect();
    let [first, others @ ..] = &all[..] else { return 0 };
    let common = |other: &&[u8]| first.iter().zip(*other).take_while(|(a, b)| a == b).count();
    others.iter().map(common).min().unwrap_or(0)
}

fn bytes(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text.as_bytes())
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => Some(bytes),
        _ => None,
    }
}

/// A value on a scale of its type. Of a text it is a few bytes behind those that all begin with.
fn number(value: &ScalarValue, common: usize) -> Option<f64> {
    const BYTES: usize = 8;
    if let Some(bytes) = bytes(value) {
        let digits = bytes.iter().skip(common).copied().chain(std::iter::repeat(0)).take(BYTES);
        return Some(digits.fold(0.0, |sum, byte| sum * 256.0 + f64::from(byte)));
    }
    Some(match value {
        ScalarValue::Boolean(Some(value)) => f64::from(*value),
        ScalarValue::Int16(Some(value)) => f64::from(*value),
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => f64::from(*value),
        ScalarValue::Int64(Some(value))
        | ScalarValue::Time64Microsecond(Some(value))
        | ScalarValue::TimestampMicrosecond(Some(value), _) => *value as f64,
        ScalarValue::Float32(Some(value)) => f64::from(*value),
        ScalarValue::Float64(Some(value)) => *value,
        ScalarValue::Decimal128(Some(value), _, _) => *value as f64,
        _ => return None,
    })
}

/// Shares it among plans.
pub(super) type Known = Arc<TableStatistics>;
