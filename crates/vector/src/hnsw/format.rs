//! The on-disk format: every structure, constant and position, and nothing else.
//!
//! Pages of 8192 bytes with PostgreSQL's page header (24 bytes) and a special area of 8. Block 0 is the metapage. Where the
//! index has learnt a [centre](crate::Coder::centre), its elements follow as `f32`, on as many pages as they fill. After that
//! come *groups* of the same shape: some node pages, then the code pages of their elements.
//!
//! ```text
//! 0      1 ..         first                       first + G
//! meta | centre ... | node ... | code code ... | node ... | code code ... | ...
//!                     \_______ group 0 _______/  \_______ group 1 _______/
//! ```
//!
//! An element is a number: `id = node page * nodes per page + slot`. Where its node and its code (see [`crate::space`]) lie
//! follows by arithmetic, so a link is 4 bytes, and what a walk follows (links) is apart from what is only measured (codes).
//! A node page is an array of [node slots](Geometry::node_offset) followed by an array of
//! [upper slots](Geometry::upper_offset), which hold the links of layers above 0. A code page is an array of code slots;
//! where whole ones would waste more than a tenth of a page they run on over the pages of their group instead. Codes of
//! sparse vectors have lengths of their own: their pages begin with a directory that says where each code begins, and the last
//! one of a page may run on over the next, see
//! [`packed`](crate::hnsw::packed). How many codes share a page is chosen when the graph is written, or by the first insert.
//!
//! An element holds all rows with its value: the first [`MAX_TIDS`] in its node slot, further ones in a chain of *overflow
//! slots*, node slots that hold rows instead of an element and whose code slots stay unused. The element leads to the newest,
//! each to the one before it. New rows go to the newest; a full one gets a newer one. Each is one [deeper](Nodes::depth) than
//! the next, and a row never moves. An overflow slot that vacuum has unlinked has no owner and leads where it led, for
//! scans that stand on it, until it is freed.
//!
//! A code is written before anything links to its element and not changed before nothing does any more and every walk that
//! began before that has ended: so walks read codes without a lock, from pages that they have pinned.
//!
//! An all-zero page is a valid page with nothing in it: what a crash leaves after an extension needs no repair. Numbers are
//! in the byte order of the machine, as everywhere in PostgreSQL's files.

use zerocopy::{FromBytes, IntoBytes};

use crate::page::{
    self, PAGE_HEADER, PAYLOAD, Part, SPECIAL_OFFSET, TID_BYTES, Tid, is_new, put_u16, put_u32, u16_at, u32_at,
};
use crate::space::{Coder, Form, Metric, Space};
use crate::{Error, Method, Result, centre};

/// Of the metapage: "LGHN".
pub const MAGIC: u32 = 0x4C47_484E;
/// Of this format. A reader of another version refuses.
pub const VERSION: u32 = 3;
/// In the special area of every page, where pageinspect and pg_filedump look.
pub const PAGE_ID: u16 = 0xFFA1;

/// Dimensions that any index may have: those of a sparse vector.
pub const MAX_DIMENSIONS: usize = 1_000_000_000;
/// Heap rows in the node slot of an element; further ones are in overflow slots.
pub const MAX_TIDS: usize = 4;
/// Layers above 0, at most.
pub const MAX_LEVEL: u8 = 30;
/// Identifiers end here: the top bit of a link is [`PROTECTED`].
pub const MAX_ELEMENTS: u32 = 0x7FFF_FFFE;
/// No element.
pub const NONE: u32 = 0x7FFF_FFFF;
/// The bit of a link that belongs to the spanning tree of layer 0.
pub const PROTECTED: u32 = 0x8000_0000;

/// The element that a link leads to.
#[inline]
pub fn target(link: u32) -> u32 {
    link & !PROTECTED
}

/// Writes an empty page of this kind. `used` bytes after the header count as in use.
pub fn init_page(page: &mut [u8], kind: PageKind, used: usize) {
    page::init(page, PAGE_ID, kind as u16, used);
}

