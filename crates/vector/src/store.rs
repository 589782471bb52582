//! What an index needs: a store of pages, and the values of its table.
//!
//! Two stores exist: [`crate::mem::MemPages`] for tests, which can lose power after any write, and the one over PostgreSQL's
//! buffer manager in the glue.

use std::ops::Deref;

use crate::Result;
use crate::page::{Part, Tid};

pub use crate::page::PAGE_SIZE;

/// The most pages that one [`Record`] may change: what a generic WAL record can carry.
pub const MAX_RECORD_PAGES: usize = 4;

/// The two interlocks between vacuum and searches of an index. A search holds one of them in [`Mode::Shared`].
///
/// Vacuum acquires one exclusively for a moment, after which every search that began before has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interlock {
    /// Held by inserts; exclusively by one that moves the entry point.
    Update,
    /// Held by scans.
    Scan,
}

/// How an [`Interlock`] is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With others.
    Shared,
    /// Alone.
    Exclusive,
}

/// Pages of [`PAGE_SIZE`] bytes, numbered from 0.
pub trait PageStore {
    /// A page that is locked against change while it lives. The holder holds one at most, and calls nothing of the store
    /// meanwhile.
    type Page<'a>: Deref<Target = [u8]>
    where
        Self: 'a;
    /// A change of up to [`MAX_RECORD_PAGES`] pages.
    type Record<'a>: Record
    where
        Self: 'a;
    /// A held interlock, released on drop.
    type Lock<'a>
    where
        Self: 'a;

    /// How many blocks exist.
    fn blocks(&self) -> Result<u32>;

    /// Locks a page for reading.
    fn read(&self, block: u32) -> Result<Self::Page<'_>>;

    /// Calls `f` once with a page, which is locked against change meanwhile. `f` calls nothing of the store.
    fn with_page(&self, block: u32, f: &mut dyn FnMut(&[u8])) -> Result<()> {
        f(&self.read(block)?);
        Ok(())
    }

    /// Calls `f` with the number of each part and its page, one after the other. The pages are not locked, so this is only for
    /// [codes](crate::hnsw::format), which do not change while a link leads to them. It fails before the first page or not at
    /// all.
    fn read_unlocked(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()>;

    /// A hint that a part is likely to be read soon: the store may have the processor fetch it meanwhile.
    fn prefetch(&self, _part: Part) {}

    /// A hint that these blocks are going to be [read](Self::read) in this order, whatever else is read in between: the store may
    /// read them from disk ahead of that. It holds until the next call.
    fn read_ahead(&self, _blocks: impl Iterator<Item = u32> + 'static) {}

    /// Begins an atomic change: after a crash all of it is there, or nothing.
    fn record(&self) -> Result<Self::Record<'_>>;

    /// Extends the store to at least `blocks` blocks. New ones are all zero.
    fn extend_to(&self, blocks: u32) -> Result<()>;

    /// Adds a page at the end, without a record. Only a build does this, before anyone else sees the index.
    fn append(&self, page: &[u8]) -> Result<()>;

    /// Waits for an interlock and takes it.
    fn lock(&self, which: Interlock, mode: Mode) -> Result<Self::Lock<'_>>;

    /// Whether the cache is too small for the index: pages have to be read again so often that reading one costs more than
    /// computing the distances of all codes on it.
    fn under_memory_pressure(&self) -> bool;

    /// Whether a page is known to be in the cache. It may return false for a page that is.
    fn is_cached(&self, block: u32) -> bool;

    /// Checks for a cancel, which it returns as an error. It is called every few pages, with no page held.
    fn poll(&self) -> Result<()>;

    /// As [`Self::poll`], for a caller that holds an interlock for which others may wait: it never sleeps.
    fn poll_awake(&self) -> Result<()> {
        self.poll()
    }
}

/// Pages that change together. If it is dropped without [`Record::commit`], nothing has changed.
pub trait Record {
    /// The bytes of a page, which is locked for writing until the record ends. The first calls for each page must be in
    /// ascending order of blocks, so that two records never wait for each other.
    fn page(&mut self, block: u32) -> Result<&mut [u8]>;

    /// Writes the change to the pages and to WAL.
    fn commit(self) -> Result<()>;
}

/// Waits until all current holders of `which` have released it.
pub fn barrier<S: PageStore>(store: &S, which: Interlock) -> Result<()> {
    drop(store.lock(which, Mode::Exclusive)?);
    Ok(())
}

/// The values of the indexed table, for a scan of codes that are not exact.
pub trait Values {
    /// The operator's result for the value of a row and the query, NaN and infinities included. None if the scan does not see
    /// the row. It is called with no page and no interlock held.
    fn distance(&mut self, tid: Tid) -> Result<Option<f64>>;
}
