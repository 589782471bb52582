//! A page store in memory, for tests: any number of threads may use it, and a crash can be simulated after any write.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::page::Part;
use crate::store::{Interlock, MAX_RECORD_PAGES, Mode, PAGE_SIZE, PageStore, Record};
use crate::{Error, Result};

/// Aligned as PostgreSQL's buffers are.
#[derive(Clone)]
#[repr(align(64))]
struct Image([u8; PAGE_SIZE]);

/// A store in memory. Its records are atomic and durable at once; pages of an extension are durable only when written.
#[derive(Default)]
pub struct MemPages {
    pages: Mutex<Vec<Box<Image>>>,
    locked: Mutex<HashSet<u32>>,
    unlocked: Condvar,
    /// Holders of each interlock: -1 exclusive.
    holders: Mutex<[i32; 2]>,
    released: Condvar,
    /// Commits left until the power goes; negative: it stays.
    fuse: AtomicI64,
    commits: AtomicI64,
    under_memory_pressure: AtomicBool,
    fetches: AtomicI64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemPages {
    /// A store without pages.
    pub fn new() -> Self {
        Self { fuse: AtomicI64::new(-1), ..Self::default() }
    }

    /// A copy of the store.
    pub fn fork(&self) -> Self {
        Self { pages: Mutex::new(lock(&self.pages).clone()), ..Self::new() }
    }

    /// After `commits` more records every write fails, until [`Self::restart`].
    pub fn cut_power_after(&self, commits: u32) {
        self.fuse.store(i64::from(commits), Ordering::SeqCst);
    }

    /// Becomes what recovery finds: all committed records are there, but no pages at the end that were never written.
    pub fn restart(&self) {
        self.fuse.store(-1, Ordering::SeqCst);
        lock(&self.locked).clear();
        *lock(&self.holders) = [0; 2];
        let mut pages = lock(&self.pages);
        while pages.last().is_some_and(|page| page.0.iter().all(|byte| *byte == 0)) {
            pages.pop();
        }
    }

    /// What [`PageStore::under_memory_pressure`] says from now on.
    pub fn set_memory_pressure(&self, under_memory_pressure: bool) {
        self.under_memory_pressure.store(under_memory_pressure, Ordering::SeqCst);
    }

    /// Pages that [`PageStore::read_unlocked`] had to fetch so far: they were not [cached](PageStore::is_cached).
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst) as u64
    }

    /// Records committed so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst) as u64
    }

    /// Changes the bytes of a page without a record, to test that [`crate::hnsw::verify`] notices.
    pub fn damage(&self, block: u32, f: impl FnOnce(&mut [u8])) {
        if let Some(page) = lock(&self.pages).get_mut(block as usize) {
            f(&mut page.0);
        }
    }

    fn burn(&self) -> Result<()> {
        if self.fuse.load(Ordering::SeqCst) == 0 {
            return Err(Error::Store("the power is off"));
        }
        if self.fuse.load(Ordering::SeqCst) > 0 {
            self.fuse.fetch_sub(1, Ordering::SeqCst);
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A copy of a page: it does not change, just as a locked one.
pub struct MemPage(Box<Image>);

impl std::ops::Deref for MemPage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

/// Copies of the pages to change.
pub struct MemRecord<'a> {
    store: &'a MemPages,
    pages: Vec<(u32, Box<Image>)>,
}

impl Record for MemRecord<'_> {
    fn page(&mut self, block: u32) -> Result<&mut [u8]> {
        if let Some(at) = self.pages.iter().position(|(there, _)| *there == block) {
            return Ok(&mut self.pages[at].1.0);
        }
        if self.pages.len() == MAX_RECORD_PAGES {
            return Err(Error::Store("too many pages in a record"));
        }
        if self.pages.last().is_some_and(|(last, _)| *last >= block) {
            return Err(Error::Store("pages of a record out of order"));
        }
        let mut locked = lock(&self.store.locked);
        while !locked.insert(block) {
            locked = self.store.unlocked.wait(locked).unwrap_or_else(PoisonError::into_inner);
        }
        drop(locked);
        let image = lock(&self.store.pages).get(block as usize).cloned();
        let Some(image) = image else {
            lock(&self.store.locked).remove(&block);
            self.store.unlocked.notify_all();
            return Err(Error::Store("no such block"));
        };
        let at = self.pages.len();
        self.pages.push((block, image));
        Ok(&mut self.pages[at].1.0)
    }

    fn commit(mut self) -> Result<()> {
        let mut pages = lock(&self.store.pages);
        self.store.burn()?;
        for (block, image) in &mut self.pages {
            if !crate::page::hole_is_zero(&image.0) {
                return Err(Error::Store("bytes outside pd_lower and pd_upper, which WAL would lose"));
            }
            pages[*block as usize] = image.clone();
        }
        Ok(())
    }
}

