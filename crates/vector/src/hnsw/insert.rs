//! Inserting into an index on pages.
//!
//! The element, its code and the protected link from its parent are written in one record, so an element is reachable
//! from the moment it exists, whatever happens next. Links back from its other neighbours follow, one record each.

use crate::Result;
use crate::hnsw::format::{self, Geometry, Meta, NodesMut, PROTECTED};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::level::Levels;
use crate::hnsw::link::{Change, Neighbours, Offer, apply, neighbours, offer, plan};
use crate::hnsw::packed;
use crate::hnsw::rows;
use crate::hnsw::search::Candidate;
use crate::hnsw::select::Link;
use crate::hnsw::slots::{Room, free_slot, move_hint};
use crate::hnsw::tree::{self, Found, Parents};
use crate::memory::room;
use crate::page::Tid;
use crate::space::Form;
use crate::store::{Interlock, Mode, PageStore, Record};

/// Adds a row with its [code](crate::Coder::encode). `seed` makes its random level.
pub fn insert<S: PageStore>(store: &S, code: &[u32], tid: Tid, seed: u64) -> Result<()> {
    let mut drawn = None;
    let mut mode = Mode::Shared;
    let mut is_layout_open = true;
    loop {
        let _lock = store.lock(Interlock::Update, mode)?;
        let graph = PagedGraph::open(store)?;
        let meta = &graph.meta;
        let level = *drawn.get_or_insert_with(|| Levels::new(meta.m, meta.geometry.max_level(), seed).draw());
        let top = graph.entry().map(|(_, top)| top);
        if mode == Mode::Shared && top.is_none_or(|top| level > top) {
            mode = Mode::Exclusive; // the entry point is going to move
            continue;
        }
        if is_layout_open && store.blocks()? == 1 && meta.space.form == Form::Sparse {
            choose_layout(&graph, code)?;
            is_layout_open = false;
            continue;
        }
        let found = neighbours(&graph, code, 0..=level, None)?;
        if mode == Mode::Shared && !found.near.iter().any(|candidate| candidate.live) {
            mode = Mode::Exclusive; // all elements may be about to be freed: then this one is the first of a new graph
            continue;
        }
        if merge_duplicate(&graph, code, tid, &found.near)? {
            return Ok(());
        }
        let new = Insert { graph: &graph, code, tid, level, found: &found };
        let Some((id, level)) = place(new)? else { continue };
        count_misfit(&graph, code, &found.near)?;
        for (layer, links) in found.links.iter().enumerate().take(usize::from(level) + 1) {
            for Link { id: owner, distance, .. } in links.iter().copied() {
                offer(&graph, Offer { owner, layer: layer as u8, code, distance, protected: false }, id)?;
            }
        }
        if top.is_some_and(|top| level > top) {
            let mut record = store.record()?;
            format::set_entry(record.page(0)?, id, level);
            record.commit()?;
        }
        return Ok(());
    }
}

/// Adds the row to an element with the same code, if there is one.
fn merge_duplicate<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    code: &[u32],
    tid: Tid,
    near: &[Candidate],
) -> Result<bool> {
    let own = graph.distance(code, code);
    for twin in near.iter().filter(|candidate| candidate.live && candidate.distance == own) {
        graph.store.poll()?;
        if *graph.code(twin.id)? == *code && rows::add(graph, twin.id, tid)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A new element that is to be written, with its links and the one from its parent.
struct Insert<'a, S> {
    graph: &'a PagedGraph<'a, S>,
    code: &'a [u32],
    tid: Tid,
    level: u8,
    found: &'a Neighbours,
}

impl<S: PageStore> Parents for Insert<'_, S> {
    /// The number and the level that the element has got.
    type Linked = (u32, u8);

    fn link(&mut self, parent: u32, _: Option<f32>, capacity: usize) -> Result<Option<(u32, u8)>> {
        write(self, Some((parent, capacity)))
    }

    fn links(&mut self, id: u32, out: &mut Vec<u32>) -> Result<bool> {
        self.poll()?;
        self.graph.node(id, |nodes, slot| {
            out.extend_from_slice(nodes.links(slot, 0));
            nodes.is_live(slot)
        })
    }

    fn poll(&self) -> Result<()> {
        self.graph.store.poll()
    }
}

/// Writes the element. None if all elements that could be its parent were removed: the caller searches again.
fn place<S: PageStore>(mut new: Insert<'_, S>) -> Result<Option<(u32, u8)>> {
    let (near, capacity) = (&new.found.near, new.graph.meta.geometry.tree_capacity());
    let random = new.tid as u32;
    match tree::find_parent(&mut new, near, capacity, random)? {
        Found::Parent(placed) => Ok(Some(placed)),
        Found::NoParent => Ok(None),
        Found::Root => write(&new, None),
    }
}

