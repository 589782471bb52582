//! The outermost query: what the engine delivers, and what PostgreSQL computes of that.
//!
//! An expression of the target list that the engine does not have, or whose values it cannot deliver as PostgreSQL prints
//! them, is split: the engine delivers the columns, aggregates and window functions in it, PostgreSQL does the rest, for the
//! rows that are left at the end. `avg` that gives a numeric is a sum and a count, then.

use lagoon_lake::expr::Expr;
use lagoon_lake::query::Rel;
use pgrx::pg_sys::{self, NodeTag, Oid};

use super::aggregate::called;
use super::scope::{Around, Scope};
use super::{Result, Translator, is_known, targets};
use crate::pg::node::{self, Node, Step};

/// A statement that the engine may answer.
pub(in crate::lake::query) struct Statement<'t> {
    pub rel: Rel,
    pub delivered: Vec<Delivered<'t>>,
    /// What is shown, over the delivered columns.
    pub targets: Vec<Target<'t>>,
}

/// A column of the engine.
pub(in crate::lake::query) struct Delivered<'t> {
    /// What it is in the query.
    pub node: Node<'t>,
    /// The place in the target list that it is the whole of.
    pub whole: Option<usize>,
    expr: Expr,
}

/// An entry of the target list.
pub(in crate::lake::query) struct Target<'t> {
    pub entry: Node<'t, pg_sys::TargetEntry>,
    /// With Vars of INDEX_VAR for what the engine delivers.
    pub expr: *mut pg_sys::Expr,
}

impl Translator {
    /// Translates anew, with those entries of the target list split that are `split`.
    pub(in crate::lake::query) fn statement<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        split: &[bool],
    ) -> Result<Statement<'t>> {
        self.tables.clear();
        self.shipments.clear();
        self.params.clear();
        let around = Around { depth: 0, levels: None, withs: None };
        self.prepare(query, around)?;
        // DISTINCT is over what is shown, so the engine has to have all of that.
        let all_whole = !query.distinctClause.is_null() && !query.hasDistinctOn;
        let (rel, (delivered, targets)) = self.with(query, around, |this, around| {
            let (mut shown, mut over) = (Vec::new(), Vec::new());
            for (at, entry) in targets(query).enumerate() {
                let node = entry.expr().ok_or("nothing")?;
                let is_split = split.get(at).copied().unwrap_or(false) && !entry.resjunk;
                let spelled = if is_split { spell_averages(node)? } else { node };
                over.push(spelled);
                if is_split && entry.ressortgroupref != 0 {
                    over.push(node);
                }
                if !entry.resjunk {
                    shown.push((at, entry, spelled, is_split));
                }
            }
            let (rel, row) = this.body(query, around, &over)?;
            let scope = around.scope(&row);
            let (mut delivered, mut targets) = (Vec::new(), Vec::new());
            for (at, entry, node, is_split) in shown {
                let whole = if is_split || (is_known(node) && !all_whole) {
                    None
                } else {
                    match this.expr(node, &scope, 0) {
                        Ok(expr) => Some(deliver(&mut delivered, node, expr, Some(at))),
                        Err(reason) if all_whole => return Err(reason),
                        Err(_) => None,
                    }
                };
                let expr = match whole {
                    Some(var) => var,
                    None => this.on_top(node, &scope, &mut delivered, false)?,
                };
                targets.push(Target { entry, expr: expr.cast() });
            }
            let columns = delivered.iter().map(|column: &Delivered<'_>| column.expr.clone()).collect();
            Ok((this.finish(query, rel, columns, &scope)?, (delivered, targets)))
        })?;
        Ok(Statement { rel, delivered, targets })
    }

    /// An expression that PostgreSQL computes of what the engine delivers. What is `conditional` may not be computed at all in
    /// some rows, so nothing is delivered of it that could fail.
    fn on_top<'t>(
        &mut self,
        node: Node<'t>,
        scope: &Scope<'_, 't>,
        delivered: &mut Vec<Delivered<'t>>,
        conditional: bool,
    ) -> Result<*mut pg_sys::Node> {
        let tag = node.tag();
        // The walkers of trees know no branch of a CASE by itself.
        if tag != NodeTag::T_CaseWhen && is_known(node) || tag == NodeTag::T_CaseTestExpr {
            return Ok(node.as_ptr());
        }
        let is_part = matches!(
            tag,
            NodeTag::T_Var | NodeTag::T_Aggref | NodeTag::T_WindowFunc | NodeTag::T_SubLink | NodeTag::T_GroupingFunc
        );
        if is_part || (tag != NodeTag::T_CaseWhen && scope.row.expr(node).is_some()) {
            if conditional && tag == NodeTag::T_SubLink {
                return Err("a subquery that is not always computed".to_owned());
            }
            let expr = self.expr(node, scope, 0)?;
            return Ok(deliver(delivered, node, expr, None));
        }
        let conditional = conditional
            || matches!(tag, NodeTag::T_CaseExpr | NodeTag::T_CoalesceExpr | NodeTag::T_BoolExpr | NodeTag::T_CaseWhen);
        let mut failure = None;
        let copy = node.map_children(&mut |child| {
            // SAFETY: part of a tree that lives as long as the one that is copied.
            let Some(child) = (unsafe { Node::new(child.as_ptr()) }) else { return std::ptr::null_mut() };
            self.on_top(child, scope, delivered, conditional).unwrap_or_else(|reason| {
                failure.get_or_insert(reason);
                child.as_ptr()
            })
        });
        failure.map_or(Ok(copy), Err)
    }
}

