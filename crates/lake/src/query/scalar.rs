//! Expressions as DataFusion has them, typed to the last digit.
//!
//! Comparisons are DataFusion's own, so that its optimizer sees keys and ranges. It compares bits where PostgreSQL compares
//! values: both sides get one type, floats one NaN and one zero ([`own::canonical`]), and a constant is compared at the scale
//! of the column, where it is a number of that scale or lies between two.

use arrow::datatypes::{DataType, i256};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr as Logical, Like, Operator, lit};

use super::{constant, own, unsupported};
use crate::error::{Error, Result};
use crate::expr::{Comparison, Expr, Function, Truth, Type, Value};
use crate::types::{self, ColumnType, Compared, Kind, Numeric, Place};

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub column: Column,
    pub ty: ColumnType,
    /// Whether PostgreSQL shows all values of it with the digits behind the point that its type has.
    pub fixed: bool,
}

/// An expression of DataFusion's with its type.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub expr: Logical,
    pub ty: ColumnType,
    /// As of a [`Field`].
    pub fixed: bool,
}

impl Typed {
    fn bool(expr: Logical) -> Self {
        Self { expr, ty: ColumnType::Bool, fixed: true }
    }

    /// As what is compared, grouped and sorted: equal values have equal bits.
    pub(super) fn key(self) -> Logical {
        if self.ty.compared() == Some(Compared::Float) { own::canonical(self.expr) } else { self.expr }
    }

    /// The same value as another type of the same kind.
    pub(super) fn widened(self, ty: &ColumnType) -> Self {
        if self.ty == *ty {
            return self;
        }
        let expr = Logical::Cast(Cast::new(Box::new(self.expr), ty.arrow()));
        Self { expr, ty: ty.clone(), fixed: self.fixed && scale(&self.ty) == scale(ty) }
    }
}

impl From<&Field> for Typed {
    fn from(field: &Field) -> Self {
        Self { expr: Logical::Column(field.column.clone()), ty: field.ty.clone(), fixed: field.fixed }
    }
}

/// An expression over these columns.
pub(super) fn scalar(expr: &Expr, columns: &[Field]) -> Result<Typed> {
    Scalars { columns }.of(expr)
}

/// A condition over these columns.
pub(super) fn condition(expr: &Expr, columns: &[Field]) -> Result<Logical> {
    let typed = scalar(expr, columns)?;
    if typed.ty == ColumnType::Bool { Ok(typed.expr) } else { Err(Error::internal("a condition that is no boolean")) }
}

/// The type that holds all values of these, which are of one kind.
pub(super) fn common(types: impl IntoIterator<Item = ColumnType>) -> Result<ColumnType> {
    let mut types = types.into_iter();
    let first = types.next().ok_or_else(|| Error::internal("a type of nothing"))?;
    types.try_fold(first, |so_far, ty| match (&so_far, &ty) {
        (ColumnType::Numeric(a), ColumnType::Numeric(b)) => {
            let scale = a.scale.max(b.scale);
            let precision = (a.precision - a.scale).max(b.precision - b.scale) + scale;
            fits(precision, scale)
        }
        (a, b) if a == b => Ok(so_far),
        (a, b) => Err(Error::internal(format!("{a} and {b} have no common type"))),
    })
}

/// A numeric of so many digits, if there is one.
pub(super) fn fits(precision: u8, scale: u8) -> Result<ColumnType> {
    if precision <= constant::MOST_DIGITS {
        Ok(ColumnType::Numeric(Numeric { precision, scale }))
    } else {
        Err(unsupported(format!("numerics of more than {} digits", constant::MOST_DIGITS)))
    }
}

/// All as the type that holds them.
pub(super) fn unified(values: Vec<Typed>) -> Result<Vec<Typed>> {
    let is_null = |value: &Typed| matches!(&value.expr, Logical::Literal(value, _) if value.is_null());
    let known: Vec<_> = values.iter().filter(|value| !is_null(value)).map(|value| value.ty.clone()).collect();
    let ty = common(if known.is_empty() { values.iter().map(|value| value.ty.clone()).collect() } else { known })?;
    let widened = values.into_iter().map(|value| {
        if is_null(&value) {
            return Ok(Typed { expr: null_of(&ty)?, ty: ty.clone(), fixed: true });
        }
        Ok(value.widened(&ty))
    });
    widened.collect()
}