/// Writes the element with a parent, which must have fewer than this number of protected links, or as the root of the tree.
/// None if the parent has no room or was removed.
fn write<S: PageStore>(new: &Insert<'_, S>, parent: Option<(u32, usize)>) -> Result<Option<(u32, u8)>> {
    let Insert { graph, code, tid, level, found } = *new;
    let geometry = &graph.meta.geometry;
    loop {
        graph.store.poll()?;
        let mut ground: Vec<u32> = found.links[0].iter().map(|link| link.id).collect();
        let mut parent_link: Option<(u32, usize, Change)> = None; // block, slot and what happens to its list
        if let Some((parent, room)) = parent {
            let distance = graph.distance(code, &graph.code(parent)?);
            let offer = Offer { owner: parent, layer: 0, code, distance, protected: true };
            let Some(change) = plan(graph, offer, None, room, |_| Ok(false))? else { return Ok(None) };
            let (node_page, slot) = geometry.locate(parent);
            parent_link = Some((geometry.node_block(node_page), slot, change));
            match ground.iter().position(|id| *id == parent) {
                Some(at) => ground[at] |= PROTECTED,
                None => {
                    ground.truncate(geometry.capacity(0) - 1);
                    ground.push(parent | PROTECTED);
                }
            }
        }
        let Room { node_page, slot, tail } = free_slot(graph, 4 * code.len())?;
        let (id, block) = (geometry.id(node_page, slot), geometry.node_block(node_page));
        let (part, rest) = geometry.code_parts(id, 4 * code.len());
        let mut blocks = vec![block, part.block];
        blocks.extend(rest.map(|rest| rest.block).or(tail));
        blocks.push(parent_link.map_or(0, |(parent_block, ..)| parent_block)); // without a parent the entry point moves
        blocks.sort_unstable();
        blocks.dedup();

        let mut record = graph.store.record()?;
        for block in blocks {
            record.page(block)?;
        }
        let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
        if !nodes.view().is_free(slot) {
            continue; // another insert was faster
        }
        let level = nodes.occupy(slot, level, &[tid]);
        nodes.set_links(slot, 0, &ground);
        for (layer, links) in found.links.iter().enumerate().skip(1) {
            let links: Vec<u32> = links.iter().map(|link| link.id).collect();
            nodes.set_links(slot, layer as u8, &links);
        }
        match parent_link {
            Some((parent_block, parent_slot, change)) => {
                let mut nodes = NodesMut::new(record.page(parent_block)?, geometry, parent_block)?;
                if !apply(&mut nodes, parent_slot, 0, change, id, true) {
                    continue; // the parent's list has changed: plan anew
                }
            }
            None => format::set_entry(record.page(0)?, id, level),
        }
        if let Some(packing) = geometry.packed() {
            let (space, bytes) = (&graph.meta.space, 4 * code.len());
            let page = record.page(part.block)?;
            let Some(gap) = packed::gap(page, packing, space, bytes, tail.is_some()) else { continue };
            let rest = packed::put(page, part, gap, code)?;
            if let Some(tail) = tail.filter(|_| !rest.is_empty()) {
                let page = record.page(tail)?;
                if !packed::room_for_tail(page, packing, space, 4 * rest.len()) {
                    continue;
                }
                packed::put_tail(page, tail, packing, rest)?;
            }
        } else {
            let (head, tail) = code.split_at(part.len / size_of::<u32>());
            format::put_words(record.page(part.block)?, part, head)?;
            if let Some(rest) = rest {
                format::put_words(record.page(rest.block)?, rest, tail)?;
            }
        }
        record.commit()?;
        move_hint(graph, node_page)?;
        return Ok(Some((id, level)));
    }
}

/// Counts an inserted element whose code is too coarse to order its neighbours.
fn count_misfit<S: PageStore>(graph: &PagedGraph<'_, S>, code: &[u32], near: &[Candidate]) -> Result<()> {
    let mut distances = room(near.len())?;
    distances.extend(near.iter().filter(|candidate| candidate.live).map(|candidate| candidate.distance));
    if graph.meta.space.fits(code, &distances) {
        return Ok(());
    }
    let mut record = graph.store.record()?;
    format::add_misfit(record.page(0)?);
    record.commit()
}

/// Chooses the layout of an index that has always been empty, by the length of its first code. No other process has read
/// more than the metapage, which has no entry point yet.
fn choose_layout<S: PageStore>(graph: &PagedGraph<'_, S>, code: &[u32]) -> Result<()> {
    // A page may begin with less than all of its room, and have slots to spare.
    let geometry = Geometry::for_lengths(graph.meta.m, &graph.meta.space, 4 * code.len() * 15 / 16);
    let mut record = graph.store.record()?;
    Meta { geometry, ..graph.meta }.write(record.page(0)?);
    record.commit()
}
