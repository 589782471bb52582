//! Expressions of a plan node whose values are bound when its source starts: PostgreSQL evaluates them.

use lagoon_lake::Result;
use lagoon_lake::expr::Value;
use pgrx::{PgMemoryContexts, pg_sys};

use super::types;
use crate::pg::node::{List, Node};

/// They belong to a plan node, which evaluates them.
pub(super) struct Parameters(Vec<(*mut pg_sys::ExprState, pg_sys::Oid)>);

impl Parameters {
    /// Of a node that begins.
    ///
    /// # Safety
    /// Expressions of the node's plan; the node outlives the result.
    pub(super) unsafe fn begin(expressions: *mut pg_sys::List, node: *mut pg_sys::PlanState) -> Self {
        // SAFETY: the caller's.
        let (states, expressions): (List<'_, pg_sys::ExprState>, List<'_>) =
            unsafe { (List::new(pg_sys::ExecInitExprList(expressions, node)), List::new(expressions)) };
        Self(states.iter().map(Node::as_ptr).zip(expressions.iter().map(Node::type_of)).collect())
    }

    /// Their values now.
    ///
    /// # Safety
    /// The context is that of the node.
    pub(super) unsafe fn evaluate(&self, context: *mut pg_sys::ExprContext) -> Result<Vec<Value>> {
        let evaluate = |(state, oid): &(*mut pg_sys::ExprState, pg_sys::Oid)| {
            let mut is_null = false;
            // SAFETY: the caller's; the result has the expression's type. It is copied before the context is reset.
            unsafe {
                let datum = pg_sys::ExecEvalExpr(*state, context, &mut is_null);
                types::value(*oid, datum, is_null)
            }
        };
        // SAFETY: the context is that of the node and lives as long as it.
        let memory = unsafe { (*context).ecxt_per_tuple_memory };
        // SAFETY: as above.
        unsafe { PgMemoryContexts::For(memory).switch_to(|_| self.0.iter().map(evaluate).collect()) }
    }
}
