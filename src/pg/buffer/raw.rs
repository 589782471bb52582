//! The functions of bufmgr.h themselves: pgrx's wrappers set a jump mark for each call, which costs more than a pin. They are
//! called inside one mark, see [`marked`].

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::pg_sys::{self, BlockNumber, Buffer, ForkNumber, Relation};

use crate::pg::compat::FileLocator;

unsafe extern "C-unwind" {
    pub(super) fn ReadBufferExtended(
        relation: Relation,
        fork: ForkNumber::Type,
        block: BlockNumber,
        mode: pg_sys::ReadBufferMode::Type,
        strategy: pg_sys::BufferAccessStrategy,
    ) -> Buffer;
    pub(super) fn ReadRecentBuffer(
        files: FileLocator,
        fork: ForkNumber::Type,
        block: BlockNumber,
        recent: Buffer,
    ) -> bool;
    pub(super) fn ReleaseBuffer(buffer: Buffer);
    pub(super) fn LockBuffer(buffer: Buffer, mode: i32);
    pub(super) fn UnlockReleaseBuffer(buffer: Buffer);
    /// Of buf_internals.h, one for each buffer.
    pub(super) static BufferDescriptors: *const Descriptor;
}

/// BufferDescPadded: nothing of it is read here.
#[repr(C, align(64))]
pub(super) struct Descriptor([u8; 64]);

/// Runs `f` inside one jump mark. A panic of `f` goes on only when the mark is gone, which it would leave in place.
///
/// # Safety
/// An ERROR in `f` becomes a panic here: what it jumps over has nothing to drop.
#[inline(always)]
pub(super) unsafe fn marked<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the caller's.
    match unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| catch_unwind(AssertUnwindSafe(f))) } {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}
