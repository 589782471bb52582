//! Expressions as DataFusion has them, typed to the last digit.
//!
//! Comparisons are DataFusion's own, so that its optimizer sees keys and ranges. It compares bits where PostgreSQL compares
//! values: both sides get one type, floats one NaN and one zero ([`own::canonical`]), and a constant is compared at the scale
//! of the column, where it is a number of that scale or lies between two. All other calls are [`functions`].

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Case, Expr as Logical, Operator, lit};

use super::spot::{Spot, place};
use super::{guard, own, unsupported};
use crate::error::{Error, Result};
use crate::expr::functions::{self, Scale, Typed, Width};
use crate::expr::{Comparison, Expr, Function, Truth, Type, Value};
use crate::types::{ColumnType, Compared, Kind};

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub column: Column,
    pub ty: ColumnType,
    /// How many digits behind the point PostgreSQL shows of a numeric.
    pub scale: Scale,
}

impl From<&Field> for Typed {
    fn from(field: &Field) -> Self {
        Self { expr: Logical::Column(field.column.clone()), ty: field.ty.clone(), scale: field.scale.clone() }
    }
}

/// A boolean.
pub(super) fn boolean(expr: Logical) -> Typed {
    Typed::new(expr, ColumnType::Bool)
}

/// What is compared, grouped and sorted of a value: those that are equal have equal bits.
pub(super) fn key(typed: Typed) -> Result<Logical> {
    match typed.ty {
        ColumnType::Array(_) => Err(unsupported("a comparison of arrays")),
        ColumnType::Float4 | ColumnType::Float8 => Ok(own::canonical(typed.expr)),
        _ => Ok(typed.expr),
    }
}

/// The same as a value. Of equal numerics nobody knows which one's digits it has.
pub(super) fn keyed(typed: Typed) -> Result<Typed> {
    let scale = if typed.scale == Scale::Fixed { Scale::Fixed } else { Scale::Unknown };
    Ok(Typed { ty: typed.ty.clone(), scale, expr: key(typed)? })
}

/// How many digits behind the point of a numeric are shown; `None` if nobody knows.
pub(super) fn printed(typed: &Typed) -> Option<Logical> {
    match (&typed.scale, &typed.ty) {
        (Scale::Each(scale), _) => Some((**scale).clone()),
        (Scale::Fixed, ColumnType::Numeric(numeric)) => Some(lit(i32::from(numeric.scale))),
        _ => None,
    }
}

/// An expression over these columns.
pub(super) fn scalar(width: Width, expr: &Expr, columns: &[Field]) -> Result<Typed> {
    Scalars { width, columns }.of(expr)
}

/// A condition over these columns.
pub(super) fn condition(width: Width, expr: &Expr, columns: &[Field]) -> Result<Logical> {
    let typed = scalar(width, expr, columns)?;
    if typed.ty == ColumnType::Bool { Ok(typed.expr) } else { Err(Error::internal("a condition that is no boolean")) }
}

/// Values of one column, in the type that holds them. NULL has any.
pub(super) fn unified(values: Vec<Typed>) -> Result<Vec<Typed>> {
    let is_null = |value: &Typed| matches!(&value.expr, Logical::Literal(value, _) if value.is_null());
    let places: Vec<_> = values.iter().map(is_null).collect();
    let known: Vec<_> = values.iter().filter(|value| !is_null(value)).cloned().collect();
    if known.is_empty() {
        return functions::common(values);
    }
    let known = functions::common(known)?;
    let ty = known.first().map(|value| value.ty.clone()).ok_or_else(|| Error::internal("a type of nothing"))?;
    let mut known = known.into_iter();
    let unified = places.into_iter().map(|is_null| match is_null {
        true => Ok(Typed::new(null(&ty)?, ty.clone())),
        false => known.next().ok_or_else(|| Error::internal("a value of nothing")),
    });
    unified.collect()
}

pub(super) fn null(ty: &ColumnType) -> Result<Logical> {
    Ok(lit(ScalarValue::try_from(&ty.arrow()).map_err(Error::internal)?))
}

struct Scalars<'a> {
    width: Width,
    columns: &'a [Field],
}

