//! The page store over PostgreSQL's buffer manager, with generic WAL records.

use std::cell::RefCell;
use std::ops::Deref;

use pgrx::pg_sys::{self, BlockNumber, Buffer, ForkNumber, Relation};

use lagoon_vector::page::Part;
use lagoon_vector::store::{Interlock, Mode, PAGE_SIZE, PageStore, Record};
use lagoon_vector::{Error, Result};

use crate::pg::compat::{self, ReadStream};
use crate::pg::{buffer, guc, interrupt};

const _: () = assert!(pg_sys::BLCKSZ as usize == PAGE_SIZE, "Lagoon needs PostgreSQL's default block size");

/// A new block, in ReadBuffer().
const P_NEW: BlockNumber = BlockNumber::MAX;

/// The pages of an open index.
///
/// An ERROR while guards live unwinds through them: they then leave buffers, locks and WAL state alone, because the end of
/// the transaction or subtransaction releases all of that.
pub struct PgPages {
    index: Relation,
    fork: ForkNumber::Type,
    pages: buffer::Pages,
    purpose: Purpose,
    /// Pages that are read ahead.
    ahead: RefCell<Option<ReadStream>>,
}

/// How pages are going to be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Scans and inserts: every change is WAL-logged.
    Use,
    /// Vacuum: as above, with cost-based delays.
    Vacuum,
    /// A build: no other session sees the index, and the caller logs it as a whole.
    Build,
}

impl PgPages {
    /// The main fork.
    ///
    /// # Safety
    /// `index` is an index of this access method that stays open and locked while the result lives.
    pub unsafe fn new(index: Relation, purpose: Purpose) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::of(index, ForkNumber::MAIN_FORKNUM, purpose) }
    }

    /// The init fork, from which an unlogged index starts again after a crash. Log it with [`Self::log_all`].
    ///
    /// # Safety
    /// As for [`Self::new`].
    pub unsafe fn init_fork(index: Relation) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::of(index, ForkNumber::INIT_FORKNUM, Purpose::Build) }
    }

    unsafe fn of(index: Relation, fork: ForkNumber::Type, purpose: Purpose) -> Self {
        // SAFETY: the caller's.
        let pages = unsafe { buffer::Pages::new(index, fork) };
        Self { index, fork, pages, purpose, ahead: RefCell::new(None) }
    }

    /// Writes full images of all pages to the WAL.
    pub fn log_all(&self) -> Result<()> {
        let end = self.blocks()?;
        // SAFETY: the relation is open; pages are standard, with nothing between pd_lower and pd_upper.
        unsafe { pg_sys::log_newpage_range(self.index, self.fork, 0, end, true) };
        Ok(())
    }

    fn pin(&self, block: BlockNumber) -> Buffer {
        let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
        // SAFETY: the relation is open; a block that does not exist is an ERROR.
        unsafe { pg_sys::ReadBufferExtended(self.index, self.fork, block, mode, std::ptr::null_mut()) }
    }
}

/// A pinned buffer, locked.
pub struct Locked(Buffer);

impl Locked {
    fn new(buffer: Buffer, mode: u32) -> Self {
        // SAFETY: the buffer is pinned by us and not locked yet.
        unsafe { pg_sys::LockBuffer(buffer, mode as i32) };
        Self(buffer)
    }

    fn page(&self) -> *mut u8 {
        // SAFETY: the buffer is pinned.
        unsafe { pg_sys::BufferGetPage(self.0).cast() }
    }
}

impl Deref for Locked {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: pinned and locked while self lives, hence neither moved nor changed.
        unsafe { std::slice::from_raw_parts(self.page(), PAGE_SIZE) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: pinned and locked by us, once.
            unsafe { pg_sys::UnlockReleaseBuffer(self.0) }
        }
    }
}