fn null_of(ty: &ColumnType) -> Result<Logical> {
    Ok(lit(constant::null(&ty.arrow())?))
}

fn scale(ty: &ColumnType) -> Option<u8> {
    match ty {
        ColumnType::Numeric(numeric) => Some(numeric.scale),
        _ => None,
    }
}

struct Scalars<'a> {
    columns: &'a [Field],
}

impl Scalars<'_> {
    fn of(&self, expr: &Expr) -> Result<Typed> {
        Ok(match expr {
            Expr::Column(i, _) => self.columns.get(*i).ok_or_else(|| Error::internal(format!("no column {i}")))?.into(),
            Expr::Constant(value, ty) => {
                let ty = constant::type_of(value, *ty)?;
                Typed { expr: lit(constant::exactly(value, &ty)?), ty, fixed: true }
            }
            Expr::Parameter(i, Type::One(kind)) => {
                if *kind == Kind::Numeric {
                    return Err(unsupported("a numeric that is known only at execution, but in a comparison"));
                }
                let ty = constant::of_kind(*kind)?;
                Typed { expr: own::unknown(*i, ty.arrow(), Vec::new()), ty, fixed: true }
            }
            Expr::And(parts) => Typed::bool(self.joined(parts, Operator::And)?),
            Expr::Or(parts) => Typed::bool(self.joined(parts, Operator::Or)?),
            Expr::Not(inner) => Typed::bool(Logical::Not(Box::new(self.of(inner)?.expr))),
            Expr::IsNull(inner) => Typed::bool(Logical::IsNull(Box::new(self.of(inner)?.expr))),
            Expr::Is(inner, truth) => {
                let inner = Box::new(self.of(inner)?.expr);
                Typed::bool(match truth {
                    Truth::True => Logical::IsTrue(inner),
                    Truth::False => Logical::IsFalse(inner),
                    Truth::Unknown => Logical::IsUnknown(inner),
                })
            }
            Expr::In(item, list) => Typed::bool(self.within(item, list)?),
            Expr::Call(Function::Compare(comparison), arguments) => match &arguments[..] {
                [left, right] => Typed::bool(self.compare(*comparison, left, right)?),
                _ => return Err(Error::internal("a comparison of two")),
            },
            Expr::Call(function @ (Function::Like | Function::NotLike), arguments) => match &arguments[..] {
                [text, pattern] => {
                    let (text, pattern) = (self.of(text)?.expr, self.of(pattern)?.expr);
                    let negated = *function == Function::NotLike;
                    Typed::bool(Logical::Like(Like::new(negated, Box::new(text), Box::new(pattern), None, false)))
                }
                _ => return Err(Error::internal("a pattern of two")),
            },
            Expr::Case(branches, last, _) => self.case(branches, last.as_deref())?,
            Expr::Coalesce(values, _) => self.coalesce(values)?,
            Expr::Single(value, rows) => {
                let (value, rows) = (self.of(value)?, self.of(rows)?);
                Typed { expr: own::single(value.expr, rows.expr), ..value }
            }
            Expr::Cast(inner, Type::One(kind), None) => {
                let inner = self.of(inner)?;
                if inner.ty.kind() != Some(*kind) {
                    return Err(unsupported("a cast"));
                }
                inner
            }
            Expr::Cast(..) => return Err(unsupported("a cast")),
            Expr::Parameter(..) => return Err(unsupported("an array that is known only at execution")),
            Expr::Outer(..) => return Err(unsupported("a column of the query around this one")),
            Expr::Scalar(..) | Expr::Exists(_) | Expr::InQuery(..) => return Err(unsupported("a subquery here")),
        })
    }

    /// Many as a tree that is no deeper than it has to be.
    fn joined(&self, parts: &[Expr], operator: Operator) -> Result<Logical> {
        let parts = parts.iter().map(|part| condition(part, self.columns)).collect::<Result<Vec<_>>>()?;
        Ok(balanced(parts, operator).unwrap_or_else(|| lit(operator == Operator::And)))
    }

    fn compare(&self, comparison: Comparison, left: &Expr, right: &Expr) -> Result<Logical> {
        match (left, right) {
            (Expr::Constant(..) | Expr::Parameter(..), Expr::Constant(..) | Expr::Parameter(..)) => {}
            (Expr::Constant(..) | Expr::Parameter(..), _) => return self.compare(comparison.commuted(), right, left),
            (_, Expr::Constant(value, _)) => return self.compare_constant(comparison, self.of(left)?, value),
            (_, Expr::Parameter(i, Type::One(Kind::Numeric))) => {
                let left = self.of(left)?.expr;
                return Ok(own::unknown(*i, ColumnType::Bool.arrow(), vec![left]));
            }
            _ => {}
        }
        let (left, right) = paired(self.of(left)?, self.of(right)?)?;
        Ok(binary(left.key(), operator(comparison), right.key()))
    }

    fn compare_constant(&self, comparison: Comparison, left: Typed, value: &Value) -> Result<Logical> {
        let ty = left.ty.clone();
        if *value == Value::Null {
            return null_of(&ColumnType::Bool);
        }
        match ty.compared() {
            Some(Compared::Whole | Compared::Wide(_)) => {
                let place = ty.place(value).ok_or_else(|| Error::internal(format!("{value:?} beside {ty}")))?;
                self.compare_place(comparison, left, place)
            }
            // A real is compared as a double precision, which the constant may be.
            Some(Compared::Float) => {
                let wide = left.widened(&ColumnType::Float8);
                let value = lit(constant::exactly(value, &ColumnType::Float8)?);
                Ok(binary(wide.key(), operator(comparison), own::canonical(value)))
            }
            Some(Compared::Bool | Compared::Bytes) => {
                Ok(binary(left.expr, operator(comparison), lit(constant::exactly(value, &ty)?)))
            }
            None => Err(unsupported("a comparison of arrays")),
        }
    }

    /// Among whole numbers, a constant is one, or lies between two, or beyond all.
    fn compare_place(&self, comparison: Comparison, left: Typed, place: Place) -> Result<Logical> {
        use Comparison::*;
        let known = |truth: bool, left: Logical| -> Result<Logical> {
            let (test, operator) = if truth {
                (Logical::IsNotNull(Box::new(left)), Operator::Or)
            } else {
                (Logical::IsNull(Box::new(left)), Operator::And)
            };
            Ok(binary(test, operator, null_of(&ColumnType::Bool)?))
        };
        let (floor, exact) = match place {
            Place::Above => return known(matches!(comparison, Lt | LtEq | NotEq), left.expr),
            Place::Below => return known(matches!(comparison, Gt | GtEq | NotEq), left.expr),
            Place::At { floor, exact } => (floor, exact),
        };
        let comparison = match comparison {
            Eq | NotEq if !exact => return known(comparison == NotEq, left.expr),
            Lt if !exact => LtEq,
            GtEq if !exact => Gt,
            other => other,
        };
        match number(&left.ty, floor) {
            Some(value) => Ok(binary(left.expr, operator(comparison), lit(value))),
            None if floor > 0 => known(matches!(comparison, Lt | LtEq | NotEq), left.expr),
            None => known(matches!(comparison, Gt | GtEq | NotEq), left.expr),
        }
    }

    /// `item = ANY (list)`: of what the item's type does not have, it equals none.
    fn within(&self, item: &Expr, list: &Expr) -> Result<Logical> {
        let item = self.of(item)?;
        let values = match list {
            Expr::Constant(Value::Null, _) => return null_of(&ColumnType::Bool),
            Expr::Constant(Value::List(values), _) => values,
            Expr::Parameter(i, _) => return Ok(own::unknown(*i, ColumnType::Bool.arrow(), vec![item.expr])),
            _ => return Err(unsupported("an array that is no constant")),
        };
        if values.is_empty() {
            return Ok(lit(false));
        }
        let item = if item.ty.compared() == Some(Compared::Float) { item.widened(&ColumnType::Float8) } else { item };
        let is_float = item.ty == ColumnType::Float8;
        let mut elements = Vec::with_capacity(values.len());
        for value in values {
            let element = constant::literal(value, &item.ty)?.map(lit);
            elements.extend(element.map(|element| if is_float { own::canonical(element) } else { element }));
        }
        if elements.is_empty() {
            // False, and NULL for NULL.
            return Ok(binary(Logical::IsNull(Box::new(item.expr)), Operator::And, null_of(&ColumnType::Bool)?));
        }
        Ok(Logical::InList(InList::new(Box::new(item.key()), elements, false)))
    }

    fn case(&self, branches: &[(Expr, Expr)], last: Option<&Expr>) -> Result<Typed> {
        let mut values = branches.iter().map(|(_, value)| self.of(value)).collect::<Result<Vec<_>>>()?;
        values.extend(last.map(|last| self.of(last)).transpose()?);
        let values = unified(values)?;
        let ty = values.first().map(|value| value.ty.clone()).ok_or_else(|| Error::internal("a CASE of nothing"))?;
        let fixed = values.iter().all(|value| value.fixed);
        let mut values = values.into_iter().map(|value| Box::new(value.expr));
        let conditions = branches.iter().map(|(condition, _)| self::condition(condition, self.columns).map(Box::new));
        let when = conditions.collect::<Result<Vec<_>>>()?.into_iter().zip(values.by_ref()).collect();
        Ok(Typed { expr: Logical::Case(Case::new(None, when, values.next())), ty, fixed })
    }

    /// As the CASE that it is.
    fn coalesce(&self, values: &[Expr]) -> Result<Typed> {
        let Some((last, others)) = values.split_last() else { return Err(Error::internal("COALESCE of nothing")) };
        if others.is_empty() {
            return self.of(last);
        }
        let present = |value: &Expr| (Expr::IsNull(Box::new(value.clone())).negated(), value.clone());
        self.case(&others.iter().map(present).collect::<Vec<_>>(), Some(last))
    }
}

