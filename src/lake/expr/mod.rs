//! From PostgreSQL's conditions to the engine's expressions, or to the reason why a condition stays here.
//!
//! Only node types named here are understood, and only operators of pg_catalog that [`lagoon_lake::expr::rules`] lists are
//! taken. Anything that has no column and is not volatile is a parameter: PostgreSQL evaluates it when the scan begins.
//! Arrays are parameters even if they are constants, so a plan holds their elements once.
//!
//! What is nested too deeply, or too long to be copied with every plan, stays in PostgreSQL, which has limits of its own.

pub(super) mod collation;
pub(super) mod operator;
pub(super) mod zone;

use std::collections::HashMap;

use lagoon_lake::expr::{Expr, Function, MAX_DEPTH, Truth, Type, Value, ends_in_escape, rules};
use lagoon_lake::types::Kind;
use pgrx::pg_sys::{self, NodeTag};

use super::attribute::Attribute;
use super::types;
use crate::pg::node::Node;
use operator::Listed;

pub(super) use operator::Reason;

/// Bytes that the conditions of one scan may take in its plan, about.
const MAX_PLAN_BYTES: usize = 64 << 20;
/// Bytes of a comparison in the plan, about, and of a byte of its constant at most.
const COMPARISON_BYTES: usize = 110;
const BYTES_PER_BYTE: usize = 6;

