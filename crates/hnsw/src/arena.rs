//! The graph in memory, which many threads build at once.
//!
//! Elements lie in chunks that never move: the feeder fills a chunk and publishes it, then any worker may link its
//! elements. Walks read the links of layer 0 without a lock; a writer holds the element's own lock, never two at a time.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::Result;
use crate::format::{MAX_TIDS, Meta, NONE, Tid};
use crate::graph::Graph;
use crate::search::{Candidate, Scratch, Stamps, descend, search_layer};
use crate::select::{Link, select, victim, weigh};
use crate::space::Measure;

/// Elements of a chunk.
pub(crate) const CHUNK: usize = 128;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an element's lock protects.
#[derive(Default)]
pub(crate) struct Inner {
    /// Its rows. None: it was folded into an equal one.
    pub tids: Vec<Tid>,
    /// Its links, layer by layer from 0.
    pub lists: Vec<Vec<Link>>,
}

pub(crate) struct Chunk {
    codes: Vec<u32>,
    levels: Vec<u8>,
    /// Links of layer 0, `2 * m` each, filled up with [`NONE`]: the copy that walks read.
    ground: Vec<AtomicU32>,
    inner: Vec<Mutex<Inner>>,
}

/// What the feeder gathers until a chunk is full.
#[derive(Default)]
pub(crate) struct Pending {
    pub codes: Vec<u32>,
    pub levels: Vec<u8>,
    pub tids: Vec<Tid>,
}

/// A graph in memory.
pub struct Arena {
    pub(crate) meta: Meta,
    measure: Measure,
    words: usize,
    chunks: Vec<OnceLock<Chunk>>,
    entry: RwLock<Option<(u32, u8)>>,
}

impl Arena {
    /// Room for `max_chunks` chunks; they are allocated when filled.
    pub(crate) fn new(meta: Meta, max_chunks: usize) -> Self {
        Self {
            meta,
            words: meta.space.max_code_bytes() / 4,
            measure: meta.space.measure(),
            chunks: (0..max_chunks).map(|_| OnceLock::new()).collect(),
            entry: RwLock::new(None),
        }
    }

    /// Bytes that a chunk takes whose elements all are on layer 0 only.
    pub(crate) fn chunk_bytes(meta: &Meta) -> usize {
        let lists = 2 * meta.m * (size_of::<u32>() + size_of::<Link>()) + size_of::<Vec<Link>>();
        let element = meta.space.max_code_bytes() + lists + size_of::<Mutex<Inner>>() + 2 * size_of::<Tid>() + 1 + 48;
        CHUNK * element // 48: what the allocator adds to three small blocks
    }

    /// Bytes that each layer above 0 adds to an element.
    pub(crate) fn layer_bytes(meta: &Meta) -> usize {
        meta.m * size_of::<Link>() + size_of::<Vec<Link>>() + 16
    }

    /// Makes the elements of a chunk known; they are linked later.
    pub(crate) fn publish(&self, chunk: usize, pending: Pending) {
        let Pending { codes, levels, tids } = pending;
        let cells = levels.len() * 2 * self.meta.m;
        let inner = tids.into_iter().map(|tid| Mutex::new(Inner { tids: vec![tid], lists: Vec::new() })).collect();
        let ground = (0..cells).map(|_| AtomicU32::new(NONE)).collect();
        // A chunk is published once, by the only feeder.
        let _ = self.chunks[chunk].set(Chunk { codes, levels, ground, inner });
    }

    fn chunk(&self, id: u32) -> (&Chunk, usize) {
        static NOTHING: Chunk =
            Chunk { codes: Vec::new(), levels: Vec::new(), ground: Vec::new(), inner: Vec::new() };
        (self.chunks[id as usize / CHUNK].get().unwrap_or(&NOTHING), id as usize % CHUNK)
    }

    /// The code of an element.
    #[inline]
    pub(crate) fn code(&self, id: u32) -> &[u32] {
        let (chunk, at) = self.chunk(id);
        let words = self.words;
        &chunk.codes[at * words..(at + 1) * words]
    }

    pub(crate) fn level(&self, id: u32) -> u8 {
        let (chunk, at) = self.chunk(id);
        chunk.levels[at]
    }

