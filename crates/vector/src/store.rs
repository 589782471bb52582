//! What indexes ask of whoever keeps their pages, and the table.
//!
//! Two stores exist: [`crate::mem::MemPages`] for tests, which can lose power after any write, and the one over PostgreSQL's
//! buffer manager in the glue.

use std::ops::Deref;

use crate::Result;
use crate::page::{Part, Tid};

pub use crate::page::PAGE_SIZE;

/// The most pages that one [`Record`] may change: what a generic WAL record can carry.
pub const MAX_RECORD_PAGES: usize = 4;

/// The two barriers between those who walk the graph and vacuum. Both are held in [`Mode::Shared`] while walking.
///
/// Vacuum takes one exclusively for a moment and so knows that every walk that began before has ended.
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
    /// A page that is locked against change while it lives. Hold at most one, and call nothing else meanwhile.
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

    /// Gives `f` a page that is locked against change meanwhile, once. It calls nothing else of the store.
    fn show(&self, block: u32, f: &mut dyn FnMut(&[u8])) -> Result<()> {
        f(&self.read(block)?);
        Ok(())
    }

    /// Gives `f` the pages of some parts, one after the other, each with the number of its part. They are not locked: only
    /// for [codes](crate::hnsw::format), which do not change while a link leads to them. Never fails halfway through.
    fn peek(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()>;

    /// Told that a part is likely to be read soon, so that it can come from memory meanwhile. Need not do anything.
    fn announce(&self, _part: Part) {}

    /// Told in which order blocks are going to be [read](Self::read), whatever else is read in between, so that they can come from
    /// disk ahead of that. Need not do anything. Ends with the next call.
    fn read_ahead(&self, _blocks: impl Iterator<Item = u32> + 'static) {}

    /// Begins a change that after a crash is there as a whole or not at all.
    fn record(&self) -> Result<Self::Record<'_>>;

    /// Makes sure that at least `blocks` blocks exist. New ones are all zero.
    fn extend_to(&self, blocks: u32) -> Result<()>;

    /// Adds a page at the end, outside any record: only for a build, before anyone else sees the index.
    fn append(&self, page: &[u8]) -> Result<()>;

    /// Takes an interlock, waiting for it.
    fn lock(&self, which: Interlock, mode: Mode) -> Result<Self::Lock<'_>>;

    /// Whether a good part of the pages that are asked for must be read again, so that one more page costs more than measuring
    /// all that is on it.
    fn is_scarce(&self) -> bool;

    /// Whether a page is known to be in memory. One that is may be unknown.
    fn is_at_hand(&self, block: u32) -> bool;

    /// Called now and then with no page held: the place to answer a cancel.
    fn poll(&self) -> Result<()>;

    /// The same while others wait for an interlock that is held: it never sleeps.
    fn poll_awake(&self) -> Result<()> {
        self.poll()
    }
}

/// Pages that change together. Dropped without [`Record::commit`], nothing has happened.
pub trait Record {
    /// The bytes of a page, locked for writing until the record ends. Pages must be asked for the first time in ascending
    /// order, so that two records never wait for each other.
    fn page(&mut self, block: u32) -> Result<&mut [u8]>;

    /// Makes the change, all of it.
    fn commit(self) -> Result<()>;
}

/// Waits until everybody who holds `which` now has let go of it.
pub fn barrier<S: PageStore>(store: &S, which: Interlock) -> Result<()> {
    drop(store.lock(which, Mode::Exclusive)?);
    Ok(())
}

/// The values of the table that an index is of, for a scan whose codes are not exact.
pub trait Values {
    /// What the operator says of the value of a row and the query: NaN, and infinities, where it does. None: the scan does not
    /// see the row. Called with no page and no interlock held.
    fn distance(&mut self, tid: Tid) -> Result<Option<f64>>;
}
