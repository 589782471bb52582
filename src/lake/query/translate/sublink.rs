//! Subqueries within expressions.

use lagoon_lake::expr::{Comparison, Expr, Function, Value};
use lagoon_lake::query::Rel;
use lagoon_lake::types::Kind;
use pgrx::pg_sys::{self, NodeTag, SubLinkType};

use super::expression::make_call;
use super::scope::{Around, Level, Row, Scope};
use super::{Called, Result, Translator, cast, type_of};
use crate::pg::node::Node;

impl Translator {
    pub(super) fn sublink<'t>(
        &mut self,
        link: Node<'t, pg_sys::SubLink>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let query: Node<'_, pg_sys::Query> = cast(link.subselect().ok_or("nothing")?)?;
        let level = Level { depth: scope.around.depth, row: scope.row, outer: scope.around.levels };
        let around = Around { levels: Some(&level), ..scope.around.below() };
        match link.subLinkType {
            SubLinkType::EXISTS_SUBLINK => Ok(Expr::Exists(Box::new(self.query(query, around)?.0))),
            SubLinkType::EXPR_SUBLINK => {
                // SAFETY: the expression itself.
                let ty = type_of(unsafe { Node::new(link.as_ptr().cast::<pg_sys::Node>()) }.ok_or("nothing")?)?;
                let (rel, types) = self.query(query, around)?;
                if types[..] != [ty] {
                    return Err("a subquery of another type".to_owned());
                }
                Ok(Expr::Scalar(Box::new(rel), ty))
            }
            SubLinkType::ANY_SUBLINK | SubLinkType::ALL_SUBLINK => self.quantified(link, query, scope, around, depth),
            SubLinkType::ROWCOMPARE_SUBLINK => Err("a comparison of rows with a subquery".to_owned()),
            SubLinkType::ARRAY_SUBLINK => Err("ARRAY of a subquery".to_owned()),
            _ => Err("a subquery".to_owned()),
        }
    }

    /// The same where NULL is as good as false, which makes a comparison of several columns a simple one.
    pub(super) fn fulfilled_sublink<'t>(
        &mut self,
        link: Node<'t, pg_sys::SubLink>,
        scope: &Scope<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let test = link.testexpr().filter(|test| test.tag() == NodeTag::T_BoolExpr);
        let (SubLinkType::ANY_SUBLINK, Some(test)) = (link.subLinkType, test) else {
            return self.sublink(link, scope, depth);
        };
        let query: Node<'_, pg_sys::Query> = cast(link.subselect().ok_or("nothing")?)?;
        let level = Level { depth: scope.around.depth, row: scope.row, outer: scope.around.levels };
        let around = Around { levels: Some(&level), ..scope.around.below() };
        let (rel, types) = self.query(query, around)?;
        let condition = self.test(test, &around.scope(&Row::of_entry(PARAMETERS, &types)), depth + 2)?;
        Ok(Expr::Exists(Box::new(Rel::Filter { input: Box::new(rel), condition })))
    }

    /// `... op ANY (query)` and `... op ALL (query)`.
    fn quantified<'t>(
        &mut self,
        link: Node<'t, pg_sys::SubLink>,
        query: Node<'t, pg_sys::Query>,
        scope: &Scope<'_, 't>,
        around: Around<'_, 't>,
        depth: usize,
    ) -> Result<Expr> {
        let any = link.subLinkType == SubLinkType::ANY_SUBLINK;
        let test = link.testexpr().ok_or("nothing")?;
        let (rel, types) = self.query(query, around)?;
        // One column, compared for equality: SQL's IN.
        if let Some(call) = test.cast::<pg_sys::OpExpr>() {
            let listed = self.listed(Called::Operator(call.opno), call.inputcollid)?;
            let wanted = if any { Comparison::Eq } else { Comparison::NotEq };
            if listed.function == Function::Compare(wanted)
                && let (Some(left), Some(right)) = (call.args().get(0), call.args().get(1))
                && types.len() == 1
                && column_of(right).is_ok()
            {
                let item = self.expr(left, scope, depth + 1)?;
                let fits = [item.ty(), types.first().copied()]
                    .into_iter()
                    .eq(listed.arguments.iter().map(|kind| Some((*kind).into())));
                if !fits {
                    return Err("IN of another type".to_owned());
                }
                let within = Expr::InQuery(Box::new(item), Box::new(rel));
                return Ok(if any { within } else { within.negated() });
            }
        }
        // Anything else: true if there is a row for which the test is true, NULL if there is one for which it is NULL. ALL is
        // that of the opposite, negated.
        let row = Row::of_entry(PARAMETERS, &types);
        let condition = self.test(test, &around.scope(&row), depth + 4)?;
        let (decisive, answer) = if any { (condition.clone(), true) } else { (condition.clone().negated(), false) };
        let rows = |condition| Expr::Exists(Box::new(Rel::Filter { input: Box::new(rel.clone()), condition }));
        let boolean = |value| Expr::Constant(value, Kind::Bool.into());
        let branches = vec![
            (rows(decisive), boolean(Value::Bool(answer))),
            (rows(Expr::IsNull(Box::new(condition))), boolean(Value::Null)),
        ];
        Ok(Expr::Case(branches, Some(Box::new(boolean(Value::Bool(!answer)))), Kind::Bool.into()))
    }

    /// What a subquery's rows are tested for, as an expression over its row: the left sides are outer columns there.
    fn test<'t>(&mut self, node: Node<'t>, scope: &Scope<'_, 't>, depth: usize) -> Result<Expr> {
        if let Some(connective) = node.cast::<pg_sys::BoolExpr>() {
            let parts = connective.args().iter().map(|part| self.test(part, scope, depth + 1));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            return Ok(match connective.boolop {
                pg_sys::BoolExprType::AND_EXPR => Expr::And(parts),
                pg_sys::BoolExprType::OR_EXPR => Expr::Or(parts),
                _ => return Err("a test of a subquery's rows".to_owned()),
            });
        }
        let call: Node<'_, pg_sys::OpExpr> = cast(node)?;
        let (Some(left), Some(right)) = (call.args().get(0), call.args().get(1)) else {
            return Err("a test of a subquery's rows".to_owned());
        };
        let listed = self.listed(Called::Operator(call.opno), call.inputcollid)?;
        // SAFETY: a copy, whose columns are counted from one query further in.
        let left = unsafe {
            let copy = pg_sys::copyObjectImpl(left.as_ptr().cast()).cast::<pg_sys::Node>();
            pg_sys::IncrementVarSublevelsUp(copy, 1, 0);
            Node::new(copy).ok_or("nothing")?
        };
        let left = self.expr(left, scope, depth + 1)?;
        let number = column_of(right)?;
        let right = scope.row.column(PARAMETERS, number).ok_or("a test of a subquery's rows")?;
        make_call(&listed, vec![left, right])
    }
}

/// The entry of a range table that the columns of a subquery have in its test.
const PARAMETERS: i32 = -1;

/// The number of the subquery's column that stands on the right side of a test.
fn column_of(node: Node<'_>) -> Result<i16> {
    let node = crate::lake::expr::strip(node);
    match node.cast::<pg_sys::Param>() {
        Some(param) if param.paramkind == pg_sys::ParamKind::PARAM_SUBLINK => {
            i16::try_from(param.paramid).map_err(|error| error.to_string())
        }
        _ if node.tag() == NodeTag::T_FuncExpr => Err("a cast of a subquery's column".to_owned()),
        _ => Err("a test of a subquery's rows".to_owned()),
    }
}