/// Translates the conditions of one relation; parameters collect in `params`.
pub(super) struct Translator<'a> {
    relid: pg_sys::Index,
    by_number: HashMap<i16, (usize, &'a Attribute)>,
    /// Operators that were looked up, with the collation that they are to work under: conditions have thousands of terms.
    operators: HashMap<(pg_sys::Oid, pg_sys::Oid), Result<Listed, Reason>>,
    /// Bytes of the plan that are left.
    room: usize,
    /// Expressions whose values are parameters, in order.
    pub params: Vec<*mut pg_sys::Expr>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(relid: pg_sys::Index, attributes: &'a [Attribute]) -> Self {
        let by_number =
            attributes.iter().enumerate().map(|(i, attribute)| (attribute.number, (i, attribute))).collect();
        Self { relid, by_number, operators: HashMap::new(), room: MAX_PLAN_BYTES, params: Vec::new() }
    }

    /// The engine's expression of one condition.
    ///
    /// # Safety
    /// `node` must be a valid expression of type boolean over the relation.
    pub(super) unsafe fn condition(&mut self, node: *mut pg_sys::Node) -> Result<Expr, Reason> {
        let (params, room) = (self.params.len(), self.room);
        // SAFETY: the caller's.
        let condition = self.boolean(unsafe { Node::new(node) }, 0);
        if condition.is_err() {
            self.params.truncate(params);
            self.room = room;
        }
        condition
    }

    /// `depth` counts what stands above the node.
    fn boolean(&mut self, node: Option<Node<'_>>, depth: usize) -> Result<Expr, Reason> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        let node = node.ok_or("empty expression")?;
        match node.tag() {
            NodeTag::T_BoolExpr => self.connective(node, depth),
            NodeTag::T_OpExpr => self.comparison(node),
            NodeTag::T_ScalarArrayOpExpr => self.membership(node),
            NodeTag::T_NullTest => self.null_test(node),
            NodeTag::T_BooleanTest => self.boolean_test(node, depth),
            NodeTag::T_Var => match self.column(node)? {
                Some((column, Kind::Bool)) => Ok(column),
                _ => Err("not a boolean column".to_owned()),
            },
            other => Err(describe(other).to_owned()),
        }
    }

    fn connective(&mut self, node: Node<'_>, depth: usize) -> Result<Expr, Reason> {
        let connective = node.cast::<pg_sys::BoolExpr>().ok_or("not AND, OR, NOT")?;
        let parts = connective.args().iter().map(|part| self.boolean(Some(part), depth + 1));
        let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(match connective.boolop {
            pg_sys::BoolExprType::AND_EXPR => Expr::And(parts),
            pg_sys::BoolExprType::OR_EXPR => Expr::Or(parts),
            _ => parts.pop().ok_or("NOT of nothing")?.negated(),
        })
    }

    fn null_test(&mut self, node: Node<'_>) -> Result<Expr, Reason> {
        let test = node.cast::<pg_sys::NullTest>().ok_or("not IS NULL")?;
        let (column, _) = self.column_of(test.arg())?.ok_or("IS NULL of an expression")?;
        let is_null = Expr::IsNull(Box::new(column));
        let negated = test.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL;
        Ok(if negated { is_null.negated() } else { is_null })
    }

    fn boolean_test(&mut self, node: Node<'_>, depth: usize) -> Result<Expr, Reason> {
        use pg_sys::BoolTestType::*;
        let test = node.cast::<pg_sys::BooleanTest>().ok_or("not IS TRUE")?;
        let inner = Box::new(self.boolean(test.arg(), depth + 2)?);
        let (truth, negated) = match test.booltesttype {
            IS_TRUE => (Truth::True, false),
            IS_NOT_TRUE => (Truth::True, true),
            IS_FALSE => (Truth::False, false),
            IS_NOT_FALSE => (Truth::False, true),
            IS_UNKNOWN => (Truth::Unknown, false),
            _ => (Truth::Unknown, true),
        };
        let is = Expr::Is(inner, truth);
        Ok(if negated { is.negated() } else { is })
    }

    fn comparison(&mut self, node: Node<'_>) -> Result<Expr, Reason> {
        let call = node.cast::<pg_sys::OpExpr>().ok_or("not an operator")?;
        let call = zone::zoned(call).unwrap_or(call);
        let arguments = call.args();
        let (Some(left), Some(right), 2) = (arguments.get(0), arguments.get(1), arguments.len()) else {
            return Err("not a binary operator".to_owned());
        };
        let listed = self.operator(call.opno, call.inputcollid)?;
        let [left_kind, right_kind] = listed.arguments[..] else { return Err("not a binary operator".to_owned()) };
        // The column stands on the left, whichever side it is on.
        let (column, other, function, kind) = match (self.column(left)?, self.column(right)?) {
            (Some((column, _)), _) => (column, right, listed.function, right_kind),
            (None, Some((column, _))) => {
                let commuted = listed.function.commuted();
                let function = commuted.ok_or_else(|| format!("the pattern of {} is a column", listed.name()))?;
                (column, left, function, left_kind)
            }
            (None, None) => return Err(format!("neither side of {} is a column", listed.name())),
        };
        self.take(COMPARISON_BYTES)?;
        let is_pattern = matches!(function, Function::Like | Function::NotLike);
        let operand = match self.column(other)? {
            Some(_) if is_pattern => return Err("the pattern is a column".to_owned()),
            Some((column, _)) => column,
            None => self.operand(other, kind.into())?,
        };
        if is_pattern {
            check_pattern(&operand)?;
        }
        let call = Expr::binary(function, column, operand);
        debug_assert!(call.ty().is_some(), "{call:?}");
        Ok(call)
    }

    fn membership(&mut self, node: Node<'_>) -> Result<Expr, Reason> {
        let call = node.cast::<pg_sys::ScalarArrayOpExpr>().ok_or("not IN")?;
        let (Some(left), Some(right)) = (call.args().get(0), call.args().get(1)) else {
            return Err("IN without arguments".to_owned());
        };
        let listed = self.operator(call.opno, call.inputcollid)?;
        let negated = match (listed.name(), call.useOr) {
            ("=", true) => false,
            ("<>", false) => true,
            _ => return Err(format!("{} with ANY or ALL", listed.name())),
        };
        let Some(element) = listed.arguments.get(1) else { return Err("not a binary operator".to_owned()) };
        let (column, _) = self.column(left)?.ok_or("the left side of IN is not a column")?;
        self.take(COMPARISON_BYTES)?;
        let list = self.operand(right, Type::Array { array: *element })?;
        let within = Expr::In(Box::new(column), Box::new(list));
        Ok(if negated { within.negated() } else { within })
    }

    fn operator(&mut self, operator: pg_sys::Oid, collation: pg_sys::Oid) -> Result<Listed, Reason> {
        if let Some(known) = self.operators.get(&(operator, collation)) {
            return known.clone();
        }
        let found = Listed::operator(operator, rules::find).and_then(|listed| {
            collation::check(listed.name(), listed.precondition, collation)?;
            Ok(listed)
        });
        self.operators.insert((operator, collation), found.clone());
        found
    }

    fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.room = self.room.checked_sub(bytes).ok_or("conditions too long for a plan")?;
        Ok(())
    }

    fn column_of(&self, node: Option<Node<'_>>) -> Result<Option<(Expr, Kind)>, Reason> {
        node.map_or(Ok(None), |node| self.column(node))
    }

    /// The column behind a node, if it is one. An error if it is one that the engine cannot look at.
    fn column(&self, node: Node<'_>) -> Result<Option<(Expr, Kind)>, Reason> {
        let Some(var) = strip(node).cast::<pg_sys::Var>() else { return Ok(None) };
        if var.varno as pg_sys::Index != self.relid || var.varlevelsup != 0 {
            return Ok(None);
        }
        let Some((index, attribute)) = self.by_number.get(&var.varattno) else {
            return Err("a system column or whole row".to_owned());
        };
        let name = &attribute.column.name;
        if attribute.from_text {
            return Err(format!("column \"{name}\" is converted from text by its type's input function"));
        }
        let kind = attribute.column.ty.kind().ok_or_else(|| format!("column \"{name}\" is an array"))?;
        Ok(Some((Expr::Column(*index, kind.into()), kind)))
    }

    /// A constant of this type, or a parameter for what is known only at execution.
    fn operand(&mut self, node: Node<'_>, ty: Type) -> Result<Expr, Reason> {
        let inner = strip(node);
        if let Some(constant) = inner.cast::<pg_sys::Const>()
            && let Some(constant) = self::constant(constant, ty)?
        {
            if let Expr::Constant(value, _) = &constant {
                self.take(match value {
                    Value::Text(text) | Value::Numeric(text) => text.len() * BYTES_PER_BYTE,
                    Value::Bytes(bytes) => bytes.len() * BYTES_PER_BYTE,
                    _ => 0,
                })?;
            }
            return Ok(constant);
        }
        check_type(inner, ty)?;
        check_known(inner)?;
        self.params.push(inner.as_ptr().cast());
        Ok(Expr::Parameter(self.params.len() - 1, ty))
    }
}

