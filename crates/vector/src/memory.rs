//! Memory of a build: in memory up to the limit, and after that in a temporary file that is mapped into memory.
//!
//! The file is unlinked once it is open, so it disappears with the process in any case. Space on disk is allocated before it is
//! mapped: a full disk is an error then, and not a signal later.

use std::collections::TryReserveError;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::{Error, Result};

/// The largest usual page size of a processor: mappings begin and end at a multiple.
const PAGE: usize = 64 << 10;
/// Size of a huge page on x86 and most others.
const HUGE_PAGE: usize = 2 << 20;
/// Bytes that are mapped at a time.
const SLAB: usize = 8 << 20;
const LINE: usize = 64;
/// Elements that are filled between two checks for a cancel.
const STRETCH: usize = 1 << 18;
/// Bytes that must be left after a large allocation, for small allocations, which do not check and abort the process if
/// they fail.
const SPARE: usize = 16 << 20;
/// Bytes from which on an allocation counts as large.
const LARGE: usize = 1 << 20;

/// Allocates zeroed memory for a build.
pub struct Memory {
    limit: usize,
    used: usize,
    beyond: TemporaryFile,
    file: Option<(File, usize)>,
    slab: Option<(Arc<Slab>, usize)>,
}

/// The file that is used beyond the limit.
pub struct TemporaryFile {
    /// Its path, which is unlinked at once. The last folder of the path is created if it is missing.
    pub path: PathBuf,
    /// Its maximum size.
    pub limit_kilobytes: Option<usize>,
}

impl From<PathBuf> for TemporaryFile {
    fn from(path: PathBuf) -> Self {
        Self { path, limit_kilobytes: None }
    }
}

impl Memory {
    /// Allocates up to `limit` bytes in memory, then from a file.
    pub fn new(limit: usize, beyond: impl Into<TemporaryFile>) -> Self {
        Self { limit, used: 0, beyond: beyond.into(), file: None, slab: None }
    }

    /// Bytes of memory in use, without the file.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether the limit was reached.
    pub fn is_spilled(&self) -> bool {
        self.file.is_some()
    }

    /// Counts bytes that somebody else has allocated.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Zeroed words, some for [`Block::plain`] and some for [`Block::cells`].
    pub(crate) fn block(&mut self, plain: usize, cells: usize) -> Result<Block> {
        let plain_bytes = (4 * plain).next_multiple_of(LINE);
        let bytes = plain_bytes.saturating_add(4 * cells).next_multiple_of(LINE);
        let (slab, at) = match self.slab.take() {
            Some((slab, at)) if bytes <= slab.len - at => (slab, at),
            _ => (Arc::new(self.slab(bytes)?), 0),
        };
        self.slab = Some((slab.clone(), at + bytes));
        Ok(Block { slab, plain: (at, plain), cells: (at + plain_bytes, cells) })
    }

    fn slab(&mut self, bytes: usize) -> Result<Slab> {
        let usual = (self.limit / 8 / PAGE * PAGE).min(SLAB);
        let least = bytes.next_multiple_of(PAGE);
        if self.file.is_none() {
            for len in [usual.max(least), least] {
                if len <= self.limit.saturating_sub(self.used) {
                    let slab = Slab::anonymous(len).map_err(|error| Error::OutOfMemory(error.to_string()))?;
                    self.used += len;
                    return Ok(slab);
                }
            }
        }
        let len = SLAB.max(least);
        let end = self.file.as_ref().map_or(0, |(_, end)| *end);
        if let Some(limit) = self.beyond.limit_kilobytes.filter(|limit| (end + len) >> 10 > *limit) {
            return Err(Error::TemporaryFileLimit(limit));
        }
        let file = match self.file.take() {
            Some((file, _)) => file,
            None => self.create()?,
        };
        let slab = extend(&file, end, len).and_then(|()| Slab::of_file(&file, end, len));
        self.file = Some((file, end + len));
        slab.map_err(disk_error)
    }

    fn create(&self) -> Result<File> {
        let path = &self.beyond.path;
        if let Some(folder) = path.parent() {
            match std::fs::DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(disk_error(error)),
                _ => {}
            }
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(disk_error)?;
        std::fs::remove_file(path).map_err(disk_error)?;
        Ok(file)
    }
}

/// An empty vector with room for so many elements, reserved fallibly. For everything that grows with the index: a failed ordinary
/// allocation aborts the process, and PostgreSQL then ends all sessions.
pub(crate) fn room<T>(len: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    if len.saturating_mul(size_of::<T>()) >= LARGE {
        spare()?;
    }
    reserved(all.try_reserve_exact(len))?;
    Ok(all)
}

/// As [`room`], filled with a value; `poll` is called now and then.
pub(crate) fn filled<T: Clone>(value: T, len: usize, poll: impl Fn() -> Result<()>) -> Result<Vec<T>> {
    let mut all = room(len)?;
    while all.len() < len {
        poll()?;
        let end = len.min(all.len() + STRETCH);
        all.resize(end, value.clone());
    }
    Ok(all)
}

/// The error of a `try_reserve` as one of ours.
pub(crate) fn reserved(outcome: std::result::Result<(), TryReserveError>) -> Result<()> {
    outcome.map_err(|error| Error::OutOfMemory(error.to_string()))
}

/// Adds an element, and reserves more room if there is none.
pub(crate) fn push<T>(all: &mut Vec<T>, one: T) -> Result<()> {
    if all.len() == all.capacity() {
        if size_of_val(&all[..]) >= LARGE {
            spare()?;
        }
        reserved(all.try_reserve(1))?;
    }
    all.push(one);
    Ok(())
}

