//! What of a query PostgreSQL reads itself, and which conditions are tested there.

use std::collections::{HashMap, HashSet};
use std::ffi::c_int;

use pgrx::pg_sys::{self, CmdType, NodeTag, RTEKind};

use crate::lake::fdw::handler;
use crate::pg::node::{self, Node, Step};

/// Conditions of a query that are tested where the rows of an entry come from, by entry.
#[derive(Default)]
pub(in crate::lake::query) struct Restrictions<'t> {
    by_entry: HashMap<i32, Vec<Node<'t>>>,
    taken: HashSet<*mut pg_sys::Node>,
}

/// Whether the rows of an entry are sent, if any are: it stands for something that PostgreSQL reads, and that does not depend
/// on other entries.
pub(super) fn is_shipped(entry: Node<'_, pg_sys::RangeTblEntry>) -> bool {
    match entry.rtekind {
        RTEKind::RTE_RELATION => !is_ours(entry),
        RTEKind::RTE_FUNCTION | RTEKind::RTE_TABLEFUNC => !entry.lateral,
        // SAFETY: part of the entry.
        RTEKind::RTE_SUBQUERY if !entry.lateral => unsafe { Node::new(entry.subquery) }.is_some_and(reads_elsewhere),
        _ => false,
    }
}

fn is_ours(entry: Node<'_, pg_sys::RangeTblEntry>) -> bool {
    entry.relkind as u8 == pg_sys::RELKIND_FOREIGN_TABLE && handler::is_ours(entry.relid)
}

impl<'t> Restrictions<'t> {
    /// Those of a query, for the entries that `is_shipped` names.
    pub(in crate::lake::query) fn of(from: Node<'t, pg_sys::FromExpr>, is_shipped: &dyn Fn(i32) -> bool) -> Self {
        let mut this = Self::default();
        let conditions = conjuncts(from.quals());
        for item in from.fromlist().iter() {
            this.take(item, &conditions, is_shipped);
        }
        this
    }

    /// `conditions` are those that only rows which fulfil them come through.
    fn take(&mut self, item: Node<'t>, conditions: &[Node<'t>], is_shipped: &dyn Fn(i32) -> bool) {
        use pg_sys::JoinType::{JOIN_INNER, JOIN_LEFT, JOIN_RIGHT};
        // SAFETY: an ERROR where there is no stack left.
        unsafe { pg_sys::check_stack_depth() };
        if let Some(reference) = item.cast::<pg_sys::RangeTblRef>() {
            let index = reference.rtindex;
            if is_shipped(index) {
                let own: Vec<_> = conditions.iter().copied().filter(|condition| is_over(*condition, index)).collect();
                self.taken.extend(own.iter().map(|condition| condition.as_ptr()));
                self.by_entry.entry(index).or_default().extend(own);
            }
            return;
        }
        let Some(join) = item.cast::<pg_sys::JoinExpr>() else { return };
        let own = conjuncts(join.quals());
        let both = || conditions.iter().chain(&own).copied().collect::<Vec<_>>();
        // An outer join needs a condition that is left.
        let own_alone = if own.len() > 1 { &own[1..] } else { &[] };
        let (left, right) = match join.jointype {
            JOIN_INNER => (both(), both()),
            JOIN_LEFT => (conditions.to_vec(), own_alone.to_vec()),
            JOIN_RIGHT => (own_alone.to_vec(), conditions.to_vec()),
            _ => (Vec::new(), Vec::new()),
        };
        for (side, conditions) in [(join.larg(), left), (join.rarg(), right)] {
            if let Some(side) = side {
                self.take(side, &conditions, is_shipped);
            }
        }
    }

    /// The conditions on an entry.
    pub(in crate::lake::query) fn on(&self, index: i32) -> &[Node<'t>] {
        self.by_entry.get(&index).map_or(&[], Vec::as_slice)
    }

    /// Whether a column is looked at by such a condition, and so need not be sent for it.
    pub(super) fn columns(&self) -> HashSet<*mut pg_sys::Var> {
        let mut columns = HashSet::new();
        for condition in self.by_entry.values().flatten() {
            condition.walk(&mut |part| {
                columns.extend(part.cast::<pg_sys::Var>().map(Node::as_ptr));
                Step::Into
            });
        }
        columns
    }

    /// What is left of a condition.
    pub(in crate::lake::query) fn rest(&self, condition: Option<Node<'t>>) -> Option<Node<'t>> {
        let parts = conjuncts(condition);
        if !parts.iter().any(|part| self.taken.contains(&part.as_ptr())) {
            return condition;
        }
        conjunction(parts.into_iter().filter(|part| !self.taken.contains(&part.as_ptr())))
    }
}

