//! UNION, INTERSECT, EXCEPT.

use lagoon_lake::expr::{Expr, Type};
use lagoon_lake::query::{Rel, SetKind};
use lagoon_lake::types::Kind;
use pgrx::pg_sys::{self, Oid, SetOperation};

use super::current::Current;
use super::scope::{Around, Row};
use super::{Result, Translator, cast};
use crate::lake::expr::collation;
use crate::lake::types;
use crate::pg::node::Node;

impl Translator {
    /// The rows of the whole tree of them. PostgreSQL names its columns as those of the leftmost query.
    pub(super) fn set_operations<'t>(
        &mut self,
        current: &Current<'t>,
        operation: Node<'t>,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let mut leftmost = operation;
        while let Some(inner) = leftmost.cast::<pg_sys::SetOperationStmt>() {
            leftmost = inner.larg().ok_or("nothing")?;
        }
        let entry = cast::<pg_sys::RangeTblRef>(leftmost)?.rtindex;
        let (rel, types) = self.operand(current, operation, around)?;
        Ok((rel, Row::of_entry(entry, &types)))
    }

    fn operand<'t>(
        &mut self,
        current: &Current<'t>,
        node: Node<'t>,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Vec<Type>)> {
        // SAFETY: an ERROR where there is no stack left.
        unsafe { pg_sys::check_stack_depth() };
        let Some(operation) = node.cast::<pg_sys::SetOperationStmt>() else {
            let (rel, row) = self.entry(current, cast::<pg_sys::RangeTblRef>(node)?.rtindex, around)?;
            return Ok((rel, row.types().to_vec()));
        };
        let kind = match operation.op {
            SetOperation::SETOP_UNION => SetKind::Union,
            SetOperation::SETOP_INTERSECT => SetKind::Intersect,
            SetOperation::SETOP_EXCEPT => SetKind::Except,
            _ => return Err("a set operation".to_owned()),
        };
        // SAFETY: lists of Oids of the node, of the same length.
        let (oids, collations) = unsafe { (oids(operation.colTypes), oids(operation.colCollations)) };
        let wanted = oids.iter().map(|oid| types::expression(*oid)).collect::<Option<Vec<_>>>();
        let wanted = wanted.ok_or("a set operation over a type without counterpart")?;
        if !operation.all {
            for (ty, collation) in wanted.iter().zip(collations) {
                match ty {
                    Type::One(Kind::Text) => collation::check_equality(collation)?,
                    Type::One(_) => {}
                    Type::Array { .. } => return Err("a set operation over arrays".to_owned()),
                }
            }
        }
        let (left, left_types) = self.operand(current, operation.larg().ok_or("nothing")?, around)?;
        let (right, right_types) = self.operand(current, operation.rarg().ok_or("nothing")?, around)?;
        let (left, right) = (widened(left, &left_types, &wanted)?, widened(right, &right_types, &wanted)?);
        let rel = Rel::SetOperation { kind, all: operation.all, left: Box::new(left), right: Box::new(right) };
        Ok((rel, wanted))
    }
}

/// An operand with the columns that the operation has. PostgreSQL casts them when it plans: here integers are widened.
fn widened(rel: Rel, types: &[Type], wanted: &[Type]) -> Result<Rel> {
    if types == wanted {
        return Ok(rel);
    }
    let columns = types.iter().zip(wanted).enumerate().map(|(at, (ty, wanted))| {
        let column = Expr::Column(at, *ty);
        match (ty, wanted) {
            _ if ty == wanted => Ok(column),
            (Type::One(Kind::Int2), Type::One(Kind::Int4 | Kind::Int8))
            | (Type::One(Kind::Int4), Type::One(Kind::Int8)) => Ok(Expr::Cast(Box::new(column), *wanted, None)),
            _ => Err("a set operation over several types".to_owned()),
        }
    });
    Ok(Rel::Project { input: Box::new(rel), columns: columns.collect::<Result<_>>()? })
}

/// # Safety
/// A live list of Oids.
unsafe fn oids(list: *mut pg_sys::List) -> Vec<Oid> {
    // SAFETY: the caller's.
    unsafe {
        let count = list.as_ref().and_then(|list| usize::try_from(list.length).ok()).unwrap_or(0);
        (0..count).map(|at| (*(*list).elements.add(at)).oid_value).collect()
    }
}
