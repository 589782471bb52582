//! The on-disk format: every structure, constant and position, and nothing else.
//!
//! Pages of 8192 bytes with PostgreSQL's page header (24 bytes) and a special area of 8. Block 0 is the metapage. Then come
//! the centre of the [coder](crate::Coder) where it has one ([`crate::centre`]), the heads of all lists, the codes of all
//! centres of lists, and after them the pages of the lists, in any order.
//!
//! ```text
//! 0      1 ..             1 + M ..   1 + M + H ..   1 + M + H + C ..
//! meta | coder centre ... | head ... | centre ... | entries entries entries ...
//! ```
//!
//! Version 3 is the first that says what codes were made with. Codes of version 1 mean something else, so it is refused.
//!
//! A head has the first page of its list, the page where inserts begin, and the length of the longest inserted row. A list is a
//! chain of entry pages. On an entry page, codes (see [`crate::space`]) grow up from the front and row identifiers grow down from
//! the end, with pd_lower and pd_upper between them as on any page of PostgreSQL: the number of entries follows from them, and
//! WAL omits the free space. If not even one code fits, an entry page has one entry, and the rest of its code is on another page.
//!
//! Both kinds of centres are written once, by the build, so they are read without a lock. Block 0 is never an entry page,
//! so block number 0 means none, and a head of zeros is that of an empty list. An all-zero page among the entry pages is
//! free, so a crash after an extension needs no repair. Numbers are in the byte order of the machine, as in all of
//! PostgreSQL's files.

use zerocopy::IntoBytes;

use crate::page::{
    self, PAGE_HEADER, PAYLOAD, Part, SPECIAL_OFFSET, TID_BYTES, Tid, is_new, put_u16, put_u32, u16_at, u32_at, words,
};
use crate::space::{Form, Metric, Space};
use crate::{Coder, Error, Method, Result, centre};

/// The magic number of the metapage: "LGIV".
pub const MAGIC: u32 = 0x4C47_4956;
/// The version of this format. Other versions are refused.
pub const VERSION: u32 = 3;
/// The page identifier at the end of the special area, by which pageinspect and pg_filedump tell kinds of pages.
pub const PAGE_ID: u16 = 0xFFA2;

/// Maximum number of lists, as in pgvector.
pub const MAX_LISTS: usize = 32_768;
/// Maximum number of rows of a build.
pub const MAX_ROWS: u32 = u32::MAX;
/// The block number that means no page.
pub const NONE: u32 = 0;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum PageKind {
    /// Block 0.
    Meta = 1,
    /// Where lists begin.
    Heads = 2,
    /// Codes of centres of lists.
    Centres = 3,
    /// Codes and rows of a list.
    Entries = 4,
    /// The rest of a long code.
    Rest = 5,
    /// The centre of the coder, which is subtracted from values before they are quantised.
    CoderCentre = 6,
}

/// Writes an empty page of this kind. `used` bytes after the header count as in use.
pub fn init_page(page: &mut [u8], kind: PageKind, used: usize) {
    page::init(page, PAGE_ID, kind as u16, used);
}

/// Whether the page is ours and of this kind.
pub fn check_page(page: &[u8], block: u32, kind: PageKind) -> Result<()> {
    page::check(page, block, PAGE_ID, kind as u16)
}

// ---------------------------------------------------------------------------------------------------------- positions

const PD_LOWER: usize = 12;
const PD_UPPER: usize = 14;

const META_MAGIC: usize = PAGE_HEADER;
const META_VERSION: usize = PAGE_HEADER + 4;
const META_DIMENSIONS: usize = PAGE_HEADER + 8;
const META_METRIC: usize = PAGE_HEADER + 12; // u16
const META_FORM: usize = PAGE_HEADER + 14; // u16
const META_LISTS: usize = PAGE_HEADER + 16;
const META_CENTRED: usize = PAGE_HEADER + 20; // u16
const META_HEAD_BYTES: usize = PAGE_HEADER + 22; // u16
const META_MISFITS: usize = PAGE_HEADER + 24;
const META_END: usize = PAGE_HEADER + 64; // 36 bytes to spare

