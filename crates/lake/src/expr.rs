//! Filters: a small language of our own between PostgreSQL's expression trees and DataFusion's.
//!
//! The glue builds a [`Filter`] with parameters at plan time (it is stored in the plan as JSON), [`Filter::bind`] puts the
//! values in at execution, and [`translate`] makes a DataFusion `Expr` over the table's schema. Truth is three-valued as in
//! SQL: each construct yields NULL where PostgreSQL's does.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{DataFusionError, Result as EngineResult, ScalarValue};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Like, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility, cast, lit,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pushable::Op;
use crate::schema::{ColumnType, MAX_PRECISION};
use crate::table::TableColumn;

/// A value of a constant or parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Bool(bool),
    /// smallint, integer and bigint.
    Int(i64),
    /// The bits of a double precision, so that NaN survives JSON.
    Float8(u64),
    /// The bits of a real.
    Float4(u32),
    /// As PostgreSQL prints it: digits, `NaN`, `Infinity`, `-Infinity`.
    Numeric(String),
    Text(String),
    Bytea(Vec<u8>),
    /// Days since 1970-01-01; infinities are the ends of the range.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01; infinities are the ends of the range.
    Timestamp(i64),
    /// The same, UTC.
    Timestamptz(i64),
    Uuid([u8; 16]),
    /// The elements of an array, for IN.
    List(Vec<Value>),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// Index of a column of the table.
    Column(usize),
    Value(Value),
    /// Index of a value that is known at execution.
    Param(usize),
}

/// What a boolean is tested for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// A condition on rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// `column op operand`; the glue has swapped sides where needed.
    Compare {
        op: Op,
        column: usize,
        operand: Operand,
    },
    /// `column = ANY (list)`.
    In {
        column: usize,
        list: Operand,
    },
    IsNull(usize),
    /// A boolean column as a condition.
    Column(usize),
    /// `IS TRUE` and relatives.
    Is(Box<Filter>, Truth),
}

impl Filter {
    /// The same filter with values in place of parameters.
    pub fn bind(&self, params: &[Value]) -> Result<Filter> {
        let operand = |operand: &Operand| match operand {
            Operand::Param(i) => {
                let value = params.get(*i).ok_or_else(|| Error::internal(format!("no parameter {i}")))?;
                Ok(Operand::Value(value.clone()))
            }
            other => Ok(other.clone()),
        };
        let all = |filters: &[Filter]| filters.iter().map(|filter| filter.bind(params)).collect::<Result<Vec<_>>>();
        Ok(match self {
            Self::And(filters) => Self::And(all(filters)?),
            Self::Or(filters) => Self::Or(all(filters)?),
            Self::Not(filter) => Self::Not(Box::new(filter.bind(params)?)),
            Self::Compare { op, column, operand: other } => {
                Self::Compare { op: *op, column: *column, operand: operand(other)? }
            }
            Self::In { column, list } => Self::In { column: *column, list: operand(list)? },
            Self::Is(filter, truth) => Self::Is(Box::new(filter.bind(params)?), *truth),
            Self::IsNull(_) | Self::Column(_) => self.clone(),
        })
    }

    /// The same filter over columns with other indexes.
    pub fn map_columns(&self, to: &impl Fn(usize) -> usize) -> Filter {
        let all = |filters: &[Filter]| filters.iter().map(|filter| filter.map_columns(to)).collect();
        match self {
            Self::And(filters) => Self::And(all(filters)),
            Self::Or(filters) => Self::Or(all(filters)),
            Self::Not(filter) => Self::Not(Box::new(filter.map_columns(to))),
            Self::Compare { op, column, operand } => {
                let operand = match operand {
                    Operand::Column(other) => Operand::Column(to(*other)),
                    other => other.clone(),
                };
                Self::Compare { op: *op, column: to(*column), operand }
            }
            Self::In { column, list } => Self::In { column: to(*column), list: list.clone() },
            Self::IsNull(column) => Self::IsNull(to(*column)),
            Self::Column(column) => Self::Column(to(*column)),
            Self::Is(filter, truth) => Self::Is(Box::new(filter.map_columns(to)), *truth),
        }
    }