/// Whether the page is ours and of this kind.
pub fn check_page(page: &[u8], block: u32, kind: PageKind) -> Result<()> {
    page::check(page, block, PAGE_ID, kind as u16)
}

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum PageKind {
    /// Block 0.
    Meta = 1,
    /// Nodes and upper slots.
    Node = 2,
    /// Codes.
    Code = 3,
    /// The centre of the codes.
    Centre = 4,
}

mod geometry;
mod packing;

pub use geometry::{Geometry, Layout};
pub use packing::Packing;

// ---------------------------------------------------------------------------------------------------------- positions

const NODE_STATE: usize = 0;
const NODE_TID_COUNT: usize = 1;
const NODE_LEVEL: usize = 2; // then a byte to spare
const NODE_UPPER: usize = 4; // u16: first upper slot + 1, from the highest layer down; 0: none
const NODE_LINK_COUNT: usize = 6; // u16
const NODE_OVERFLOW: usize = 8; // u32
const NODE_TIDS: usize = 12;
const NODE_LINKS: usize = NODE_TIDS + MAX_TIDS * TID_BYTES;
const _: () = assert!(NODE_LINKS == 36 && NODE_LINKS.is_multiple_of(4));

// Of an overflow slot: state, count and NODE_OVERFLOW as above, which is the next slot of the chain.
const OVERFLOW_OWNER: usize = 4; // u32
const OVERFLOW_DEPTH: usize = 12; // u32
const OVERFLOW_TIDS: usize = 16;

const UPPER_OWNER: usize = 0; // u16: slot of the node + 1; 0: free
const UPPER_NEXT: usize = 2; // u16: slot of the layer below + 1; 0: none
const UPPER_LEVEL: usize = 4; // u16
const UPPER_LINK_COUNT: usize = 6; // u16
const UPPER_LINKS: usize = 8;
const _: () = assert!(UPPER_LINKS.is_multiple_of(4));

const META_MAGIC: usize = PAGE_HEADER;
const META_VERSION: usize = PAGE_HEADER + 4;
const META_DIMENSIONS: usize = PAGE_HEADER + 8;
const META_M: usize = PAGE_HEADER + 12; // u16
const META_EF: usize = PAGE_HEADER + 14; // u16
const META_METRIC: usize = PAGE_HEADER + 16; // u16
const META_FORM: usize = PAGE_HEADER + 18; // u16
const META_NODES: usize = PAGE_HEADER + 20; // u16
const META_UPPERS: usize = PAGE_HEADER + 22; // u16
const META_NODE_PAGES: usize = PAGE_HEADER + 24; // u16
const META_CODE_PAGES: usize = PAGE_HEADER + 26; // u16
const META_SLOT_BYTES: usize = PAGE_HEADER + 28;
const META_ENTRY: usize = PAGE_HEADER + 32;
const META_ENTRY_LEVEL: usize = PAGE_HEADER + 36; // u16
const META_HINT: usize = PAGE_HEADER + 40;
const META_GENERATION: usize = PAGE_HEADER + 44;
const META_CENTRE_PAGES: usize = PAGE_HEADER + 48; // u16
const META_RUNS_ON: usize = PAGE_HEADER + 50; // u16
const META_MISFITS: usize = PAGE_HEADER + 52;
const META_END: usize = PAGE_HEADER + 64; // 8 bytes to spare

/// States of a node slot.
const FREE: u8 = 0;
const ELEMENT: u8 = 1;
/// Rows of an element for which its own slot has no room.
const OVERFLOW: u8 = 2;

const _: () = assert!(PAYLOAD == 8160 && PAYLOAD.is_multiple_of(4) && META_END < SPECIAL_OFFSET);

// ------------------------------------------------------------------------------------------------------------ metapage