const HEAD_FIRST: usize = 0;
const HEAD_INSERT: usize = 4;
const HEAD_LENGTH: usize = 8; // f32
/// Bytes of a head.
pub const HEAD_BYTES: usize = 12;
/// Heads on a page.
pub const HEADS: usize = PAYLOAD / HEAD_BYTES;

const ENTRY_NEXT: usize = PAGE_HEADER;
const ENTRY_LIST: usize = PAGE_HEADER + 4;
const ENTRY_REST: usize = PAGE_HEADER + 8;
/// Where codes begin on an entry page: at a cache line.
const ENTRIES: usize = 64; // 28 bytes to spare
/// Bytes of a code on an entry page, at most.
const LONGEST: usize = (SPECIAL_OFFSET - ENTRIES - TID_BYTES) / 4 * 4;

/// Bytes of the longest code.
pub const MAX_CODE_BYTES: usize = LONGEST + PAYLOAD;

const _: () = assert!(MAX_CODE_BYTES == crate::space::MAX_DENSE_BYTES);
const _: () = assert!(PAYLOAD == 8160 && HEADS == 680 && LONGEST == 8112 && META_END < SPECIAL_OFFSET);

// ------------------------------------------------------------------------------------------------------------ metapage

/// The contents of block 0. Only `misfits` ever changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The values and their distance.
    pub space: Space,
    /// Lists, 1..=[`MAX_LISTS`].
    pub lists: u32,
    /// Whether the coder has a centre.
    pub is_centred: bool,
    /// Number of inserted rows whose codes are too coarse for their surroundings; it stops at [`u32::MAX`].
    pub misfits: u32,
}

impl Meta {
    /// The metapage of a new index.
    pub fn new(coder: &Coder, lists: u32) -> Self {
        Self { space: coder.space, lists, is_centred: coder.centre().is_some(), misfits: 0 }
    }

    /// Reads block 0.
    pub fn read(page: &[u8]) -> Result<Self> {
        if is_new(page) || check_page(page, 0, PageKind::Meta).is_err() || u32_at(page, META_MAGIC) != MAGIC {
            return Err(Error::NotAnIndex(Method::Ivfflat));
        }
        let found = u32_at(page, META_VERSION);
        if found != VERSION {
            return Err(Error::Version { method: Method::Ivfflat, found, expected: VERSION });
        }
        // Development versions before the first release had no lengths of lists.
        if usize::from(u16_at(page, META_HEAD_BYTES)) != HEAD_BYTES {
            return Err(Error::Corrupt { block: 0, what: "heads of lists have another length" });
        }
        let dimensions = u32_at(page, META_DIMENSIONS) as usize;
        let (Some(metric), Some(form)) =
            (Metric::from_code(u16_at(page, META_METRIC)), Form::from_code(u16_at(page, META_FORM)))
        else {
            return Err(Error::NotAnIndex(Method::Ivfflat));
        };
        let meta = Self {
            space: Space { form, metric, dimensions },
            lists: u32_at(page, META_LISTS),
            is_centred: u16_at(page, META_CENTRED) != 0,
            misfits: u32_at(page, META_MISFITS),
        };
        if meta.is_possible() { Ok(meta) } else { Err(Error::NotAnIndex(Method::Ivfflat)) }
    }

    /// Whether there can be such an index: not of sparse vectors, and not of codes longer than [`MAX_CODE_BYTES`].
    pub fn is_possible(&self) -> bool {
        (1..=MAX_LISTS as u32).contains(&self.lists)
            && (1..=8 * MAX_CODE_BYTES).contains(&self.space.dimensions)
            && self.space.form != Form::Sparse
            && self.space.max_code_bytes() <= MAX_CODE_BYTES
    }