    /// Calls `f` with every column that the filter looks at.
    pub fn visit_columns(&self, f: &mut impl FnMut(usize)) {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().for_each(|filter| filter.visit_columns(f)),
            Self::Not(filter) | Self::Is(filter, _) => filter.visit_columns(f),
            Self::Compare { column, operand, .. } => {
                f(*column);
                if let Operand::Column(other) = operand {
                    f(*other);
                }
            }
            Self::In { column, .. } | Self::IsNull(column) | Self::Column(column) => f(*column),
        }
    }
}

/// The DataFusion expression of a bound filter over the columns of the table.
pub fn translate(filter: &Filter, columns: &[TableColumn]) -> Result<Expr> {
    let column = |i: usize| columns.get(i).ok_or_else(|| Error::internal(format!("no column {i}")));
    let join = |filters: &[Filter], operator: Operator, empty: bool| {
        let mut parts = filters.iter().map(|filter| translate(filter, columns));
        let first = parts.next().unwrap_or_else(|| Ok(lit(empty)))?;
        parts.try_fold(first, |left, right| Ok(binary(left, operator, right?)))
    };
    match filter {
        Filter::And(filters) => join(filters, Operator::And, true),
        Filter::Or(filters) => join(filters, Operator::Or, false),
        Filter::Not(inner) => Ok(Expr::Not(Box::new(translate(inner, columns)?))),
        Filter::IsNull(i) => Ok(Expr::IsNull(Box::new(named(column(*i)?)))),
        Filter::Column(i) => Ok(named(column(*i)?)),
        Filter::Is(inner, truth) => {
            let inner = Box::new(translate(inner, columns)?);
            Ok(match truth {
                Truth::True => Expr::IsTrue(inner),
                Truth::False => Expr::IsFalse(inner),
                Truth::Unknown => Expr::IsUnknown(inner),
            })
        }
        Filter::Compare { op, column: i, operand } => match operand {
            Operand::Value(value) => compare(*op, column(*i)?, value),
            Operand::Column(other) => compare_columns(*op, column(*i)?, column(*other)?),
            Operand::Param(_) => Err(Error::internal("an unbound parameter")),
        },
        Filter::In { column: i, list } => match list {
            Operand::Value(Value::Null) => Ok(unknown()),
            Operand::Value(Value::List(values)) => within(column(*i)?, values),
            _ => Err(Error::internal("an unbound list")),
        },
    }
}

/// `column = ANY (values)`: false for no values, even if the column is NULL.
fn within(column: &TableColumn, values: &[Value]) -> Result<Expr> {
    if values.is_empty() {
        return Ok(lit(false));
    }
    let by_bits = !matches!(column.ty, ColumnType::Float4 | ColumnType::Float8 | ColumnType::Numeric(..));
    let literals: Option<Vec<Expr>> = by_bits
        .then(|| values.iter().map(|value| literal(&column.ty, value).map(|value| lit_of(&value))).collect())
        .flatten();
    if let Some(list) = literals {
        return Ok(named(column).in_list(list, false));
    }
    let mut parts = values.iter().map(|value| compare(Op::Eq, column, value));
    let first = parts.next().unwrap_or_else(|| Ok(lit(false)))?;
    parts.try_fold(first, |left, right| Ok(binary(left, Operator::Or, right?)))
}

