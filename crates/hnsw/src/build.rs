//! Building an index: vectors are fed into an [`Arena`], threads link them, and the graph is written out in one pass.
//!
//! This crate starts no thread. Who does (the glue, with signals blocked; tests) lets each run [`Job::work`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::arena::{Arena, CHUNK, Pending, lock};
use crate::format::{self, MAX_ELEMENTS, Meta, NodesMut, Tid};
use crate::level::Levels;
use crate::search::{Scratch, Stamps};
use crate::select::Link;
use crate::store::{PAGE_SIZE, PageStore};
use crate::{Error, Result};

/// Elements that a worker takes at a time.
const BATCH: u32 = 16;

#[derive(Default)]
struct Queue {
    published: u32,
    taken: u32,
    done: u32,
    closed: bool,
}

/// The part of a build that threads share.
pub struct Job {
    arena: Arena,
    queue: Mutex<Queue>,
    changed: Condvar,
    cancelled: AtomicBool,
}

impl Job {
    /// Links what is fed until the feeder has finished and nothing is left. Run by each worker thread.
    pub fn work(&self) -> Result<()> {
        let mut scratch = Scratch::new(Stamps::default());
        while let Some((from, to)) = self.take(true) {
            self.link(from, to, &mut scratch)?;
        }
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Makes every worker return within the time of one element.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(lock(&self.queue));
        self.changed.notify_all();
    }

    /// Whether all that was fed is linked and no more will come.
    pub fn is_done(&self) -> bool {
        let queue = lock(&self.queue);
        queue.closed && queue.done == queue.published
    }

    /// Elements linked so far.
    pub fn done(&self) -> u32 {
        lock(&self.queue).done
    }

    fn take(&self, wait: bool) -> Option<(u32, u32)> {
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

    fn link(&self, from: u32, to: u32, scratch: &mut Scratch<Stamps>) -> Result<()> {
        for id in from..to {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            self.arena.insert(id, scratch)?;
        }
        lock(&self.queue).done += to - from;
        Ok(())
    }

    fn publish(&self, chunk: usize, pending: Pending) {
        let count = pending.levels.len() as u32;
        self.arena.publish(chunk, pending);
        lock(&self.queue).published += count;
        self.changed.notify_all();
    }
}

/// The feeder's side of a build.
pub struct Builder {
    job: Arc<Job>,
    meta: Meta,
    levels: Levels,
    pending: Pending,
    chunks: usize,
    max_chunks: usize,
    memory: usize,
    memory_limit: usize,
    fed: u64,
}

impl Builder {
    /// An empty graph that may take `memory_limit` bytes.
    pub fn new(meta: Meta, memory_limit: usize, seed: u64) -> Self {
        let max_chunks = (memory_limit / Arena::chunk_bytes(&meta)).min(MAX_ELEMENTS as usize / CHUNK);
        let arena = Arena::new(meta, max_chunks);
        let levels = Levels::new(meta.m, meta.geometry.max_level(), seed);
        Self {
            job: Arc::new(Job {
                arena,
                queue: Mutex::default(),
                changed: Condvar::new(),
                cancelled: AtomicBool::new(false),
            }),
            meta,
            levels,
            pending: Pending::default(),
            chunks: 0,
            max_chunks,
            memory: 0,
            memory_limit,
            fed: 0,
        }
    }

    /// What worker threads run.
    pub fn job(&self) -> Arc<Job> {
        self.job.clone()
    }

    /// Feeds a row with its [code](crate::Space::encode). False: it would exceed the memory limit, and was not
    /// taken; [`Self::close`] the build and [insert](crate::insert::insert) the rest.
    pub fn push(&mut self, code: &[u32], tid: Tid) -> Result<bool> {
        if self.pending.levels.is_empty() {
            let bytes = Arena::chunk_bytes(&self.meta);
            if self.chunks == self.max_chunks || self.memory + bytes > self.memory_limit {
                return Ok(false);
            }
            self.memory += bytes;
            self.pending.codes.reserve_exact(CHUNK * self.meta.space.max_code_bytes() / 4);
        }
        let level = self.levels.draw();
        self.memory += usize::from(level) * Arena::layer_bytes(&self.meta);
        self.pending.codes.extend_from_slice(code);
        let words = self.meta.space.max_code_bytes() / 4;
        self.pending.codes.resize(self.pending.levels.len() * words + words, 0);
        self.pending.levels.push(level);
        self.pending.tids.push(tid);
        self.fed += 1;
        if self.pending.levels.len() == CHUNK {
            self.publish();
        }
        Ok(true)
    }

