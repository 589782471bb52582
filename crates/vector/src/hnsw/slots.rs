//! Finding a free slot for an element, or for rows that the slot of an element has no room for.
//!
//! The metapage has a hint from which node page on there may be one. Vacuum moves it back.

use crate::hnsw::format::{self, MAX_ELEMENTS, Packing};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::packed;
use crate::store::{PageStore, Record};
use crate::{Error, Result};

/// A free place for an element.
pub(crate) struct Room {
    pub node_page: u32,
    pub slot: usize,
    /// The page on which its code continues, for codes of different lengths.
    pub tail: Option<u32>,
}

/// Finds a free slot with room for a code of `code_bytes` (0 for an overflow slot), beginning at the insert hint, else in a
/// new group.
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

/// Moves the insert hint, unless it was moved meanwhile: vacuum moves it back.
pub(crate) fn move_hint<S: PageStore>(graph: &PagedGraph<'_, S>, node_page: u32) -> Result<()> {
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
