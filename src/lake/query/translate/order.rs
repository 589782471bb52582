//! DISTINCT, ORDER BY, LIMIT.

use lagoon_lake::expr::rules::Precondition;
use lagoon_lake::expr::{Expr, Type};
use lagoon_lake::query::{Rel, SortKey};
use lagoon_lake::types::Kind;
use pgrx::pg_sys::{self, LimitOption, Oid};

use super::scope::Scope;
use super::{Result, Translator, type_of};
use crate::lake::expr::collation;
use crate::lake::expr::operator::type_name;
use crate::pg::node::{List, Node};

impl Translator {
    /// The columns of a query, and what is done with them last. `columns` are over the row of `rel`.
    pub(super) fn finish<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        rel: Rel,
        mut columns: Vec<Expr>,
        scope: &Scope<'_, 't>,
    ) -> Result<Rel> {
        let delivered = columns.len();
        // SAFETY: parts of the query.
        let (distinct, sort) = unsafe {
            (
                List::<pg_sys::SortGroupClause>::new(query.distinctClause),
                List::<pg_sys::SortGroupClause>::new(query.sortClause),
            )
        };
        let mut place = |this: &mut Self, node: Node<'t>| -> Result<Expr> {
            let expr = this.expr(node, scope, 0)?;
            let at = columns.iter().position(|column| *column == expr).unwrap_or_else(|| {
                columns.push(expr);
                columns.len() - 1
            });
            Ok(Expr::Column(at, type_of(node)?))
        };
        let mut keys = Vec::new();
        for clause in sort.iter() {
            let node = self.target(query, clause.tleSortGroupRef)?;
            keys.push(key(node, place(self, node)?, clause)?);
        }
        let (mut on, mut on_keys) = (Vec::new(), keys.clone());
        for clause in distinct.iter() {
            let node = self.target(query, clause.tleSortGroupRef)?;
            check_equality(node, clause.eqop)?;
            let expr = place(self, node)?;
            if let Expr::Column(at, _) = expr {
                on.push(at);
            }
            if !on_keys.iter().any(|key| key.expr == expr) {
                on_keys.push(SortKey { expr, descending: false, nulls_first: false });
            }
        }
        if distinct.len() > 0 && !query.hasDistinctOn && columns.len() > delivered {
            return Err("DISTINCT over more than is shown".to_owned());
        }
        let types: Vec<_> = columns.iter().map(|column| column.ty()).collect();
        let mut rel = Rel::Project { input: Box::new(rel), columns };
        if distinct.len() > 0 && query.hasDistinctOn {
            rel = Rel::Sort { input: Box::new(rel), keys: on_keys };
            rel = Rel::Distinct { input: Box::new(rel), on: Some(on) };
        } else if distinct.len() > 0 {
            rel = Rel::Distinct { input: Box::new(rel), on: None };
        }
        let (offset, count) = (self.bound(query.limitOffset())?, self.bound(query.limitCount())?);
        if query.limitOption == LimitOption::LIMIT_OPTION_WITH_TIES {
            rel = Rel::Ties { input: Box::new(rel), keys, offset, count };
        } else {
            // DISTINCT ON leaves the order as it is.
            if !keys.is_empty() && !query.hasDistinctOn {
                rel = Rel::Sort { input: Box::new(rel), keys };
            }
            if offset.is_some() || count.is_some() {
                rel = Rel::Limit { input: Box::new(rel), offset, count };
            }
        }
        if types.len() == delivered {
            return Ok(rel);
        }
        let first = types.into_iter().take(delivered).enumerate();
        let first = first.map(|(at, ty)| ty.map(|ty| Expr::Column(at, ty)).ok_or_else(|| "a column".to_owned()));
        Ok(Rel::Project { input: Box::new(rel), columns: first.collect::<Result<_>>()? })
    }
}

/// A key to sort by, if the order is the usual one of its type, or that backwards.
pub(super) fn key(node: Node<'_>, expr: Expr, clause: Node<'_, pg_sys::SortGroupClause>) -> Result<SortKey> {
    let usual = usual(node, pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR);
    let descending = match clause.sortop {
        operator if operator == usual.less => false,
        operator if operator == usual.greater => true,
        _ => return Err("an order by another operator than < or >".to_owned()),
    };
    if is_text(node)? {
        collation::check("order", Precondition::ByteOrder, node.collation())?;
    }
    Ok(SortKey { expr, descending, nulls_first: clause.nulls_first })
}

/// Whether the engine takes values for equal that PostgreSQL does.
pub(super) fn check_equality(node: Node<'_>, operator: Oid) -> Result<()> {
    if operator != usual(node, pg_sys::TYPECACHE_EQ_OPR).equal {
        return Err(format!("groups of {} by another operator than =", type_name(node.type_of())));
    }
    check_text_equality(node)
}

fn check_text_equality(node: Node<'_>) -> Result<()> {
    if is_text(node)? { collation::check_equality(node.collation()) } else { Ok(()) }
}

fn is_text(node: Node<'_>) -> Result<bool> {
    match type_of(node)? {
        Type::One(kind) => Ok(kind == Kind::Text),
        Type::Array { .. } => Err("an order or groups of arrays".to_owned()),
    }
}

struct Usual {
    equal: Oid,
    less: Oid,
    greater: Oid,
}

/// The operators of the default operator class of an expression's type.
fn usual(node: Node<'_>, wanted: u32) -> Usual {
    // SAFETY: an entry of the cache lives as long as the session; it is read at once.
    unsafe {
        let entry = &*pg_sys::lookup_type_cache(node.type_of(), wanted as i32);
        Usual { equal: entry.eq_opr, less: entry.lt_opr, greater: entry.gt_opr }
    }
}
