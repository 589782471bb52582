//! What planning knows of one relation, from GetForeignRelSize to GetForeignPlan.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use lagoon_lake::expr::Expr;
use lagoon_lake::source::estimate::Facts;
use pgrx::pg_sys;

use super::handover::Ticket;
use super::relation::Relation;
use crate::lake::expr::Reason;

/// The planner's private state of a relation.
pub(super) struct Planned {
    pub relation: Rc<Relation>,
    pub ticket: Option<Ticket>,
    /// Conditions that the engine evaluates, and as what.
    pub pushed: Vec<(*mut pg_sys::RestrictInfo, Expr)>,
    /// Those that stay with PostgreSQL, and why.
    pub kept: Vec<(*mut pg_sys::RestrictInfo, Reason)>,
    pub params: Vec<*mut pg_sys::Expr>,
    /// What its footers say, once that was asked for; None if it cannot be had.
    pub facts: OnceCell<Option<Facts>>,
    /// Rows like those of pg_statistic, by the column's number; None if there is nothing to say.
    pub statistics: RefCell<HashMap<i16, Option<pg_sys::HeapTuple>>>,
}

impl Planned {
    /// Before its conditions were looked at.
    pub(super) fn new(relation: Rc<Relation>, ticket: Option<Ticket>) -> Self {
        Self {
            relation,
            ticket,
            pushed: Vec::new(),
            kept: Vec::new(),
            params: Vec::new(),
            facts: OnceCell::new(),
            statistics: RefCell::default(),
        }
    }
}
