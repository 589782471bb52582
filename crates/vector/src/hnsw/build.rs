//! Building an index: codes are fed into an [`Arena`], threads link them, and the graph is written out in one pass.
//!
//! This crate starts no thread. The glue (with signals blocked) and tests do, and have each thread run [`Job::work`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::hnsw::arena::{Arena, CHUNK, MAX_ELEMENTS, Pending, Walker, lock};
use crate::hnsw::flush;
use crate::hnsw::format::Meta;
use crate::hnsw::level::Levels;
use crate::memory::room;
use crate::pace::Pace;
use crate::page::Tid;
use crate::store::PageStore;
use crate::{Coder, Error, Result};

pub use crate::hnsw::head::write_empty;
pub use crate::memory::Memory;

/// Number of elements that a worker links at a time.
const BATCH: u32 = 16;

#[derive(Default)]
struct Queue {
    published: u32,
    taken: u32,
    done: u32,
    closed: bool,
}

/// The part of a build that its threads share.
pub struct Job {
    arena: Arena,
    queue: Mutex<Queue>,
    changed: Condvar,
    cancelled: AtomicBool,
}

impl Job {
    /// Links elements until the feeder has finished and none is left. Each worker thread runs this.
    pub fn work(&self) -> Result<()> {
        let mut walker = Walker::default();
        let check = || self.check();
        let pace = Pace::new(&check);
        while let Some((from, to)) = self.next_batch(true) {
            self.link(from, to, &mut walker, &pace)?;
        }
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Makes every worker return within a millisecond or two, in the middle of an element.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(lock(&self.queue));
        self.changed.notify_all();
    }

    /// Whether all elements are linked and no more will be pushed.
    pub fn is_done(&self) -> bool {
        let queue = lock(&self.queue);
        queue.closed && queue.done == queue.published
    }

    /// Elements linked so far.
    pub fn done(&self) -> u32 {
        lock(&self.queue).done
    }

    fn next_batch(&self, wait: bool) -> Option<(u32, u32)> {
        let mut queue = lock(&self.queue);
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return None;
            }
            if queue.taken < queue.published {
                let from = queue.taken;
                queue.taken = queue.published.min(from + BATCH);
                return Some((from, queue.taken));
            }
            if queue.closed || !wait {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn link(&self, from: u32, to: u32, walker: &mut Walker, pace: &Pace<'_>) -> Result<()> {
        for id in from..to {
            self.check()?;
            self.arena.insert(id, walker, pace)?;
        }
        lock(&self.queue).done += to - from;
        Ok(())
    }
}

/// The feeder's side of a build.
pub struct Builder {
    job: Arc<Job>,
    levels: Levels,
    pending: Pending,
    memory: Memory,
    fed: u64,
    /// Number of rows in memory, once memory is full.
    fitting: Option<u64>,
    /// Words from the start of a code to that of the next.
    stride: usize,
    /// Buffers of a build without workers.
    walker: Walker,
    centre: Option<Box<[f32]>>,
}

/// Approximate number of elements of a finished build whose codes are checked.
const CHECKED: u32 = 300;
/// At most 1/MISFITS of them may be misfits, but always a few. Of a million points in Gaussian clusters one in a hundred is a misfit
/// by chance, because two of its neighbours happen to be equally far, and loses nothing by it.
const MISFITS: u32 = 20;
const FEW: u32 = 3;

/// Other bytes that are allocated for an element: bits in the visited sets, and the order for the disk.
const OTHER_BYTES: usize = 9;

impl Builder {
    /// An empty graph of the codes of `coder`.
    pub fn new(coder: &Coder, m: usize, ef_construction: usize, mut memory: Memory, seed: u64) -> Self {
        let meta = Meta::of(coder, m, ef_construction);
        let arena = Arena::new(meta, &mut memory);
        let stride = arena.stride();
        let queue = Mutex::default();
        let job = Job { arena, queue, changed: Condvar::new(), cancelled: AtomicBool::new(false) };
        Self {
            job: Arc::new(job),
            levels: Levels::new(meta.m, meta.geometry.max_level(), seed),
            pending: Pending::default(),
            memory,
            fed: 0,
            fitting: None,
            stride,
            walker: Walker::default(),
            centre: coder.centre().map(Into::into),
        }
    }