/// Two sides of a comparison, as one type.
pub(super) fn paired(left: Typed, right: Typed) -> Result<(Typed, Typed)> {
    use ColumnType::{Float4, Float8, Int2, Int4, Int8, Numeric};
    let ty = match (&left.ty, &right.ty) {
        (a, b) if a == b => a.clone(),
        (Numeric(_), Numeric(_)) => common([left.ty.clone(), right.ty.clone()])?,
        (Int2 | Int4 | Int8, Int2 | Int4 | Int8) => {
            if left.ty == Int8 || right.ty == Int8 {
                Int8
            } else {
                Int4
            }
        }
        (Float4 | Float8, Float4 | Float8) => Float8,
        (a, b) => return Err(Error::internal(format!("{a} and {b} cannot be compared"))),
    };
    if matches!(ty, ColumnType::Array(_)) {
        return Err(unsupported("a comparison of arrays"));
    }
    Ok((left.widened(&ty), right.widened(&ty)))
}

/// Expressions joined by an operator that is associative, as a tree of no more levels than they need.
pub(super) fn balanced(mut parts: Vec<Logical>, operator: Operator) -> Option<Logical> {
    while parts.len() > 1 {
        let mut joined = Vec::with_capacity(parts.len().div_ceil(2));
        let mut left = parts.into_iter();
        while let Some(one) = left.next() {
            joined.push(match left.next() {
                Some(other) => binary(one, operator, other),
                None => one,
            });
        }
        parts = joined;
    }
    parts.pop()
}

pub(super) fn binary(left: Logical, operator: Operator, right: Logical) -> Logical {
    Logical::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

fn operator(comparison: Comparison) -> Operator {
    match comparison {
        Comparison::Eq => Operator::Eq,
        Comparison::NotEq => Operator::NotEq,
        Comparison::Lt => Operator::Lt,
        Comparison::LtEq => Operator::LtEq,
        Comparison::Gt => Operator::Gt,
        Comparison::GtEq => Operator::GtEq,
    }
}

/// A whole number as a value of a type, if it has it.
fn number(ty: &ColumnType, number: i128) -> Option<ScalarValue> {
    match ty.arrow() {
        DataType::Decimal256(precision, scale) => {
            Some(ScalarValue::Decimal256(Some(i256::from_i128(number)), precision, scale))
        }
        DataType::Decimal128(precision, _) if number.unsigned_abs() >= 10u128.pow(u32::from(precision)) => None,
        arrow => types::number(&arrow, number),
    }
}