    /// Writes block 0.
    pub fn write(&self, page: &mut [u8]) {
        init_page(page, PageKind::Meta, META_END - PAGE_HEADER);
        put_u32(page, META_MAGIC, MAGIC);
        put_u32(page, META_VERSION, VERSION);
        put_u32(page, META_DIMENSIONS, self.space.dimensions as u32);
        put_u16(page, META_METRIC, self.space.metric.code());
        put_u16(page, META_FORM, self.space.form.code());
        put_u32(page, META_LISTS, self.lists);
        put_u16(page, META_CENTRED, self.is_centred.into());
        put_u16(page, META_HEAD_BYTES, HEAD_BYTES as u16);
        put_u32(page, META_MISFITS, self.misfits);
    }

    /// Counts a row on block 0 whose code is too coarse.
    pub fn count_misfit(page: &mut [u8]) -> Result<()> {
        let misfits = Self::read(page)?.misfits.saturating_add(1);
        put_u32(page, META_MISFITS, misfits);
        Ok(())
    }

    /// The positions of all structures.
    pub fn geometry(&self) -> Geometry {
        let coder_pages = if self.is_centred { centre::pages(self.space.dimensions) } else { 0 };
        Geometry::new(coder_pages, self.lists, self.space.max_code_bytes())
    }
}

// ------------------------------------------------------------------------------------------------------------ geometry

/// The positions of all structures. They follow from the centre of the coder, the number of lists and the length of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Pages of the centre of the coder.
    pub coder_pages: u32,
    /// Lists.
    pub lists: u32,
    /// Bytes of every code.
    pub code_bytes: usize,
    /// Those of them that are on an entry page.
    pub head_bytes: usize,
    /// Entries on a page.
    pub entries: usize,
    /// Centres of lists on a page; 0: each has two pages.
    pub centres: usize,
}

impl Geometry {
    /// `code_bytes` is a multiple of 4, at most [`MAX_CODE_BYTES`].
    pub fn new(coder_pages: u32, lists: u32, code_bytes: usize) -> Self {
        let code_bytes = code_bytes.max(4);
        let head_bytes = code_bytes.min(LONGEST);
        let entries = (SPECIAL_OFFSET - ENTRIES) / (head_bytes + TID_BYTES);
        Self { coder_pages, lists, code_bytes, head_bytes, entries, centres: PAYLOAD / code_bytes }
    }

    /// Words of a code.
    pub fn words(&self) -> usize {
        self.code_bytes / 4
    }

    /// Whether the code of an entry goes on on another page.
    pub fn is_long(&self) -> bool {
        self.head_bytes < self.code_bytes
    }

    /// Pages that a list grows by.
    pub fn step(&self) -> u32 {
        1 + u32::from(self.is_long())
    }

    /// Blocks of the centre of the coder.
    pub fn coder_blocks(&self) -> std::ops::Range<u32> {
        1..1 + self.coder_pages
    }

    /// Blocks of heads.
    pub fn head_blocks(&self) -> std::ops::Range<u32> {
        let first = self.coder_blocks().end;
        first..first + self.lists.div_ceil(HEADS as u32)
    }

    /// Blocks of centres of lists.
    pub fn centre_blocks(&self) -> std::ops::Range<u32> {
        let first = self.head_blocks().end;
        let pages = if self.centres == 0 { 2 * self.lists } else { self.lists.div_ceil(self.centres as u32) };
        first..first + pages
    }

    /// The first block after the centres.
    pub fn first_entry_block(&self) -> u32 {
        self.centre_blocks().end
    }

    /// The block of the head of a list, and where it is there.
    pub fn head(&self, list: u32) -> (u32, usize) {
        (self.head_blocks().start + list / HEADS as u32, PAGE_HEADER + list as usize % HEADS * HEAD_BYTES)
    }

    /// Where centres of lists lie: page by page, as many as are on it; or, where each has two pages, its two parts.
    pub fn centre_parts(&self) -> Vec<Part> {
        let blocks = self.centre_blocks();
        if self.centres == 0 {
            let first = |block: u32| (block - blocks.start).is_multiple_of(2);
            let len = |block| if first(block) { PAYLOAD } else { self.code_bytes - PAYLOAD };
            return blocks.clone().map(|block| Part { block, offset: PAGE_HEADER, len: len(block) }).collect();
        }
        let mut rest = self.lists as usize;
        blocks
            .map(|block| {
                let count = rest.min(self.centres);
                rest -= count;
                Part { block, offset: PAGE_HEADER, len: count * self.code_bytes }
            })
            .collect()
    }
}