    /// The job that worker threads run.
    pub fn job(&self) -> Arc<Job> {
        self.job.clone()
    }

    /// Adds a row with its [code](crate::Coder::encode).
    pub fn push(&mut self, code: &[u32], tid: Tid) -> Result<()> {
        if self.fed == u64::from(MAX_ELEMENTS) {
            return Err(Error::TooManyElements { max: MAX_ELEMENTS });
        }
        let before = self.pending.bytes();
        self.pending.push(code, self.levels.draw(), tid, self.stride)?;
        self.memory.count(self.pending.bytes() - before + OTHER_BYTES);
        self.fed += 1;
        if self.pending.len() == CHUNK {
            self.publish()?;
        }
        Ok(())
    }

    /// Number of rows so far.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// Bytes of memory in use, without the temporary file.
    pub fn memory(&self) -> usize {
        self.memory.used()
    }

    /// Number of rows that fit into memory, once it is full: the others go to the temporary file.
    pub fn fitting(&self) -> Option<u64> {
        self.fitting
    }

    /// Links some of the rows on this thread, for builds without workers. False when there is nothing left. `poll` is
    /// called now and then, and ends the build by an error.
    pub fn work_here(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<bool> {
        let Some((from, to)) = self.job.next_batch(false) else { return Ok(false) };
        self.job.link(from, to, &mut self.walker, &Pace::new(poll))?;
        Ok(true)
    }

    fn publish(&mut self) -> Result<()> {
        let count = self.pending.len() as u32;
        if count > 0 {
            let chunk = (self.fed - 1) as usize / CHUNK;
            self.job.arena.publish(chunk, &mut self.pending, &mut self.memory)?;
            if self.memory.is_spilled() && self.fitting.is_none() {
                self.fitting = Some(self.fed - u64::from(count));
            }
            lock(&self.job.queue).published += count;
            self.job.changed.notify_all();
        }
        Ok(())
    }

    /// Ends the input: workers return when all rows are linked.
    pub fn close(&mut self) -> Result<()> {
        self.publish()?;
        lock(&self.job.queue).closed = true;
        self.job.changed.notify_all();
        Ok(())
    }

    /// Whether the codes of a finished build are fine enough: whether those of nearly all elements that are checked [can
    /// order their neighbours](crate::Space::fits). If not, recall is poor, and the caller builds again with
    /// [finer](Coder::finer) codes. `poll` is called every few milliseconds, and ends this by an error.
    pub fn fits(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<bool> {
        let arena = &self.job.arena;
        let space = arena.meta.space;
        if !space.is_quantised() {
            return Ok(true);
        }
        let pace = Pace::new(poll);
        let count = lock(&self.job.queue).published;
        let (stretch, mut checked, mut misfits) = (count.div_ceil(CHECKED).max(1), 0, 0);
        let mut distances = room(arena.meta.ef_construction)?;
        for from in (0..count).step_by(stretch as usize) {
            // Rows that were merged into other elements have none of their own.
            let mut elements = (from..count.min(from.saturating_add(stretch))).filter(|id| !arena.is_merged(*id));
            let Some(id) = elements.next() else { continue };
            pace.spend(size_of::<u32>() * (id - from) as usize)?;
            arena.near(id, &mut self.walker, &pace)?;
            distances.clear();
            distances.extend(self.walker.found.iter().map(|candidate| candidate.distance));
            checked += 1;
            misfits += u32::from(!space.fits(arena.code(id), &distances));
        }
        Ok(misfits < FEW || MISFITS * misfits <= checked)
    }

    /// Number of pages of the graph, if elements are written in the order in which they were pushed.
    #[cfg(test)]
    pub(crate) fn blocks(&self) -> Result<u32> {
        flush::blocks(&self.job.arena, lock(&self.job.queue).published)
    }

    /// Writes a finished build into an empty store. Nothing else may use the store meanwhile.
    pub fn flush<S: PageStore>(&self, store: &S) -> Result<()> {
        if !self.job.is_done() {
            return Err(Error::Cancelled);
        }
        flush::write(&self.job.arena, self.centre.as_deref(), lock(&self.job.queue).published, store)
    }
}
