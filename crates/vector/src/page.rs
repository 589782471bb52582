//! What all pages have in common: PostgreSQL's header, a special area that names the access method, and numbers in the byte order of
//! the machine, as everywhere in PostgreSQL's files.

use zerocopy::FromBytes;

use crate::{Error, Result};

/// Bytes of a page. PostgreSQL must have been built with this block size.
pub const PAGE_SIZE: usize = 8192;
/// PostgreSQL's page header.
pub const PAGE_HEADER: usize = 24;
/// The special area: `{u16 kind, u16 PAGE_ID, u32 zero}`.
pub const SPECIAL: usize = 8;
pub(crate) const SPECIAL_OFFSET: usize = PAGE_SIZE - SPECIAL;
/// Bytes between the header and the special area.
pub const PAYLOAD: usize = PAGE_SIZE - PAGE_HEADER - SPECIAL;
const PAGE_LAYOUT_VERSION: u16 = 4; // PG_PAGE_LAYOUT_VERSION in bufpage.h

/// A heap row: `block << 16 | offset number`.
pub type Tid = u64;
/// Bytes of a row's identifier on a page.
pub const TID_BYTES: usize = 6;

/// A row that a scan returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The operator's result for the row and the query, or a lower bound of it where that suffices to know that the row is next.
    pub distance: f64,
    /// The heap row, whose visibility the caller checks.
    pub tid: Tid,
}

/// Whether a page was never written.
pub fn is_new(page: &[u8]) -> bool {
    u16_at(page, 14) == 0 // pd_upper, as PageIsNew()
}

/// Writes an empty page. `id` is that of the access method, `kind` what the page is there. `used` bytes after the header count
/// as in use, so that generic WAL keeps them.
pub(crate) fn init(page: &mut [u8], id: u16, kind: u16, used: usize) {
    page.fill(0);
    put_u16(page, 12, (PAGE_HEADER + used) as u16); // pd_lower
    put_u16(page, 14, SPECIAL_OFFSET as u16); // pd_upper
    put_u16(page, 16, SPECIAL_OFFSET as u16); // pd_special
    put_u16(page, 18, PAGE_SIZE as u16 | PAGE_LAYOUT_VERSION); // pd_pagesize_version
    put_u16(page, SPECIAL_OFFSET, kind);
    put_u16(page, SPECIAL_OFFSET + 2, id);
}

/// Whether the page is of this access method and of this kind.
pub(crate) fn check(page: &[u8], block: u32, id: u16, kind: u16) -> Result<()> {
    if page.len() != PAGE_SIZE || u16_at(page, 16) as usize != SPECIAL_OFFSET || u16_at(page, SPECIAL_OFFSET + 2) != id
    {
        return Err(Error::Corrupt { block, what: "not a page of such an index" });
    }
    if u16_at(page, SPECIAL_OFFSET) != kind {
        return Err(Error::Corrupt { block, what: "page of another kind" });
    }
    Ok(())
}

/// Whether everything between pd_lower and pd_upper is zero: a WAL record leaves that out.
pub fn hole_is_zero(page: &[u8]) -> bool {
    let (lower, upper) = (usize::from(u16_at(page, 12)), usize::from(u16_at(page, 14)));
    lower <= upper && upper <= PAGE_SIZE && page[lower..upper].iter().all(|byte| *byte == 0)
}

/// A range of bytes of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The block.
    pub block: u32,
    /// Bytes from the start of the page.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// The words of a part of a page, without a copy. Pages are aligned to 8 bytes at least, as PostgreSQL's buffers are: so it cannot
/// fail.
#[inline]
pub fn words(page: &[u8], part: Part) -> &[u32] {
    <[u32]>::ref_from_bytes(&page[part.offset..part.offset + part.len]).unwrap_or(&[])
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
}

#[inline]
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}