fn compare(op: Op, column: &TableColumn, value: &Value) -> Result<Expr> {
    if value == &Value::Null {
        return Ok(unknown());
    }
    let left = named(column);
    if matches!(op, Op::Like | Op::NotLike) {
        let Value::Text(pattern) = value else { return Err(mismatch(column, value)) };
        let pattern = Box::new(lit(ScalarValue::Utf8View(Some(pattern.clone()))));
        return Ok(Expr::Like(Like::new(op == Op::NotLike, Box::new(left), pattern, None, false)));
    }
    let operator = operator(op);
    match (&column.ty, value) {
        (ColumnType::Numeric(precision, scale), Value::Numeric(text)) => {
            numeric_compare(op, left, *precision, *scale, text).ok_or_else(|| mismatch(column, value))
        }
        (ColumnType::Float4, Value::Float8(bits)) => {
            let wide = canonical(cast(left, DataType::Float64));
            Ok(binary(wide, operator, lit(canonical_f64(f64::from_bits(*bits)))))
        }
        (ColumnType::Float4 | ColumnType::Float8, _) => {
            let literal = literal(&column.ty, value).ok_or_else(|| mismatch(column, value))?;
            Ok(binary(canonical(left), operator, lit(literal)))
        }
        (ColumnType::Int2 | ColumnType::Int4, Value::Int(number)) if literal(&column.ty, value).is_none() => {
            Ok(binary(cast(left, DataType::Int64), operator, lit(*number)))
        }
        _ => {
            let literal = literal(&column.ty, value).ok_or_else(|| mismatch(column, value))?;
            Ok(binary(left, operator, lit(literal)))
        }
    }
}

fn compare_columns(op: Op, left: &TableColumn, right: &TableColumn) -> Result<Expr> {
    use ColumnType::*;
    let common = match (&left.ty, &right.ty) {
        (a, b) if a == b => None,
        (Int2 | Int4 | Int8, Int2 | Int4 | Int8) => Some(DataType::Int64),
        (Float4 | Float8, Float4 | Float8) => Some(DataType::Float64),
        _ => return Err(Error::internal(format!("{} and {} cannot be compared", left.ty, right.ty))),
    };
    let side = |column: &TableColumn| {
        let own = match &common {
            Some(common) if *common != column.ty.arrow() => cast(named(column), common.clone()),
            _ => named(column),
        };
        if matches!(column.ty, Float4 | Float8) { canonical(own) } else { own }
    };
    Ok(binary(side(left), operator(op), side(right)))
}

/// A constant in the Arrow type of the column; `None` if it does not fit there exactly.
fn literal(ty: &ColumnType, value: &Value) -> Option<ScalarValue> {
    Some(match (ty, value) {
        (_, Value::Null) => ScalarValue::try_from(&ty.arrow()).ok()?,
        (ColumnType::Bool, Value::Bool(value)) => ScalarValue::Boolean(Some(*value)),
        (ColumnType::Int2, Value::Int(value)) => ScalarValue::Int16(Some(i16::try_from(*value).ok()?)),
        (ColumnType::Int4, Value::Int(value)) => ScalarValue::Int32(Some(i32::try_from(*value).ok()?)),
        (ColumnType::Int8, Value::Int(value)) => ScalarValue::Int64(Some(*value)),
        (ColumnType::Float8, Value::Float8(bits)) => ScalarValue::Float64(Some(canonical_f64(f64::from_bits(*bits)))),
        (ColumnType::Float8, Value::Float4(bits)) => {
            ScalarValue::Float64(Some(canonical_f64(f64::from(f32::from_bits(*bits)))))
        }
        (ColumnType::Float4, Value::Float4(bits)) => ScalarValue::Float32(Some(canonical_f32(f32::from_bits(*bits)))),
        (ColumnType::Text, Value::Text(text)) => ScalarValue::Utf8View(Some(text.clone())),
        (ColumnType::Bytea, Value::Bytea(bytes)) => ScalarValue::BinaryView(Some(bytes.clone())),
        (ColumnType::Date, Value::Date(days)) => ScalarValue::Date32(Some(*days)),
        (ColumnType::Time, Value::Time(micros)) => ScalarValue::Time64Microsecond(Some(*micros)),
        (ColumnType::Timestamp, Value::Timestamp(micros)) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        (ColumnType::Timestamptz, Value::Timestamptz(micros)) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into()))
        }
        (ColumnType::Uuid, Value::Uuid(bytes)) => ScalarValue::FixedSizeBinary(16, Some(bytes.to_vec())),
        _ => return None,
    })
}

