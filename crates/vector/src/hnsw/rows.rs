//! The rows of an element: those in its own slot, then those in its chain of overflow slots.
//!
//! An insert adds a slot in front of the chain if there is none or the first is full. Vacuum removes empty slots. Each
//! change is one record, in which what was read before is checked again: a slot belongs to a chain as long as it has an
//! owner.

use crate::hnsw::format::{MAX_TIDS, NONE, Nodes, NodesMut};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::slots::{Room, free_slot, move_hint};
use crate::memory::reserved;
use crate::page::Tid;
use crate::store::{PageStore, Record};
use crate::{Error, Result};

/// Rows of an element that a scan has not read.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    id: u32,
    /// The next overflow slot.
    next: u32,
    /// All slots at this depth or deeper have been read.
    depth: u32,
    /// Generation of the metapage at that time.
    generation: u32,
}

impl<S: PageStore> PagedGraph<'_, S> {
    /// Appends rows of an element to `out`: those in its own slot, and those of as many overflow slots as it takes to have
    /// `least` rows. Returns what is left, if something is.
    pub fn rows(&self, id: u32, least: usize, out: &mut Vec<Tid>) -> Result<Option<Rest>> {
        let from = out.len();
        reserved(out.try_reserve(MAX_TIDS))?;
        let next = self.node(id, |nodes, slot| {
            if !nodes.is_used(slot) {
                return NONE;
            }
            out.extend(nodes.tids(slot));
            nodes.overflow(slot)
        })?;
        let rest = Rest { id, next, depth: u32::MAX, generation: self.meta.generation };
        match out.len() - from {
            _ if next == NONE => Ok(None),
            some if some < least => self.more_rows(rest, least - some, out),
            _ => Ok(Some(rest)),
        }
    }

    /// Appends the rows of as many further slots as it takes to have `least` more, and returns what is left then. If slots
    /// were freed since the last rows were read, and no interlock was held, the element may be another one, all of whose
    /// rows are younger.
    pub fn more_rows(&self, rest: Rest, least: usize, out: &mut Vec<Tid>) -> Result<Option<Rest>> {
        let (mut rest, mut above) = (rest, rest.depth);
        if rest.generation != self.meta.generation {
            // The slot may be gone. So the chain is read from the start, where there may be newer slots now, to the same depth.
            rest.next =
                self.node(rest.id, |nodes, slot| if nodes.is_used(slot) { nodes.overflow(slot) } else { NONE })?;
            rest.generation = self.meta.generation;
            above = u32::MAX;
        }
        let from = out.len();
        while rest.next != NONE && out.len() - from < least {
            self.store.poll()?;
            reserved(out.try_reserve(self.meta.geometry.overflow_capacity()))?;
            let found = self.overflow(rest.next, rest.id, above, |nodes, slot, depth| {
                if depth < rest.depth {
                    out.extend(nodes.tids(slot));
                    rest.depth = depth;
                }
                (depth, nodes.overflow(slot))
            })?;
            // On a standby, where nobody waits for scans, a slot may be freed under one.
            (above, rest.next) = found.unwrap_or((0, NONE));
        }
        Ok((rest.next != NONE).then_some(rest))
    }

    /// Calls `f` with the node page of an overflow slot of an element, the slot there and its depth. None if it is not one,
    /// or not less deep than `above`: so no damaged chain is read for ever.
    fn overflow<R>(
        &self,
        id: u32,
        owner: u32,
        above: u32,
        f: impl FnOnce(Nodes<'_>, usize, u32) -> R,
    ) -> Result<Option<R>> {
        self.node(id, |nodes, slot| {
            let (depth, is_overflow) = (nodes.depth(slot), nodes.is_overflow(slot));
            let is_own = is_overflow && [owner, NONE].contains(&nodes.owner(slot));
            (is_own && depth < above).then(|| f(nodes, slot, depth))
        })
    }
}

