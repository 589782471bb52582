//! Conditions on one table, from DataFusion's form back to ours, which scans test and prune by.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr as Logical, Operator};

use super::own;
use crate::expr::{Comparison, Expr, Function, Truth, Type, Value, rules};
use crate::types::{ColumnType, Compared, Kind};

/// What a name leads to: a column of the table and its type.
pub(super) type Find<'a> = dyn Fn(&str) -> Option<(usize, &'a ColumnType)> + 'a;

/// A condition that a scan can test exactly; `None` of any other.
pub(super) fn restore(expr: &Logical, find: &Find<'_>) -> Option<Expr> {
    match expr {
        Logical::Literal(ScalarValue::Boolean(value), _) => {
            Some(Expr::Constant(value.map_or(Value::Null, Value::Bool), Kind::Bool.into()))
        }
        Logical::Column(_) => {
            let (column, ty) = column(expr, find)?;
            (*ty == ColumnType::Bool).then_some(column)
        }
        Logical::Not(inner) => Some(restore(inner, find)?.negated()),
        Logical::IsNull(inner) => Some(Expr::IsNull(Box::new(column(inner, find)?.0))),
        Logical::IsNotNull(inner) => Some(Expr::IsNull(Box::new(column(inner, find)?.0)).negated()),
        Logical::IsTrue(inner) => is(inner, Truth::True, find),
        Logical::IsFalse(inner) => is(inner, Truth::False, find),
        Logical::IsUnknown(inner) => is(inner, Truth::Unknown, find),
        Logical::IsNotTrue(inner) => Some(is(inner, Truth::True, find)?.negated()),
        Logical::IsNotFalse(inner) => Some(is(inner, Truth::False, find)?.negated()),
        Logical::IsNotUnknown(inner) => Some(is(inner, Truth::Unknown, find)?.negated()),
        Logical::BinaryExpr(binary) => match binary.op {
            Operator::And => Some(joined(expr, Operator::And, Expr::And, find)?),
            Operator::Or => Some(joined(expr, Operator::Or, Expr::Or, find)?),
            operator => compare(comparison(operator)?, &binary.left, &binary.right, find),
        },
        Logical::Between(between) => {
            let low = compare(Comparison::GtEq, &between.expr, &between.low, find)?;
            let both = Expr::And(vec![low, compare(Comparison::LtEq, &between.expr, &between.high, find)?]);
            Some(if between.negated { both.negated() } else { both })
        }
        Logical::InList(list) => {
            let (column, ty) = column(&list.expr, find)?;
            let element = |element: &Logical| match element {
                Logical::Literal(value, _) => constant(value, ty),
                _ => None,
            };
            let values = list.list.iter().map(element).collect::<Option<Vec<_>>>()?;
            let elements = Expr::Constant(Value::List(values), Type::Array { array: wide(ty.kind()?) });
            let within = Expr::In(Box::new(column), Box::new(elements));
            Some(if list.negated { within.negated() } else { within })
        }
        Logical::Like(like) if !like.case_insensitive && like.escape_char.is_none() => {
            let (column, ty) = column(&like.expr, find)?;
            let Logical::Literal(pattern, _) = like.pattern.as_ref() else { return None };
            let pattern = constant(pattern, ty)?;
            if *ty != ColumnType::Text || matches!(&pattern, Value::Text(text) if text.contains('\\')) {
                return None;
            }
            let function = if like.negated { Function::NotLike } else { Function::Like };
            Some(Expr::binary(function, column, Expr::Constant(pattern, Kind::Text.into())))
        }
        _ => None,
    }
}

fn is(inner: &Logical, truth: Truth, find: &Find<'_>) -> Option<Expr> {
    Some(Expr::Is(Box::new(restore(inner, find)?), truth))
}

/// A tree of one operator as the list of its branches.
fn joined(expr: &Logical, operator: Operator, make: fn(Vec<Expr>) -> Expr, find: &Find<'_>) -> Option<Expr> {
    let mut open = vec![expr];
    let mut parts = Vec::new();
    while let Some(next) = open.pop() {
        match next {
            Logical::BinaryExpr(binary) if binary.op == operator => {
                open.push(&binary.right);
                open.push(&binary.left);
            }
            other => parts.push(restore(other, find)?),
        }
    }
    Some(make(parts))
}

