//! Where codes that have lengths of their own lie in a group, and where the directory of a page has its entries. What is on
//! such a page, see [`packed`](crate::hnsw::packed).

use std::ops::Range;

use crate::page::{PAGE_HEADER, PAYLOAD, Part, SPECIAL_OFFSET};

/// How codes share pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Bytes that each code has of the pages of its group.
    pub share: usize,
    /// Entries on a page.
    pub entries: usize,
}

impl Packing {
    /// Bytes of an entry of the directory, and of the length of the tail before them.
    pub const ENTRY: usize = 2;

    /// For codes that take so many bytes on average, which is not zero.
    #[inline]
    pub fn new(share: usize) -> Self {
        Self { share, entries: PAYLOAD.div_ceil(share) }
    }

    /// Where codes may lie on a page.
    #[inline]
    pub fn begin(self) -> usize {
        PAGE_HEADER + (Self::ENTRY * (1 + self.entries)).next_multiple_of(4)
    }

    /// Bytes of a page for codes.
    #[inline]
    pub fn room(self) -> usize {
        SPECIAL_OFFSET.saturating_sub(self.begin()).max(4)
    }

    /// On which page of a group the code in a slot begins, and with which entry: each slot has its share of the room of all
    /// pages one after the other.
    #[inline]
    pub fn locate(self, slot: usize) -> (usize, usize) {
        let page = slot * self.share / self.room();
        (page, slot - self.slots(page).start)
    }

    /// The slots whose codes begin on a page of a group.
    #[inline]
    pub fn slots(self, page: usize) -> Range<usize> {
        let first = |page: usize| (page * self.room()).div_ceil(self.share);
        first(page)..first(page + 1)
    }

    /// Pages for so many slots.
    pub fn pages(self, slots: usize) -> usize {
        (slots * self.share).div_ceil(self.room())
    }

    /// Where an entry lies.
    #[inline]
    pub fn entry(self, block: u32, entry: usize) -> Part {
        Part { block, offset: PAGE_HEADER + Self::ENTRY * (1 + entry), len: Self::ENTRY }
    }

    /// The tail of a page: the rest of a code of which so many bytes lie on the page before. None where it would not fit.
    #[inline]
    pub fn tail(self, block: u32, len: usize) -> Option<Part> {
        (len <= self.room()).then_some(Part { block, offset: self.begin(), len })
    }
}
