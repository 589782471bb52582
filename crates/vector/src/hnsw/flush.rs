//! Writing a built graph out in one pass.

use crate::hnsw::arena::{Arena, order};
use crate::hnsw::format::{self, Geometry, MAX_ELEMENTS, MAX_TIDS, Meta, NONE, NodesMut};
use crate::hnsw::head::write_head;
use crate::hnsw::packed;
use crate::hnsw::select::Link;
use crate::memory::push;
use crate::page::{Tid, is_new};
use crate::store::{PAGE_SIZE, PageStore};
use crate::{Error, Result};

/// Elements that are numbered between two checks for a cancel.
const POLL: usize = 1 << 14;

/// Number of elements by which a layout is chosen.
const SAMPLE: usize = 1 << 14;

/// The placement of elements on pages.
struct Numbers {
    /// For each node page, its end in the order of elements.
    ends: Vec<usize>,
    /// The first overflow slot. They come after all elements, since walks do not read them.
    overflow: u32,
    /// Node pages.
    pages: u32,
}

/// Numbers the elements by their place on pages. A node page gets as many as its upper slots and the pages of their codes allow.
fn number(arena: &Arena, geometry: &Geometry, order: &[u32], poll: &impl Fn() -> Result<()>) -> Result<Numbers> {
    let (nodes, group) = (geometry.nodes, geometry.nodes * geometry.node_pages);
    let mut ends = Vec::new();
    let (mut next, mut uppers, mut chains) = (0, 0, 0);
    // Pages of codes without the node pages between them, and how many bytes of the last one are in use and of the next will be.
    let (mut code_page, mut used, mut tail) = (0, 0, 0);
    for (at, id) in order.iter().enumerate() {
        if at.is_multiple_of(POLL) {
            poll()?;
        }
        let (level, bytes) = (usize::from(arena.level(*id)), 4 * arena.code(*id).len());
        loop {
            while ends.len() < next / nodes {
                push(&mut ends, at)?;
                uppers = 0;
            }
            if uppers + level > geometry.uppers {
                next = (next / nodes + 1) * nodes;
                continue;
            }
            let Some(packing) = geometry.packed() else { break };
            let (start, page) = (next / group, packing.locate(next % group).0);
            let at = start * geometry.code_pages + page;
            if code_page != at {
                (used, tail) = (if code_page + 1 == at { tail } else { 0 }, 0);
                code_page = at;
            }
            let left = packing.room() - used;
            if bytes <= left || page + 1 < geometry.code_pages && packed::runs_on(bytes, left) {
                (used, tail) = (used + bytes.min(left), bytes.saturating_sub(left));
                break;
            }
            next = start * group + group.min(packing.slots(page).end);
        }
        if next > MAX_ELEMENTS as usize {
            return Err(Error::TooManyElements { max: MAX_ELEMENTS });
        }
        arena.set_number(*id, next as u32);
        next += 1;
        uppers += level;
        chains += geometry.overflow_slots(arena.tid_count(*id)) as u64;
    }
    let overflow = next as u32;
    if !order.is_empty() {
        push(&mut ends, order.len())?;
    }
    let end = u64::from(overflow) + chains;
    if end > u64::from(MAX_ELEMENTS) {
        return Err(Error::TooManyElements { max: MAX_ELEMENTS });
    }
    Ok(Numbers { ends, overflow, pages: (end as u32).div_ceil(geometry.nodes as u32) })
}

/// The overflow slots of an element in the order of its chain: depth and rows of each.
fn chain(arena: &Arena, id: u32) -> impl Iterator<Item = (u32, Vec<Tid>)> {
    let (count, capacity) = (arena.tid_count(id), arena.meta.geometry.overflow_capacity());
    let slots = arena.meta.geometry.overflow_slots(count);
    let mut rows = arena.tids(id).skip(MAX_TIDS);
    // All but the first are full.
    let first = count.saturating_sub(MAX_TIDS + slots.saturating_sub(1) * capacity);
    (0..slots).rev().map(move |depth| {
        let count = if depth + 1 == slots { first } else { capacity };
        (depth as u32, rows.by_ref().take(count).collect())
    })
}

/// The layout that takes the fewest pages. For codes of different lengths it is chosen by a sample of the elements.
fn layout(arena: &Arena, order: &[u32], poll: &impl Fn() -> Result<()>) -> Result<Geometry> {
    let meta = &arena.meta;
    let order = &order[..order.len().min(SAMPLE)];
    if meta.geometry.packed().is_none() || order.is_empty() {
        return Ok(meta.geometry);
    }
    let mean = order.iter().map(|id| 4 * arena.code(*id).len()).sum::<usize>() / order.len();
    let mut best = (f64::INFINITY, meta.geometry);
    for sixteenths in 8..=20 {
        let geometry = Geometry::for_lengths(meta.m, &meta.space, mean * sixteenths / 16);
        let node_pages = number(arena, &geometry, order, poll)?.pages;
        let pages = f64::from(node_pages) / geometry.node_pages as f64 * f64::from(geometry.group_blocks());
        if pages < best.0 {
            best = (pages, geometry);
        }
    }
    Ok(best.1)
}

