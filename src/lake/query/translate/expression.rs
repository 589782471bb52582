//! Expressions of a row.

use std::ffi::CStr;

use lagoon_lake::expr::rules::{self, Precondition};
use lagoon_lake::expr::{Comparison, Expr, Function, MAX_DEPTH, Truth, Type, Value};
use lagoon_lake::types::{Kind, Numeric};
use pgrx::pg_sys::{self, NodeTag, Oid};

use super::aggregate::called;
use super::scope::Scope;
use super::{Called, Result, Translator, cast, is_known, type_of};
use crate::lake::expr::operator::{Listed, type_name};
use crate::lake::expr::{collation, describe, zone};
use crate::lake::types;
use crate::pg::node::Node;

/// Arguments of GREATEST and LEAST: each stands in what becomes of them three times as often as the one after it.
const MAX_EXTREMES: usize = 4;

impl Translator {
    /// The engine's expression. `depth` counts what stands above the node.
    pub(super) fn expr<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        if let Some(column) = scope.row.expr(node) {
            return Ok(column);
        }
        if node.tag() != NodeTag::T_BoolExpr && is_known(node) {
            return self.parameter(node);
        }
        let below = depth + 1;
        match node.tag() {
            NodeTag::T_Var => scope.column(cast(node)?),
            NodeTag::T_BoolExpr => self.connective(cast(node)?, scope, below),
            NodeTag::T_OpExpr => {
                let call: Node<'_, pg_sys::OpExpr> = cast(node)?;
                let call = zone::zoned(call).unwrap_or(call);
                let arguments: Vec<_> = call.args().iter().collect();
                self.call(node, Called::Operator(call.opno), call.inputcollid, &arguments, scope, below)
            }
            NodeTag::T_FuncExpr => self.function(node, cast(node)?, scope, below),
            NodeTag::T_DistinctExpr => self.distinct(node, scope, below),
            NodeTag::T_NullIfExpr => self.null_if(node, scope, below),
            NodeTag::T_ScalarArrayOpExpr => self.membership(cast(node)?, scope, below),
            NodeTag::T_NullTest => {
                let test: Node<'_, pg_sys::NullTest> = cast(node)?;
                if test.argisrow {
                    return Err("IS NULL of a row".to_owned());
                }
                let is_null = Expr::IsNull(Box::new(self.child(test.arg(), scope, below)?));
                let negated = test.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL;
                Ok(if negated { is_null.negated() } else { is_null })
            }
            NodeTag::T_BooleanTest => self.boolean_test(cast(node)?, scope, below),
            NodeTag::T_CaseExpr => self.case(node, cast(node)?, scope, below),
            NodeTag::T_CaseTestExpr => scope.case.cloned().ok_or_else(|| "CASE".to_owned()),
            NodeTag::T_CoalesceExpr => {
                let call: Node<'_, pg_sys::CoalesceExpr> = cast(node)?;
                let arguments = call.args().iter().map(|argument| self.expr(argument, scope, below));
                Ok(Expr::Coalesce(arguments.collect::<Result<_>>()?, type_of(node)?))
            }
            NodeTag::T_MinMaxExpr => self.extreme(cast(node)?, scope, below),
            NodeTag::T_RelabelType => {
                let relabel: Node<'_, pg_sys::RelabelType> = cast(node)?;
                let argument = relabel.arg().ok_or("nothing")?;
                if types::kind(argument.type_of()).is_none() || type_of(argument)? != type_of(node)? {
                    return Err(cast_between(argument.type_of(), node.type_of()));
                }
                self.expr(argument, scope, depth)
            }
            NodeTag::T_CollateExpr => self.child(cast::<pg_sys::CollateExpr>(node)?.arg(), scope, depth),
            NodeTag::T_CoerceViaIO => {
                let argument = cast::<pg_sys::CoerceViaIO>(node)?.arg().ok_or("nothing")?;
                self.cast(argument, node.type_of(), None, scope, below)
            }
            NodeTag::T_SubLink => self.sublink(cast(node)?, scope, below),
            NodeTag::T_Aggref => Err("an aggregate of an outer query".to_owned()),
            NodeTag::T_GroupingFunc => Err("GROUPING".to_owned()),
            other => Err(describe(other).to_owned()),
        }
    }

    fn child<'t>(&mut self, node: Option<Node<'t>>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        self.expr(node.ok_or("nothing")?, scope, depth)
    }

    /// A condition that rows have to fulfil, where NULL is as good as false. It is folded first.
    pub(super) fn condition<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>) -> Result<Expr> {
        let node = self.fold(node)?;
        if let Some(connective) = node.cast::<pg_sys::BoolExpr>()
            && connective.boolop == pg_sys::BoolExprType::AND_EXPR
        {
            let parts = connective.args().iter().map(|part| self.fulfilled(part, scope, 1));
            return Ok(Expr::And(parts.collect::<Result<_>>()?));
        }
        self.fulfilled(node, scope, 0)
    }

    fn fulfilled<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        match node.cast::<pg_sys::SubLink>() {
            Some(link) => self.fulfilled_sublink(link, scope, depth),
            None => self.expr(node, scope, depth),
        }
    }

    fn connective<'t>(
        &mut self,
        node: Node<'t, pg_sys::BoolExpr>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let parts = node.args().iter().map(|part| self.expr(part, scope, depth));
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(match node.boolop {
            pg_sys::BoolExprType::AND_EXPR => Expr::And(parts),
            pg_sys::BoolExprType::OR_EXPR => Expr::Or(parts),
            _ => parts.pop().ok_or("NOT of nothing")?.negated(),
        })
    }

    fn boolean_test<'t>(
        &mut self,
        test: Node<'t, pg_sys::BooleanTest>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        use pg_sys::BoolTestType::*;
        let inner = Box::new(self.child(test.arg(), scope, depth)?);
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

    /// A call that the rules list.
    fn call<'t>(
        &mut self,
        node: Node<'t>,
        called: Called,
        collation: Oid,
        arguments: &[Node<'t>],
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let listed = self.listed(called, collation)?;
        let arguments = arguments.iter().map(|argument| self.expr(*argument, scope, depth));
        let call = make_call(&listed, arguments.collect::<Result<_>>()?)?;
        if types::kind(node.type_of()) != Some(listed.result) {
            return Err(format!("{} that gives {}", listed.name(), type_name(node.type_of())));
        }
        Ok(call)
    }

    pub(super) fn listed(&mut self, called: Called, collation: Oid) -> Result<Listed> {
        if let Some(known) = self.listed.get(&(called, collation)) {
            return known.clone();
        }
        let found = match called {
            Called::Operator(oid) => Listed::operator(oid, rules::find_in_queries),
            Called::Function(oid) => Listed::function(oid, rules::find_in_queries),
        };
        let found = found.and_then(|listed| {
            collation::check(listed.name(), listed.precondition, collation)?;
            Ok(listed)
        });
        self.listed.insert((called, collation), found.clone());
        found
    }

    fn function<'t>(
        &mut self,
        node: Node<'t>,
        call: Node<'t, pg_sys::FuncExpr>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let arguments: Vec<_> = call.args().iter().collect();
        if let Some(first) = arguments.first()
            && let Some(numeric) = coercion(call.funcid, first.type_of(), node.type_of(), arguments.get(1).copied())?
        {
            return self.cast(*first, node.type_of(), numeric, scope, depth);
        }
        if call.funcvariadic {
            return Err("a function with VARIADIC".to_owned());
        }
        if let Ok(name @ ("concat" | "concat_ws")) = called(call.funcid).as_deref() {
            return self.concatenation(name == "concat_ws", &arguments, scope, depth);
        }
        self.call(node, Called::Function(call.funcid), call.inputcollid, &arguments, scope, depth)
    }

    /// `concat` and `concat_ws`, as sums of texts in which NULL is nothing. What stands before the first text of `concat_ws`
    /// is a separator too many, which is taken off; a separator that is NULL makes all of it NULL.
    fn concatenation<'t>(
        &mut self,
        separated: bool,
        arguments: &[Node<'t>],
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        collation::check("concat", Precondition::Utf8, pg_sys::InvalidOid)?;
        let text = Type::One(Kind::Text);
        let literal = |text: &str| Expr::Constant(Value::Text(text.to_owned()), Kind::Text.into());
        // The sum is as deep as the logarithm of its length, and each part has up to three levels of its own.
        let depth = depth + 6 + arguments.len().next_power_of_two().trailing_zeros() as usize;
        let (separator, arguments) = match arguments.split_first() {
            Some((separator, others)) if separated => (Some(self.as_text(*separator, scope, depth)?), others),
            _ => (None, arguments),
        };
        let mut parts = Vec::new();
        for argument in arguments {
            let part = self.as_text(*argument, scope, depth)?;
            let part = match &separator {
                Some(separator) => Expr::binary(Function::Append, separator.clone(), part),
                None => part,
            };
            parts.push(Expr::Coalesce(vec![part, literal("")], text));
        }
        while parts.len() > 1 {
            let pairs = parts.chunks(2).map(|pair| match pair {
                [left, right] => Expr::binary(Function::Append, left.clone(), right.clone()),
                rest => rest.first().cloned().unwrap_or_else(|| literal("")),
            });
            parts = pairs.collect();
        }
        let sum = parts.pop().unwrap_or_else(|| literal(""));
        Ok(match separator {
            Some(separator) => {
                let length = Expr::Call(Function::Length, vec![separator]);
                let one = Expr::Constant(Value::Int(1), Kind::Int4.into());
                Expr::binary(Function::Substring, sum, Expr::binary(Function::Add, length, one))
            }
            None => sum,
        })
    }

    /// A value as the output function of its type writes it, where no setting has a say in that.
    fn as_text<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        // A literal that nothing gave a type.
        if let Some(constant) = node.cast::<pg_sys::Const>()
            && constant.consttype == pg_sys::UNKNOWNOID
        {
            let value = match constant.value() {
                // SAFETY: values of the type unknown are C strings; the database is UTF-8.
                Some(datum) => Value::Text(unsafe { CStr::from_ptr(datum.cast_mut_ptr()) }.to_string_lossy().into()),
                None => Value::Null,
            };
            return Ok(Expr::Constant(value, Kind::Text.into()));
        }
        let text = Type::One(Kind::Text);
        match types::kind(node.type_of()) {
            Some(Kind::Text) => self.expr(node, scope, depth),
            Some(Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric) => {
                Ok(Expr::Cast(Box::new(self.expr(node, scope, depth)?), text, None))
            }
            _ => Err(format!("concat of {}", type_name(node.type_of()))),
        }
    }

    fn cast<'t>(
        &mut self,
        argument: Node<'t>,
        to: Oid,
        numeric: Option<Numeric>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let ty = types::kind(to).zip(types::kind(argument.type_of())).map(|(to, _)| Type::One(to));
        let ty = ty.ok_or_else(|| cast_between(argument.type_of(), to))?;
        Ok(Expr::Cast(Box::new(self.expr(argument, scope, depth)?), ty, numeric))
    }

    /// Both sides of an operator that has the layout of an OpExpr, and what is equal to them.
    fn sides<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<(Expr, Expr, Expr)> {
        // SAFETY: DistinctExpr and NullIfExpr are other names of OpExpr.
        let call = unsafe { Node::<pg_sys::OpExpr>::new(node.as_ptr().cast()) }.ok_or("nothing")?;
        let listed = self.listed(Called::Operator(call.opno), call.inputcollid)?;
        let left = self.child(call.args().get(0), scope, depth)?;
        let right = self.child(call.args().get(1), scope, depth)?;
        let equal = make_call(&listed, vec![left.clone(), right.clone()])?;
        Ok((left, right, equal))
    }

    fn distinct<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        let (left, right, equal) = self.sides(node, scope, depth + 4)?;
        let nulls = Expr::And(vec![Expr::IsNull(Box::new(left)), Expr::IsNull(Box::new(right))]);
        Ok(Expr::Or(vec![Expr::Is(Box::new(equal), Truth::True), nulls]).negated())
    }

    fn null_if<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        let ty = type_of(node)?;
        let (left, _, equal) = self.sides(node, scope, depth + 2)?;
        let null = Expr::Constant(Value::Null, ty);
        Ok(Expr::Case(vec![(equal, null)], Some(Box::new(left)), ty))
    }

    fn membership<'t>(
        &mut self,
        call: Node<'t, pg_sys::ScalarArrayOpExpr>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let (Some(left), Some(right)) = (call.args().get(0), call.args().get(1)) else {
            return Err("IN without arguments".to_owned());
        };
        let listed = self.listed(Called::Operator(call.opno), call.inputcollid)?;
        let negated = match (listed.function, call.useOr) {
            (Function::Compare(Comparison::Eq), true) => false,
            (Function::Compare(Comparison::NotEq), false) => true,
            _ => return Err(format!("{} with ANY or ALL", listed.name())),
        };
        let item = self.expr(left, scope, depth + 1)?;
        let within = match right.cast::<pg_sys::ArrayExpr>() {
            Some(array) if !is_known(right) && !array.multidims => {
                let equal = Function::Compare(Comparison::Eq);
                let elements = array.elements().iter().map(|element| {
                    let element = self.expr(element, scope, depth + 2)?;
                    Ok(Expr::binary(equal, item.clone(), element))
                });
                Expr::Or(elements.collect::<Result<_>>()?)
            }
            _ if is_known(right) => {
                let list = self.parameter(right)?;
                let element = listed.arguments.get(1).copied();
                if list.ty() != element.map(|array| Type::Array { array }) || item.ty() != first(&listed) {
                    return Err("IN of another type".to_owned());
                }
                Expr::In(Box::new(item), Box::new(list))
            }
            _ => return Err("IN with an array of columns".to_owned()),
        };
        Ok(if negated { within.negated() } else { within })
    }

    fn case<'t>(
        &mut self,
        node: Node<'t>,
        case: Node<'t, pg_sys::CaseExpr>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let ty = type_of(node)?;
        let tested = case.arg().map(|arg| self.expr(arg, scope, depth + 2)).transpose()?;
        let within = Scope { case: tested.as_ref().or(scope.case), ..*scope };
        let branches = case.args().iter().map(|branch| {
            let branch: Node<'_, pg_sys::CaseWhen> = cast(branch)?;
            Ok((self.child(branch.expr(), &within, depth + 1)?, self.child(branch.result(), scope, depth + 1)?))
        });
        let branches = branches.collect::<Result<Vec<_>>>()?;
        let last = case.defresult().map(|last| self.expr(last, scope, depth + 1)).transpose()?;
        Ok(Expr::Case(branches, last.map(Box::new), ty))
    }

    /// GREATEST and LEAST, which leave NULLs out, and of equal values give the first.
    fn extreme<'t>(&mut self, node: Node<'t, pg_sys::MinMaxExpr>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        let ty = types::expression(node.minmaxtype).ok_or_else(|| type_name(node.minmaxtype))?;
        let Type::One(kind) = ty else { return Err("GREATEST or LEAST of arrays".to_owned()) };
        if node.args().len() > MAX_EXTREMES {
            return Err(format!("GREATEST or LEAST of more than {MAX_EXTREMES}"));
        }
        let better = match node.op {
            pg_sys::MinMaxOp::IS_GREATEST => Comparison::Gt,
            _ => Comparison::Lt,
        };
        let rule = rules::find_in_queries(better.into(), &[kind, kind]).ok_or("GREATEST or LEAST")?;
        collation::check("GREATEST or LEAST", rule.precondition, node.inputcollid)?;
        let depth = depth + 2 * MAX_EXTREMES;
        let mut best = self.child(node.args().get(0), scope, depth)?;
        for argument in node.args().iter().skip(1) {
            let other = self.expr(argument, scope, depth)?;
            let is_null = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
            let branches = vec![
                (is_null(&other), best.clone()),
                (is_null(&best), other.clone()),
                (Expr::binary(better, other.clone(), best.clone()), other),
            ];
            best = Expr::Case(branches, Some(Box::new(best)), ty);
        }
        Ok(best)
    }
}