/// The parts of a conjunction.
fn conjuncts(condition: Option<Node<'_>>) -> Vec<Node<'_>> {
    let mut parts = Vec::new();
    let mut left: Vec<_> = condition.into_iter().collect();
    while let Some(node) = left.pop() {
        match node.cast::<pg_sys::BoolExpr>() {
            Some(connective) if connective.boolop == pg_sys::BoolExprType::AND_EXPR => {
                let arguments: Vec<_> = connective.args().iter().collect();
                left.extend(arguments.into_iter().rev());
            }
            _ => parts.push(node),
        }
    }
    parts
}

/// The conjunction of parts, which live as long as the result.
pub(in crate::lake::query) fn conjunction<'t>(parts: impl Iterator<Item = Node<'t>>) -> Option<Node<'t>> {
    let parts: Vec<_> = parts.collect();
    if let [] | [_] = parts[..] {
        return parts.first().copied();
    }
    // SAFETY: a new node over live ones, in the current memory context.
    unsafe {
        let parts = node::list(parts.into_iter().map(Node::as_ptr));
        Node::new(pg_sys::makeBoolExpr(pg_sys::BoolExprType::AND_EXPR, parts, -1).cast())
    }
}

/// Whether a condition looks at columns of this entry alone.
fn is_over(condition: Node<'_>, index: i32) -> bool {
    let mut has_column = false;
    let other = condition.walk(&mut |part| match part.tag() {
        NodeTag::T_Var => match part.cast::<pg_sys::Var>() {
            Some(var) if var.varlevelsup == 0 && var.varno == index => {
                has_column = true;
                Step::Over
            }
            _ => Step::Stop,
        },
        NodeTag::T_SubLink | NodeTag::T_Aggref | NodeTag::T_GroupingFunc | NodeTag::T_WindowFunc => Step::Stop,
        _ => Step::Into,
    });
    has_column && !other
}

/// Whether a query reads something, none of it in Parquet files, and nothing but reads.
pub(super) fn reads_elsewhere(query: Node<'_, pg_sys::Query>) -> bool {
    let mut reads = false;
    let other = walk(query, &mut |part| {
        if let Some(query) = part.cast::<pg_sys::Query>() {
            let changes =
                query.commandType != CmdType::CMD_SELECT || query.hasModifyingCTE || query.rowMarks().len() > 0;
            return if changes { Step::Stop } else { Step::Into };
        }
        let Some(entry) = part.cast::<pg_sys::RangeTblEntry>() else { return Step::Into };
        match entry.rtekind {
            RTEKind::RTE_RELATION if is_ours(entry) => return Step::Stop,
            RTEKind::RTE_NAMEDTUPLESTORE => return Step::Stop,
            // A view has an entry beside that of its query, for its rights.
            RTEKind::RTE_RELATION => reads |= entry.relkind as u8 != pg_sys::RELKIND_VIEW,
            RTEKind::RTE_FUNCTION | RTEKind::RTE_TABLEFUNC => reads = true,
            _ => {}
        }
        Step::Into
    });
    reads && !other
}

/// Whether a query, which has so many around it, looks at columns or common table expressions of those.
pub(in crate::lake::query) fn looks_around(query: Node<'_, pg_sys::Query>, depth: usize) -> bool {
    let depth = c_int::try_from(depth).unwrap_or(c_int::MAX);
    let pointer = query.as_ptr().cast();
    // SAFETY: walkers of live trees.
    let has_columns = |level| unsafe {
        pg_sys::contain_vars_of_level(pointer, level) || pg_sys::contain_aggs_of_level(pointer, level)
    };
    (1..=depth).any(has_columns) || names_outer_table(query, 0)
}

/// Whether a query, which lies so many levels below another one, names a common table expression from around that.
fn names_outer_table(query: Node<'_, pg_sys::Query>, level: u32) -> bool {
    let mut own = true;
    walk(query, &mut |part| {
        if std::mem::take(&mut own) {
            return Step::Into;
        }
        if let Some(query) = part.cast::<pg_sys::Query>() {
            return if names_outer_table(query, level + 1) { Step::Stop } else { Step::Over };
        }
        match part.cast::<pg_sys::RangeTblEntry>() {
            Some(entry) if entry.rtekind == RTEKind::RTE_CTE && entry.ctelevelsup > level => Step::Stop,
            _ => Step::Into,
        }
    })
}

pub(super) fn walk(query: Node<'_, pg_sys::Query>, f: &mut dyn FnMut(Node<'_>) -> Step) -> bool {
    // SAFETY: a query is a node.
    unsafe { Node::<pg_sys::Node>::new(query.as_ptr().cast()) }.is_some_and(|node| node.walk(f))
}