/// Number of pages of the graph, if elements are written in the order in which they were pushed.
#[cfg(test)]
pub(crate) fn blocks(arena: &Arena, count: u32) -> Result<u32> {
    let (order, poll) = ((0..count).collect::<Vec<u32>>(), || Ok(()));
    let geometry = layout(arena, &order, &poll)?;
    let last = number(arena, &geometry, &order, &poll)?.overflow - 1;
    let block = geometry.code_parts(last, format::Packing::ENTRY).0.block;
    Ok(geometry.next_code_page(block).unwrap_or(block) + 1)
}

/// Writes all that is linked into an empty store.
pub(crate) fn write<S: PageStore>(arena: &Arena, centre: Option<&[f32]>, count: u32, store: &S) -> Result<()> {
    let order = order(arena, count, || store.poll())?;
    let poll = || store.poll();
    let geometry = layout(arena, &order, &poll)?;
    let Numbers { ends, overflow, pages: node_pages } = number(arena, &geometry, &order, &poll)?;
    let mut meta = Meta { geometry, ..arena.meta };
    if let Some((entry, level)) = arena.entry() {
        meta.entry = arena.number(entry);
        meta.entry_level = level;
    }
    meta.insert_hint = node_pages.saturating_sub(1);
    write_head(&meta, centre, store)?;
    let (mut tids, mut links, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages = vec![vec![0; PAGE_SIZE]; geometry.group_blocks() as usize];
    let (mut rest, mut newest) = (&order[..], overflow);
    let chains = order.iter().flat_map(|id| chain(arena, *id).map(|slot| (arena.number(*id), slot)));
    let mut chains = (overflow..).zip(chains).peekable();
    for first in (0..node_pages).step_by(geometry.node_pages) {
        store.poll()?;
        let start = geometry.node_block(first);
        for page in &mut pages {
            page.fill(0);
        }
        for node_page in first..node_pages.min(first + geometry.node_pages as u32) {
            let done = order.len() - rest.len();
            let end = ends.get(node_page as usize).copied().unwrap_or(order.len());
            let (members, others) = rest.split_at(end - done);
            rest = others;
            let block = geometry.node_block(node_page);
            let mut nodes = NodesMut::new(&mut pages[(block - start) as usize], &geometry, block)?;
            store.poll()?;
            for id in members {
                let (_, slot) = geometry.locate(arena.number(*id));
                tids.clear();
                tids.extend(arena.tids(*id).take(MAX_TIDS));
                nodes.occupy(slot, arena.level(*id), &tids);
                let slots = geometry.overflow_slots(arena.tid_count(*id)) as u32;
                if slots > 0 {
                    nodes.set_overflow(slot, newest);
                    newest += slots;
                }
                for layer in 0..=arena.level(*id) {
                    links.clear();
                    arena.links(*id, layer, &mut links);
                    let link = |link: &Link| (link.on_disk() & format::PROTECTED) | arena.number(link.id);
                    targets.clear();
                    targets.extend(links.iter().map(link));
                    nodes.set_links(slot, layer, &targets);
                }
            }
            while let Some((id, (owner, (depth, tids)))) = chains.next_if(|(id, _)| geometry.locate(*id).0 == node_page)
            {
                let slot = geometry.locate(id).1;
                nodes.occupy_overflow(slot, owner, if depth > 0 { id + 1 } else { NONE }, depth);
                for tid in tids {
                    nodes.push_tid(slot, tid);
                }
            }
            for id in members {
                let code = arena.code(*id);
                let (part, rest) = geometry.code_parts(arena.number(*id), 4 * code.len());
                if let Some(packing) = geometry.packed() {
                    let next = geometry.next_code_page(part.block);
                    let page = &mut pages[(part.block - start) as usize];
                    let gap = packed::gap(page, packing, &meta.space, 4 * code.len(), next.is_some());
                    let rest = packed::put(page, part, gap.ok_or(Error::Store("no room for a code"))?, code)?;
                    if let Some(next) = next.filter(|_| !rest.is_empty()) {
                        packed::put_tail(&mut pages[(next - start) as usize], next, packing, rest)?;
                    }
                    continue;
                }
                let (head, tail) = code.split_at(part.len / size_of::<u32>());
                for (part, words) in std::iter::once((part, head)).chain(rest.map(|rest| (rest, tail))) {
                    format::put_words(&mut pages[(part.block - start) as usize], part, words)?;
                }
            }
        }
        // With long codes, unused pages are a good part of the last group: they are left to inserts.
        let is_last = geometry.packed().is_some() && first + geometry.node_pages as u32 >= node_pages;
        let written = pages.iter().rposition(|page| !is_new(page)).map_or(0, |last| last + 1);
        for page in &pages[..if is_last { written } else { pages.len() }] {
            store.poll()?;
            store.append(page)?;
        }
    }
    Ok(())
}
