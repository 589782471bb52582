//! Where nodes and codes lie.

use std::ops::Range;

use super::*;

/// Where things lie; follows from `m`, the codes and the pages of the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// The block where the first group begins: after the metapage and the centre.
    pub first: u32,
    /// Links per layer above 0; layer 0 has twice as many.
    pub m: usize,
    /// Bytes of a code slot; of codes that have lengths of their own, what each has of a page on average.
    pub slot_bytes: usize,
    /// Node slots per node page.
    pub nodes: usize,
    /// Upper slots per node page.
    pub uppers: usize,
    /// Node pages per group.
    pub node_pages: usize,
    /// Code pages per group.
    pub code_pages: usize,
    /// How code slots lie on their pages.
    pub layout: Layout,
}

/// How code slots lie on the code pages of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// So many whole ones on each page.
    Whole(usize),
    /// One after the other over the ends of pages, each on two at most.
    RunOn,
    /// Each on two pages of its own.
    Pair,
    /// Each as long as it is; its slot says on which page it begins.
    Packed(Packing),
}

/// Node pages of a group, at most: a group is added as a whole.
const MAX_NODE_PAGES: usize = 8;
/// What a code may have of the pages, at least and at most, where codes have lengths of their own.
const MIN_SHARE: usize = 32;
const MAX_SHARE: usize = PAYLOAD - 4 * Packing::ENTRY;

impl Geometry {
    /// The densest layout, without a centre. `m` is 2..=100. For sparse vectors a guess: [`Self::for_lengths`] knows better.
    pub fn new(m: usize, space: &Space) -> Self {
        let bytes = space.max_code_bytes();
        if space.form == Form::Sparse {
            Self::for_lengths(m, space, bytes / 8)
        } else {
            Self::densest(m, bytes, 1, false)
        }
    }

    /// For codes that have lengths of their own, of so many bytes on average.
    pub fn for_lengths(m: usize, space: &Space, bytes: usize) -> Self {
        let share = bytes.clamp(MIN_SHARE, MAX_SHARE);
        let most = (1..).take_while(|nodes| Self::shape(m, share, *nodes, 1, true).fits()).last().unwrap_or(1);
        let geometry = Self::densest(m, share, most, true);
        if geometry.has_room_for(space.max_code_bytes()) {
            return geometry;
        }
        // A page takes the longest code, behind a directory of so many entries.
        let entries = (PAYLOAD - space.max_code_bytes()) / Packing::ENTRY - 1;
        Self::densest(m, share.max(PAYLOAD.div_ceil(entries)), most, true)
    }