impl Drop for MemRecord<'_> {
    fn drop(&mut self) {
        let mut locked = lock(&self.store.locked);
        for (block, _) in &self.pages {
            locked.remove(block);
        }
        self.store.unlocked.notify_all();
    }
}

/// A held interlock.
pub struct MemLock<'a> {
    store: &'a MemPages,
    which: usize,
}

impl Drop for MemLock<'_> {
    fn drop(&mut self) {
        let mut holders = lock(&self.store.holders);
        let count = &mut holders[self.which];
        *count = if *count < 0 { 0 } else { (*count - 1).max(0) };
        self.store.released.notify_all();
    }
}

impl PageStore for MemPages {
    type Page<'a> = MemPage;
    type Record<'a> = MemRecord<'a>;
    type Lock<'a> = MemLock<'a>;

    fn blocks(&self) -> Result<u32> {
        Ok(lock(&self.pages).len() as u32)
    }

    fn read(&self, block: u32) -> Result<MemPage> {
        match lock(&self.pages).get(block as usize) {
            Some(page) => Ok(MemPage(page.clone())),
            None => Err(Error::Store("no such block")),
        }
    }

    fn read_unlocked(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (i, part) in parts.iter().enumerate() {
            if !self.is_cached(part.block) && (i == 0 || parts[i - 1].block != part.block) {
                self.fetches.fetch_add(1, Ordering::SeqCst);
            }
            f(i, &self.read(part.block)?);
        }
        Ok(())
    }

    fn record(&self) -> Result<MemRecord<'_>> {
        Ok(MemRecord { store: self, pages: Vec::new() })
    }

    fn extend_to(&self, blocks: u32) -> Result<()> {
        let mut pages = lock(&self.pages);
        while pages.len() < blocks as usize {
            pages.push(Box::new(Image([0; PAGE_SIZE])));
        }
        Ok(())
    }

    fn append(&self, page: &[u8]) -> Result<()> {
        let mut image = Box::new(Image([0; PAGE_SIZE]));
        image.0.copy_from_slice(page);
        lock(&self.pages).push(image);
        Ok(())
    }

    fn lock(&self, which: Interlock, mode: Mode) -> Result<MemLock<'_>> {
        let which = which as usize;
        let mut holders = lock(&self.holders);
        loop {
            match mode {
                Mode::Shared if holders[which] >= 0 => holders[which] += 1,
                Mode::Exclusive if holders[which] == 0 => holders[which] = -1,
                _ => {
                    holders = self.released.wait(holders).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            }
            return Ok(MemLock { store: self, which });
        }
    }

    fn under_memory_pressure(&self) -> bool {
        self.under_memory_pressure.load(Ordering::SeqCst)
    }

    /// Every third page, for tests.
    fn is_cached(&self, block: u32) -> bool {
        block.is_multiple_of(3)
    }

    fn poll(&self) -> Result<()> {
        Ok(())
    }
}