/// A change in progress: buffers in the order in which they were requested, each with the copy that is changed.
pub struct PgRecord<'a> {
    pages: &'a PgPages,
    /// Null in a build.
    wal: *mut pg_sys::GenericXLogState,
    parts: Vec<(BlockNumber, Locked, Copied)>,
}

/// Where the changed bytes of a page are until the commit.
enum Copied {
    /// In the generic WAL record.
    Wal(*mut u8),
    /// In a copy of our own.
    Own(Box<Aligned>),
}

#[repr(align(64))]
struct Aligned([u8; PAGE_SIZE]);

impl Record for PgRecord<'_> {
    fn page(&mut self, block: u32) -> Result<&mut [u8]> {
        let at = match self.parts.iter().position(|(there, ..)| *there == block) {
            Some(at) => at,
            None => {
                debug_assert!(self.parts.iter().all(|(there, ..)| *there < block));
                let buffer = self.pages.pin(block);
                let locked = Locked::new(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE);
                let copied = if self.wal.is_null() {
                    let mut copy = Box::new(Aligned([0; PAGE_SIZE]));
                    copy.0.copy_from_slice(&locked);
                    Copied::Own(copy)
                } else {
                    let is_new = lagoon_vector::page::is_new(&locked);
                    let flags = if is_new { pg_sys::GENERIC_XLOG_FULL_IMAGE } else { 0 };
                    // SAFETY: the buffer is pinned and locked exclusively until the record ends.
                    Copied::Wal(unsafe { pg_sys::GenericXLogRegisterBuffer(self.wal, buffer, flags as i32).cast() })
                };
                self.parts.push((block, locked, copied));
                self.parts.len() - 1
            }
        };
        match &mut self.parts[at].2 {
            // SAFETY: the copy of a registered page lives as long as the record, and we hand out one reference at a time.
            Copied::Wal(page) => Ok(unsafe { std::slice::from_raw_parts_mut(*page, PAGE_SIZE) }),
            Copied::Own(copy) => Ok(&mut copy.0),
        }
    }

    fn commit(mut self) -> Result<()> {
        let wal = std::mem::replace(&mut self.wal, std::ptr::null_mut());
        if !wal.is_null() {
            // SAFETY: the record is under way; all buffers are still locked.
            unsafe { pg_sys::GenericXLogFinish(wal) };
        }
        for (_, locked, copied) in &self.parts {
            if let Copied::Own(copy) = copied {
                // SAFETY: locked exclusively; the page and the copy are of the same size and do not overlap.
                unsafe {
                    std::ptr::copy_nonoverlapping(copy.0.as_ptr(), locked.page(), PAGE_SIZE);
                    pg_sys::MarkBufferDirty(locked.0);
                }
            }
        }
        Ok(())
    }
}

impl Drop for PgRecord<'_> {
    fn drop(&mut self) {
        if !self.wal.is_null() && !std::thread::panicking() {
            // SAFETY: under way and not finished. The buffers are released after this, by their own drops.
            unsafe { pg_sys::GenericXLogAbort(self.wal) }
        }
    }
}

/// A held page lock of the lock manager.
pub struct PgLock<'a> {
    pages: &'a PgPages,
    block: BlockNumber,
    mode: pg_sys::LOCKMODE,
}

impl Drop for PgLock<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: we hold it, in that mode.
            unsafe { pg_sys::UnlockPage(self.pages.index, self.block, self.mode) }
        }
    }
}

impl PageStore for PgPages {
    type Page<'a> = Locked;
    type Record<'a> = PgRecord<'a>;
    type Lock<'a> = PgLock<'a>;

