//! Window functions.

use lagoon_lake::expr::Expr;
use lagoon_lake::query::{Bound, Frame, FrameUnit, Rel, WindowCall};
use pgrx::pg_sys;

use super::aggregate::{called, check_listed};
use super::order::{check_equality, key};
use super::scope::{Around, Row, Scope};
use super::{Result, Translator, is_known, type_of};
use crate::pg::node::{List, Node, Step};

impl Translator {
    /// The window functions that stand in `shown`, behind the columns of the input.
    pub(super) fn windows<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        input: Rel,
        row: Row<'t>,
        shown: &[Node<'t>],
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let scope = around.scope(&row);
        let mut with_calls = row.clone();
        let mut calls = Vec::new();
        for call in windows_in(shown) {
            // SAFETY: the call is an expression.
            let node = unsafe { Node::new(call.as_ptr().cast::<pg_sys::Node>()) }.ok_or("nothing")?;
            calls.push(self.window_call(query, call, &scope)?);
            with_calls.push_expr(node, type_of(node)?);
        }
        if calls.is_empty() {
            return Ok((input, row));
        }
        Ok((Rel::Window { input: Box::new(input), calls }, with_calls))
    }

    fn window_call<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        call: Node<'t, pg_sys::WindowFunc>,
        scope: &Scope<'_, 't>,
    ) -> Result<WindowCall> {
        let function = called(call.winfnoid)?;
        // SAFETY: part of the query.
        let windows = unsafe { List::<pg_sys::WindowClause>::new(query.windowClause) };
        let window = windows.iter().find(|window| window.winref == call.winref).ok_or("a window that is gone")?;
        let mut arguments = Vec::new();
        for argument in call.args().iter() {
            arguments.push(self.expr(argument, scope, 0)?);
        }
        if call.winagg {
            check_listed(&function, &arguments, call.inputcollid, call.wintype)?;
        }
        let filter = call.aggfilter().map(|filter| self.condition(filter, scope)).transpose()?;
        let mut partition = Vec::new();
        // SAFETY: part of the window.
        for clause in unsafe { List::<pg_sys::SortGroupClause>::new(window.partitionClause) }.iter() {
            let node = self.target(query, clause.tleSortGroupRef)?;
            check_equality(node, clause.eqop)?;
            partition.push(self.expr(node, scope, 0)?);
        }
        let mut order = Vec::new();
        // SAFETY: as above.
        for clause in unsafe { List::<pg_sys::SortGroupClause>::new(window.orderClause) }.iter() {
            let node = self.target(query, clause.tleSortGroupRef)?;
            let expr = self.expr(node, scope, 0)?;
            order.push(key(node, expr, clause)?);
        }
        let frame = self.frame(window)?;
        Ok(WindowCall { function, arguments, filter, partition, order, frame })
    }

    fn frame(&mut self, window: Node<'_, pg_sys::WindowClause>) -> Result<Frame> {
        let options = window.frameOptions as u32;
        let has = |option: u32| options & option != 0;
        if has(pg_sys::FRAMEOPTION_EXCLUSION) {
            return Err("a frame with EXCLUDE".to_owned());
        }
        let unit = if has(pg_sys::FRAMEOPTION_ROWS) {
            FrameUnit::Rows
        } else if has(pg_sys::FRAMEOPTION_GROUPS) {
            FrameUnit::Groups
        } else {
            FrameUnit::Range
        };
        if unit == FrameUnit::Range && has(pg_sys::FRAMEOPTION_START_OFFSET | pg_sys::FRAMEOPTION_END_OFFSET) {
            return Err("a frame of values".to_owned());
        }
        let start = if has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING) {
            Bound::UnboundedPreceding
        } else if has(pg_sys::FRAMEOPTION_START_OFFSET_PRECEDING) {
            Bound::Preceding(self.offset(window.startOffset())?)
        } else if has(pg_sys::FRAMEOPTION_START_OFFSET_FOLLOWING) {
            Bound::Following(self.offset(window.startOffset())?)
        } else if has(pg_sys::FRAMEOPTION_START_CURRENT_ROW) {
            Bound::CurrentRow
        } else {
            return Err("a frame".to_owned());
        };
        let end = if has(pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING) {
            Bound::UnboundedFollowing
        } else if has(pg_sys::FRAMEOPTION_END_OFFSET_PRECEDING) {
            Bound::Preceding(self.offset(window.endOffset())?)
        } else if has(pg_sys::FRAMEOPTION_END_OFFSET_FOLLOWING) {
            Bound::Following(self.offset(window.endOffset())?)
        } else if has(pg_sys::FRAMEOPTION_END_CURRENT_ROW) {
            Bound::CurrentRow
        } else {
            return Err("a frame".to_owned());
        };
        Ok(Frame { unit, start, end })
    }

    fn offset(&mut self, node: Option<Node<'_>>) -> Result<Expr> {
        let node = self.fold(node.ok_or("nothing")?)?;
        if is_known(node) { self.parameter(node) } else { Err("a frame with a subquery".to_owned()) }
    }
}

/// Window functions in the expressions of a query, each once.
fn windows_in<'t>(shown: &[Node<'t>]) -> Vec<Node<'t, pg_sys::WindowFunc>> {
    let mut found: Vec<Node<'t, pg_sys::WindowFunc>> = Vec::new();
    for node in shown {
        node.walk(&mut |part| {
            let Some(call) = part.cast::<pg_sys::WindowFunc>() else { return Step::Into };
            // SAFETY: part of a tree that lives as long as the one that is walked; two live trees.
            unsafe {
                let is_new = !found.iter().any(|own| pg_sys::equal(own.as_ptr().cast(), call.as_ptr().cast()));
                if let Some(call) = Node::new(call.as_ptr()).filter(|_| is_new) {
                    found.push(call);
                }
            }
            Step::Over
        });
    }
    found
}
