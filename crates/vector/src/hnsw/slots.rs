//! Finding a free slot for an element, or for rows that the slot of an element has no room for.
//!
//! The metapage has a hint from which node page on there may be one. Vacuum moves it back.

use crate::hnsw::format::{self, MAX_ELEMENTS};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::packed;
use crate::store::{PageStore, Record};
use crate::{Error, Result};

/// A free slot with room for a code of so many bytes, or for no code: from the insert hint on, else in a new group.
pub(crate) fn free_slot<S: PageStore>(graph: &PagedGraph<'_, S>, code_bytes: usize) -> Result<(u32, usize)> {
    let geometry = &graph.meta.geometry;
    let blocks = graph.store.blocks()?;
    let node_pages = geometry.node_pages_of(blocks);
    let mut found = (node_pages, 0);
    for node_page in graph.meta.insert_hint.min(node_pages)..node_pages {
        graph.store.poll()?;
        let block = geometry.node_block(node_page);
        let page = graph.store.read(block)?;
        let nodes = format::Nodes::new(&page, geometry, block)?;
        let slot = if geometry.packed().is_some() {
            let free: Vec<usize> = nodes.free_slots().collect();
            drop(page);
            packed_slot(graph, node_page, blocks, &free, code_bytes)?
        } else {
            nodes.free_slots().next()
        };
        if let Some(slot) = slot {
            found = (node_page, slot);
            break;
        }
    }
    if u64::from(found.0 + 1) * geometry.nodes as u64 > u64::from(MAX_ELEMENTS) {
        return Err(Error::TooManyElements { max: MAX_ELEMENTS });
    }
    let needed = geometry.blocks(found.0 + 1);
    if needed > blocks {
        graph.store.extend_to(needed)?;
    }
    Ok(found)
}

/// The first of some free slots of a node page for whose code there is room on its page. `blocks` is the number of blocks that exist:
/// a crash can leave a part of a group.
fn packed_slot<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    node_page: u32,
    blocks: u32,
    free: &[usize],
    code_bytes: usize,
) -> Result<Option<usize>> {
    let geometry = &graph.meta.geometry;
    let block = |slot: &usize| graph.code_block(geometry.id(node_page, *slot));
    for slots in free.chunk_by(|a, b| block(a) == block(b)) {
        graph.store.poll()?;
        let block = block(&slots[0]);
        let has_room =
            |page: &[u8]| packed::gap(page, geometry.packed().unwrap_or(1), &graph.meta.space, code_bytes).is_some();
        if block >= blocks || has_room(&graph.store.read(block)?) {
            return Ok(slots.first().copied());
        }
    }
    Ok(None)
}

/// Moves the insert hint, unless somebody has moved it meanwhile: vacuum moves it back.
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