/// What block 0 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The values and their distance.
    pub space: Space,
    /// Links per layer above 0.
    pub m: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
    /// Where every walk begins: an element on the highest layer, or [`NONE`].
    pub entry: u32,
    /// Its layer.
    pub entry_level: u8,
    /// The node page where an insert looks first for a free slot.
    pub insert_hint: u32,
    /// Changes before vacuum frees slots: whoever holds elements without an interlock looks at this first.
    pub generation: u32,
    /// Elements that were inserted and for which the codes are too coarse, about.
    pub misfits: u32,
    /// Follows from the rest; kept on the page as a check.
    pub geometry: Geometry,
}

impl Meta {
    /// An empty index that has learnt nothing of its values.
    pub fn new(space: Space, m: usize, ef_construction: usize) -> Self {
        let geometry = Geometry::new(m, &space);
        let (entry, entry_level, insert_hint) = (NONE, 0, 0);
        Self { space, m, ef_construction, entry, entry_level, insert_hint, generation: 0, misfits: 0, geometry }
    }

    /// An empty index whose codes `coder` makes.
    pub fn of(coder: &Coder, m: usize, ef_construction: usize) -> Self {
        let mut meta = Self::new(coder.space, m, ef_construction);
        meta.geometry.first += coder.centre().map_or(0, |centre| centre::pages(centre.len()));
        meta
    }

    /// Whether the index has learnt a centre.
    pub fn is_centred(&self) -> bool {
        self.geometry.first > 1
    }

    /// Reads block 0.
    pub fn read(page: &[u8]) -> Result<Self> {
        if is_new(page) || check_page(page, 0, PageKind::Meta).is_err() || u32_at(page, META_MAGIC) != MAGIC {
            return Err(Error::NotAnIndex(Method::Hnsw));
        }
        let found = u32_at(page, META_VERSION);
        if found != VERSION {
            return Err(Error::Version { method: Method::Hnsw, found, expected: VERSION });
        }
        let m = usize::from(u16_at(page, META_M));
        let dimensions = u32_at(page, META_DIMENSIONS) as usize;
        let (Some(metric), Some(form)) =
            (Metric::from_code(u16_at(page, META_METRIC)), Form::from_code(u16_at(page, META_FORM)))
        else {
            return Err(Error::NotAnIndex(Method::Hnsw));
        };
        let space = Space { form, metric, dimensions };
        if !(2..=100).contains(&m)
            || !(1..=MAX_DIMENSIONS).contains(&dimensions)
            || space.max_code_bytes() > 2 * PAYLOAD
        {
            return Err(Error::NotAnIndex(Method::Hnsw));
        }
        let runs_on = u16::from(form == Form::Sparse);
        if u16_at(page, META_RUNS_ON) != runs_on {
            return Err(Error::Corrupt {
                block: 0,
                what: "codes of sparse vectors end with their pages, as they no longer do",
            });
        }
        // The layout is read, not worked out anew: that takes a while, and this is the first thing that every walk does.
        let (nodes, uppers) = (usize::from(u16_at(page, META_NODES)), usize::from(u16_at(page, META_UPPERS)));
        let slot_bytes = u32_at(page, META_SLOT_BYTES) as usize;
        let node_pages = usize::from(u16_at(page, META_NODE_PAGES));
        if nodes == 0 || node_pages == 0 || slot_bytes == 0 {
            return Err(Error::Corrupt { block: 0, what: "layout does not follow from the options" });
        }
        let first = 1 + u32::from(u16_at(page, META_CENTRE_PAGES));
        if first > 1 && first != 1 + centre::pages(dimensions) {
            return Err(Error::Corrupt { block: 0, what: "centre is not as long as values" });
        }
        let geometry = Geometry { first, ..Geometry::shape(m, slot_bytes, nodes, node_pages, form == Form::Sparse) };
        if !geometry.fits()
            || (geometry.uppers, geometry.code_pages) != (uppers, usize::from(u16_at(page, META_CODE_PAGES)))
            || geometry.packed().is_some_and(|_| !geometry.has_room_for(space.max_code_bytes()))
        {
            return Err(Error::Corrupt { block: 0, what: "layout does not follow from the options" });
        }
        Ok(Self {
            space,
            m,
            ef_construction: usize::from(u16_at(page, META_EF)),
            entry: u32_at(page, META_ENTRY),
            entry_level: u16_at(page, META_ENTRY_LEVEL) as u8,
            insert_hint: u32_at(page, META_HINT),
            generation: u32_at(page, META_GENERATION),
            misfits: u32_at(page, META_MISFITS),
            geometry,
        })
    }

