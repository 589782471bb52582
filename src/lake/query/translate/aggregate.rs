//! GROUP BY and aggregate functions.

use std::ffi::{CStr, c_int};

use lagoon_lake::expr::{Expr, Type, rules};
use lagoon_lake::query::{Aggregate, Rel};
use pgrx::pg_sys;

use super::order::check_equality;
use super::scope::{Around, Row, Scope};
use super::{Result, Translator, all, cast, is_known, type_of};
use crate::lake::expr::collation;
use crate::lake::types;
use crate::pg;
use crate::pg::node::{List, Node, Step};

impl Translator {
    /// Groups, and the aggregates that stand in `shown`.
    pub(super) fn aggregate<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        input: Rel,
        row: &Row<'t>,
        shown: &[Node<'t>],
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let scope = around.scope(row);
        let mut grouped = Row::default();
        let (mut groups, mut references) = (Vec::new(), Vec::new());
        // SAFETY: part of the query.
        for clause in unsafe { List::<pg_sys::SortGroupClause>::new(query.groupClause) }.iter() {
            let node = self.target(query, clause.tleSortGroupRef)?;
            check_equality(node, clause.eqop)?;
            if !query.groupingSets.is_null() && is_known(node) {
                return Err("a constant among grouping sets".to_owned());
            }
            groups.push(self.expr(node, &scope, 0)?);
            references.push(clause.tleSortGroupRef);
            grouped.push_expr(node, type_of(node)?);
        }
        let mut aggregates = Vec::new();
        for node in aggregates_in(shown) {
            aggregates.push(match node.cast::<pg_sys::GroupingFunc>() {
                Some(call) => grouping(call, &groups, &references)?,
                None => self.aggregate_call(cast(node)?, &scope)?,
            });
            grouped.push_expr(node, type_of(node)?);
        }
        let sets = if query.groupingSets.is_null() { None } else { Some(grouping_sets(query, &references)?) };
        Ok((Rel::Aggregate { input: Box::new(input), groups, sets, aggregates }, grouped))
    }

    fn aggregate_call<'t>(&mut self, call: Node<'t, pg_sys::Aggref>, scope: &Scope<'_, 't>) -> Result<Aggregate> {
        let function = called(call.aggfnoid)?;
        if call.aggkind as u8 != AGGKIND_NORMAL || !call.aggdirectargs.is_null() {
            return Err(format!("ordered-set aggregate {function}"));
        }
        if call.aggvariadic {
            return Err("an aggregate with VARIADIC".to_owned());
        }
        let targets: Vec<_> = all::<pg_sys::TargetEntry>(call.args()).collect();
        let mut arguments = Vec::new();
        for argument in targets.iter().filter(|target| !target.resjunk).filter_map(|target| target.expr()) {
            arguments.push(self.expr(argument, scope, 0)?);
        }
        check_listed(&function, &arguments, call.inputcollid, call.aggtype)?;
        let referenced = |reference: u32| {
            let target = targets.iter().find(|target| target.ressortgroupref == reference);
            target.and_then(|target| target.expr()).ok_or_else(|| "an expression that is gone".to_owned())
        };
        for clause in all::<pg_sys::SortGroupClause>(call.aggdistinct()) {
            check_equality(referenced(clause.tleSortGroupRef)?, clause.eqop)?;
        }
        let mut order = Vec::new();
        for clause in all::<pg_sys::SortGroupClause>(call.aggorder()) {
            let node = referenced(clause.tleSortGroupRef)?;
            let expr = self.expr(node, scope, 0)?;
            order.push(super::order::key(node, expr, clause)?);
        }
        let filter = call.aggfilter().map(|filter| self.condition(filter, scope)).transpose()?;
        Ok(Aggregate { function, arguments, distinct: call.aggdistinct().len() > 0, filter, order })
    }
}

/// pg_aggregate.h; not among pgrx's bindings.
const AGGKIND_NORMAL: u8 = b'n';

/// The name of an aggregate or window function of pg_catalog.
pub(super) fn called(function: pg_sys::Oid) -> Result<String> {
    // SAFETY: lookups in the catalogs; the name is a copy.
    unsafe {
        let name = pg_sys::get_func_name(function);
        let name = if name.is_null() { c"?" } else { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        if pg_sys::get_func_namespace(function) != pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE) {
            return Err(format!("function {name} is not PostgreSQL's own"));
        }
        Ok(name)
    }
}

/// Whether the rules list an aggregate function for these arguments, under a collation.
pub(super) fn check_listed(
    function: &str,
    arguments: &[Expr],
    collation: pg_sys::Oid,
    result: pg_sys::Oid,
) -> Result<()> {
    let kinds = arguments.iter().map(|argument| match argument.ty() {
        Some(Type::One(kind)) => Some(kind),
        _ => None,
    });
    let kinds = kinds.collect::<Option<Vec<_>>>();
    let rule = kinds.and_then(|kinds| rules::find_aggregate(function, &kinds).map(|rule| (rule, rule.result(&kinds))));
    let (rule, gives) = rule.ok_or_else(|| format!("aggregate {function} of these types is not pushed"))?;
    if gives.is_none() || gives != types::kind(result) {
        return Err(format!("aggregate {function} of another type"));
    }
    collation::check(function, rule.precondition, collation)
}

/// GROUPING, as an aggregate whose arguments are groups.
fn grouping(call: Node<'_, pg_sys::GroupingFunc>, groups: &[Expr], references: &[u32]) -> Result<Aggregate> {
    // SAFETY: part of the query.
    let asked = unsafe { pg::query::grouping_references(call.as_ptr()) };
    let group = |reference: &u32| {
        let at = references.iter().position(|own| own == reference)?;
        groups.get(at).cloned()
    };
    let arguments = asked.iter().map(group).collect::<Option<Vec<_>>>().ok_or("GROUPING of what is no group")?;
    Ok(Aggregate { function: "grouping".to_owned(), arguments, distinct: false, filter: None, order: Vec::new() })
}

/// Aggregates of this query in its expressions, and what asks for its grouping sets, each once.
fn aggregates_in<'t>(shown: &[Node<'t>]) -> Vec<Node<'t>> {
    let mut found: Vec<Node<'t>> = Vec::new();
    for node in shown {
        node.walk(&mut |part| {
            let level = match (part.cast::<pg_sys::Aggref>(), part.cast::<pg_sys::GroupingFunc>()) {
                (Some(call), _) => call.agglevelsup,
                (_, Some(call)) => call.agglevelsup,
                _ => return Step::Into,
            };
            // SAFETY: part of a tree that lives as long as the one that is walked.
            let part = unsafe { Node::new(part.as_ptr()) };
            let is_new = |part: &Node<'_>| level == 0 && !found.iter().any(|own| own.equals(*part));
            found.extend(part.filter(is_new));
            Step::Over
        });
    }
    found
}

/// More of them would be PostgreSQL's own error.
const MAX_SETS: c_int = 4096;

/// Each set as indexes into the groups.
fn grouping_sets(query: Node<'_, pg_sys::Query>, references: &[u32]) -> Result<Vec<Vec<usize>>> {
    // SAFETY: a query.
    let sets = unsafe { pg::query::grouping_sets(query.as_ptr(), MAX_SETS) }.ok_or("too many grouping sets")?;
    let index = |reference: &u32| {
        let index = references.iter().position(|own| own == reference);
        index.ok_or_else(|| "a grouping set".to_owned())
    };
    sets.iter().map(|set| set.iter().map(index).collect()).collect()
}