    /// Rows taken so far.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// Bytes accounted for so far.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Links what was fed on this thread, for builds without workers.
    pub fn work_here(&mut self, scratch: &mut Scratch<Stamps>) -> Result<()> {
        while let Some((from, to)) = self.job.take(false) {
            self.job.link(from, to, scratch)?;
        }
        Ok(())
    }

    fn publish(&mut self) {
        if !self.pending.levels.is_empty() {
            self.job.publish(self.chunks, std::mem::take(&mut self.pending));
            self.chunks += 1;
        }
    }

    /// No more rows will come: workers end when all is linked.
    pub fn close(&mut self) {
        self.publish();
        lock(&self.job.queue).closed = true;
        self.job.changed.notify_all();
    }

    /// Writes a closed and finished build into an empty store. Nothing else may use the store meanwhile.
    pub fn flush<S: PageStore>(&self, store: &S) -> Result<()> {
        if !self.job.is_done() {
            return Err(Error::Cancelled);
        }
        write(&self.job.arena, lock(&self.job.queue).published, store)
    }
}

/// Writes an index without elements into an empty store.
pub fn write_empty<S: PageStore>(meta: &Meta, store: &S) -> Result<()> {
    let mut page = [0; PAGE_SIZE];
    meta.write(&mut page);
    store.append(&page)
}

/// Numbers the elements as they will lie on pages: in the order they came, as many on a node page as its upper slots allow.
fn number(arena: &Arena, count: u32) -> (Vec<u32>, Vec<Vec<(u32, usize)>>) {
    let geometry = &arena.meta.geometry;
    let mut numbers = vec![format::NONE; count as usize];
    let mut pages: Vec<Vec<(u32, usize)>> = Vec::new();
    let (mut used, mut uppers) = (0, 0);
    for id in (0..count).filter(|id| !arena.inner(*id).tids.is_empty()) {
        let level = usize::from(arena.level(id));
        let slots = geometry.slots(4 * arena.code(id).len());
        if pages.is_empty() || used + slots > geometry.nodes || uppers + level > geometry.uppers {
            pages.push(Vec::new());
            (used, uppers) = (0, 0);
        }
        let node_page = pages.len() as u32 - 1;
        pages[node_page as usize].push((id, used));
        numbers[id as usize] = geometry.id(node_page, used);
        used += slots;
        uppers += level;
    }
    (numbers, pages)
}

fn write<S: PageStore>(arena: &Arena, count: u32, store: &S) -> Result<()> {
    let (numbers, node_pages) = number(arena, count);
    let geometry = arena.meta.geometry;
    let mut meta = arena.meta;
    if let Some((entry, level)) = arena.entry() {
        meta.entry = numbers[entry as usize];
        meta.entry_level = level;
    }
    meta.insert_hint = (node_pages.len() as u32).saturating_sub(1);
    write_empty(&meta, store)?;
    for (group, members) in node_pages.chunks(geometry.node_pages).enumerate() {
        store.poll()?;
        let first = (group * geometry.node_pages) as u32;
        let mut pages = vec![vec![0; PAGE_SIZE]; geometry.group_blocks() as usize];
        let start = geometry.node_block(first);
        for (node_page, members) in (first..).zip(members) {
            let block = geometry.node_block(node_page);
            let mut nodes = NodesMut::new(&mut pages[(block - start) as usize], &geometry, block)?;
            for (id, slot) in members {
                let inner = arena.inner(*id);
                nodes.occupy(*slot, geometry.slots(4 * arena.code(*id).len()), arena.level(*id), &inner.tids);
                for (layer, list) in inner.lists.iter().enumerate() {
                    let link = |link: &Link| (link.on_disk() & format::PROTECTED) | numbers[link.id as usize];
                    nodes.set_links(*slot, layer as u8, &list.iter().map(link).collect::<Vec<u32>>());
                }
            }
            for (id, slot) in members {
                let code = arena.code(*id);
                let (part, rest) = geometry.code_parts(geometry.id(node_page, *slot), 4 * code.len());
                let (head, tail) = code.split_at(part.len / size_of::<u32>());
                for (part, words) in std::iter::once((part, head)).chain(rest.map(|rest| (rest, tail))) {
                    format::put_words(&mut pages[(part.block - start) as usize], part, words)?;
                }
            }
        }
        for page in pages {
            store.append(&page)?;
        }
    }
    Ok(())
}