fn compare(comparison: Comparison, left: &Logical, right: &Logical, find: &Find<'_>) -> Option<Expr> {
    let (comparison, left, right) = match (left, right) {
        (Logical::Literal(..), Logical::Literal(..)) => return None,
        (Logical::Literal(..), _) => (comparison.commuted(), right, left),
        _ => (comparison, left, right),
    };
    let (column, ty) = column(left, find)?;
    let kind = ty.kind()?;
    let (other, other_kind) = match right {
        Logical::Literal(value, _) => {
            let value = constant(value, ty)?;
            (Expr::Constant(value, wide(kind).into()), wide(kind))
        }
        _ => {
            let (other, other_ty) = self::column(right, find)?;
            if matches!((ty, other_ty), (ColumnType::Array(_), _) | (_, ColumnType::Array(_))) {
                return None;
            }
            (other, other_ty.kind()?)
        }
    };
    rules::find(comparison.into(), &[kind, other_kind])?;
    Some(Expr::binary(comparison, column, other))
}

/// A column, whatever was done to it to compare it: our own test of rows needs none of it.
fn column<'a>(expr: &Logical, find: &Find<'a>) -> Option<(Expr, &'a ColumnType)> {
    match expr {
        Logical::Column(column) => {
            let (at, ty) = find(&column.name)?;
            Some((Expr::Column(at, ty.kind()?.into()), ty))
        }
        Logical::ScalarFunction(call) if own::is_canonical(&call.func) => match &call.args[..] {
            [inner] => column(inner, find).filter(|(_, ty)| ty.compared() == Some(Compared::Float)),
            _ => None,
        },
        // Only to a wider type: what a comparison of two types does.
        Logical::Cast(cast) => {
            let (inner, ty) = column(&cast.expr, find)?;
            let to = cast.field.data_type();
            let widens = match ty {
                ColumnType::Int2 => *to == ColumnType::Int4.arrow() || *to == ColumnType::Int8.arrow(),
                ColumnType::Int4 => *to == ColumnType::Int8.arrow(),
                ColumnType::Float4 => *to == ColumnType::Float8.arrow(),
                _ => false,
            };
            widens.then_some((inner, ty))
        }
        _ => None,
    }
}

pub(super) fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::NotEq,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::LtEq,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::GtEq,
        _ => return None,
    })
}

/// The kind of constants beside a column: the widest that compares with it.
pub(super) fn wide(kind: Kind) -> Kind {
    match kind {
        Kind::Int2 | Kind::Int4 => Kind::Int8,
        Kind::Float4 => Kind::Float8,
        other => other,
    }
}

/// A literal beside a column of this type.
pub(super) fn constant(value: &ScalarValue, ty: &ColumnType) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    Some(match (ty.compared()?, value) {
        (Compared::Bool, ScalarValue::Boolean(Some(value))) => Value::Bool(*value),
        (Compared::Whole, value) => Value::Int(whole(value)?),
        (Compared::Wide(_), ScalarValue::Decimal128(Some(value), _, scale)) => {
            Value::Numeric(digits(*value, u32::try_from(*scale).ok()?)?)
        }
        (Compared::Float, ScalarValue::Float64(Some(value))) => Value::float(*value),
        (Compared::Float, ScalarValue::Float32(Some(value))) => Value::float(f64::from(*value)),
        (Compared::Bytes, ScalarValue::Utf8View(Some(text)) | ScalarValue::Utf8(Some(text))) => {
            Value::Text(text.clone())
        }
        (Compared::Bytes, ScalarValue::BinaryView(Some(bytes)) | ScalarValue::FixedSizeBinary(_, Some(bytes))) => {
            Value::Bytes(bytes.clone())
        }
        _ => return None,
    })
}

fn whole(value: &ScalarValue) -> Option<i64> {
    Some(match value {
        ScalarValue::Int16(Some(value)) => i64::from(*value),
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => i64::from(*value),
        ScalarValue::Int64(Some(value))
        | ScalarValue::Time64Microsecond(Some(value))
        | ScalarValue::TimestampMicrosecond(Some(value), _) => *value,
        _ => return None,
    })
}

/// A number of so many digits behind the point, as PostgreSQL prints it.
fn digits(value: i128, scale: u32) -> Option<String> {
    let unit = 10u128.checked_pow(scale)?;
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let sign = if value < 0 { "-" } else { "" };
    let width = usize::try_from(scale).ok()?;
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0width$}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_written_as_postgresql_prints_them() {
        assert_eq!(digits(-5, 2).unwrap(), "-0.05");
        assert_eq!(digits(12345, 2).unwrap(), "123.45");
        assert_eq!(digits(-7, 0).unwrap(), "-7");
    }
}