/// A call of what is listed, of arguments of the types that are listed.
pub(super) fn make_call(listed: &Listed, arguments: Vec<Expr>) -> Result<Expr> {
    let fit = arguments.len() == listed.arguments.len()
        && arguments.iter().zip(&listed.arguments).all(|(argument, kind)| argument.ty() == Some(Type::One(*kind)));
    if !fit {
        return Err(format!("{} of other types", listed.name()));
    }
    Ok(Expr::Call(listed.function, arguments))
}

fn first(listed: &Listed) -> Option<Type> {
    listed.arguments.first().map(|kind| Type::One(*kind))
}

fn cast_between(from: Oid, to: Oid) -> String {
    format!("a cast from {} to {}", type_name(from), type_name(to))
}

/// Whether a function is what a cast calls, and the precision that it is to give a numeric.
fn coercion(function: Oid, from: Oid, to: Oid, second: Option<Node<'_>>) -> Result<Option<Option<Numeric>>> {
    let mut found = pg_sys::InvalidOid;
    // SAFETY: lookups in the catalogs.
    let path = unsafe {
        if from == to {
            pg_sys::find_typmod_coercion_function(to, &mut found)
        } else {
            pg_sys::find_coercion_pathway(to, from, pg_sys::CoercionContext::COERCION_EXPLICIT, &mut found)
        }
    };
    if path != pg_sys::CoercionPathType::COERCION_PATH_FUNC || found != function {
        return Ok(None);
    }
    if from != to {
        return Ok(Some(None));
    }
    let typmod = second.and_then(Node::cast::<pg_sys::Const>).and_then(Node::value).map(|datum| datum.value() as i32);
    match types::column(to, typmod.unwrap_or(-1)) {
        Some(lagoon_lake::types::ColumnType::Numeric(numeric)) => Ok(Some(Some(numeric))),
        _ => Err(format!("a cast to {} with a modifier", type_name(to))),
    }
}
