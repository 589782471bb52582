//! The allocator of Rust code: the C library's, with a reserve for when memory is exhausted.
//!
//! A failed Rust allocation aborts the process, and PostgreSQL then restarts the whole server, while a failed allocation of
//! its own is an ERROR. Memory that grows with data is therefore reserved fallibly (`try_reserve`). Small allocations are
//! served from a reserve of address space, which costs nothing until it is needed, and scans are told to end. If an
//! infallible allocation of a library fails on an engine thread, that thread is parked for ever, and the main thread ends
//! this session alone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicPtr, Ordering};

use lagoon_lake::engine::memory as engine;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// Bytes of the reserve.
const RESERVE: usize = 32 << 20;
/// Maximum size of a request that the reserve may serve.
const SMALL: usize = 1 << 20;

/// The start of the reserve; null if there is none.
static RESERVED: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: everything is the system allocator's; a request that it refuses is repeated once, or never returns.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { or_reserve(layout.size(), || System.alloc(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { or_reserve(layout.size(), || System.alloc_zeroed(layout)) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's; a refused request leaves the old memory as it was.
        unsafe { or_reserve(size, || System.realloc(pointer, layout, size)) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[inline]
fn or_reserve(size: usize, request: impl Fn() -> *mut u8) -> *mut u8 {
    let pointer = request();
    if pointer.is_null() { refused(size, &request) } else { pointer }
}

#[cold]
fn refused(size: usize, request: &dyn Fn() -> *mut u8) -> *mut u8 {
    if size <= SMALL && free_reserve() {
        let pointer = request();
        if !pointer.is_null() {
            return pointer;
        }
    }
    if engine::cannot_fail() {
        engine::exhausted();
        loop {
            // SAFETY: waits for a signal; all are blocked on this thread.
            unsafe { libc::pause() };
        }
    }
    std::ptr::null_mut()
}

fn free_reserve() -> bool {
    let reserved = RESERVED.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if reserved.is_null() {
        return false;
    }
    engine::run_short();
    // SAFETY: our own mapping of this length, which nobody else knows any more.
    unsafe { libc::munmap(reserved.cast(), RESERVE) == 0 }
}

/// Maps the reserve if there is none. Returns false if that fails. Must be called before an engine is used.
pub fn settle() -> bool {
    if !RESERVED.load(Ordering::Acquire).is_null() {
        return true;
    }
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping anywhere.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), RESERVE, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return false;
    }
    RESERVED.store(mapped.cast(), Ordering::Release);
    engine::recovered();
    true
}

/// Ends this session with FATAL if one of its threads was parked.
pub fn die_if_exhausted() {
    if engine::is_exhausted() {
        let (code, message) = (PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, "out of memory in an engine thread");
        ErrorReport::new(code, message, "lagoon").report(PgLogLevel::FATAL);
    }
}

/// Returns freed memory to the operating system. Callable from any thread.
pub fn release() {
    // SAFETY: no preconditions; it takes the C library's own locks.
    unsafe { libc::malloc_trim(0) };
}