    /// Writes block 0.
    pub fn write(&self, page: &mut [u8]) {
        init_page(page, PageKind::Meta, META_END - PAGE_HEADER);
        put_u32(page, META_MAGIC, MAGIC);
        put_u32(page, META_VERSION, VERSION);
        put_u32(page, META_DIMENSIONS, self.space.dimensions as u32);
        put_u16(page, META_M, self.m as u16);
        put_u16(page, META_EF, self.ef_construction as u16);
        put_u16(page, META_METRIC, self.space.metric.code());
        put_u16(page, META_FORM, self.space.form.code());
        put_u16(page, META_NODES, self.geometry.nodes as u16);
        put_u16(page, META_UPPERS, self.geometry.uppers as u16);
        put_u16(page, META_NODE_PAGES, self.geometry.node_pages as u16);
        put_u16(page, META_CODE_PAGES, self.geometry.code_pages as u16);
        put_u32(page, META_SLOT_BYTES, self.geometry.slot_bytes as u32);
        set_entry(page, self.entry, self.entry_level);
        set_hint(page, self.insert_hint);
        put_u32(page, META_GENERATION, self.generation);
        put_u16(page, META_CENTRE_PAGES, (self.geometry.first - 1) as u16);
        // Builds before the first release knew no codes that run on over pages of packed codes.
        put_u16(page, META_RUNS_ON, u16::from(self.geometry.packed().is_some()));
        put_u32(page, META_MISFITS, self.misfits);
    }
}

/// Begins another generation. `page` is block 0.
pub fn next_generation(page: &mut [u8]) {
    let generation = u32_at(page, META_GENERATION);
    put_u32(page, META_GENERATION, generation.wrapping_add(1));
}

/// Moves the entry point. `page` is block 0.
pub fn set_entry(page: &mut [u8], entry: u32, level: u8) {
    put_u32(page, META_ENTRY, entry);
    put_u16(page, META_ENTRY_LEVEL, u16::from(level));
}

/// Moves the insert hint. `page` is block 0.
pub fn set_hint(page: &mut [u8], node_page: u32) {
    put_u32(page, META_HINT, node_page);
}

/// Counts an element for which the codes are too coarse; stops at the largest number. `page` is block 0.
pub fn add_misfit(page: &mut [u8]) {
    let misfits = u32_at(page, META_MISFITS);
    put_u32(page, META_MISFITS, misfits.saturating_add(1));
}

/// The insert hint. `page` is block 0.
pub fn hint(page: &[u8]) -> u32 {
    u32_at(page, META_HINT)
}

// ----------------------------------------------------------------------------------------------------------- node page

/// Reads a node page. All-zero pages have only free slots.
#[derive(Clone, Copy)]
pub struct Nodes<'a> {
    page: &'a [u8],
    geometry: &'a Geometry,
}

impl<'a> Nodes<'a> {
    /// Checks the page.
    pub fn new(page: &'a [u8], geometry: &'a Geometry, block: u32) -> Result<Self> {
        if !is_new(page) {
            check_page(page, block, PageKind::Node)?;
        }
        Ok(Self { page, geometry })
    }

    #[inline]
    fn at(&self, slot: usize) -> usize {
        self.geometry.node_offset(slot)
    }

