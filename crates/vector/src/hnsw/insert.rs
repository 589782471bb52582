//! Inserting into an index on pages.
//!
//! The element, its code and the protected link from its parent are written in one record, so an element is reachable
//! from the moment it exists, whatever happens next. Links back from its other neighbours follow, one record each.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::hnsw::format::{self, Geometry, MAX_ELEMENTS, Meta, NodesMut, PROTECTED};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::level::Levels;
use crate::hnsw::link::{Change, Offer, WANDER, apply, offer, plan, tree_neighbour};
use crate::hnsw::packed::{self, Packing};
use crate::hnsw::rows;
use crate::hnsw::search::{Candidate, Reach, Scratch, descend, search_layer};
use crate::hnsw::select::{Link, select};
use crate::memory::{reserved, room};
use crate::page::Tid;
use crate::space::Form;
use crate::store::{Interlock, Mode, PageStore, Record};
use crate::{Error, Result};

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
            mode = Mode::Exclusive; // perhaps all that there was is going to be freed: then this element starts the graph anew
            continue;
        }
        if merge_duplicate(&graph, code, tid, &found.near)? {
            return Ok(());
        }
        let Some((id, level)) = place(&graph, code, tid, level, &found)? else { continue };
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

/// Where an element belongs.
pub(crate) struct Neighbours {
    /// What the search of the lowest layer found, nearest first.
    pub near: Vec<Candidate>,
    /// What to link to, layer by layer from 0; nothing on layers that were not asked for. Live elements only.
    pub links: Vec<Vec<Link>>,
}

/// Algorithm 1 up to the choice of links, on some layers. `myself` is left out, when the code is that of an element in the
/// graph: its list is chosen from twice as many as it holds at least, for it must make up for links to it that are gone.
pub(crate) fn neighbours<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    code: &[u32],
    layers: RangeInclusive<u8>,
    myself: Option<u32>,
) -> Result<Neighbours> {
    let (lowest, level) = layers.into_inner();
    let mut links = vec![Vec::new(); usize::from(level) + 1];
    let Some(entry) = graph.entry() else { return Ok(Neighbours { near: Vec::new(), links }) };
    let ef = match myself {
        Some(_) => graph.meta.ef_construction.max(2 * graph.meta.geometry.capacity(0)) + 1,
        None => graph.meta.ef_construction,
    };
    let mut scratch = Scratch::new(ef * graph.meta.m)?;
    let mut near = descend(graph, code, entry, level, ef, Reach::Links, &mut scratch)?;
    for layer in (lowest..=level.min(entry.1)).rev() {
        near = search_layer(graph, code, &near, ef, layer, &mut scratch)?;
        let others: Vec<Candidate> =
            near.iter().filter(|candidate| candidate.live && Some(candidate.id) != myself).copied().collect();
        let limit = graph.meta.geometry.capacity(layer);
        let codes = graph.load(others.iter().map(|candidate| candidate.id))?;
        links[usize::from(layer)] = select(&others, limit, graph.between(&codes))?;
    }
    Ok(Neighbours { near, links })
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

/// Writes the element with its links and the link from its parent. None: all who could be its parent are gone; look again.
fn place<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    code: &[u32],
    tid: Tid,
    level: u8,
    found: &Neighbours,
) -> Result<Option<(u32, u8)>> {
    // The nearest that has room, else one that is found by wandering through the tree, which has leaves everywhere, else
    // whoever has room at all.
    let room = graph.meta.geometry.tree_capacity();
    let live: Vec<u32> = found.near.iter().filter(|candidate| candidate.live).map(|candidate| candidate.id).collect();
    for parent in &live {
        if let Some(placed) = write(graph, code, tid, level, found, Some((*parent, room)))? {
            return Ok(Some(placed));
        }
    }
    let mut parent = live.first().copied();
    for step in 0..WANDER {
        let Some(from) = parent else { break };
        parent =
            graph.node(from, |nodes, slot| tree_neighbour(nodes.links(slot, 0).iter().copied(), tid as u32 ^ step))?;
        let Some(parent) = parent else { break };
        if let Some(placed) = write(graph, code, tid, level, found, Some((parent, room)))? {
            return Ok(Some(placed));
        }
    }
    // All elements nearby may be without rows: that does not mean that nobody else has any.
    let mut queue: Vec<u32> = found.near.iter().map(|candidate| candidate.id).collect();
    let mut seen: HashSet<u32> = queue.iter().copied().collect();
    let mut is_empty = true;
    while !queue.is_empty() {
        let mut further = Vec::new();
        for parent in queue {
            if let Some(placed) = write(graph, code, tid, level, found, Some((parent, usize::MAX)))? {
                return Ok(Some(placed));
            }
            reserved(further.try_reserve(graph.meta.geometry.capacity(0)))?;
            is_empty &= !graph.expand(parent, 0, |_| true, &mut further)?;
        }
        reserved(seen.try_reserve(further.len()))?;
        further.retain(|id| seen.insert(*id));
        queue = further;
    }
    if is_empty { write(graph, code, tid, level, found, None) } else { Ok(None) }
}