/// A constant as the engine has it. None if it is an array, which is a parameter.
pub(super) fn constant(constant: Node<'_, pg_sys::Const>, ty: Type) -> Result<Option<Expr>, Reason> {
    let Some(datum) = constant.value() else { return Ok(Some(Expr::Constant(Value::Null, ty))) };
    if types::expression(constant.consttype) != Some(ty) {
        return Err("a value of a type without counterpart".to_owned());
    }
    let Type::One(_) = ty else { return Ok(None) };
    // SAFETY: the constant's value, of its type.
    let value = unsafe { types::value(constant.consttype, datum, false) }.map_err(|error| error.to_string())?;
    Ok(Some(Expr::Constant(value, ty)))
}

fn check_type(node: Node<'_>, ty: Type) -> Result<(), Reason> {
    let fits = types::expression(node.type_of()) == Some(ty);
    if fits { Ok(()) } else { Err("a value of a type without counterpart".to_owned()) }
}

/// Whether a pattern is an error for no text. One that ends in an escape is for some, which PostgreSQL may never come to.
fn check_pattern(pattern: &Expr) -> Result<(), Reason> {
    match pattern {
        Expr::Constant(Value::Text(pattern), _) if !ends_in_escape(pattern) => Ok(()),
        Expr::Constant(Value::Null, _) => Ok(()),
        Expr::Constant(..) => Err("a pattern that ends in its escape character".to_owned()),
        _ => Err("the pattern is not a constant".to_owned()),
    }
}

/// Whether PostgreSQL can evaluate an expression once, when a scan begins.
fn check_known(node: Node<'_>) -> Result<(), Reason> {
    let node = node.as_ptr();
    // SAFETY: the walkers take any expression.
    let (columns, volatile, subplans) = unsafe {
        (pg_sys::contain_var_clause(node), pg_sys::contain_volatile_functions(node), pg_sys::contain_subplans(node))
    };
    let reason = match (columns, volatile, subplans) {
        (true, ..) => "an expression over columns",
        (_, true, _) => "a volatile expression",
        (_, _, true) => "a subquery",
        _ => return Ok(()),
    };
    Err(reason.to_owned())
}

/// Without relabelling between binary-compatible types (varchar as text).
pub(super) fn strip(mut node: Node<'_>) -> Node<'_> {
    let textual = |oid| oid == pg_sys::TEXTOID || oid == pg_sys::VARCHAROID;
    while let Some(inner) = node.cast::<pg_sys::RelabelType>().and_then(|relabel| relabel.arg()) {
        if !textual(inner.type_of()) || !textual(node.type_of()) {
            break;
        }
        node = inner;
    }
    node
}

pub(super) fn describe(tag: NodeTag) -> &'static str {
    match tag {
        NodeTag::T_FuncExpr => "a function call",
        NodeTag::T_SubPlan | NodeTag::T_AlternativeSubPlan => "a subquery",
        NodeTag::T_CaseExpr => "CASE",
        NodeTag::T_DistinctExpr => "IS DISTINCT FROM",
        NodeTag::T_RowCompareExpr => "a comparison of rows",
        NodeTag::T_Const | NodeTag::T_Param => "a constant condition",
        _ => "a kind of expression that is not pushed",
    }
}
