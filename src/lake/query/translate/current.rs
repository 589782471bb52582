//! A query whose clauses are translated, with what is known of all of it.

use std::collections::BTreeMap;

use pgrx::pg_sys;

use super::Result;
use super::elsewhere::{Restrictions, is_shipped};
use crate::pg::node::{List, Node};

/// A query whose FROM clause is translated.
pub(super) struct Current<'t> {
    query: Node<'t, pg_sys::Query>,
    /// Columns of its range table that anything looks at, but the restrictions.
    used: BTreeMap<(i32, i16), Node<'t>>,
    restrictions: Restrictions<'t>,
}

impl<'t> Current<'t> {
    pub(super) fn new(query: Node<'t, pg_sys::Query>) -> Self {
        let mut this = Self { query, used: BTreeMap::new(), restrictions: Restrictions::default() };
        // SAFETY: part of the query.
        if let Some(from) = unsafe { Node::new(query.jointree) } {
            this.restrictions = Restrictions::of(from, &|index| this.entry(index).is_ok_and(is_shipped));
        }
        // SAFETY: a query; its Vars are listed, not copied.
        let vars = unsafe { List::<pg_sys::Var>::new(pg_sys::pull_vars_of_level(query.as_ptr().cast(), 0)) };
        let of_restrictions = this.restrictions.columns();
        for var in vars.iter().filter(|var| !of_restrictions.contains(&var.as_ptr())) {
            // SAFETY: a Var is a node.
            this.used.extend(unsafe { Node::new(var.as_ptr().cast()) }.map(|node| ((var.varno, var.varattno), node)));
        }
        this
    }

    pub(super) fn query(&self) -> Node<'t, pg_sys::Query> {
        self.query
    }

    pub(super) fn restrictions(&self) -> &Restrictions<'t> {
        &self.restrictions
    }

    /// Numbers of the columns of an entry that are used, in order, each with a Var of it.
    pub(super) fn used(&self, index: i32) -> Vec<(i16, Node<'t>)> {
        let of_entry = self.used.range((index, i16::MIN)..=(index, i16::MAX));
        of_entry.map(|((_, number), var)| (*number, *var)).collect()
    }

    pub(super) fn entry(&self, index: i32) -> Result<Node<'t, pg_sys::RangeTblEntry>> {
        // SAFETY: the query's range table.
        let entries = unsafe { List::<pg_sys::RangeTblEntry>::new(self.query.rtable) };
        let index = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
        index.and_then(|index| entries.get(index)).ok_or_else(|| "an entry that is gone".to_owned())
    }
}