    /// Whether the slot holds an element.
    #[inline]
    pub fn is_used(&self, slot: usize) -> bool {
        self.page[self.at(slot) + NODE_STATE] == ELEMENT
    }

    /// Whether the slot is free.
    #[inline]
    pub fn is_free(&self, slot: usize) -> bool {
        self.page[self.at(slot) + NODE_STATE] == FREE
    }

    /// The slots that are free.
    pub fn free_slots(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        (0..self.geometry.nodes).filter(|slot| self.is_free(*slot))
    }

    /// The highest layer of the element.
    #[inline]
    pub fn level(&self, slot: usize) -> u8 {
        self.page[self.at(slot) + NODE_LEVEL]
    }

    /// Whether the slot holds further rows of an element.
    #[inline]
    pub fn is_overflow(&self, slot: usize) -> bool {
        self.page[self.at(slot) + NODE_STATE] == OVERFLOW
    }

    /// Where the rows of an element's slot or of an overflow slot begin, and how many it can hold.
    #[inline]
    fn place_of_tids(&self, slot: usize) -> (usize, usize) {
        if self.is_overflow(slot) {
            (self.at(slot) + OVERFLOW_TIDS, self.geometry.overflow_capacity())
        } else {
            (self.at(slot) + NODE_TIDS, MAX_TIDS)
        }
    }

    /// Rows in the slot, which is an element's or an overflow slot.
    #[inline]
    pub fn tid_count(&self, slot: usize) -> usize {
        usize::from(self.page[self.at(slot) + NODE_TID_COUNT]).min(self.place_of_tids(slot).1)
    }

    /// Whether the slot, which is an element's or an overflow slot, can take one more row.
    #[inline]
    pub fn has_room(&self, slot: usize) -> bool {
        self.tid_count(slot) < self.place_of_tids(slot).1
    }

    /// Whether the element exists and has rows. One without is freed by vacuum.
    #[inline]
    pub fn is_live(&self, slot: usize) -> bool {
        self.is_used(slot) && (self.tid_count(slot) > 0 || self.overflow(slot) != NONE)
    }

    /// The rows in the slot, which is an element's or an overflow slot.
    pub fn tids(&self, slot: usize) -> impl Iterator<Item = Tid> + use<'a> {
        let (start, _) = self.place_of_tids(slot);
        let page = self.page;
        (0..self.tid_count(slot)).map(move |i| {
            let at = start + i * TID_BYTES;
            u64::from(u32_at(page, at)) << 16 | u64::from(u16_at(page, at + 4))
        })
    }

    /// The overflow slot that comes after the slot, which is an element's or an overflow slot itself, or [`NONE`].
    #[inline]
    pub fn overflow(&self, slot: usize) -> u32 {
        u32_at(self.page, self.at(slot) + NODE_OVERFLOW)
    }

    /// The element to whose chain an overflow slot belongs, or [`NONE`] when it was unlinked.
    pub fn owner(&self, slot: usize) -> u32 {
        u32_at(self.page, self.at(slot) + OVERFLOW_OWNER)
    }

    /// One more than that of the overflow slot that was next when this one was linked; 0 where there was none.
    pub fn depth(&self, slot: usize) -> u32 {
        u32_at(self.page, self.at(slot) + OVERFLOW_DEPTH)
    }

    /// The links on a layer, [`PROTECTED`] bits included; none where the element does not reach that high.
    pub fn links(&self, slot: usize, level: u8) -> &'a [u32] {
        let (count_at, links_at) = match level {
            0 => (self.at(slot) + NODE_LINK_COUNT, self.at(slot) + NODE_LINKS),
            _ => match self.upper(slot, level) {
                Some(upper) => {
                    let at = self.geometry.upper_offset(upper);
                    (at + UPPER_LINK_COUNT, at + UPPER_LINKS)
                }
                None => return &[],
            },
        };
        let count = usize::from(u16_at(self.page, count_at)).min(self.geometry.capacity(level));
        <[u32]>::ref_from_bytes(&self.page[links_at..links_at + 4 * count]).unwrap_or(&[])
    }

    /// The upper slot of a layer of an element.
    pub fn upper(&self, slot: usize, level: u8) -> Option<usize> {
        let mut next = u16_at(self.page, self.at(slot) + NODE_UPPER);
        for _ in 0..self.geometry.uppers {
            let upper = usize::from(next).checked_sub(1).filter(|upper| *upper < self.geometry.uppers)?;
            let at = self.geometry.upper_offset(upper);
            if u16_at(self.page, at + UPPER_LEVEL) == u16::from(level) {
                return Some(upper);
            }
            next = u16_at(self.page, at + UPPER_NEXT);
        }
        None
    }

    /// The slot that owns an upper slot, if one does.
    pub fn upper_owner(&self, upper: usize) -> Option<usize> {
        usize::from(u16_at(self.page, self.geometry.upper_offset(upper) + UPPER_OWNER)).checked_sub(1)
    }

    /// How many upper slots are free.
    pub fn free_uppers(&self) -> usize {
        (0..self.geometry.uppers).filter(|upper| self.upper_owner(*upper).is_none()).count()
    }
}