/// Where a list begins and where there is room.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Head {
    /// The first page, or [`NONE`].
    pub first: u32,
    /// The page where inserts look first for room: hardly any before it has some. [`NONE`] with an empty list.
    pub insert: u32,
    /// For an inner product: how long the list is, where rows were inserted that are longer than its centre; else 0.
    pub length: f32,
}

impl Head {
    /// The head of a list on its page.
    pub fn read(page: &[u8], geometry: &Geometry, list: u32) -> Result<Self> {
        let (block, at) = geometry.head(list);
        check_page(page, block, PageKind::Heads)?;
        let length = f32::from_bits(u32_at(page, at + HEAD_LENGTH));
        Ok(Self { first: u32_at(page, at + HEAD_FIRST), insert: u32_at(page, at + HEAD_INSERT), length })
    }

    /// Writes it.
    pub fn write(&self, page: &mut [u8], geometry: &Geometry, list: u32) -> Result<()> {
        let (block, at) = geometry.head(list);
        check_page(page, block, PageKind::Heads)?;
        put_u32(page, at + HEAD_FIRST, self.first);
        put_u32(page, at + HEAD_INSERT, self.insert);
        put_u32(page, at + HEAD_LENGTH, self.length.to_bits());
        Ok(())
    }
}

// --------------------------------------------------------------------------------------------------------- entry pages

/// An entry page.
#[derive(Clone, Copy)]
pub struct Entries<'a> {
    page: &'a [u8],
    geometry: &'a Geometry,
    count: usize,
}

impl<'a> Entries<'a> {
    /// Checks that it is one, of such codes.
    pub fn new(page: &'a [u8], geometry: &'a Geometry, block: u32) -> Result<Self> {
        check_page(page, block, PageKind::Entries)?;
        let (lower, upper) = (usize::from(u16_at(page, PD_LOWER)), usize::from(u16_at(page, PD_UPPER)));
        let used = SPECIAL_OFFSET.saturating_sub(upper);
        let count = used / TID_BYTES;
        if upper > SPECIAL_OFFSET
            || !used.is_multiple_of(TID_BYTES)
            || count > geometry.entries
            || lower != ENTRIES + count * geometry.head_bytes
        {
            return Err(Error::Corrupt { block, what: "number of entries" });
        }
        Ok(Self { page, geometry, count })
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether another one fits.
    pub fn has_room(&self) -> bool {
        self.count < self.geometry.entries
    }

    /// The next page of the list, or [`NONE`].
    pub fn next(&self) -> u32 {
        u32_at(self.page, ENTRY_NEXT)
    }

    /// The list.
    pub fn list(&self) -> u32 {
        u32_at(self.page, ENTRY_LIST)
    }

    /// The page with the rest of the code, where codes are [long](Geometry::is_long).
    pub fn rest(&self) -> u32 {
        u32_at(self.page, ENTRY_REST)
    }

    /// The row of an entry.
    #[inline]
    pub fn tid(&self, i: usize) -> Tid {
        let at = SPECIAL_OFFSET - (i + 1) * TID_BYTES;
        Tid::from(u32_at(self.page, at)) << 16 | Tid::from(u16_at(self.page, at + 4))
    }

    /// The code of an entry, or the first part of a long one.
    #[inline]
    pub fn code(&self, i: usize) -> &'a [u32] {
        let len = self.geometry.head_bytes;
        words(self.page, Part { block: 0, offset: ENTRIES + i * len, len })
    }
}

/// An entry page to change.
pub struct EntriesMut<'a> {
    page: &'a mut [u8],
    geometry: &'a Geometry,
    count: usize,
}