    pub(crate) fn inner(&self, id: u32) -> MutexGuard<'_, Inner> {
        let (chunk, at) = self.chunk(id);
        lock(&chunk.inner[at])
    }

    /// Where walks begin.
    pub(crate) fn entry(&self) -> Option<(u32, u8)> {
        *self.entry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ground(&self, id: u32) -> &[AtomicU32] {
        let (chunk, at) = self.chunk(id);
        let width = 2 * self.meta.m;
        &chunk.ground[at * width..(at + 1) * width]
    }

    /// Links a published element, or folds it into an equal one. Called once for each, from any thread.
    pub(crate) fn insert(&self, id: u32, scratch: &mut Scratch<Stamps>) -> Result<()> {
        let level = self.level(id);
        if let Some(entry) = self.entry()
            && level <= entry.1
        {
            self.link(id, entry, scratch)?;
            return Ok(());
        }
        // It becomes the entry point: nobody else may move that meanwhile.
        let mut entry = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        match *entry {
            None => {
                self.inner(id).lists = vec![Vec::new(); usize::from(level) + 1];
                *entry = Some((id, level));
            }
            Some(old) => {
                if self.link(id, old, scratch)? && level > old.1 {
                    *entry = Some((id, level));
                }
            }
        }
        Ok(())
    }

    /// False when the element was folded.
    fn link(&self, id: u32, entry: (u32, u8), scratch: &mut Scratch<Stamps>) -> Result<bool> {
        let code = self.code(id);
        let level = self.level(id);
        let mut near = descend(self, code, entry, level, scratch)?;
        let mut lists = vec![Vec::new(); usize::from(level) + 1];
        for layer in (0..=level.min(entry.1)).rev() {
            let found = search_layer(self, code, &near, self.meta.ef_construction, layer, scratch)?;
            if layer == 0 && self.fold(id, code, &found) {
                return Ok(false);
            }
            lists[usize::from(layer)] = select(&found, self.meta.geometry.capacity(layer), |a, b| self.between(a, b))?;
            near = found;
        }
        let chosen = lists.clone();
        for (cell, link) in self.ground(id).iter().zip(&lists[0]) {
            cell.store(link.id, Ordering::Release);
        }
        self.inner(id).lists = lists;
        self.adopt(id, &near)?;
        for (layer, links) in chosen.iter().enumerate().rev() {
            for link in links {
                self.link_back(link.id, layer as u8, id, link.distance, false)?;
            }
        }
        Ok(true)
    }

    /// Adds the row to an element with the same code, if there is one with room.
    fn fold(&self, id: u32, code: &[u32], found: &[Candidate]) -> bool {
        let own = self.measure.distance(code, code);
        for candidate in found.iter().filter(|candidate| candidate.distance == own) {
            if self.code(candidate.id) != code {
                continue;
            }
            let Some(tid) = self.inner(id).tids.first().copied() else { return false };
            let mut twin = self.inner(candidate.id);
            if twin.tids.is_empty() || twin.tids.len() >= MAX_TIDS {
                continue;
            }
            twin.tids.push(tid);
            drop(twin);
            self.inner(id).tids.clear();
            return true;
        }
        false
    }

    /// Ties the element into the spanning tree: a protected link to a parent and one back. The nearest that has room, else
    /// whoever is found by walking on: a tree has leaves everywhere.
    fn adopt(&self, id: u32, near: &[Candidate]) -> Result<()> {
        let mut seen = HashSet::from([id]);
        let mut queue: VecDeque<u32> = near.iter().map(|candidate| candidate.id).collect();
        while let Some(parent) = queue.pop_front() {
            if !seen.insert(parent) {
                continue;
            }
            let distance = self.between(id, parent)?;
            // Its own side first: nobody can see the element until the parent links to it.
            self.protect(id, parent, distance);
            if self.link_back(parent, 0, id, distance, true)? {
                return Ok(());
            }
            self.unprotect(id, parent);
            if queue.is_empty() {
                let mut further = Vec::new();
                for id in &seen {
                    self.expand(*id, 0, &mut further)?;
                }
                queue.extend(further);
            }
        }
        Ok(())
    }

    fn protect(&self, id: u32, parent: u32, distance: f32) {
        let mut inner = self.inner(id);
        let list = &mut inner.lists[0];
        let link = Link { id: parent, distance, protected: true, pruned: false };
        let at = match list.iter().position(|link| link.id == parent) {
            Some(at) => at,
            None if list.len() < 2 * self.meta.m => {
                list.push(link);
                list.len() - 1
            }
            None => list.len() - 1,
        };
        list[at] = link;
        self.ground(id)[at].store(parent, Ordering::Release);
    }

    fn unprotect(&self, id: u32, parent: u32) {
        if let Some(link) = self.inner(id).lists[0].iter_mut().find(|link| link.id == parent) {
            link.protected = false;
        }
    }

    /// Offers a link from `owner` to `new`. Whether it is there now.
    fn link_back(&self, owner: u32, layer: u8, new: u32, distance: f32, protected: bool) -> Result<bool> {
        let mut inner = self.inner(owner);
        let Some(list) = inner.lists.get_mut(usize::from(layer)) else { return Ok(false) };
        if list.iter().any(|link| link.id == new) {
            return Ok(true);
        }
        let mut link = Link { id: new, distance, protected, pruned: false };
        let code = self.code(new);
        weigh(list, &mut link, |other| Ok(self.measure.distance(code, self.code(other))))?;
        let at = if list.len() < self.meta.geometry.capacity(layer) {
            list.push(link);
            list.len() - 1
        } else {
            match victim(list, &link) {
                Some(at) => {
                    list[at] = link;
                    at
                }
                None => return Ok(false),
            }
        };
        if layer == 0 {
            self.ground(owner)[at].store(new, Ordering::Release);
        }
        Ok(true)
    }
}

impl Graph for Arena {
    #[inline]
    fn distances(&self, query: &[u32], ids: &[u32], out: &mut Vec<f32>) -> Result<()> {
        out.extend(ids.iter().map(|id| self.measure.distance(query, self.code(*id))));
        Ok(())
    }

    #[inline]
    fn expand(&self, id: u32, level: u8, out: &mut Vec<u32>) -> Result<bool> {
        if level == 0 {
            let links = self.ground(id).iter().map(|cell| cell.load(Ordering::Acquire));
            out.extend(links.take_while(|id| *id != NONE));
        } else if let Some(list) = self.inner(id).lists.get(usize::from(level)) {
            out.extend(list.iter().map(|link| link.id));
        }
        Ok(true)
    }

    #[inline]
    fn between(&self, a: u32, b: u32) -> Result<f32> {
        Ok(self.measure.distance(self.code(a), self.code(b)))
    }
}
