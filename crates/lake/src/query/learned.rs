//! What joins and limits learn while a query runs, as a condition of ours: a weaker one that every row which may still matter
//! meets. Scans rule out row groups by it as by any other filter, by statistics that are to be trusted.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::own;
use super::restore::{Find, comparison, constant, wide};
use crate::expr::{Comparison, Expr, Type, Value, rules};
use crate::types::{ColumnType, Compared, Kind};

/// What a row must meet; `None` if nothing can be said.
pub(super) fn necessary(expr: &Arc<dyn PhysicalExpr>, find: &Find<'_>) -> Option<Expr> {
    if let Some(dynamic) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return necessary(&dynamic.current().ok()?, find);
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        // What is NULL is as good as false.
        let is_true = matches!(literal.value(), ScalarValue::Boolean(Some(true)));
        return (!is_true).then(|| Expr::Constant(Value::Bool(false), Kind::Bool.into()));
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And => all(vec![necessary(binary.left(), find), necessary(binary.right(), find)]),
            Operator::Or => Some(Expr::Or(vec![necessary(binary.left(), find)?, necessary(binary.right(), find)?])),
            operator => compare(comparison(*operator)?, binary.left(), binary.right(), find),
        };
    }
    if let Some(inner) = expr.downcast_ref::<IsNullExpr>() {
        return Some(Expr::IsNull(Box::new(column(inner.arg(), find)?.0)));
    }
    if let Some(inner) = expr.downcast_ref::<IsNotNullExpr>() {
        return Some(Expr::IsNull(Box::new(column(inner.arg(), find)?.0)).negated());
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return if list.negated() { None } else { within(list, find) };
    }
    // The partitions of a join have a filter each; a row is in one of them.
    let case = expr.downcast_ref::<CaseExpr>().filter(|case| case.expr().is_some())?;
    let mut branches = Vec::with_capacity(case.when_then_expr().len() + 1);
    for (_, then) in case.when_then_expr() {
        branches.push(necessary(then, find)?);
    }
    if let Some(other) = case.else_expr() {
        branches.push(necessary(other, find)?);
    }
    Some(Expr::Or(branches))
}

/// Of several that must hold, those that can be said.
pub(super) fn all(parts: Vec<Option<Expr>>) -> Option<Expr> {
    let mut known: Vec<_> = parts.into_iter().flatten().collect();
    if known.len() > 1 { Some(Expr::And(known)) } else { known.pop() }
}

fn compare(
    comparison: Comparison,
    left: &Arc<dyn PhysicalExpr>,
    right: &Arc<dyn PhysicalExpr>,
    find: &Find<'_>,
) -> Option<Expr> {
    let (comparison, left, literal) = match (left.downcast_ref::<Literal>(), right.downcast_ref::<Literal>()) {
        (None, Some(literal)) => (comparison, left, literal),
        (Some(literal), None) => (comparison.commuted(), right, literal),
        _ => return None,
    };
    let (column, ty) = column(left, find)?;
    let kind = ty.kind()?;
    rules::find(comparison.into(), &[kind, wide(kind)])?;
    let value = constant(literal.value(), ty)?;
    Some(Expr::binary(comparison, column, Expr::Constant(value, wide(kind).into())))
}

fn within(list: &InListExpr, find: &Find<'_>) -> Option<Expr> {
    let (column, ty) = column(list.expr(), find)?;
    let element = |element: &Arc<dyn PhysicalExpr>| constant(element.downcast_ref::<Literal>()?.value(), ty);
    let values = list.list().iter().map(element).collect::<Option<Vec<_>>>()?;
    if values.is_empty() {
        // Whether the list is empty or kept elsewhere cannot be told.
        return None;
    }
    let elements = Expr::Constant(Value::List(values), Type::Array { array: wide(ty.kind()?) });
    Some(Expr::In(Box::new(column), Box::new(elements)))
}

/// A column, whatever was done to it to compare it that changes no comparison.
fn column<'a>(expr: &Arc<dyn PhysicalExpr>, find: &Find<'a>) -> Option<(Expr, &'a ColumnType)> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        let (at, ty) = find(column.name())?;
        return Some((Expr::Column(at, ty.kind()?.into()), ty));
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        return match call.args() {
            [inner] if own::is_canonical(call.fun()) => {
                column(inner, find).filter(|(_, ty)| ty.compared() == Some(Compared::Float))
            }
            _ => None,
        };
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let (inner, ty) = column(cast.expr(), find)?;
    let to = cast.cast_type();
    let widens = match ty {
        ColumnType::Int2 => *to == ColumnType::Int4.arrow() || *to == ColumnType::Int8.arrow(),
        ColumnType::Int4 => *to == ColumnType::Int8.arrow(),
        _ => false,
    };
    widens.then_some((inner, ty))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::physical_expr::expressions::{in_list, lit};

    use super::*;

    fn said(expr: Arc<dyn PhysicalExpr>) -> Option<Expr> {
        let (id, text) = (ColumnType::Int4, ColumnType::Text);
        necessary(&expr, &|name| match name {
            "id" => Some((0, &id)),
            "t" => Some((1, &text)),
            _ => None,
        })
    }

    fn binary(left: Arc<dyn PhysicalExpr>, operator: Operator, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, operator, right))
    }

    #[test]
    fn what_cannot_be_said_weakens_and_never_strengthens() {
        let id = || Arc::new(Column::new("id", 0)) as Arc<dyn PhysicalExpr>;
        let other = || binary(Arc::new(Column::new("x", 0)), Operator::Gt, lit(1i32));
        let above = |value: i32| binary(id(), Operator::Gt, lit(value));
        let expected = |value| {
            let constant = Expr::Constant(Value::Int(value), Kind::Int8.into());
            Expr::binary(Comparison::Gt, Expr::Column(0, Kind::Int4.into()), constant)
        };
        assert_eq!(said(above(5)), Some(expected(5)));
        assert_eq!(said(binary(lit(5i32), Operator::Lt, id())), Some(expected(5)));
        assert_eq!(said(binary(above(5), Operator::And, other())), Some(expected(5)));
        assert_eq!(said(binary(above(5), Operator::Or, other())), None);
        let or = binary(above(5), Operator::Or, Arc::new(IsNullExpr::new(id())));
        assert!(matches!(said(or), Some(Expr::Or(parts)) if parts.len() == 2));
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(vec![id()], lit(true)));
        assert_eq!(said(dynamic.clone()), None);
        dynamic.update(above(9)).unwrap();
        assert_eq!(said(dynamic), Some(expected(9)));
        let case = |last| {
            let branches = vec![(lit(0u64), above(5)), (lit(1u64), above(7))];
            said(Arc::new(CaseExpr::try_new(Some(lit(0u64)), branches, Some(last)).unwrap()))
        };
        assert!(matches!(case(lit(false)), Some(Expr::Or(parts)) if parts.len() == 3));
        assert_eq!(case(lit(true)), None);
        let schema = arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(
            "id",
            arrow::datatypes::DataType::Int32,
            true,
        )]);
        let list = |negated| said(in_list(id(), vec![lit(1i32), lit(2i32)], &negated, &schema).unwrap());
        assert!(matches!(list(false), Some(Expr::In(..))));
        assert_eq!(list(true), None);
    }
}