    fn blocks(&self) -> Result<u32> {
        // SAFETY: the relation is open.
        Ok(unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.index, self.fork) })
    }

    fn read(&self, block: u32) -> Result<Locked> {
        if let Some(ahead) = &mut *self.ahead.borrow_mut()
            && let Some(buffer) = ahead.take(block)
        {
            return Ok(Locked::new(buffer, pg_sys::BUFFER_LOCK_SHARE));
        }
        Ok(Locked(self.pages.lock(block)))
    }

    fn with_page(&self, block: u32, f: &mut dyn FnMut(&[u8])) -> Result<()> {
        // SAFETY: pinned and locked while `f` runs.
        self.pages.read(block, |page| f(unsafe { std::slice::from_raw_parts(page, PAGE_SIZE) }));
        Ok(())
    }

    fn read_unlocked(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        self.pages.each(
            parts.len(),
            |i| parts[i].block,
            |i| (parts[i].offset, parts[i].len),
            // SAFETY: the page is pinned while `f` runs, and what it reads of it does not change.
            |i, page| f(i, unsafe { std::slice::from_raw_parts(page, PAGE_SIZE) }),
        );
        Ok(())
    }

    fn prefetch(&self, part: Part) {
        self.pages.prefetch(part.block, part.offset, part.len);
    }

    fn read_ahead(&self, blocks: impl Iterator<Item = u32> + 'static) {
        *self.ahead.borrow_mut() = None;
        // SAFETY: the relation stays open while self lives.
        let ahead = unsafe { ReadStream::begin(self.index, self.fork, Box::new(blocks)) };
        self.ahead.replace(ahead);
    }

    fn record(&self) -> Result<PgRecord<'_>> {
        let wal = match self.purpose {
            Purpose::Build => std::ptr::null_mut(),
            // SAFETY: the relation is open.
            Purpose::Use | Purpose::Vacuum => unsafe { pg_sys::GenericXLogStart(self.index) },
        };
        Ok(PgRecord { pages: self, wal, parts: Vec::new() })
    }

    fn extend_to(&self, blocks: u32) -> Result<()> {
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: the relation is open; the lock is given back below, or by the end of the transaction.
        unsafe { pg_sys::LockRelationForExtension(self.index, mode) };
        while self.blocks()? < blocks {
            let buffer = self.pin(P_NEW);
            // SAFETY: pinned just now.
            unsafe { pg_sys::ReleaseBuffer(buffer) };
        }
        // SAFETY: taken above.
        unsafe { pg_sys::UnlockRelationForExtension(self.index, mode) };
        Ok(())
    }

    fn append(&self, page: &[u8]) -> Result<()> {
        if page.len() != PAGE_SIZE {
            return Err(Error::Store("not a page"));
        }
        let locked = Locked::new(self.pin(P_NEW), pg_sys::BUFFER_LOCK_EXCLUSIVE);
        // SAFETY: locked exclusively; both are PAGE_SIZE bytes and do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(page.as_ptr(), locked.page(), PAGE_SIZE);
            pg_sys::MarkBufferDirty(locked.0);
        }
        Ok(())
    }

    fn lock(&self, which: Interlock, mode: Mode) -> Result<PgLock<'_>> {
        let block = match which {
            Interlock::Update => 0,
            Interlock::Scan => 1,
        };
        let mode = match mode {
            Mode::Shared => pg_sys::ShareLock,
            Mode::Exclusive => pg_sys::ExclusiveLock,
        } as pg_sys::LOCKMODE;
        // SAFETY: the relation is open; a lock tag needs no such page.
        unsafe { pg_sys::LockPage(self.index, block, mode) };
        Ok(PgLock { pages: self, block, mode })
    }

    fn under_memory_pressure(&self) -> bool {
        guc::HNSW_PAGE_SCAN.get() && buffer::under_memory_pressure()
    }

    fn is_cached(&self, block: u32) -> bool {
        self.pages.is_cached(block)
    }

    fn poll(&self) -> Result<()> {
        match self.purpose {
            // SAFETY: no buffer is locked here. Answers interrupts too.
            Purpose::Vacuum => unsafe { compat::vacuum_delay_point() },
            Purpose::Use | Purpose::Build => interrupt::check(),
        }
        Ok(())
    }

    fn poll_awake(&self) -> Result<()> {
        interrupt::check();
        Ok(())
    }
}