/// Changes a node page.
pub struct NodesMut<'a> {
    page: &'a mut [u8],
    geometry: &'a Geometry,
}

impl<'a> NodesMut<'a> {
    /// Checks the page, and makes one of an all-zero page.
    pub fn new(page: &'a mut [u8], geometry: &'a Geometry, block: u32) -> Result<Self> {
        if is_new(page) {
            init_page(page, PageKind::Node, geometry.node_page_used());
        }
        check_page(page, block, PageKind::Node)?;
        Ok(Self { page, geometry })
    }

    /// Links that a list on this layer can hold.
    pub fn capacity(&self, level: u8) -> usize {
        self.geometry.capacity(level)
    }

    /// For reading.
    pub fn view(&self) -> Nodes<'_> {
        Nodes { page: self.page, geometry: self.geometry }
    }

    /// Fills a free slot with an element of no links, on as many layers above 0 as there are upper slots, up to `level`.
    /// Returns its level.
    pub fn occupy(&mut self, slot: usize, level: u8, tids: &[Tid]) -> u8 {
        let at = self.geometry.node_offset(slot);
        let free: Vec<usize> = (0..self.geometry.uppers)
            .filter(|upper| self.view().upper_owner(*upper).is_none())
            .take(usize::from(level))
            .collect();
        let mut next = 0;
        for (i, upper) in free.iter().enumerate() {
            let upper_at = self.geometry.upper_offset(*upper);
            put_u16(self.page, upper_at + UPPER_OWNER, slot as u16 + 1);
            put_u16(self.page, upper_at + UPPER_NEXT, next);
            put_u16(self.page, upper_at + UPPER_LEVEL, i as u16 + 1);
            put_u16(self.page, upper_at + UPPER_LINK_COUNT, 0);
            next = *upper as u16 + 1;
        }
        self.page[at + NODE_STATE] = ELEMENT;
        self.page[at + NODE_LEVEL] = free.len() as u8;
        self.page[at + NODE_TID_COUNT] = 0;
        put_u32(self.page, at + NODE_OVERFLOW, NONE);
        put_u16(self.page, at + NODE_UPPER, next);
        put_u16(self.page, at + NODE_LINK_COUNT, 0);
        for tid in tids {
            self.push_tid(slot, *tid);
        }
        free.len() as u8
    }

    /// Makes a free slot an overflow slot without rows, `next` being the one after it in the chain of its owner.
    pub fn occupy_overflow(&mut self, slot: usize, owner: u32, next: u32, depth: u32) {
        let at = self.geometry.node_offset(slot);
        self.page[at + NODE_STATE] = OVERFLOW;
        put_u32(self.page, at + OVERFLOW_OWNER, owner);
        put_u32(self.page, at + NODE_OVERFLOW, next);
        put_u32(self.page, at + OVERFLOW_DEPTH, depth);
    }

    /// Sets what comes after the slot, which is an element's or an overflow slot.
    pub fn set_overflow(&mut self, slot: usize, next: u32) {
        let at = self.geometry.node_offset(slot);
        put_u32(self.page, at + NODE_OVERFLOW, next);
    }

    /// Takes an overflow slot from its owner. Where it leads stays.
    pub fn disown(&mut self, slot: usize) {
        let at = self.geometry.node_offset(slot);
        put_u32(self.page, at + OVERFLOW_OWNER, NONE);
    }

    /// Frees an element's slot and upper slots, or an overflow slot.
    pub fn free(&mut self, slot: usize) {
        let at = self.geometry.node_offset(slot);
        for upper in 0..self.geometry.uppers {
            if self.view().upper_owner(upper) == Some(slot) {
                let upper_at = self.geometry.upper_offset(upper);
                let len = self.geometry.upper_bytes();
                self.page[upper_at..upper_at + len].fill(0);
            }
        }
        let len = self.geometry.node_bytes();
        self.page[at..at + len].fill(0);
    }

    /// Adds a row to the slot, which is an element's or an overflow slot; false when it is full.
    pub fn push_tid(&mut self, slot: usize, tid: Tid) -> bool {
        let (count, (start, capacity)) = (self.view().tid_count(slot), self.view().place_of_tids(slot));
        if count == capacity {
            return false;
        }
        put_u32(self.page, start + count * TID_BYTES, (tid >> 16) as u32);
        put_u16(self.page, start + count * TID_BYTES + 4, tid as u16);
        self.page[self.geometry.node_offset(slot) + NODE_TID_COUNT] = count as u8 + 1;
        true
    }

    /// Keeps the rows that `keep` says of those in the slot, which is an element's or an overflow slot.
    pub fn retain_tids(&mut self, slot: usize, keep: impl Fn(Tid) -> bool) {
        let kept: Vec<Tid> = self.view().tids(slot).filter(|tid| keep(*tid)).collect();
        let (start, capacity) = self.view().place_of_tids(slot);
        self.page[start..start + capacity * TID_BYTES].fill(0);
        self.page[self.geometry.node_offset(slot) + NODE_TID_COUNT] = 0;
        for tid in kept {
            self.push_tid(slot, tid);
        }
    }

    /// Replaces the links on a layer; those beyond the capacity are dropped. Nothing where the element has no such layer.
    pub fn set_links(&mut self, slot: usize, level: u8, links: &[u32]) {
        let (count_at, links_at) = match level {
            0 => {
                let at = self.geometry.node_offset(slot);
                (at + NODE_LINK_COUNT, at + NODE_LINKS)
            }
            _ => match self.view().upper(slot, level) {
                Some(upper) => {
                    let at = self.geometry.upper_offset(upper);
                    (at + UPPER_LINK_COUNT, at + UPPER_LINKS)
                }
                None => return,
            },
        };
        let capacity = self.geometry.capacity(level);
        let links = &links[..links.len().min(capacity)];
        put_u16(self.page, count_at, links.len() as u16);
        for (i, link) in links.iter().enumerate() {
            put_u32(self.page, links_at + 4 * i, *link);
        }
        self.page[links_at + 4 * links.len()..links_at + 4 * capacity].fill(0);
    }
}

/// Writes a part of a code onto its page, making the page if it is all zero.
pub fn put_words(page: &mut [u8], part: Part, words: &[u32]) -> Result<()> {
    if is_new(page) {
        init_page(page, PageKind::Code, PAYLOAD);
    }
    check_page(page, part.block, PageKind::Code)?;
    page[part.offset..part.offset + part.len].copy_from_slice(words.as_bytes());
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
