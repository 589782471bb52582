//! Removing dead rows: mark, repair, confirm, free.
//!
//! 1. Rows that are gone are taken out of their elements, and overflow slots without rows out of their chains. Elements without
//!    rows are *deleted*: walks still pass through them, nothing new links to them.
//! 2. Vacuum waits for all inserts that might have selected a deleted element before ([`Interlock::Update`]). It moves the entry point
//!    if it is deleted, and mends the [spanning tree](crate::hnsw::tree) without deleted elements.
//! 3. Every link to a deleted element is removed and replaced.
//! 4. It is confirmed that no element links to a deleted one. Vacuum waits for all inserts and scans that might still be at one (both
//!    interlocks), then frees their slots, and the overflow slots that were taken out.
//!
//! If a vacuum stops at any point, the next one completes it: a deleted element is known by having no rows, an overflow
//! slot to free by having no owner.

use crate::hnsw::format::{self, NONE, NodesMut, Packing};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::packed;
use crate::hnsw::repair::{lists_to_repair, repair};
use crate::hnsw::rows::unlink_empty;
use crate::hnsw::set::BitSet;
use crate::hnsw::tree;
use crate::memory::push;
use crate::page::Tid;
use crate::store::{Interlock, MAX_RECORD_PAGES, Mode, PageStore, Record, barrier};
use crate::{Error, Result};

/// What a vacuum did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that are left.
    pub rows: u64,
    /// Rows removed.
    pub removed: u64,
    /// Elements freed.
    pub freed: u64,
    /// Lists from which links were removed.
    pub repaired: u64,
    /// Links that were added to the spanning tree.
    pub mended: u64,
}

/// Removes the rows for which `is_dead` returns true; it is called with no page locked. Only one vacuum of a store may run at a
/// time.
pub fn vacuum<S: PageStore>(store: &S, is_dead: impl FnMut(Tid) -> bool) -> Result<Outcome> {
    let mut vacuum =
        Vacuum { store, deleted: BitSet::default(), count: 0, unlinked: Vec::new(), outcome: Outcome::default() };
    let mut live = vacuum.remove_rows(is_dead)?;
    if vacuum.count == 0 && vacuum.unlinked.is_empty() {
        return Ok(vacuum.outcome);
    }
    if vacuum.count > 0 {
        barrier(store, Interlock::Update)?;
        vacuum.move_entry(&mut live)?;
        vacuum.outcome.mended = tree::mend(store, &vacuum.deleted)?;
        vacuum.repair()?;
        if !vacuum.is_repaired()? {
            return Err(Error::NotRepaired);
        }
    }
    vacuum.next_generation()?;
    barrier(store, Interlock::Update)?;
    barrier(store, Interlock::Scan)?;
    vacuum.free()?;
    Ok(vacuum.outcome)
}

struct Vacuum<'a, S> {
    store: &'a S,
    deleted: BitSet,
    /// How many are deleted.
    count: u64,
    /// Overflow slots that belong to no element any more.
    unlinked: Vec<u32>,
    outcome: Outcome,
}

/// An element on the highest layer known.
type Highest = Option<(u32, u8)>;