impl<'a> EntriesMut<'a> {
    /// Checks that it is one, of such codes.
    pub fn new(page: &'a mut [u8], geometry: &'a Geometry, block: u32) -> Result<Self> {
        let count = Entries::new(page, geometry, block)?.count;
        Ok(Self { page, geometry, count })
    }

    /// Makes an empty one.
    pub fn init(page: &'a mut [u8], geometry: &'a Geometry, list: u32, rest: u32) -> Self {
        init_page(page, PageKind::Entries, ENTRIES - PAGE_HEADER);
        put_u32(page, ENTRY_LIST, list);
        put_u32(page, ENTRY_REST, rest);
        Self { page, geometry, count: 0 }
    }

    /// The same, to read.
    pub fn view(&self) -> Entries<'_> {
        Entries { page: self.page, geometry: self.geometry, count: self.count }
    }

    /// Sets the next page of the list.
    pub fn set_next(&mut self, block: u32) {
        put_u32(self.page, ENTRY_NEXT, block);
    }

    /// Adds an entry, of whose code it takes as much as there is room for; false where there is none.
    pub fn push(&mut self, code: &[u32], tid: Tid) -> bool {
        let len = self.geometry.head_bytes;
        let bytes = code.as_bytes();
        if !self.view().has_room() || bytes.len() < len {
            return false;
        }
        let at = ENTRIES + self.count * len;
        self.page[at..at + len].copy_from_slice(&bytes[..len]);
        let at = SPECIAL_OFFSET - (self.count + 1) * TID_BYTES;
        put_u32(self.page, at, (tid >> 16) as u32);
        put_u16(self.page, at + 4, tid as u16);
        self.set_count(self.count + 1);
        true
    }

    /// Keeps the entries of the rows that `keep` says, in their order. How many went.
    pub fn retain(&mut self, keep: impl Fn(Tid) -> bool) -> usize {
        let (len, before) = (self.geometry.head_bytes, self.count);
        let tid_at = |i: usize| SPECIAL_OFFSET - (i + 1) * TID_BYTES;
        let mut kept = 0;
        for i in 0..before {
            if !keep(self.view().tid(i)) {
                continue;
            }
            if kept < i {
                let from = ENTRIES + i * len;
                self.page.copy_within(from..from + len, ENTRIES + kept * len);
                self.page.copy_within(tid_at(i)..tid_at(i) + TID_BYTES, tid_at(kept));
            }
            kept += 1;
        }
        self.set_count(kept);
        let (lower, upper) = (ENTRIES + kept * len, SPECIAL_OFFSET - kept * TID_BYTES);
        self.page[lower..upper].fill(0);
        before - kept
    }

    fn set_count(&mut self, count: usize) {
        self.count = count;
        put_u16(self.page, PD_LOWER, (ENTRIES + count * self.geometry.head_bytes) as u16);
        put_u16(self.page, PD_UPPER, (SPECIAL_OFFSET - count * TID_BYTES) as u16);
    }
}

/// Writes the rest of a long code on its page, making the page if it is all zero.
pub fn put_rest(page: &mut [u8], block: u32, code: &[u32]) -> Result<()> {
    let bytes = code.as_bytes();
    let rest = bytes.get(LONGEST..).unwrap_or_default();
    if is_new(page) {
        init_page(page, PageKind::Rest, rest.len());
    }
    check_page(page, block, PageKind::Rest)?;
    page[PAGE_HEADER..PAGE_HEADER + rest.len()].copy_from_slice(rest);
    Ok(())
}

/// The rest of a long code.
pub fn rest_of_code<'a>(page: &'a [u8], geometry: &Geometry, block: u32) -> Result<&'a [u32]> {
    check_page(page, block, PageKind::Rest)?;
    Ok(words(page, Part { block, offset: PAGE_HEADER, len: geometry.code_bytes - geometry.head_bytes }))
}

/// Writes a page with the words of centres of lists.
pub fn write_centres(page: &mut [u8], part: Part, codes: &[u32]) {
    init_page(page, PageKind::Centres, part.len);
    page[part.offset..part.offset + part.len].copy_from_slice(&codes.as_bytes()[..part.len]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
