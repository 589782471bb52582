//! Restricting the indexes that the planner sees: to measure one index, queries must not use another.

use std::cell::Cell;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Oid, PlannerInfo, RelOptInfo};

use crate::pg::node::{self, List, Node};

/// What the planner may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// The table only.
    NoIndex,
    /// This one.
    Only(Oid),
}

#[derive(Clone, Copy)]
struct Rule {
    table: Oid,
    allow: Allow,
    was_found: bool,
    /// Hooks of other extensions.
    previous: pg_sys::get_relation_info_hook_type,
}

thread_local! {
    static RULE: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Restricts plans that are made while it lives.
pub struct Planner {
    outer: Option<Rule>,
    hook: pg_sys::get_relation_info_hook_type,
}

impl Planner {
    /// Restricts plans that read `table`.
    pub fn allow(table: Oid, allow: Allow) -> Self {
        // SAFETY: a hook of this process, on its main thread.
        let hook = unsafe { pg_sys::get_relation_info_hook };
        let outer = RULE.get();
        let previous = outer.map_or(hook, |outer| outer.previous);
        RULE.set(Some(Rule { table, allow, was_found: false, previous }));
        // SAFETY: as above; drop puts back what was there.
        unsafe { pg_sys::get_relation_info_hook = Some(filter_indexes) };
        Self { outer, hook }
    }

    /// Whether the planner has seen the index. It ignores an index that is too new for the snapshot of the transaction.
    pub fn was_found(&self) -> bool {
        RULE.get().is_some_and(|rule| rule.was_found)
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        RULE.set(self.outer);
        // SAFETY: as in allow(). Also while an ERROR unwinds.
        unsafe { pg_sys::get_relation_info_hook = self.hook };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn filter_indexes(root: *mut PlannerInfo, table: Oid, inhparent: bool, rel: *mut RelOptInfo) {
    let Some(rule) = RULE.get() else { return };
    // SAFETY: called by get_relation_info() of plancat.c with what it has made.
    unsafe {
        if let Some(previous) = rule.previous {
            previous(root, table, inhparent, rel);
        }
        if table == rule.table {
            RULE.set(Some(rule.filter(rel)));
        }
    }
}

impl Rule {
    /// Removes all but the allowed indexes.
    ///
    /// # Safety
    /// `rel` is a relation that the planner is about to use; its indexlist is a list of IndexOptInfo.
    unsafe fn filter(mut self, rel: *mut RelOptInfo) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let indexes = List::<pg_sys::IndexOptInfo>::new((*rel).indexlist).iter();
            let allowed = indexes.filter(|index| self.allow == Allow::Only(index.indexoid));
            (*rel).indexlist = node::list(allowed.map(Node::as_ptr));
            self.was_found |= !(*rel).indexlist.is_null();
        }
        self
    }
}