/// Adds a row to an element. Returns false if the element has no rows any more: it is being freed, and the row would be lost.
pub(crate) fn add<S: PageStore>(graph: &PagedGraph<'_, S>, id: u32, tid: Tid) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    let (node_page, slot) = geometry.locate(id);
    let block = geometry.node_block(node_page);
    loop {
        graph.store.poll()?;
        let (is_live, has_room, newest) =
            graph.node(id, |nodes, slot| (nodes.is_live(slot), nodes.has_room(slot), nodes.overflow(slot)))?;
        if !is_live {
            return Ok(false);
        }
        if has_room {
            let mut record = graph.store.record()?;
            let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
            if nodes.view().is_live(slot) && nodes.push_tid(slot, tid) {
                record.commit()?;
                return Ok(true);
            }
            continue;
        }
        let mut depth = 0;
        if newest != NONE {
            if push(graph, newest, id, tid)? {
                return Ok(true);
            }
            depth = graph.node(newest, |nodes, slot| nodes.depth(slot))?.saturating_add(1);
        }
        let Room { node_page: new_page, slot: new_slot, .. } = free_slot(graph, 0)?;
        let new_block = geometry.node_block(new_page);
        let mut record = graph.store.record()?;
        record.page(block.min(new_block))?;
        record.page(block.max(new_block))?;
        let mut nodes = NodesMut::new(record.page(new_block)?, geometry, new_block)?;
        if !nodes.view().is_free(new_slot) {
            continue; // another insert was faster
        }
        nodes.occupy_overflow(new_slot, id, newest, depth);
        nodes.push_tid(new_slot, tid);
        let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
        if nodes.view().is_live(slot) && nodes.view().overflow(slot) == newest {
            nodes.set_overflow(slot, geometry.id(new_page, new_slot));
            record.commit()?;
            move_hint(graph, new_page)?;
            return Ok(true);
        }
    }
}

/// Adds a row to an overflow slot. Returns false if it is full or does not belong to this element any more.
fn push<S: PageStore>(graph: &PagedGraph<'_, S>, overflow: u32, owner: u32, tid: Tid) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    let (node_page, slot) = geometry.locate(overflow);
    let block = geometry.node_block(node_page);
    let mut record = graph.store.record()?;
    let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
    let is_there = nodes.view().is_overflow(slot) && nodes.view().owner(slot) == owner;
    if is_there && nodes.push_tid(slot, tid) {
        record.commit()?;
        return Ok(true);
    }
    Ok(false)
}

/// Removes the empty slots from an element's chain and calls `unlinked` with each. Returns whether the element has rows
/// then. Only one vacuum at a time does this.
pub(crate) fn unlink_empty<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    owner: u32,
    mut unlinked: impl FnMut(u32) -> Result<()>,
) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    // The slot before the current one.
    let mut before = owner;
    let mut above = u32::MAX;
    let mut id = graph.node(owner, |nodes, slot| nodes.overflow(slot))?;
    while id != NONE {
        graph.store.poll()?;
        let found = graph.overflow(id, owner, above, |nodes, slot, depth| {
            (nodes.tid_count(slot) == 0, depth, nodes.overflow(slot))
        })?;
        let Some((is_empty, depth, next)) = found else {
            let block = geometry.node_block(geometry.locate(id).0);
            return Err(Error::Corrupt { block, what: "chain of rows leads astray" });
        };
        if is_empty && unlink(graph, before, id, next)? {
            unlinked(id)?;
        } else {
            before = id;
        }
        (above, id) = (depth, next);
    }
    graph.node(owner, |nodes, slot| nodes.is_live(slot))
}

/// Removes one slot from a chain. Returns false if a row was added to it meanwhile. No insert adds a slot before an empty one.
fn unlink<S: PageStore>(graph: &PagedGraph<'_, S>, before: u32, id: u32, next: u32) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    let [(before_page, before_slot), (node_page, slot)] = [before, id].map(|id| geometry.locate(id));
    let [before_block, block] = [before_page, node_page].map(|node_page| geometry.node_block(node_page));
    let mut record = graph.store.record()?;
    record.page(before_block.min(block))?;
    record.page(before_block.max(block))?;
    let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
    let is_empty = nodes.view().tid_count(slot) == 0;
    nodes.disown(slot);
    let mut nodes = NodesMut::new(record.page(before_block)?, geometry, before_block)?;
    if !is_empty || nodes.view().overflow(before_slot) != id {
        return Ok(false);
    }
    nodes.set_overflow(before_slot, next);
    record.commit()?;
    Ok(true)
}
