//! Writing a built graph out in one pass.

use crate::Result;
use crate::hnsw::arena::{Arena, order};
use crate::hnsw::build::write_head;
use crate::hnsw::format::{self, NodesMut};
use crate::hnsw::select::Link;
use crate::memory::push;
use crate::store::{PAGE_SIZE, PageStore};

/// Elements that are numbered between two looks at whether to go on.
const POLL: usize = 1 << 14;

/// Numbers the elements as they will lie on pages, as many on a node page as its upper slots allow. Returns where in `order`
/// each page ends.
fn number(arena: &Arena, order: &[u32], poll: impl Fn() -> Result<()>) -> Result<Vec<usize>> {
    let geometry = &arena.meta.geometry;
    let mut ends = Vec::new();
    let (mut used, mut uppers) = (0, 0);
    for (at, id) in order.iter().enumerate() {
        if at.is_multiple_of(POLL) {
            poll()?;
        }
        let level = usize::from(arena.level(*id));
        let slots = geometry.slots(4 * arena.code(*id).len());
        if used + slots > geometry.nodes || uppers + level > geometry.uppers {
            push(&mut ends, at)?;
            (used, uppers) = (0, 0);
        }
        arena.set_number(*id, geometry.id(ends.len() as u32, used));
        used += slots;
        uppers += level;
    }
    if !order.is_empty() {
        push(&mut ends, order.len())?;
    }
    Ok(ends)
}

/// Writes all that is linked into an empty store.
pub(crate) fn write<S: PageStore>(arena: &Arena, centre: Option<&[f32]>, count: u32, store: &S) -> Result<()> {
    let order = order(arena, count, || store.poll())?;
    let ends = number(arena, &order, || store.poll())?;
    let geometry = arena.meta.geometry;
    let mut meta = arena.meta;
    if let Some((entry, level)) = arena.entry() {
        meta.entry = arena.number(entry);
        meta.entry_level = level;
    }
    meta.insert_hint = (ends.len() as u32).saturating_sub(1);
    write_head(&meta, centre, store)?;
    let (mut tids, mut links, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages = vec![vec![0; PAGE_SIZE]; geometry.group_blocks() as usize];
    let mut rest = &order[..];
    for (group, ends) in ends.chunks(geometry.node_pages).enumerate() {
        store.poll()?;
        let first = (group * geometry.node_pages) as u32;
        let start = geometry.node_block(first);
        for page in &mut pages {
            page.fill(0);
        }
        for (node_page, end) in (first..).zip(ends) {
            let done = order.len() - rest.len();
            let (members, others) = rest.split_at(end - done);
            rest = others;
            let block = geometry.node_block(node_page);
            let mut nodes = NodesMut::new(&mut pages[(block - start) as usize], &geometry, block)?;
            store.poll()?;
            for id in members {
                let (_, slot) = geometry.locate(arena.number(*id));
                tids.clear();
                arena.tids(*id, &mut tids);
                nodes.occupy(slot, geometry.slots(4 * arena.code(*id).len()), arena.level(*id), &tids);
                for layer in 0..=arena.level(*id) {
                    links.clear();
                    arena.links(*id, layer, &mut links);
                    let link = |link: &Link| (link.on_disk() & format::PROTECTED) | arena.number(link.id);
                    targets.clear();
                    targets.extend(links.iter().map(link));
                    nodes.set_links(slot, layer, &targets);
                }
            }
            for id in members {
                let code = arena.code(*id);
                let (part, rest) = geometry.code_parts(arena.number(*id), 4 * code.len());
                let (head, tail) = code.split_at(part.len / size_of::<u32>());
                for (part, words) in std::iter::once((part, head)).chain(rest.map(|rest| (rest, tail))) {
                    format::put_words(&mut pages[(part.block - start) as usize], part, words)?;
                }
            }
        }
        for page in &pages {
            store.poll()?;
            store.append(page)?;
        }
    }
    Ok(())
}