/// The Var of a column that is delivered, once however often it is wanted.
fn deliver<'t>(
    delivered: &mut Vec<Delivered<'t>>,
    node: Node<'t>,
    expr: Expr,
    whole: Option<usize>,
) -> *mut pg_sys::Node {
    let same = |column: &Delivered<'_>| {
        column.expr == expr && column.node.type_of() == node.type_of() && column.whole.is_some() == whole.is_some()
    };
    let at = delivered.iter().position(same).unwrap_or_else(|| {
        delivered.push(Delivered { node, whole, expr });
        delivered.len() - 1
    });
    // SAFETY: a new node. A target list has fewer columns than 16 bits count.
    unsafe {
        let var = pg_sys::makeVar(
            pg_sys::INDEX_VAR as _,
            (at + 1) as pg_sys::AttrNumber,
            node.type_of(),
            node.typmod(),
            node.collation(),
            0,
        );
        var.cast()
    }
}

/// Whether there is an average in an expression whose digits behind the point depend on the values.
pub(in crate::lake::query) fn has_averages(node: Node<'_>) -> bool {
    node.walk(&mut |part| match part.tag() {
        NodeTag::T_SubLink => Step::Over,
        _ if is_average(part) => Step::Stop,
        _ => Step::Into,
    })
}

fn is_average(node: Node<'_>) -> bool {
    let function = match (node.cast::<pg_sys::Aggref>(), node.cast::<pg_sys::WindowFunc>()) {
        (Some(call), _) => call.aggfnoid,
        (_, Some(call)) => call.winfnoid,
        _ => return false,
    };
    node.type_of() == pg_sys::NUMERICOID && called(function).is_ok_and(|name| name == "avg")
}

/// A copy in which averages are quotients of a sum and a count, as PostgreSQL computes them itself.
fn spell_averages<'t>(node: Node<'t>) -> Result<Node<'t>> {
    let mut failure = None;
    let copy = spelled(node, &mut failure);
    if let Some(reason) = failure {
        return Err(reason);
    }
    // SAFETY: a tree that was just made.
    unsafe { Node::new(copy) }.ok_or_else(|| "nothing".to_owned())
}

fn spelled(node: Node<'_>, failure: &mut Option<String>) -> *mut pg_sys::Node {
    if is_average(node) {
        return quotient(node).unwrap_or_else(|reason| {
            failure.get_or_insert(reason);
            node.as_ptr()
        });
    }
    match node.tag() {
        NodeTag::T_Aggref | NodeTag::T_WindowFunc | NodeTag::T_SubLink => node.as_ptr(),
        _ => node.map_children(&mut |child| spelled(child, failure)),
    }
}

fn quotient(node: Node<'_>) -> Result<*mut pg_sys::Node> {
    let argument = match (node.cast::<pg_sys::Aggref>(), node.cast::<pg_sys::WindowFunc>()) {
        (Some(call), _) => call.args().get(0).and_then(Node::cast::<pg_sys::TargetEntry>).and_then(|of| of.expr()),
        (_, Some(call)) => call.args().get(0),
        _ => None,
    };
    let argument = argument.ok_or("avg of nothing")?.type_of();
    let name = node::list([node::string("pg_catalog"), node::string("sum")]);
    // SAFETY: lookups in the catalogs and new nodes of the types that the functions take.
    unsafe {
        let sum = pg_sys::LookupFuncName(name, 1, &argument, true);
        if sum == pg_sys::InvalidOid {
            return Err("avg of a type without sum".to_owned());
        }
        let numeric = |function: u32, arguments: *mut pg_sys::List| {
            let explicit = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
            let none = pg_sys::InvalidOid;
            pg_sys::makeFuncExpr(Oid::from(function), pg_sys::NUMERICOID, arguments, none, none, explicit)
        };
        let as_numeric = |call: *mut pg_sys::Node| {
            if pg_sys::exprType(call) == pg_sys::INT8OID {
                numeric(pg_sys::F_NUMERIC_INT8, node::list([call])).cast()
            } else {
                call
            }
        };
        let sum = as_numeric(with_function(node, sum));
        let count = as_numeric(with_function(node, Oid::from(pg_sys::F_COUNT_ANY)));
        Ok(numeric(pg_sys::F_NUMERIC_DIV, node::list([sum, count])).cast())
    }
}

/// A copy of a call, of another function with the same arguments.
fn with_function(node: Node<'_>, function: Oid) -> *mut pg_sys::Node {
    // SAFETY: a copy, which is of one of the two kinds.
    unsafe {
        let copy = pg_sys::copyObjectImpl(node.as_ptr().cast()).cast::<pg_sys::Node>();
        let result = pg_sys::get_func_rettype(function);
        if node.tag() == NodeTag::T_Aggref {
            let call = copy.cast::<pg_sys::Aggref>();
            ((*call).aggfnoid, (*call).aggtype) = (function, result);
        } else {
            let call = copy.cast::<pg_sys::WindowFunc>();
            ((*call).winfnoid, (*call).wintype) = (function, result);
        }
        copy
    }
}