/// One try with one parent, which may have fewer than so many protected links. None: it has no room or is gone.
fn write<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    code: &[u32],
    tid: Tid,
    level: u8,
    found: &Neighbours,
    parent: Option<(u32, usize)>,
) -> Result<Option<(u32, u8)>> {
    let geometry = &graph.meta.geometry;
    loop {
        graph.store.poll()?;
        let mut ground: Vec<u32> = found.links[0].iter().map(|link| link.id).collect();
        let mut bond: Option<(u32, u32, usize, Change)> = None;
        if let Some((parent, room)) = parent {
            let distance = graph.distance(code, &graph.code(parent)?);
            let offer = Offer { owner: parent, layer: 0, code, distance, protected: true };
            let Some(change) = plan(graph, offer, None, room, |_| Ok(false))? else { return Ok(None) };
            let (node_page, slot) = geometry.locate(parent);
            bond = Some((parent, geometry.node_block(node_page), slot, change));
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
        match bond {
            Some((_, parent_block, ..)) => blocks.push(parent_block),
            None => blocks.push(0),
        }
        blocks.sort_unstable();
        blocks.dedup();

        let mut record = graph.store.record()?;
        for block in blocks {
            record.page(block)?;
        }
        let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
        if !nodes.view().is_free(slot) {
            continue; // somebody else was faster
        }
        let level = nodes.occupy(slot, level, &[tid]);
        nodes.set_links(slot, 0, &ground);
        for (layer, links) in found.links.iter().enumerate().skip(1) {
            let links: Vec<u32> = links.iter().map(|link| link.id).collect();
            nodes.set_links(slot, layer as u8, &links);
        }
        match bond {
            Some((_, parent_block, parent_slot, change)) => {
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
        remember(graph, node_page)?;
        return Ok(Some((id, level)));
    }
}

/// Counts an element that was inserted if codes are too coarse to tell its neighbours apart.
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

/// Chooses the layout of an index that is empty, and was always, by the length of its first code. Nobody else has looked at
/// anything but the metapage, which leads nowhere yet.
fn choose_layout<S: PageStore>(graph: &PagedGraph<'_, S>, code: &[u32]) -> Result<()> {
    // A page may begin with less than all of its room, and have slots to spare.
    let geometry = Geometry::for_lengths(graph.meta.m, &graph.meta.space, 4 * code.len() * 15 / 16);
    let mut record = graph.store.record()?;
    Meta { geometry, ..graph.meta }.write(record.page(0)?);
    record.commit()
}

/// Where an element can go.
pub(crate) struct Room {
    pub node_page: u32,
    pub slot: usize,
    /// The page that its code runs on over, where codes have lengths of their own.
    tail: Option<u32>,
}

/// A free slot with room for a code of so many bytes, which may be none, from the insert hint on, else in a new group.
pub(crate) fn free_slot<S: PageStore>(graph: &PagedGraph<'_, S>, code_bytes: usize) -> Result<Room> {
    let geometry = &graph.meta.geometry;
    let blocks = graph.store.blocks()?;
    let node_pages = geometry.node_pages_of(blocks);
    let mut found = Room { node_page: node_pages, slot: 0, tail: None };
    for node_page in graph.meta.insert_hint.min(node_pages)..node_pages {
        graph.store.poll()?;
        let block = geometry.node_block(node_page);
        let page = graph.store.read(block)?;
        let nodes = format::Nodes::new(&page, geometry, block)?;
        let room = if let Some(packing) = geometry.packed() {
            let free: Vec<usize> = nodes.free_slots().collect();
            drop(page);
            packed_slot(graph, packing, node_page, blocks, &free, code_bytes)?
        } else {
            nodes.free_slots().next().map(|slot| Room { node_page, slot, tail: None })
        };
        if let Some(room) = room {
            found = room;
            break;
        }
    }
    if u64::from(found.node_page + 1) * geometry.nodes as u64 > u64::from(MAX_ELEMENTS) {
        return Err(Error::TooManyElements { max: MAX_ELEMENTS });
    }
    let needed = geometry.blocks(found.node_page + 1);
    if needed > blocks {
        graph.store.extend_to(needed)?;
    }
    Ok(found)
}

/// The first of some free slots of a node page where the page of its code has room, or that and the next one have, of so many
/// blocks that exist: a crash can leave a part of a group.
fn packed_slot<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    packing: Packing,
    node_page: u32,
    blocks: u32,
    free: &[usize],
    code_bytes: usize,
) -> Result<Option<Room>> {
    let (geometry, space) = (&graph.meta.geometry, &graph.meta.space);
    let block = |slot: &usize| graph.code_block(geometry.id(node_page, *slot));
    for slots in free.chunk_by(|a, b| block(a) == block(b)) {
        graph.store.poll()?;
        let block = block(&slots[0]);
        let room = |tail| Some(Room { node_page, slot: slots[0], tail });
        if block >= blocks {
            return Ok(room(None));
        }
        let next = geometry.next_code_page(block);
        let gap = packed::gap(&graph.store.read(block)?, packing, space, code_bytes, next.is_some());
        let Some(beyond) = gap.map(|gap| packed::beyond(gap, code_bytes)) else { continue };
        if beyond == 0 {
            return Ok(room(None));
        }
        if let Some(next) = next
            && (next >= blocks || packed::room_for_tail(&graph.store.read(next)?, packing, space, beyond))
        {
            return Ok(room(Some(next)));
        }
    }
    Ok(None)
}

/// Moves the insert hint, unless somebody has moved it meanwhile: vacuum moves it back.
pub(crate) fn remember<S: PageStore>(graph: &PagedGraph<'_, S>, node_page: u32) -> Result<()> {
    if node_page == graph.meta.insert_hint {
        return Ok(());
    }
    let mut record = graph.store.record()?;
    let page = record.page(0)?;
    if format::hint(page) == graph.meta.insert_hint {
        format::set_hint(page, node_page);
        record.commit()?;
    }
    Ok(())
}
