//! Writing a built graph out in one pass.

use crate::Result;
use crate::arena::Arena;
use crate::build::write_empty;
use crate::format::{self, NodesMut};
use crate::select::Link;
use crate::store::{PAGE_SIZE, PageStore};

/// Numbers the elements as they will lie on pages: in the order they came, as many on a node page as its upper slots allow.
fn number(arena: &Arena, count: u32) -> Vec<Vec<(u32, usize)>> {
    let geometry = &arena.meta.geometry;
    let mut pages: Vec<Vec<(u32, usize)>> = Vec::new();
    let (mut used, mut uppers) = (0, 0);
    for id in (0..count).filter(|id| !arena.is_folded(*id)) {
        let level = usize::from(arena.level(id));
        let slots = geometry.slots(4 * arena.code(id).len());
        if pages.is_empty() || used + slots > geometry.nodes || uppers + level > geometry.uppers {
            pages.push(Vec::new());
            (used, uppers) = (0, 0);
        }
        let node_page = pages.len() as u32 - 1;
        pages[node_page as usize].push((id, used));
        arena.set_number(id, geometry.id(node_page, used));
        used += slots;
        uppers += level;
    }
    pages
}

pub(crate) fn write<S: PageStore>(arena: &Arena, count: u32, store: &S) -> Result<()> {
    let node_pages = number(arena, count);
    let (mut tids, mut links, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let geometry = arena.meta.geometry;
    let mut meta = arena.meta;
    if let Some((entry, level)) = arena.entry() {
        meta.entry = arena.number(entry);
        meta.entry_level = level;
    }
    meta.insert_hint = (node_pages.len() as u32).saturating_sub(1);
    write_empty(&meta, store)?;
    for (group, members) in node_pages.chunks(geometry.node_pages).enumerate() {
        store.poll()?;
        let first = (group * geometry.node_pages) as u32;
        let mut pages = vec![vec![0; PAGE_SIZE]; geometry.group_blocks() as usize];
        let start = geometry.node_block(first);
        for (node_page, members) in (first..).zip(members) {
            let block = geometry.node_block(node_page);
            let mut nodes = NodesMut::new(&mut pages[(block - start) as usize], &geometry, block)?;
            for (id, slot) in members {
                tids.clear();
                arena.tids(*id, &mut tids);
                nodes.occupy(*slot, geometry.slots(4 * arena.code(*id).len()), arena.level(*id), &tids);
                for layer in 0..=arena.level(*id) {
                    links.clear();
                    arena.links(*id, layer, &mut links);
                    let link = |link: &Link| (link.on_disk() & format::PROTECTED) | arena.number(link.id);
                    targets.clear();
                    targets.extend(links.iter().map(link));
                    nodes.set_links(*slot, layer, &targets);
                }
            }
            for (id, slot) in members {
                let code = arena.code(*id);
                let (part, rest) = geometry.code_parts(geometry.id(node_page, *slot), 4 * code.len());
                let (head, tail) = code.split_at(part.len / size_of::<u32>());
                for (part, words) in std::iter::once((part, head)).chain(rest.map(|rest| (rest, tail))) {
                    format::put_words(&mut pages[(part.block - start) as usize], part, words)?;
                }
            }
        }
        for page in pages {
            store.append(&page)?;
        }
    }
    Ok(())
}
