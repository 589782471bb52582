//! In which buffer a page was last, and whether that is worth a look.

use std::cell::RefCell;

use lagoon_vector::distance::prefetch_at;
use pgrx::pg_sys::{self, BlockNumber, Buffer};

use super::raw;

/// Buffers remembered, at most: 4 MB for each process. More than there are buffers, because places are shared.
const MAX_HINTS: usize = 1 << 20;

/// One pin in so many goes through ReadBuffer(), which alone makes a buffer count as used: or those that are used most would
/// be the first to be replaced.
const COUNTED: u32 = 64;

/// After a page was not where it had been, so many pins go through ReadBuffer(): buffers are scarce, and it matters which ones
/// count as used.
const WARY: u32 = 1024;

/// Leaky bucket: a re-read page adds READ, every pin removes one; above SCARCE the cache counts as too small.
const READ: u32 = 16;
const SCARCE: u32 = 1024;

/// Whether many of the pages that this process pinned lately had to be read, though it had seen them before.
pub fn under_memory_pressure() -> bool {
    HINTS.with_borrow(|hints| hints.reads >= SCARCE)
}

thread_local! {
    pub(super) static HINTS: RefCell<Hints> = const { RefCell::new(Hints { buffers: Vec::new(), turn: 0, wary: 0, reads: 0 }) };
}

/// In which buffer a page was last: a table without keys, because PostgreSQL compares the page anyway.
pub(super) struct Hints {
    pub buffers: Vec<Buffer>,
    turn: u32,
    /// Pins until hints are used again.
    wary: u32,
    /// Pins that the pages read again lately are worth, [`READ`] each.
    reads: u32,
}

impl Hints {
    pub(super) fn prepare(&mut self) {
        if self.buffers.is_empty() {
            // SAFETY: a setting of this server, fixed at its start.
            let buffers = unsafe { pg_sys::NBuffers }.max(16) as usize;
            let wanted = (4 * buffers).next_power_of_two().min(MAX_HINTS);
            // A few do where there is no memory for more.
            let len = if self.buffers.try_reserve_exact(wanted).is_ok() { wanted } else { 16 };
            self.buffers.resize(len, 0);
        }
    }

    /// The place for a hint.
    #[inline]
    pub(super) fn place(&self, number: u32, block: BlockNumber) -> usize {
        number.wrapping_mul(0x9E37_79B1).wrapping_add(block) as usize & (self.buffers.len() - 1)
    }

    /// Has the processor fetch what a pin changes: a tenth of a walk's time was spent waiting for that. Says in which buffer the
    /// page was.
    #[inline]
    pub(super) fn prefetch(&self, number: u32, block: BlockNumber) -> Option<Buffer> {
        let buffer = self.buffers[self.place(number, block)];
        if buffer <= 0 {
            return None;
        }
        // SAFETY: set when the server started.
        let descriptors = unsafe { raw::BufferDescriptors };
        prefetch_at(descriptors.wrapping_add(buffer as usize - 1), size_of::<raw::Descriptor>());
        Some(buffer)
    }

    /// Whether a hint may be used for the next pin.
    #[inline]
    pub(super) fn is_time(&mut self) -> bool {
        self.turn = self.turn.wrapping_add(1);
        self.wary = self.wary.saturating_sub(1);
        self.reads = self.reads.saturating_sub(1);
        self.wary == 0 && !self.turn.is_multiple_of(COUNTED)
    }

    /// Notes that a page was not where it was last; 0 says that nothing was known of it.
    #[inline]
    pub(super) fn missed(&mut self, hint: Buffer) {
        self.wary = if hint > 0 { WARY } else { 0 };
    }

    /// Notes that a page was read though it had been seen before.
    #[inline]
    pub(super) fn read_again(&mut self) {
        self.reads = (self.reads + READ).min(2 * SCARCE);
    }
}