impl Scalars<'_> {
    fn of(&self, expr: &Expr) -> Result<Typed> {
        Ok(match expr {
            Expr::Column(i, _) => self.columns.get(*i).ok_or_else(|| Error::internal(format!("no column {i}")))?.into(),
            Expr::Constant(value, ty) => functions::constant(value, *ty)?,
            Expr::Parameter(i, Type::One(kind)) => {
                if has_values_beyond(*kind) {
                    return Err(unsupported(format!(
                        "a {} that is known only at execution, but in a comparison",
                        format!("{kind:?}").to_lowercase()
                    )));
                }
                let ty = functions::constant(&Value::Null, Type::One(*kind))?.ty;
                Typed::new(own::unknown(*i, ty.arrow(), Vec::new()), ty)
            }
            Expr::And(parts) => boolean(self.joined(parts, Operator::And)?),
            Expr::Or(parts) => boolean(self.joined(parts, Operator::Or)?),
            Expr::Not(inner) => boolean(Logical::Not(Box::new(self.of(inner)?.expr))),
            Expr::IsNull(inner) => boolean(Logical::IsNull(Box::new(self.of(inner)?.expr))),
            Expr::Is(inner, truth) => {
                let inner = Box::new(self.of(inner)?.expr);
                boolean(match truth {
                    Truth::True => Logical::IsTrue(inner),
                    Truth::False => Logical::IsFalse(inner),
                    Truth::Unknown => Logical::IsUnknown(inner),
                })
            }
            Expr::In(item, list) => boolean(self.within(item, list)?),
            Expr::Call(Function::Compare(comparison), arguments) => match &arguments[..] {
                [left, right] => boolean(self.compare(*comparison, left, right)?),
                _ => return Err(Error::internal("a comparison of two")),
            },
            Expr::Call(function, arguments) => {
                let arguments = arguments.iter().map(|argument| self.of(argument)).collect::<Result<_>>()?;
                functions::call(self.width, *function, arguments)?
            }
            Expr::Case(branches, last, _) => self.case(branches, last.as_deref())?,
            Expr::Coalesce(values, _) => self.coalesce(values)?,
            Expr::Cast(inner, ty, numeric) => functions::cast(self.of(inner)?, *ty, *numeric)?,
            Expr::Single(value, rows) => {
                let (value, rows) = (self.of(value)?, self.of(rows)?);
                Typed { expr: own::single(value.expr, rows.expr), ..value }
            }
            Expr::Parameter(..) => return Err(unsupported("an array that is known only at execution")),
            Expr::Outer(..) => return Err(unsupported("a column of the query around this one")),
            Expr::Scalar(..) | Expr::Exists(_) | Expr::InQuery(..) => return Err(unsupported("a subquery here")),
        })
    }

    fn condition(&self, expr: &Expr) -> Result<Logical> {
        condition(self.width, expr, self.columns)
    }

    /// Many as a tree that is no deeper than it has to be.
    fn joined(&self, parts: &[Expr], operator: Operator) -> Result<Logical> {
        if let Some(at) = parts.iter().skip(1).position(guard::may_fail) {
            let (first, rest) = parts.split_at(at + 1);
            return Ok(guard::decided(self.joined(first, operator)?, operator, self.joined(rest, operator)?));
        }
        let parts = parts.iter().map(|part| self.condition(part)).collect::<Result<Vec<_>>>()?;
        Ok(balanced(parts, operator).unwrap_or_else(|| lit(operator == Operator::And)))
    }

    fn compare(&self, comparison: Comparison, left: &Expr, right: &Expr) -> Result<Logical> {
        let is_known = |expr: &Expr| matches!(expr, Expr::Constant(..) | Expr::Parameter(..));
        match (left, right) {
            _ if is_known(left) && is_known(right) => {}
            _ if is_known(left) => return self.compare(comparison.commuted(), right, left),
            (_, Expr::Parameter(i, Type::One(kind))) if has_values_beyond(*kind) && *kind != Kind::Interval => {
                let left = self.of(left)?.expr;
                return Ok(own::unknown(*i, ColumnType::Bool.arrow(), vec![left]));
            }
            (_, Expr::Constant(Value::Null, _)) => return null(&ColumnType::Bool),
            (_, Expr::Constant(value, Type::One(kind))) => {
                let left = self.of(left)?;
                if let Some(place) = place(&left.ty, value, *kind) {
                    return compare_place(comparison, left, place);
                }
                return compare(comparison, left, self.of(right)?);
            }
            _ => {}
        }
        compare(comparison, self.of(left)?, self.of(right)?)
    }

    /// `item = ANY (list)`: of what the item's type does not have, it equals none.
    fn within(&self, item: &Expr, list: &Expr) -> Result<Logical> {
        let item = self.of(item)?;
        let (values, kind) = match list {
            Expr::Constant(Value::Null, _) => return null(&ColumnType::Bool),
            Expr::Constant(Value::List(values), Type::Array { array }) => (values, *array),
            Expr::Parameter(i, _) => return Ok(own::unknown(*i, ColumnType::Bool.arrow(), vec![item.expr])),
            _ => return Err(unsupported("an array that is no constant")),
        };
        if values.is_empty() {
            return Ok(lit(false));
        }
        let float = item.ty.compared() == Some(Compared::Float);
        let wide = ColumnType::Float8;
        let item = if float && item.ty != wide { functions::cast(item, Kind::Float8.into(), None)? } else { item };
        let mut elements = Vec::with_capacity(values.len());
        for value in values {
            let element = match (value, place(&item.ty, value, kind)) {
                (Value::Null, _) => Some(null(&item.ty)?),
                (_, Some(Spot::At { floor, exact: true })) => Some(lit(floor)),
                (_, Some(_)) => None,
                (Value::Float(_), None) => Some(own::canonical(functions::constant(value, Kind::Float8.into())?.expr)),
                (_, None) => {
                    let element = functions::constant(value, kind.into())?;
                    if element.ty != item.ty {
                        return Err(unsupported(format!("{} in a list of {}", item.ty, element.ty)));
                    }
                    Some(element.expr)
                }
            };
            elements.extend(element);
        }
        if elements.is_empty() {
            // False, and NULL for NULL.
            return Ok(binary(Logical::IsNull(Box::new(item.expr)), Operator::And, null(&ColumnType::Bool)?));
        }
        Ok(Logical::InList(InList::new(Box::new(key(item)?), elements, false)))
    }

    fn case(&self, branches: &[(Expr, Expr)], last: Option<&Expr>) -> Result<Typed> {
        let mut values = branches.iter().map(|(_, value)| self.of(value)).collect::<Result<Vec<_>>>()?;
        values.extend(last.map(|last| self.of(last)).transpose()?);
        let values = unified(values)?;
        let ty = values.first().map(|value| value.ty.clone()).ok_or_else(|| Error::internal("a CASE of nothing"))?;
        let conditions = branches.iter().map(|(condition, _)| self.condition(condition));
        let conditions = conditions.collect::<Result<Vec<_>>>()?;
        let is_risky = |(condition, value): &(Expr, Expr)| guard::may_fail(condition) || guard::may_fail(value);
        if ty == ColumnType::Bool && (branches.iter().any(is_risky) || last.is_some_and(guard::may_fail)) {
            let mut values = values.into_iter().map(|value| value.expr);
            let branches = conditions.into_iter().zip(values.by_ref()).collect();
            return Ok(boolean(guard::chosen(branches, values.next())));
        }
        let chosen = |values: Vec<Logical>| {
            let mut values = values.into_iter().map(Box::new);
            let when = conditions.iter().cloned().map(Box::new).zip(values.by_ref()).collect();
            Logical::Case(Case::new(None, when, values.next()))
        };
        let scale = if values.iter().all(|value| value.scale == Scale::Fixed) {
            Scale::Fixed
        } else {
            let scales = values.iter().map(printed).collect::<Option<Vec<_>>>();
            scales.map_or(Scale::Unknown, |scales| Scale::Each(Box::new(chosen(scales))))
        };
        Ok(Typed { expr: chosen(values.into_iter().map(|value| value.expr).collect()), ty, scale })
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

/// Whether PostgreSQL has values of a kind that no column of the engine has: infinite ones, NaN, those of more digits. They are
/// compared, and that is all.
fn has_values_beyond(kind: Kind) -> bool {
    matches!(kind, Kind::Numeric | Kind::Date | Kind::Timestamp | Kind::Timestamptz | Kind::Interval)
}

/// Two values as DataFusion compares them.
pub(super) fn compare(comparison: Comparison, left: Typed, right: Typed) -> Result<Logical> {
    let (left, right) = paired(left, right)?;
    Ok(binary(left, operator(comparison), right))
}

/// Two sides of a comparison, as keys of one type.
pub(super) fn paired(left: Typed, right: Typed) -> Result<(Logical, Logical)> {
    let mut both = functions::common(vec![functions::span(left), functions::span(right)])?.into_iter();
    match (both.next(), both.next()) {
        (Some(left), Some(right)) => Ok((key(left)?, key(right)?)),
        _ => Err(Error::internal("two sides of a comparison")),
    }
}

/// Among whole numbers, a constant is one, or lies between two, or beyond all.
fn compare_place(comparison: Comparison, left: Typed, place: Spot) -> Result<Logical> {
    use Comparison::*;
    let known = |truth: bool, left: Logical| -> Result<Logical> {
        let (test, operator) = if truth {
            (Logical::IsNotNull(Box::new(left)), Operator::Or)
        } else {
            (Logical::IsNull(Box::new(left)), Operator::And)
        };
        Ok(binary(test, operator, null(&ColumnType::Bool)?))
    };
    let (floor, exact) = match place {
        Spot::Above => return known(matches!(comparison, Lt | LtEq | NotEq), left.expr),
        Spot::Below => return known(matches!(comparison, Gt | GtEq | NotEq), left.expr),
        Spot::At { floor, exact } => (floor, exact),
    };
    let comparison = match comparison {
        Eq | NotEq if !exact => return known(comparison == NotEq, left.expr),
        Lt if !exact => LtEq,
        GtEq if !exact => Gt,
        other => other,
    };
    Ok(binary(left.expr, operator(comparison), lit(floor)))
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
