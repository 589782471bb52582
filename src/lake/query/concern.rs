//! Which statements are the engine's concern.

use pgrx::pg_sys::{self, RTEKind};

use crate::lake::fdw::handler;
use crate::pg::guc::{self, Pushdown};
use crate::pg::node::{Node, Step};

/// Whether a query reads Parquet files, and is to be given to the engine.
pub(super) fn concerns(query: Node<'_, pg_sys::Query>) -> bool {
    if guc::PUSHDOWN.get() != Pushdown::Full {
        return false;
    }
    // SAFETY: the query is a node.
    let node = unsafe { Node::new(query.as_ptr().cast::<pg_sys::Node>()) };
    node.is_some_and(|node| {
        node.walk(&mut |part| match part.cast::<pg_sys::RangeTblEntry>() {
            Some(entry) if is_ours(entry) => Step::Stop,
            Some(_) => Step::Over,
            None => Step::Into,
        })
    })
}

pub(super) fn is_ours(entry: Node<'_, pg_sys::RangeTblEntry>) -> bool {
    entry.rtekind == RTEKind::RTE_RELATION
        && entry.relkind as u8 == pg_sys::RELKIND_FOREIGN_TABLE
        && handler::is_ours(entry.relid)
}