/// `column op constant` for decimals: exact, whatever digits the constant has.
fn numeric_compare(op: Op, left: Expr, precision: u8, scale: u8, text: &str) -> Option<Expr> {
    let (unscaled, exact) = match Scaled::parse(text, scale)? {
        Scaled::Above => return Some(settled(left, matches!(op, Op::NotEq | Op::Lt | Op::LtEq))),
        Scaled::Below => return Some(settled(left, matches!(op, Op::NotEq | Op::Gt | Op::GtEq))),
        Scaled::Value { floor, exact } => (floor, exact),
    };
    // Between two neighbours x and x + 1: equal to neither, above the lower, below the upper.
    let op = match (op, exact) {
        (op, true) => op,
        (Op::Eq, false) => return Some(settled(left, false)),
        (Op::NotEq, false) => return Some(settled(left, true)),
        (Op::Lt | Op::LtEq, false) => Op::LtEq,
        (Op::Gt | Op::GtEq, false) => Op::Gt,
        (Op::Like | Op::NotLike, false) => return None,
    };
    let literal = ScalarValue::Decimal128(Some(unscaled), MAX_PRECISION, scale as i8);
    // The same scale, so the wider precision of the literal changes no value. Give it the column's when it fits.
    let limit = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
    if unscaled.unsigned_abs() < limit.unsigned_abs() {
        let literal = ScalarValue::Decimal128(Some(unscaled), precision, scale as i8);
        return Some(binary(left, operator(op), lit(literal)));
    }
    let wide = cast(left, DataType::Decimal128(MAX_PRECISION, scale as i8));
    Some(binary(wide, operator(op), lit(literal)))
}

/// A numeric constant at a scale.
#[derive(Debug, PartialEq)]
enum Scaled {
    /// Beyond what 38 digits hold: NaN and Infinity too, which PostgreSQL sorts above all numbers.
    Above,
    Below,
    /// The largest multiple of 10^-scale that is not above the constant, and whether it is the constant.
    Value {
        floor: i128,
        exact: bool,
    },
}

impl Scaled {
    fn parse(text: &str, scale: u8) -> Option<Self> {
        match text {
            "NaN" | "Infinity" => return Some(Self::Above),
            "-Infinity" => return Some(Self::Below),
            _ => {}
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let kept = fraction.len().min(usize::from(scale));
        let (kept, dropped) = fraction.split_at_checked(kept)?;
        let padding = usize::from(scale) - kept.len();
        let mut unscaled: i128 = 0;
        let out = if negative { Self::Below } else { Self::Above };
        for digit in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
            if !digit.is_ascii_digit() {
                return None;
            }
            unscaled = match unscaled.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0'))) {
                Some(value) if value < 10i128.pow(u32::from(MAX_PRECISION)) => value,
                _ => return Some(out),
            };
        }
        let exact = dropped.bytes().all(|digit| digit == b'0');
        let floor = match (negative, exact) {
            (false, _) => unscaled,
            (true, true) => -unscaled,
            (true, false) => -unscaled - 1,
        };
        Some(Self::Value { floor, exact })
    }
}

/// A condition whose answer is known for every value but NULL.
fn settled(left: Expr, answer: bool) -> Expr {
    if answer {
        binary(Expr::IsNotNull(Box::new(left)), Operator::Or, unknown())
    } else {
        binary(Expr::IsNull(Box::new(left)), Operator::And, unknown())
    }
}

fn named(column: &TableColumn) -> Expr {
    // Not col(): that would split the name at dots and fold its case.
    Expr::Column(datafusion::common::Column::new_unqualified(&column.name))
}

fn unknown() -> Expr {
    lit(ScalarValue::Boolean(None))
}

