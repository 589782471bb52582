//! Pins of pages, many at a time.
//!
//! ReadBuffer() looks every page up in the shared hash table of buffers: half the time of a walk that reads a thousand pages.
//! This process remembers in which buffer it last saw a page, and asks whether it is there still (ReadRecentBuffer() of
//! bufmgr.h), which needs neither the table nor its locks.

mod hints;
mod raw;

use lagoon_vector::distance::prefetch_at;
use pgrx::pg_sys::{self, BlockNumber, Buffer, ForkNumber, Relation};

use super::compat::{self, FileLocator};
use super::{guc, statistics};
use hints::{HINTS, Hints};
use raw::marked;

pub use hints::under_memory_pressure;

/// Pages pinned at the same time by [`Pages::each`]. PostgreSQL counts eight pins of a process in an array, further ones in a hash
/// table.
const AHEAD: usize = 6;

/// The pages of a fork of an open relation.
#[derive(Clone, Copy)]
pub struct Pages {
    relation: Relation,
    fork: ForkNumber::Type,
    files: FileLocator,
    /// Whether places in buffers are remembered: temporary relations have buffers and file numbers of their own.
    has_hints: bool,
}

impl Pages {
    /// Of a relation.
    ///
    /// # Safety
    /// It stays open, and its file the same, while the result lives.
    pub unsafe fn new(relation: Relation, fork: ForkNumber::Type) -> Self {
        // SAFETY: the caller's.
        let (files, is_temporary) = unsafe {
            let is_temporary = (*(*relation).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_TEMP as i8;
            (compat::file_locator(relation), is_temporary)
        };
        Self { relation, fork, files, has_hints: !is_temporary && guc::PIN_HINTS.get() }
    }

    /// Pins a page and locks it for reading. UnlockReleaseBuffer() ends both.
    pub fn lock(&self, block: BlockNumber) -> Buffer {
        self.locked(block, |buffer| buffer)
    }

    /// Gives `f` a page that is pinned and locked for reading. In it no function of PostgreSQL may be called.
    pub fn read(&self, block: BlockNumber, f: impl FnOnce(*const u8)) {
        self.locked(block, |buffer| {
            // SAFETY: pinned and locked just now, and inside a jump mark.
            unsafe {
                f(pg_sys::BufferGetPage(buffer).cast::<u8>().cast_const());
                raw::UnlockReleaseBuffer(buffer);
            }
        });
    }

    /// Gives `f` a buffer that is pinned and locked for reading, inside a jump mark.
    #[inline]
    fn locked<R>(&self, block: BlockNumber, f: impl FnOnce(Buffer) -> R) -> R {
        HINTS.with_borrow_mut(|hints| {
            hints.prepare();
            // SAFETY: the relation is open; an ERROR becomes a panic here. What it jumps over has nothing to drop.
            unsafe {
                marked(|| {
                    let buffer = self.pin(hints, block);
                    raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
                    f(buffer)
                })
            }
        })
    }

    /// Whether a page is where this process saw it last. That does not make it count as used.
    pub fn is_cached(&self, block: BlockNumber) -> bool {
        HINTS.with_borrow_mut(|hints| {
            hints.prepare();
            let hint = hints.buffers[hints.place(compat::file_number(self.files), block)];
            if !self.has_hints || hint <= 0 {
                return false;
            }
            // SAFETY: the relation is open; an ERROR becomes a panic here.
            unsafe {
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    let is_there = raw::ReadRecentBuffer(self.files, self.fork, block, hint);
                    if is_there {
                        raw::ReleaseBuffer(hint);
                        pg_sys::pgBufferUsage.shared_blks_hit -= 1; // nobody has asked for it yet
                    }
                    is_there
                })
            }
        })
    }

    /// Has the processor fetch what pinning a page changes, its header, and some of its bytes, where this process saw it last.
    pub fn prefetch(&self, block: BlockNumber, from: usize, len: usize) {
        HINTS.with_borrow_mut(|hints| {
            hints.prepare();
            let Some(buffer) = hints.prefetch(compat::file_number(self.files), block) else { return };
            // SAFETY: computes an address.
            let page = unsafe { pg_sys::BufferGetPage(buffer).cast::<u8>().cast_const() };
            prefetch_at(page, 1);
            prefetch_at(page.wrapping_add(from), len);
        });
    }

    /// Gives `f` some pages, one after the other, pinned but not locked; the same page in a row is pinned once. `block` says
    /// which, and `stretch` which of its bytes are going to be read, so that they come from memory before they are needed.
    pub fn each(
        &self,
        count: usize,
        block: impl Fn(usize) -> BlockNumber,
        stretch: impl Fn(usize) -> (usize, usize),
        mut f: impl FnMut(usize, *const u8),
    ) {
        HINTS.with_borrow_mut(|hints| {
            hints.prepare();
            for i in (0..count).filter(|i| *i == 0 || block(*i) != block(i - 1)) {
                hints.prefetch(compat::file_number(self.files), block(i));
            }
            let mut pinned = [(0, std::ptr::null::<u8>()); AHEAD];
            let (mut oldest, mut newest, mut ahead) = (0, 0, 0);
            // SAFETY: the relation is open. An ERROR of a pin becomes a panic here; the frames it jumps over have nothing
            // to drop, and the end of the transaction releases the pins.
            unsafe {
                marked(|| {
                    for i in 0..count {
                        while ahead < count {
                            let is_same = ahead > 0 && block(ahead) == block(ahead - 1);
                            if !is_same {
                                if newest - oldest == AHEAD {
                                    break;
                                }
                                let buffer = self.pin(hints, block(ahead));
                                pinned[newest % AHEAD] =
                                    (buffer, pg_sys::BufferGetPage(buffer).cast::<u8>().cast_const());
                                newest += 1;
                            }
                            let (from, len) = stretch(ahead);
                            prefetch_at(pinned[(newest - 1) % AHEAD].1.wrapping_add(from), len);
                            ahead += 1;
                        }
                        let (buffer, page) = pinned[oldest % AHEAD];
                        f(i, page);
                        if i + 1 == count || block(i + 1) != block(i) {
                            raw::ReleaseBuffer(buffer);
                            oldest += 1;
                        }
                    }
                })
            }
        });
    }

    /// What ReadBuffer() does for a page that it finds, beyond ReadRecentBuffer(): pg_statio_user_indexes, pg_stat_io,
    /// cost-based vacuum.
    ///
    /// # Safety
    /// Inside a jump mark.
    #[inline]
    unsafe fn count_hit(&self) {
        // SAFETY: the caller's; the relation is open.
        unsafe {
            if let Some(counts) = statistics::counts(self.relation) {
                compat::count_hit(counts);
            }
            compat::count_io_hit();
            if pg_sys::VacuumCostActive {
                pg_sys::VacuumCostBalance += pg_sys::VacuumCostPageHit;
            }
        }
    }

    /// # Safety
    /// Inside a jump mark.
    #[inline]
    unsafe fn pin(&self, hints: &mut Hints, block: BlockNumber) -> Buffer {
        // SAFETY: the caller's.
        unsafe {
            let at = hints.place(compat::file_number(self.files), block);
            let hint = hints.buffers[at];
            if self.has_hints && hints.is_time() {
                if hint > 0 && raw::ReadRecentBuffer(self.files, self.fork, block, hint) {
                    self.count_hit();
                    return hint;
                }
                hints.missed(hint);
            }
            let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
            let reads = pg_sys::pgBufferUsage.shared_blks_read;
            let buffer = raw::ReadBufferExtended(self.relation, self.fork, block, mode, std::ptr::null_mut());
            if self.has_hints {
                if hint > 0 && pg_sys::pgBufferUsage.shared_blks_read != reads {
                    hints.read_again();
                }
                hints.buffers[at] = buffer;
            }
            buffer
        }
    }
}
