//! The order of elements on disk: elements that link to each other are placed side by side, so that a search reads fewer pages.
//! The next element of a page is the one with the most links from those already on it (compare Wei et al., "Speedup Graph
//! Processing by Graph Ordering", SIGMOD 2016).

use crate::Result;
use crate::hnsw::arena::Arena;
use crate::hnsw::format::Geometry;
use crate::memory::{filled, room};

/// The mark of an element that has been placed.
const PLACED: u32 = u32::MAX;
/// Low bits of a mark, which count links; the others are the page.
const COUNT_BITS: u32 = 6;
/// Number of elements left over from earlier pages that are kept to begin new ones with.
const LEFT: usize = 1 << 16;

/// Marks that are looked at between two checks for a cancel.
const POLL: usize = 1 << 18;

/// The elements that have rows, in the order for disk. `poll` is called now and then.
pub(crate) fn order(arena: &Arena, count: u32, poll: impl Fn() -> Result<()>) -> Result<Vec<u32>> {
    let per_page = window(&arena.meta.geometry);
    let mut order = room(count as usize)?;
    let mut marks = filled(0u32, count as usize, &poll)?;
    // Work since the last check.
    let mut done = 0;
    let mut step = |work: usize| {
        done += work;
        if done < POLL {
            return Ok(());
        }
        done = 0;
        poll()
    };
    for id in 0..count {
        step(8)?;
        if arena.is_merged(id) {
            marks[id as usize] = PLACED;
        }
    }
    let (mut near, mut left) = (Vec::new(), Vec::new());
    let (mut page, mut filled) = (1u32, 0);
    let mut came = 0..count;
    let mut next = arena.entry().map(|(id, _)| id);
    while let Some(id) = next {
        if filled == per_page {
            page = page % ((1 << (32 - COUNT_BITS)) - 2) + 1;
            filled = 0;
            if left.len() > LEFT {
                left.drain(..LEFT / 2);
            }
            left.append(&mut near);
        }
        step(near.len() + 2 * arena.meta.m)?;
        order.push(id);
        filled += 1;
        marks[id as usize] = PLACED;
        for to in arena.list(id, 0).targets() {
            let mark = &mut marks[to as usize];
            if *mark == PLACED {
                continue;
            }
            if *mark >> COUNT_BITS != page {
                *mark = page << COUNT_BITS;
                near.push(to);
            }
            *mark = (*mark + 1).min(page << COUNT_BITS | ((1 << COUNT_BITS) - 1));
        }
        let is_open = |id: &u32| marks[*id as usize] != PLACED;
        let best = (0..near.len()).max_by_key(|at| marks[near[*at] as usize]);
        next = best.map(|at| near.swap_remove(at));
        while next.is_none() && !left.is_empty() {
            next = left.pop().filter(is_open);
        }
        while next.is_none() && !came.is_empty() {
            next = came.next().filter(is_open);
            step(1)?;
        }
    }
    Ok(order)
}

/// Number of consecutive elements that should be near to each other: two pages of codes, or a page of nodes if a page has
/// few codes.
fn window(geometry: &Geometry) -> usize {
    match crate::page::PAGE_SIZE / geometry.slot_bytes {
        few @ 0..8 => geometry.nodes.max(few),
        many => 2 * many,
    }
}