fn lit_of(value: &ScalarValue) -> Expr {
    lit(value.clone())
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

fn operator(op: Op) -> Operator {
    match op {
        Op::Eq => Operator::Eq,
        Op::NotEq => Operator::NotEq,
        Op::Lt => Operator::Lt,
        Op::LtEq => Operator::LtEq,
        Op::Gt => Operator::Gt,
        Op::GtEq => Operator::GtEq,
        Op::Like => Operator::LikeMatch,
        Op::NotLike => Operator::NotLikeMatch,
    }
}

fn mismatch(column: &TableColumn, value: &Value) -> Error {
    Error::internal(format!("column \"{}\" of type {} compared with {value:?}", column.name, column.ty))
}

// ---------------------------------------------------------------------------------------------------------------------
// lagoon_float(x): x with one NaN and one zero. Opaque to DataFusion's pruning, which does not know NaN.

#[derive(Debug, PartialEq, Eq, Hash)]
struct CanonicalFloat {
    signature: Signature,
}

static CANONICAL_FLOAT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let types = [DataType::Float32, DataType::Float64].map(|ty| TypeSignature::Exact(vec![ty]));
    let signature = Signature::one_of(types.to_vec(), Volatility::Immutable);
    Arc::new(ScalarUDF::from(CanonicalFloat { signature }))
});

fn canonical(expr: Expr) -> Expr {
    CANONICAL_FLOAT.call(vec![expr])
}

fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

impl ScalarUDFImpl for CanonicalFloat {
    fn name(&self) -> &str {
        "lagoon_float"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("lagoon_float of nothing".to_owned()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let Some(argument) = args.args.first() else {
            return Err(DataFusionError::Internal("lagoon_float of nothing".to_owned()));
        };
        let array = argument.to_array(args.number_rows)?;
        let result: ArrayRef = match array.data_type() {
            DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(canonical_f32))
                as Arc<Float32Array>,
            DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(canonical_f64))
                as Arc<Float64Array>,
            other => return Err(DataFusionError::Internal(format!("lagoon_float of {other}"))),
        };
        Ok(ColumnarValue::Array(result))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numeric_constants_are_floored_at_the_scale() {
        let at = |text: &str| Scaled::parse(text, 2).unwrap();
        assert_eq!(at("1.005"), Scaled::Value { floor: 100, exact: false });
        assert_eq!(at("-1.005"), Scaled::Value { floor: -101, exact: false });
        assert_eq!(at("-1.50"), Scaled::Value { floor: -150, exact: true });
        assert_eq!(at("1.0000"), Scaled::Value { floor: 100, exact: true });
        assert_eq!(at("7"), Scaled::Value { floor: 700, exact: true });
        assert_eq!(at("NaN"), Scaled::Above);
        assert_eq!(at("-Infinity"), Scaled::Below);
        assert_eq!(at(&format!("-1{}", "0".repeat(37))), Scaled::Below);
        assert_eq!(Scaled::parse("1e5", 2), None);
        assert_eq!(Scaled::parse("", 2), None);
    }

    #[test]
    fn all_nans_are_one_and_zero_has_no_sign() {
        assert_eq!(canonical_f64(-f64::NAN).to_bits(), f64::NAN.to_bits());
        assert_eq!(canonical_f64(-0.0).to_bits(), 0.0f64.to_bits());
        assert_eq!(canonical_f32(-0.0).to_bits(), 0.0f32.to_bits());
        assert_eq!(canonical_f64(f64::NEG_INFINITY), f64::NEG_INFINITY);
    }

    #[test]
    fn parameters_are_bound_everywhere() {
        let filter = Filter::Not(Box::new(Filter::Or(vec![
            Filter::Compare { op: Op::Eq, column: 0, operand: Operand::Param(1) },
            Filter::In { column: 1, list: Operand::Param(0) },
        ])));
        let bound = filter.bind(&[Value::List(vec![Value::Int(1)]), Value::Int(2)]).unwrap();
        let text = serde_json::to_string(&bound).unwrap();
        assert!(!text.contains("Param"), "{text}");
        assert!(filter.bind(&[]).is_err());
        let again: Filter = serde_json::from_str(&text).unwrap();
        assert_eq!(again, bound);
    }
}
