//! From PostgreSQL's query trees to the engine's, or to the first reason why a query stays here.
//!
//! ```text
//! statement    the outermost query: what the engine delivers, and what PostgreSQL computes of that
//! query        a query: its clauses, from the inside out       from_clause   tables, joins, subqueries
//! aggregate    GROUP BY                                         window        OVER
//! order        DISTINCT, ORDER BY, LIMIT                        set_operation UNION and relatives
//! expression   expressions of a row                             sublink       subqueries within them
//! scope        which columns an expression may look at          shipped       what PostgreSQL reads and sends
//! current      the query whose clauses are translated           elsewhere     what of it PostgreSQL reads
//! ```
//!
//! A query is taken as the rewriter gives it, with its expressions folded by PostgreSQL itself; what is translated keeps its
//! meaning word by word, and the engine's optimizer does the rest. Only nodes named here are understood; operators, functions
//! and aggregates are those of pg_catalog that the engine's rules list.

mod aggregate;
mod current;
mod elsewhere;
mod expression;
mod from_clause;
mod order;
mod query;
mod scope;
mod set_operation;
mod shipped;
mod statement;
mod sublink;
mod window;

use std::collections::HashMap;
use std::rc::Rc;

use lagoon_lake::expr::{Expr, Type};
use pgrx::pg_sys::{self, NodeTag};

use crate::lake::attribute::Attribute;
use crate::lake::expr::operator::Listed;
use crate::lake::expr::{Reason, describe};
use crate::lake::fdw::relation::Relation;
use crate::lake::types;
use crate::pg::node::{List, Node, Step};
use shipped::Tried;

pub(super) use elsewhere::{Restrictions, conjunction, looks_around};
pub(super) use shipped::Shipped;
pub(super) use statement::{Statement, has_averages};

type Result<T, E = Reason> = std::result::Result<T, E>;

/// Levels of queries within queries.
const MAX_QUERIES: usize = 32;

/// A foreign table of the statement; one that stands in it twice is two.
pub(super) struct Table {
    pub oid: pg_sys::Oid,
    pub relation: Rc<Relation>,
    /// The columns that the statement looks at.
    pub attributes: Vec<Attribute>,
}

/// Translates a statement; tables and parameters collect.
pub(super) struct Translator {
    /// What folding of constants needs of a planner's state.
    root: *mut pg_sys::PlannerInfo,
    /// Tables that were opened, which is done once.
    opened: HashMap<pg_sys::Oid, Rc<Relation>>,
    /// Operators and functions that were looked up, with the collation that they are to work under.
    listed: HashMap<(Called, pg_sys::Oid), Result<Listed>>,
    pub tables: Vec<Table>,
    /// Queries whose rows PostgreSQL sends, and what is known of all that were considered.
    pub shipments: Vec<Shipped>,
    tried: Vec<Tried>,
    /// What the statement costs PostgreSQL.
    cost: f64,
    parameters: pg_sys::ParamListInfo,
    /// Expressions whose values are parameters, in order.
    pub params: Vec<*mut pg_sys::Expr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Called {
    Operator(pg_sys::Oid),
    Function(pg_sys::Oid),
}

impl Translator {
    /// For a statement with these parameters, which may be NULL, and what PostgreSQL's own plan of it costs.
    pub(super) fn new(parameters: pg_sys::ParamListInfo, cost: f64) -> Self {
        // SAFETY: zeroed nodes in the current memory context, in which everything is translated.
        let root = unsafe {
            let mut global = pgrx::PgBox::<pg_sys::PlannerGlobal>::alloc_node(NodeTag::T_PlannerGlobal);
            global.boundParams = parameters;
            let mut root = pgrx::PgBox::<pg_sys::PlannerInfo>::alloc_node(NodeTag::T_PlannerInfo);
            root.glob = global.into_pg();
            root.query_level = 1;
            root.planner_cxt = pg_sys::CurrentMemoryContext;
            root.into_pg()
        };
        Self {
            root,
            opened: HashMap::new(),
            listed: HashMap::new(),
            tables: Vec::new(),
            shipments: Vec::new(),
            tried: Vec::new(),
            cost,
            parameters,
            params: Vec::new(),
        }
    }

    /// An expression with its constants folded and functions in SQL inlined, by PostgreSQL's own rules.
    fn fold<'t>(&self, node: Node<'t>) -> Result<Node<'t>> {
        // SAFETY: an expression of a query, and a planner's state that lives as long; so does the result.
        unsafe { Node::new(pg_sys::eval_const_expressions(self.root, node.as_ptr())) }
            .ok_or_else(|| "nothing".to_owned())
    }

    /// What PostgreSQL evaluates once, when execution begins.
    fn parameter(&mut self, node: Node<'_>) -> Result<Expr> {
        let ty = type_of(node)?;
        if let Some(constant) = node.cast::<pg_sys::Const>()
            && let Some(constant) = crate::lake::expr::constant(constant, ty)?
        {
            return Ok(constant);
        }
        self.params.push(node.as_ptr().cast());
        Ok(Expr::Parameter(self.params.len() - 1, ty))
    }
}

/// The type of an expression, which the engine has.
fn type_of(node: Node<'_>) -> Result<Type> {
    let oid = node.type_of();
    types::expression(oid).ok_or_else(|| format!("type {}", crate::lake::expr::operator::type_name(oid)))
}

/// Whether PostgreSQL can evaluate an expression before anything is read. Nothing that comes here is volatile.
fn is_known(node: Node<'_>) -> bool {
    !node.walk(&mut |part| match part.tag() {
        NodeTag::T_Var
        | NodeTag::T_Aggref
        | NodeTag::T_GroupingFunc
        | NodeTag::T_WindowFunc
        | NodeTag::T_SubLink
        | NodeTag::T_CaseTestExpr
        | NodeTag::T_CoerceToDomainValue => Step::Stop,
        NodeTag::T_Param => match part.cast::<pg_sys::Param>() {
            Some(param) if param.paramkind == pg_sys::ParamKind::PARAM_EXTERN => Step::Over,
            _ => Step::Stop,
        },
        _ => Step::Into,
    })
}

/// Elements of a list that are all of one kind.
fn all<'t, K: crate::pg::node::Kind + 't>(list: List<'t>) -> impl Iterator<Item = Node<'t, K>> {
    list.iter().filter_map(Node::cast::<K>)
}

/// A node as one of a kind; its description if it is of another one.
fn cast<'t, K: crate::pg::node::Kind>(node: Node<'t>) -> Result<Node<'t, K>> {
    node.cast::<K>().ok_or_else(|| describe(node.tag()).to_owned())
}

/// The target list.
fn targets<'t>(query: Node<'t, pg_sys::Query>) -> impl Iterator<Item = Node<'t, pg_sys::TargetEntry>> {
    // SAFETY: part of the query.
    unsafe { all(List::new(query.targetList)) }
}