    /// Whether an empty group has room for a code that is not longer than a page and has a length of its own.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        // Half of a page for a directory is too much.
        let fits = |room: usize| 2 * room > PAYLOAD && (bytes <= room || self.code_pages > 1);
        self.packed().is_some_and(|packing| fits(packing.room()))
    }

    fn densest(m: usize, slot_bytes: usize, min_nodes: usize, is_packed: bool) -> Self {
        let larger = if is_packed { 0.97 } else { 0.99 };
        let mut best = Self::shape(m, slot_bytes, min_nodes, 1, is_packed);
        for node_pages in 1..=MAX_NODE_PAGES {
            for nodes in min_nodes.. {
                let candidate = Self::shape(m, slot_bytes, nodes, node_pages, is_packed);
                if !candidate.fits() {
                    break;
                }
                // A larger group has to save some of the pages: of long codes more, for a group is added as a whole.
                let pages = |g: &Self| (g.node_pages + g.code_pages) as f64 / (g.node_pages * g.nodes) as f64;
                if pages(&candidate) < pages(&best) * if node_pages == best.node_pages { 1.0 } else { larger } {
                    best = candidate;
                }
            }
        }
        best
    }

    pub(super) fn shape(m: usize, slot_bytes: usize, nodes: usize, node_pages: usize, is_packed: bool) -> Self {
        // Twice the layers that random levels need, so that hardly any element has to go lower than it drew.
        let uppers = (2 * nodes).div_ceil(m - 1) + 2;
        let slots = nodes * node_pages;
        let (layout, code_pages) = match PAYLOAD / slot_bytes {
            _ if is_packed => (Layout::Packed(Packing::new(slot_bytes)), Packing::new(slot_bytes).pages(slots)),
            0 => (Layout::Pair, 2 * slots),
            whole if whole * slot_bytes * 10 >= PAYLOAD * 9 => (Layout::Whole(whole), slots.div_ceil(whole)),
            _ => (Layout::RunOn, (slots * slot_bytes).div_ceil(PAYLOAD)),
        };
        Self { first: 1, m, slot_bytes, nodes, uppers, node_pages, code_pages, layout }
    }

    pub(super) fn fits(&self) -> bool {
        self.node_page_used() <= PAYLOAD
    }

    /// Bytes of a node slot.
    #[inline]
    pub fn node_bytes(&self) -> usize {
        NODE_LINKS + 8 * self.m
    }

    /// Rows that an overflow slot can hold: 6 to 136.
    #[inline]
    pub fn overflow_capacity(&self) -> usize {
        (self.node_bytes() - OVERFLOW_TIDS) / TID_BYTES
    }

    /// Overflow slots of an element with so many rows.
    pub fn overflow_slots(&self, rows: usize) -> usize {
        rows.saturating_sub(MAX_TIDS).div_ceil(self.overflow_capacity())
    }

    /// Bytes of an upper slot.
    #[inline]
    pub fn upper_bytes(&self) -> usize {
        UPPER_LINKS + 4 * self.m
    }

    /// Blocks of a group.
    #[inline]
    pub fn group_blocks(&self) -> u32 {
        (self.node_pages + self.code_pages) as u32
    }

    /// Links that a list on this layer can hold.
    #[inline]
    pub fn capacity(&self, level: u8) -> usize {
        if level == 0 { 2 * self.m } else { self.m }
    }

    /// Protected links that an element takes from elements that are inserted, while there are others to take them. Without
    /// this bound the elements that are near to everything (large ones under an inner product) would have nothing else.
    #[inline]
    pub fn tree_capacity(&self) -> usize {
        (self.m / 2).max(3)
    }

    /// The highest layer that an element can have.
    pub fn max_level(&self) -> u8 {
        self.uppers.min(usize::from(MAX_LEVEL)) as u8
    }

    /// Where a node slot begins on its page.
    #[inline]
    pub fn node_offset(&self, slot: usize) -> usize {
        PAGE_HEADER + slot * self.node_bytes()
    }

    /// Where an upper slot begins on its page.
    #[inline]
    pub fn upper_offset(&self, upper: usize) -> usize {
        PAGE_HEADER + self.nodes * self.node_bytes() + upper * self.upper_bytes()
    }

    /// The node page (counted without the pages between) and slot of an element.
    #[inline]
    pub fn locate(&self, id: u32) -> (u32, usize) {
        (id / self.nodes as u32, (id % self.nodes as u32) as usize)
    }

    /// The element in a slot of a node page.
    #[inline]
    pub fn id(&self, node_page: u32, slot: usize) -> u32 {
        node_page * self.nodes as u32 + slot as u32
    }

    /// The block of a node page.
    #[inline]
    pub fn node_block(&self, node_page: u32) -> u32 {
        let per_group = self.node_pages as u32;
        self.first + node_page / per_group * self.group_blocks() + node_page % per_group
    }

    /// The blocks of the first node pages.
    pub fn node_blocks(self, node_pages: u32) -> impl Iterator<Item = u32> + 'static {
        (0..node_pages).map(move |node_page| self.node_block(node_page))
    }

    /// Node pages among the first `blocks` blocks.
    pub fn node_pages_of(&self, blocks: u32) -> u32 {
        let (per_group, blocks) = (self.node_pages as u32, blocks.saturating_sub(self.first));
        blocks / self.group_blocks() * per_group + (blocks % self.group_blocks()).min(per_group)
    }

    /// What the page of a block is.
    pub fn kind(&self, block: u32) -> PageKind {
        match block.checked_sub(self.first) {
            None if block == 0 => PageKind::Meta,
            None => PageKind::Centre,
            Some(block) if block % self.group_blocks() < self.node_pages as u32 => PageKind::Node,
            Some(_) => PageKind::Code,
        }
    }

    /// Blocks of an index with so many node pages: whole groups.
    pub fn blocks(&self, node_pages: u32) -> u32 {
        self.first + node_pages.div_ceil(self.node_pages as u32) * self.group_blocks()
    }

    /// How codes share pages, where they have lengths of their own.
    #[inline]
    pub fn packed(&self) -> Option<Packing> {
        match self.layout {
            Layout::Packed(packing) => Some(packing),
            _ => None,
        }
    }

    /// The code page behind a code page of the same group.
    #[inline]
    pub fn next_code_page(&self, block: u32) -> Option<u32> {
        (self.kind(block + 1) == PageKind::Code).then_some(block + 1)
    }

    /// Where the code of an element lies, of so many bytes: one part, or two where it runs on over a page's end. Where codes
    /// have lengths of their own, where the page's directory says where.
    #[inline]
    pub fn code_parts(&self, id: u32, bytes: usize) -> (Part, Option<Part>) {
        let (node_page, slot) = self.locate(id);
        let (group, page_of_group) = (node_page / self.node_pages as u32, node_page % self.node_pages as u32);
        let first = self.first + group * self.group_blocks() + self.node_pages as u32;
        let slot = page_of_group as usize * self.nodes + slot;
        let (page, offset) = match self.layout {
            Layout::Packed(packing) => {
                let (page, entry) = packing.locate(slot);
                return (packing.entry(first + page as u32, entry), None);
            }
            Layout::Whole(per_page) => (slot / per_page, slot % per_page * self.slot_bytes),
            Layout::RunOn => (slot * self.slot_bytes / PAYLOAD, slot * self.slot_bytes % PAYLOAD),
            Layout::Pair => (2 * slot, 0),
        };
        let block = first + page as u32;
        let len = bytes.min(PAYLOAD - offset);
        let rest = (len < bytes).then(|| Part { block: block + 1, offset: PAGE_HEADER, len: bytes - len });
        (Part { block, offset: PAGE_HEADER + offset, len }, rest)
    }

    /// How many codes fit on a page.
    #[inline]
    pub fn codes_per_page(&self) -> usize {
        PAYLOAD / self.slot_bytes
    }

    /// The elements whose whole codes lie on the page where the code of `id` begins. Codes must be as long as code slots.
    #[inline]
    pub fn codes_on_page(&self, id: u32) -> Range<u32> {
        let slots = self.nodes * self.node_pages;
        let slot = id as usize % slots;
        let (start, end) = match self.layout {
            Layout::Whole(per_page) => (slot / per_page * per_page, (slot / per_page + 1) * per_page),
            Layout::RunOn => {
                let page = slot * self.slot_bytes / PAYLOAD;
                ((page * PAYLOAD).div_ceil(self.slot_bytes), (page + 1) * PAYLOAD / self.slot_bytes)
            }
            Layout::Pair | Layout::Packed(_) => (slot, slot), // none is whole, or as long as its slot
        };
        let first = id - slot as u32;
        first + start as u32..first + end.min(slots) as u32
    }

    /// Bytes in use after the header of a node page.
    pub fn node_page_used(&self) -> usize {
        self.nodes * self.node_bytes() + self.uppers * self.upper_bytes()
    }
}