/// Checks that [`SPARE`] bytes are left.
fn spare() -> Result<()> {
    match Slab::map(SPARE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::OutOfMemory(error.to_string())),
    }
}

fn disk_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::DiskFull(error.to_string())
        }
        _ => Error::TemporaryFile(error.to_string()),
    }
}

fn extend(file: &File, from: usize, len: usize) -> io::Result<()> {
    loop {
        // SAFETY: an open file; the call touches no memory of ours.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), from as libc::off_t, len as libc::off_t) } {
            0 => return Ok(()),
            libc::EINTR => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// A mapping, from which blocks are allocated.
struct Slab {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to nobody's thread, and parts of it are only given out as blocks, which do not overlap.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    fn anonymous(len: usize) -> io::Result<Self> {
        if len < HUGE_PAGE {
            return Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        }
        // Searches access memory at random: with huge pages fewer accesses miss the TLB. Those need an aligned start. The
        // spare bytes must be available, so they are mapped with the rest and unmapped again.
        let mut slab = Self::map(len + SPARE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        let before = slab.start.as_ptr().align_offset(HUGE_PAGE).min(HUGE_PAGE);
        let start = slab.start.as_ptr().cast::<c_void>();
        // SAFETY: the ends of our own new mapping, at page boundaries; what stays is `len` bytes after `before`, which is less
        // than what is spare.
        unsafe {
            if before > 0 {
                libc::munmap(start, before);
            }
            libc::munmap(start.add(before + len), SPARE - before);
            slab.start = slab.start.add(before);
            slab.len = len;
            #[cfg(target_os = "linux")]
            libc::madvise(start.add(before), len, libc::MADV_HUGEPAGE); // a hint: it may fail
        }
        Ok(slab)
    }

    fn of_file(file: &File, from: usize, len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED, file.as_raw_fd(), from)
    }

    fn map(len: usize, flags: i32, file: i32, from: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the system's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, file, from as libc::off_t) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: our own mapping; every block of it keeps the slab alive.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A part of a slab that no other block overlaps, zero at first.
pub(crate) struct Block {
    slab: Arc<Slab>,
    /// Offset in bytes, and number of words.
    plain: (usize, usize),
    cells: (usize, usize),
}

impl Block {
    /// Words that do not change once the block is shared.
    #[inline]
    pub fn plain(&self) -> &[u32] {
        let (at, len) = self.plain;
        // SAFETY: within the slab, aligned to a cache line, of this block alone, and changed through `&mut self` only.
        unsafe { std::slice::from_raw_parts(self.slab.start.as_ptr().add(at).cast(), len) }
    }

    pub fn plain_mut(&mut self) -> &mut [u32] {
        let (at, len) = self.plain;
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.slab.start.as_ptr().add(at).cast(), len) }
    }

    /// Words that several threads read and write.
    #[inline]
    pub fn cells(&self) -> &[AtomicU32] {
        let (at, len) = self.cells;
        // SAFETY: within the slab, aligned to a cache line, of this block alone, and only ever seen as atomics.
        unsafe { std::slice::from_raw_parts(self.slab.start.as_ptr().add(at).cast(), len) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lagoon-memory-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_keeps_to_its_limit() {
        let file = TemporaryFile { path: path("limited"), limit_kilobytes: Some((2 * SLAB) >> 10) };
        let mut memory = Memory::new(0, file);
        let blocks: Vec<_> = (0..2).map(|_| memory.block(SLAB / 4, 0).unwrap()).collect();
        let error = memory.block(SLAB / 4, 0).err().unwrap();
        assert_eq!(error.to_string(), "temporary file size exceeds temp_file_limit (16384kB)");
        assert_eq!((error.sqlstate(), blocks.len()), ("53400", 2));
    }

    #[test]
    fn beyond_the_limit_comes_a_file_without_a_name() {
        let path = path("spill");
        let mut memory = Memory::new(1 << 20, path.clone());
        let mut blocks = Vec::new();
        for i in 0..100u32 {
            let mut block = memory.block(8000 + i as usize, 3).unwrap();
            assert!(block.plain().iter().all(|word| *word == 0));
            assert_eq!(block.plain().as_ptr().align_offset(LINE) + block.cells().as_ptr().align_offset(LINE), 0);
            block.plain_mut().fill(i);
            block.cells()[2].store(i, Ordering::Relaxed);
            blocks.push(block);
        }
        assert!(memory.is_spilled() && memory.used() <= 1 << 20);
        assert!(!path.exists());
        drop(memory);
        for (i, block) in (0u32..).zip(&blocks) {
            assert!(block.plain().iter().all(|word| *word == i));
            assert_eq!(block.cells()[2].load(Ordering::Relaxed), i);
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        // Of this file system it is known at once that it is too small.
        let shared = PathBuf::from("/dev/shm");
        if shared.exists() {
            let mut memory = Memory::new(0, shared.join(format!("lagoon-full-{}", std::process::id())));
            let error = memory.block(1 << 45, 0).err().unwrap();
            assert!(matches!(error, Error::DiskFull(_)) && error.sqlstate() == "53100", "{error}");
            assert!(memory.block(10, 0).is_ok(), "a smaller one fits");
        }
        let mut memory = Memory::new(0, path("no").join("such").join("folder"));
        let error = memory.block(10, 0).err().unwrap();
        assert!(matches!(error, Error::TemporaryFile(_)) && error.sqlstate() == "58030", "{error}");
    }
}
