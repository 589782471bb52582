//! Shared memory under `shared_preload_libraries`: named segments, each plain data under one LWLock, and what they are made of.
//!
//! Whoever has the lock copies in or out and does nothing else: no call of PostgreSQL, no allocation. So a change that somebody
//! is to hear of gives back whom to wake, and [`super::process::wake`] is called when the lock is gone.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pgrx::{PGRXSharedMemory, PgLwLock, PgSharedMemoryInitialization, pg_guard, pg_sys};

/// A value in shared memory.
pub struct Segment<T> {
    lock: PgLwLock<T>,
    initial: T,
    is_reserved: AtomicBool,
}

impl<T: PGRXSharedMemory + Copy + Sync + 'static> Segment<T> {
    /// Not there before [`Segment::reserve`].
    ///
    /// # Safety
    /// No other shared memory, and no other tranche of locks, has this name.
    pub const unsafe fn new(name: &'static CStr, initial: T) -> Self {
        // SAFETY: the caller's.
        Self { lock: unsafe { PgLwLock::new(name) }, initial, is_reserved: AtomicBool::new(false) }
    }

    /// From `_PG_init` in the postmaster, once.
    pub fn reserve(&'static self) {
        self.is_reserved.store(true, Ordering::Relaxed);
        register(self);
    }

    /// Whether it was reserved: only where the postmaster itself has loaded the library.
    pub fn is_available(&self) -> bool {
        self.is_reserved.load(Ordering::Relaxed)
    }

    /// Copies something out. Only where it [is available](Self::is_available), as below.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.lock.share())
    }

    /// Changes something.
    pub fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock.exclusive())
    }
}

/// The head of a text.
#[derive(Clone, Copy)]
pub struct Text<const BYTES: usize> {
    length: usize,
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Text<BYTES> {
    /// No text.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; BYTES] };

    /// As much of a text as there is room for, in whole characters.
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

/// Requests that wait for the process that answers them, each once. Of more than `MOST` it is known only that they are more.
#[derive(Clone, Copy)]
pub struct Requests<T, const MOST: usize> {
    items: [T; MOST],
    count: usize,
}

impl<T: Copy + PartialEq, const MOST: usize> Requests<T, MOST> {
    /// None; `blank` fills what is not used.
    pub const fn none(blank: T) -> Self {
        Self { items: [blank; MOST], count: 0 }
    }

    /// Adds one.
    pub fn add(&mut self, item: T) {
        if self.items[..self.count.min(MOST)].contains(&item) {
            return;
        }
        if let Some(place) = self.items.get_mut(self.count) {
            *place = item;
        }
        self.count = (self.count + 1).min(MOST + 1);
    }

    /// Takes them all.
    pub fn take(&mut self) -> Self {
        let taken = *self;
        self.count = 0;
        taken
    }

    /// What was asked for; none where that is too much to list.
    pub fn get(&self) -> Option<&[T]> {
        self.items.get(..self.count)
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// A segment, whatever is in it.
trait Reserved: Sync {
    /// In `shmem_request_hook`.
    fn request(&'static self);
    /// In `shmem_startup_hook`.
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

// The hooks hold nothing with a destructor while the next ones run, as in hook.rs.

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