impl<S: PageStore> Vacuum<'_, S> {
    fn node_pages(&self, graph: &PagedGraph<'_, S>) -> Result<std::ops::Range<u32>> {
        Ok(0..graph.meta.geometry.node_pages_of(self.store.blocks()?))
    }

    fn remove_rows(&mut self, mut is_dead: impl FnMut(Tid) -> bool) -> Result<Highest> {
        if self.store.blocks()? == 1 {
            return Ok(None); // a concurrent first insert may still choose another layout
        }
        let graph = PagedGraph::open(self.store)?;
        let geometry = graph.meta.geometry;
        let (mut highest, mut owners): (Highest, Vec<u32>) = (None, Vec::new());
        let node_pages = self.node_pages(&graph)?;
        self.deleted = BitSet::new(node_pages.len() * geometry.nodes, || self.store.poll())?;
        self.store.read_ahead(geometry.node_blocks(node_pages.end));
        for node_page in node_pages {
            self.store.poll()?;
            let rows: Vec<(usize, Vec<Tid>)> = graph.node_page(node_page, |nodes| {
                let all = (0..geometry.nodes).filter(|slot| nodes.is_used(*slot) || nodes.is_overflow(*slot));
                all.map(|slot| (slot, nodes.tids(slot).collect())).collect()
            })?;
            let dead: Vec<(usize, Vec<Tid>)> = rows
                .into_iter()
                .map(|(slot, tids)| (slot, tids.into_iter().filter(|tid| is_dead(*tid)).collect::<Vec<_>>()))
                .filter(|(_, tids)| !tids.is_empty())
                .collect();
            if !dead.is_empty() {
                let block = geometry.node_block(node_page);
                let mut record = self.store.record()?;
                let mut nodes = NodesMut::new(record.page(block)?, &geometry, block)?;
                for (slot, tids) in &dead {
                    nodes.retain_tids(*slot, |tid| !tids.contains(&tid));
                    self.outcome.removed += tids.len() as u64;
                }
                record.commit()?;
            }
            graph.node_page(node_page, |nodes| {
                for slot in 0..geometry.nodes {
                    let id = geometry.id(node_page, slot);
                    if nodes.is_overflow(slot) {
                        self.outcome.rows += nodes.tid_count(slot) as u64;
                        match nodes.owner(slot) {
                            NONE => push(&mut self.unlinked, id)?,
                            owner if nodes.tid_count(slot) == 0 => push(&mut owners, owner)?,
                            _ => {}
                        }
                    } else if nodes.is_live(slot) {
                        self.outcome.rows += nodes.tid_count(slot) as u64;
                        if highest.is_none_or(|(_, level)| nodes.level(slot) > level) {
                            highest = Some((id, nodes.level(slot)));
                        }
                    } else if nodes.is_used(slot) {
                        self.count += u64::from(self.deleted.insert(id));
                    }
                }
                Ok(())
            })??;
        }
        self.unlink_empty(&graph, owners)?;
        if highest.is_some_and(|(id, _)| self.deleted.contains(id)) {
            highest = self.highest(&graph)?;
        }
        Ok(highest)
    }

    /// Removes empty overflow slots from the chains of these elements.
    fn unlink_empty(&mut self, graph: &PagedGraph<'_, S>, mut owners: Vec<u32>) -> Result<()> {
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            if !unlink_empty(graph, owner, |id| push(&mut self.unlinked, id))? {
                self.count += u64::from(self.deleted.insert(owner));
            }
        }
        Ok(())
    }

    /// The highest of the live elements.
    fn highest(&self, graph: &PagedGraph<'_, S>) -> Result<Highest> {
        let mut highest: Highest = None;
        for node_page in self.node_pages(graph)? {
            self.store.poll_awake()?;
            graph.node_page(node_page, |nodes| {
                for slot in (0..graph.meta.geometry.nodes).filter(|slot| nodes.is_live(*slot)) {
                    if highest.is_none_or(|(_, level)| nodes.level(slot) > level) {
                        highest = Some((graph.meta.geometry.id(node_page, slot), nodes.level(slot)));
                    }
                }
            })?;
        }
        Ok(highest)
    }

    fn move_entry(&self, highest: &mut Highest) -> Result<()> {
        let _lock = self.store.lock(Interlock::Update, Mode::Exclusive)?;
        let graph = PagedGraph::open(self.store)?;
        if graph.meta.entry == NONE || !self.deleted.contains(graph.meta.entry) {
            return Ok(());
        }
        if highest.is_none() {
            // The first pass found no element with rows; an insert may have added one before the barrier.
            *highest = self.highest(&graph)?;
        }
        let (entry, level) = highest.unwrap_or((NONE, 0));
        let mut record = self.store.record()?;
        format::set_entry(record.page(0)?, entry, level);
        record.commit()
    }

    /// Replaces every link of a live element to a deleted one.
    fn repair(&mut self) -> Result<()> {
        let graph = PagedGraph::open(self.store)?;
        for node_page in self.node_pages(&graph)? {
            self.outcome.repaired += repair(self.store, node_page, |id| self.deleted.contains(id))?;
        }
        Ok(())
    }

    fn is_repaired(&self) -> Result<bool> {
        let graph = PagedGraph::open(self.store)?;
        for node_page in self.node_pages(&graph)? {
            self.store.poll()?;
            if !lists_to_repair(&graph, node_page, |id| self.deleted.contains(id))?.is_empty() {
                return Ok(false);
            }
        }
        Ok(!self.deleted.contains(graph.meta.entry))
    }

    /// Begins another generation. It must come before the barriers, so that a scan that continues after them sees it.
    fn next_generation(&self) -> Result<()> {
        let mut record = self.store.record()?;
        format::next_generation(record.page(0)?);
        record.commit()
    }

    fn free(&mut self) -> Result<()> {
        let graph = PagedGraph::open(self.store)?;
        self.outcome.freed = self.count;
        for id in std::mem::take(&mut self.unlinked) {
            self.deleted.insert(id);
        }
        let geometry = &graph.meta.geometry;
        let mut first = None;
        for node_page in self.node_pages(&graph)? {
            let deleted: Vec<usize> =
                (0..geometry.nodes).filter(|slot| self.deleted.contains(geometry.id(node_page, *slot))).collect();
            if deleted.is_empty() {
                if node_page.is_multiple_of(64) {
                    self.store.poll()?;
                }
                continue;
            }
            let block = geometry.node_block(node_page);
            // Packed codes go with their elements, as many pages of them as a record can carry; the last one may run on.
            let entry = |slot: usize| geometry.code_parts(geometry.id(node_page, slot), Packing::ENTRY).0;
            let mut rest = &deleted[..];
            while let Some(first) = rest.first() {
                self.store.poll()?;
                let last = entry(*first).block + MAX_RECORD_PAGES as u32 - 3;
                let count = match geometry.packed() {
                    Some(_) => rest.partition_point(|slot| entry(*slot).block <= last),
                    None => rest.len(),
                };
                let mut record = self.store.record()?;
                let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
                let has_code = |slot: &usize| geometry.packed().is_some() && nodes.view().is_used(*slot);
                let coded: Vec<usize> = rest[..count].iter().copied().filter(has_code).collect();
                for slot in &rest[..count] {
                    nodes.free(*slot);
                }
                for slot in coded {
                    let entry = entry(slot);
                    if packed::remove(record.page(entry.block)?, entry, &graph.meta.space)
                        && let Some(next) = geometry.next_code_page(entry.block)
                    {
                        packed::remove_tail(record.page(next)?);
                    }
                }
                record.commit()?;
                rest = &rest[count..];
            }
            first.get_or_insert(node_page);
        }
        if let Some(first) = first {
            let mut record = self.store.record()?;
            let page = record.page(0)?;
            if format::hint(page) > first {
                format::set_hint(page, first);
                record.commit()?;
            }
        }
        Ok(())
    }
}
