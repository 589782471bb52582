//! Shared memory under `shared_preload_libraries`: named segments of plain data, each with an LWLock, and their building blocks;
//! and segments of atomics, which have no lock, for threads that must not call PostgreSQL.
//!
//! Code that holds the lock only copies in or out: it neither calls PostgreSQL nor allocates. So a change that another
//! process must notice returns its pid, and [`super::process::wake`] is called after the lock is released.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pgrx::{PGRXSharedMemory, PgAtomic, PgLwLock, PgSharedMemoryInitialization, pg_guard, pg_sys};

/// A value in shared memory.
pub struct Segment<T> {
    lock: PgLwLock<T>,
    initial: T,
    is_reserved: AtomicBool,
}

impl<T: PGRXSharedMemory + Copy + Sync + 'static> Segment<T> {
    /// A segment; it exists after [`Segment::reserve`].
    ///
    /// # Safety
    /// No other shared memory, and no other tranche of locks, has this name.
    pub const unsafe fn new(name: &'static CStr, initial: T) -> Self {
        // SAFETY: the caller's.
        Self { lock: unsafe { PgLwLock::new(name) }, initial, is_reserved: AtomicBool::new(false) }
    }

    /// Requests the memory. Must be called once, from `_PG_init` in the postmaster.
    pub fn reserve(&'static self) {
        self.is_reserved.store(true, Ordering::Relaxed);
        register(self);
    }

    /// Whether it exists, which requires that the postmaster has loaded the library.
    pub fn is_available(&self) -> bool {
        self.is_reserved.load(Ordering::Relaxed)
    }

    /// Calls `f` with a shared lock. The segment must be [available](Self::is_available).
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.lock.share())
    }

    /// Calls `f` with an exclusive lock. The segment must be [available](Self::is_available).
    pub fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock.exclusive())
    }
}

/// Atomics in shared memory, which any thread may use.
pub struct Atomics<T: 'static> {
    memory: PgAtomic<T>,
    initial: fn() -> T,
    is_reserved: AtomicBool,
}

impl<T: PGRXSharedMemory + Sync + 'static> Atomics<T> {
    /// A segment; it exists after [`Atomics::reserve`].
    ///
    /// # Safety
    /// No other shared memory has this name.
    pub const unsafe fn new(name: &'static CStr, initial: fn() -> T) -> Self {
        // SAFETY: the caller's.
        Self { memory: unsafe { PgAtomic::new(name) }, initial, is_reserved: AtomicBool::new(false) }
    }

    /// Requests the memory. Must be called once, from `_PG_init` in the postmaster.
    pub fn reserve(&'static self) {
        self.is_reserved.store(true, Ordering::Relaxed);
        register(self);
    }

    /// The atomics; None if the postmaster has not loaded the library.
    pub fn get(&self) -> Option<&T> {
        self.is_reserved.load(Ordering::Relaxed).then(|| self.memory.get())
    }
}

/// A text of at most `BYTES` bytes.
#[derive(Clone, Copy)]
pub struct Text<const BYTES: usize> {
    length: usize,
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Text<BYTES> {
    /// No text.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; BYTES] };

    /// A text, truncated to whole characters that fit.
    pub fn new(text: &str) -> Self {
        let mut new = Self::EMPTY;
        new.length = text.floor_char_boundary(BYTES);
        new.bytes[..new.length].copy_from_slice(&text.as_bytes()[..new.length]);
        new
    }

    /// The text, if there is one.
    pub fn get(&self) -> Option<String> {
        (self.length > 0).then(|| String::from_utf8_lossy(&self.bytes[..self.length]).into_owned())
    }
}

/// A set of pending requests. If there are more than `MOST`, it only records that.
#[derive(Clone, Copy)]
pub struct Requests<T, const MOST: usize> {
    items: [T; MOST],
    count: usize,
}

impl<T: Copy + PartialEq, const MOST: usize> Requests<T, MOST> {
    /// No requests; `blank` fills unused entries.
    pub const fn none(blank: T) -> Self {
        Self { items: [blank; MOST], count: 0 }
    }

    /// Adds a request, unless it is pending already.
    pub fn add(&mut self, item: T) {
        if self.items[..self.count.min(MOST)].contains(&item) {
            return;
        }
        if let Some(place) = self.items.get_mut(self.count) {
            *place = item;
        }
        self.count = (self.count + 1).min(MOST + 1);
    }

    /// Takes all requests.
    pub fn take(&mut self) -> Self {
        let taken = *self;
        self.count = 0;
        taken
    }

    /// The requests; None if there were too many to list.
    pub fn get(&self) -> Option<&[T]> {
        self.items.get(..self.count)
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// A segment with any contents.
trait Reserved: Sync {
    /// Called in `shmem_request_hook`.
    fn request(&'static self);
    /// Called in `shmem_startup_hook`.
    fn start(&'static self);
}

impl<T: PGRXSharedMemory + Copy + Sync + 'static> Reserved for Segment<T> {
    fn request(&'static self) {
        // SAFETY: where the trait says.
        unsafe { self.lock.on_shmem_request() }
    }

    fn start(&'static self) {
        // SAFETY: where the trait says.
        unsafe { self.lock.on_shmem_startup(self.initial) }
    }
}

impl<T: PGRXSharedMemory + Sync + 'static> Reserved for Atomics<T> {
    fn request(&'static self) {
        // SAFETY: where the trait says.
        unsafe { self.memory.on_shmem_request() }
    }

    fn start(&'static self) {
        // SAFETY: where the trait says.
        unsafe { self.memory.on_shmem_startup((self.initial)()) }
    }
}

static SEGMENTS: Mutex<Vec<&'static dyn Reserved>> = Mutex::new(Vec::new());
static mut NEXT_REQUEST: pg_sys::shmem_request_hook_type = None;
static mut NEXT_STARTUP: pg_sys::shmem_startup_hook_type = None;

fn register(segment: &'static dyn Reserved) {
    let mut segments = SEGMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if segments.is_empty() {
        // SAFETY: one thread; hooks are set while libraries are loaded.
        unsafe {
            NEXT_REQUEST = pg_sys::shmem_request_hook;
            NEXT_STARTUP = pg_sys::shmem_startup_hook;
            pg_sys::shmem_request_hook = Some(on_request);
            pg_sys::shmem_startup_hook = Some(on_startup);
        }
    }
    segments.push(segment);
}

fn segments() -> Vec<&'static dyn Reserved> {
    SEGMENTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

// The hooks hold no values with destructors while the next ones run, as in hook.rs.

unsafe extern "C-unwind" fn on_request() {
    // SAFETY: the hook that was there.
    unsafe {
        if let Some(next) = NEXT_REQUEST {
            next();
        }
        request_all();
    }
}

unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: as above.
    unsafe {
        if let Some(next) = NEXT_STARTUP {
            next();
        }
        start_all();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn request_all() {
    segments().into_iter().for_each(|segment| segment.request());
}

#[pg_guard]
unsafe extern "C-unwind" fn start_all() {
    segments().into_iter().for_each(|segment| segment.start());
}
