//! Statistics of an index. Reads all node pages, changes nothing.

use crate::Result;
use crate::hnsw::format::{Meta, Nodes};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::tree;
use crate::memory::filled;
use crate::store::{Interlock, Mode, PAGE_SIZE, PageStore};

/// Statistics of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The metapage.
    pub meta: Meta,
    /// Rows of the table that the index holds, dead ones that no vacuum has removed yet included.
    pub rows: u64,
    /// Elements on each layer, from layer 0 up; empty without elements. An element is on its highest layer and all below.
    pub layers: Vec<u64>,
    /// Elements with 0, 1, 2 ... `2 * m` links on layer 0.
    pub degrees: Vec<u64>,
    /// Elements without rows, which vacuum will free.
    pub dead: u64,
    /// Elements with rows to which no links of layer 0 lead from the entry point: none, in a sound index.
    pub unreachable: u64,
    /// Slots that hold rows for which the slot of the element has no room.
    pub overflow_slots: u64,
    /// Free slots on the pages that exist.
    pub free_slots: u64,
    /// Bytes of pages of nodes: rows and links.
    pub node_bytes: u64,
    /// Bytes of pages of codes.
    pub code_bytes: u64,
}

impl Info {
    /// Elements, dead ones included.
    pub fn elements(&self) -> u64 {
        self.layers.first().copied().unwrap_or_default()
    }

    /// Bytes of the metapage and the pages of the centre.
    pub fn meta_bytes(&self) -> u64 {
        u64::from(self.meta.geometry.first) * PAGE_SIZE as u64
    }

    /// Bytes of all pages.
    pub fn total_bytes(&self) -> u64 {
        self.meta_bytes() + self.node_bytes + self.code_bytes
    }
}

/// Slots that are counted between two checks for a cancel.
const STRETCH: usize = 1 << 20;

/// State of a slot while it is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Other,
    Live,
    Dead,
    Reached,
}

/// Computes the statistics, with a byte of memory for each slot. Inserts and vacuums wait meanwhile, scans do not.
pub fn info<S: PageStore>(store: &S) -> Result<Info> {
    let _lock = store.lock(Interlock::Update, Mode::Exclusive)?;
    let graph = PagedGraph::open(store)?;
    let (meta, geometry) = (graph.meta, &graph.meta.geometry);
    let blocks = store.blocks()?;
    let node_pages = geometry.node_pages_of(blocks);
    let mut slots = filled(Slot::Other, node_pages as usize * geometry.nodes, || store.poll())?;
    let mut info = Info {
        meta,
        rows: 0,
        layers: Vec::new(),
        degrees: vec![0; geometry.capacity(0) + 1],
        dead: 0,
        unreachable: 0,
        overflow_slots: 0,
        free_slots: 0,
        node_bytes: u64::from(node_pages) * PAGE_SIZE as u64,
        code_bytes: u64::from(blocks - geometry.first - node_pages) * PAGE_SIZE as u64,
    };
    store.read_ahead(geometry.node_blocks(node_pages));
    for node_page in 0..node_pages {
        store.poll()?;
        let block = geometry.node_block(node_page);
        let page = store.read(block)?;
        let nodes = Nodes::new(&page, geometry, block)?;
        for slot in 0..geometry.nodes {
            if nodes.is_used(slot) {
                slots[geometry.id(node_page, slot) as usize] = info.count(&nodes, slot);
            } else if nodes.is_overflow(slot) {
                info.overflow_slots += 1;
                info.rows += nodes.tid_count(slot) as u64;
            }
            info.free_slots += u64::from(nodes.is_free(slot));
        }
    }
    let is_new = |id: u32| match slots.get_mut(id as usize) {
        Some(slot @ (Slot::Live | Slot::Dead)) => {
            *slot = Slot::Reached;
            true
        }
        _ => false,
    };
    tree::reach(graph.meta.entry, is_new, |id, links| {
        store.poll()?;
        graph.node(id, |nodes, slot| links.extend_from_slice(nodes.links(slot, 0)))
    })?;
    for slots in slots.chunks(STRETCH) {
        store.poll()?;
        info.unreachable += slots.iter().filter(|slot| **slot == Slot::Live).count() as u64;
    }
    Ok(info)
}

impl Info {
    fn count(&mut self, nodes: &Nodes<'_>, slot: usize) -> Slot {
        let layers = usize::from(nodes.level(slot)) + 1;
        if self.layers.len() < layers {
            self.layers.resize(layers, 0);
        }
        self.layers[..layers].iter_mut().for_each(|count| *count += 1);
        self.degrees[nodes.links(slot, 0).len()] += 1;
        self.rows += nodes.tid_count(slot) as u64;
        if nodes.is_live(slot) {
            return Slot::Live;
        }
        self.dead += 1;
        Slot::Dead
    }
}
