//! The graph in memory, which threads build in parallel.
//!
//! Elements are in chunks that never move: the feeder fills a chunk and publishes it, then any worker may link its
//! elements. Walks read links without a lock; a writer holds the element's lock, never two at a time.

mod chunk;
mod order;
mod walk;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::Result;
use crate::distance::prefetch;
use crate::hnsw::format::Meta;
use crate::hnsw::search::Candidate;
use crate::hnsw::select::{Link, select_into, victim, weigh};
use crate::hnsw::tree::{self, Parents};
use crate::memory::Memory;
use crate::pace::Pace;
use crate::page::Tid;
use crate::space::{Form, Measure};

pub(crate) use chunk::{CHUNK, Chunk, MAX_ELEMENTS, Pending};
use chunk::{List, MERGED};
pub(crate) use order::order;
pub(crate) use walk::Walker;

/// Chunks of a segment.
const SEGMENT: usize = 512;
/// Number of locks, which elements share: no thread ever holds two.
const LOCKS: usize = 1024;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Segment = Box<[OnceLock<Chunk>]>;

/// A graph in memory.
pub struct Arena {
    pub(crate) meta: Meta,
    measure: Measure,
    /// Words of a code; 0 if each has its own length.
    words: usize,
    /// Words from the start of one code to that of the next.
    stride: usize,
    segments: Box<[OnceLock<Segment>]>,
    locks: Box<[Mutex<()>]>,
    entry: RwLock<Option<(u32, u8)>>,
}

impl Arena {
    /// An empty graph.
    pub(crate) fn new(meta: Meta, memory: &mut Memory) -> Self {
        let words = if meta.space.form == Form::Sparse { 0 } else { meta.space.max_code_bytes() / 4 };
        let segments = MAX_ELEMENTS as usize / (CHUNK * SEGMENT) + 1;
        memory.count(segments * size_of::<OnceLock<Segment>>() + LOCKS * size_of::<Mutex<()>>());
        Self {
            meta,
            measure: meta.space.measure(),
            words,
            stride: stride(words),
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            entry: RwLock::new(None),
        }
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Publishes the elements of a chunk, to be linked later. Only the feeder calls it, chunk after chunk.
    pub(crate) fn publish(&self, number: usize, pending: &mut Pending, memory: &mut Memory) -> Result<()> {
        let chunk = Chunk::new(pending, &self.meta, memory)?;
        if number.is_multiple_of(SEGMENT) {
            memory.count(SEGMENT * size_of::<OnceLock<Chunk>>());
        }
        let segment = self.segments[number / SEGMENT].get_or_init(|| (0..SEGMENT).map(|_| OnceLock::new()).collect());
        let _ = segment[number % SEGMENT].set(chunk);
        Ok(())
    }

    /// The chunk of an element and its place there.
    #[inline(always)]
    fn chunk(&self, id: u32) -> (&Chunk, usize) {
        let number = id as usize / CHUNK;
        let segment = self.segments[number / SEGMENT].get().as_slice()[0]; // only published elements are known
        (segment[number % SEGMENT].get().as_slice()[0], id as usize % CHUNK)
    }

    /// The code of an element.
    #[inline(always)]
    pub(crate) fn code(&self, id: u32) -> &[u32] {
        let (chunk, at) = self.chunk(id);
        if self.words > 0 {
            let start = at * self.stride;
            return &chunk.codes()[start..start + self.words];
        }
        let (start, end) = chunk.stretch(at);
        &chunk.codes()[start..end]
    }

    pub(crate) fn level(&self, id: u32) -> u8 {
        let (chunk, at) = self.chunk(id);
        chunk.level(at)
    }

    #[inline(always)]
    fn list(&self, id: u32, layer: u8) -> List<'_> {
        let (chunk, at) = self.chunk(id);
        chunk.list(at, layer)
    }

    /// Appends the links of an element. They must not change any more.
    pub(crate) fn links(&self, id: u32, layer: u8, out: &mut Vec<Link>) {
        self.list(id, layer).read(out);
    }

    /// Whether the element's row belongs to another one.
    pub(crate) fn is_merged(&self, id: u32) -> bool {
        let (chunk, at) = self.chunk(id);
        chunk.merged(at).load(Ordering::Relaxed) == MERGED
    }

    /// Number of rows of an element, once all is linked.
    pub(crate) fn tid_count(&self, id: u32) -> usize {
        let (chunk, at) = self.chunk(id);
        chunk.merged(at).load(Ordering::Relaxed) as usize + 1
    }

    /// The rows of an element, once all is linked.
    pub(crate) fn tids(&self, id: u32) -> impl Iterator<Item = Tid> {
        let next = |id: u32| {
            let (chunk, at) = self.chunk(id);
            chunk.next(at).load(Ordering::Relaxed).checked_sub(1)
        };
        std::iter::successors(Some(id), move |id| next(*id)).map(|id| {
            let (chunk, at) = self.chunk(id);
            chunk.tid(at)
        })
    }

    /// Sets the number that an element will have on disk.
    pub(crate) fn set_number(&self, id: u32, number: u32) {
        let (chunk, at) = self.chunk(id);
        chunk.number(at).store(number, Ordering::Relaxed);
    }

    /// The number that an element will have on disk.
    pub(crate) fn number(&self, id: u32) -> u32 {
        let (chunk, at) = self.chunk(id);
        chunk.number(at).load(Ordering::Relaxed)
    }

    /// The entry point and its level.
    pub(crate) fn entry(&self) -> Option<(u32, u8)> {
        *self.entry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, id: u32) -> MutexGuard<'_, ()> {
        lock(&self.locks[id as usize % LOCKS])
    }

    fn between(&self, a: u32, b: u32, pace: &Pace<'_>) -> Result<f32> {
        let a = self.code(a);
        pace.spend(4 * a.len())?;
        Ok(self.measure.distance(a, self.code(b)))
    }

    /// Links a published element, or merges it into an equal one. Called once for each, from any thread. After a cancel,
    /// which `pace` returns as an error, the graph must not be used.
    pub(crate) fn insert(&self, id: u32, walker: &mut Walker, pace: &Pace<'_>) -> Result<()> {
        let level = self.level(id);
        if let Some(entry) = self.entry()
            && level <= entry.1
        {
            self.link(id, level, entry, walker, pace)?;
            return Ok(());
        }
        // The element becomes the entry point, which no other thread may move meanwhile.
        let mut entry = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        match *entry {
            None => *entry = Some((id, level)),
            Some(old) => {
                if self.link(id, level, old, walker, pace)? && level > old.1 {
                    *entry = Some((id, level));
                }
            }
        }
        Ok(())
    }

    /// Searches for the elements nearest to one that is linked, as its insert did, without itself.
    pub(crate) fn near(&self, id: u32, walker: &mut Walker, pace: &Pace<'_>) -> Result<()> {
        walker.found.clear();
        if let Some(entry) = self.entry() {
            let code = self.code(id);
            walker.descend(self, code, entry, 0, pace)?;
            walker.search(self, code, 0, self.meta.ef_construction, pace)?;
            walker.found.retain(|candidate| candidate.id != id);
        }
        Ok(())
    }

    /// Links the element, or merges it into an equal one. Returns false if it was merged.
    fn link(&self, id: u32, level: u8, entry: (u32, u8), walker: &mut Walker, pace: &Pace<'_>) -> Result<bool> {
        let code = self.code(id);
        walker.descend(self, code, entry, level, pace)?;
        // Links of the layers, one layer's after the other's, from the highest down.
        let mut chosen: Vec<(u8, Link)> = Vec::new();
        for layer in (0..=level.min(entry.1)).rev() {
            walker.search(self, code, layer, self.meta.ef_construction, pace)?;
            if layer == 0 && self.merge_duplicate(id, code, &walker.found) {
                return Ok(false);
            }
            let list = self.list(id, layer);
            let between = |a, b| self.between(a, b, pace);
            select_into(&walker.found, list.capacity(), between, &mut walker.links, &mut walker.pruned)?;
            // Above layer 0 no walk reaches the element before another one links back to it.
            for (at, link) in walker.links.iter().enumerate() {
                list.write(at, link);
                chosen.push((layer, *link));
            }
        }
        let Walker { found, list, .. } = walker;
        let mut new = Insert { arena: self, id, list, pace };
        tree::find_parent(&mut new, found, self.meta.geometry.tree_capacity(), id)?;
        for (at, (layer, link)) in chosen.iter().enumerate() {
            if let Some((layer, link)) = chosen.get(at + 2) {
                let list = self.list(link.id, *layer);
                prefetch(list.links);
                prefetch(list.distances());
            }
            self.link_back(link.id, *layer, id, link.distance, false, &mut walker.list, pace)?;
        }
        Ok(true)
    }

    /// Adds the row to an element with the same code, if there is one.
    fn merge_duplicate(&self, id: u32, code: &[u32], found: &[Candidate]) -> bool {
        let own = self.measure.distance(code, code);
        for candidate in found.iter().filter(|candidate| candidate.distance == own) {
            if self.code(candidate.id) != code {
                continue;
            }
            let _lock = self.lock(candidate.id);
            let ((twin, twin_at), (chunk, at)) = (self.chunk(candidate.id), self.chunk(id));
            let rows = twin.merged(twin_at).load(Ordering::Relaxed);
            if rows == MERGED {
                continue;
            }
            twin.merged(twin_at).store(rows + 1, Ordering::Relaxed);
            let first = twin.next(twin_at).swap(id + 1, Ordering::Relaxed);
            chunk.next(at).store(first, Ordering::Relaxed);
            chunk.merged(at).store(MERGED, Ordering::Relaxed);
            return true;
        }
        false
    }

    fn protect(&self, id: u32, parent: u32, distance: f32, links: &mut Vec<Link>) {
        let _lock = self.lock(id);
        let list = self.list(id, 0);
        links.clear();
        list.read(links);
        let at = links.iter().position(|link| link.id == parent).unwrap_or(links.len().min(list.capacity() - 1));
        list.write(at, &Link { id: parent, distance, protected: true, pruned: false });
    }

    fn unprotect(&self, id: u32, parent: u32, links: &mut Vec<Link>) {
        let _lock = self.lock(id);
        let list = self.list(id, 0);
        links.clear();
        list.read(links);
        if let Some(at) = links.iter().position(|link| link.id == parent) {
            list.write(at, &Link { protected: false, ..links[at] });
        }
    }

    /// Adds a link from `owner` to `new` if it is good enough. Returns whether it was added.
    #[allow(clippy::too_many_arguments)]
    fn link_back(
        &self,
        owner: u32,
        layer: u8,
        new: u32,
        distance: f32,
        protected: bool,
        links: &mut Vec<Link>,
        pace: &Pace<'_>,
    ) -> Result<bool> {
        let list = self.list(owner, layer);
        let code = self.code(new);
        let _lock = self.lock(owner);
        links.clear();
        list.read(links);
        if links.iter().any(|link| link.id == new) {
            return Ok(true);
        }
        let mut link = Link { id: new, distance, protected, pruned: false };
        weigh(links, &mut link, |other| {
            pace.spend(4 * code.len())?;
            Ok(self.measure.distance(code, self.code(other)))
        })?;
        for (at, _) in links.iter().enumerate().filter(|(_, link)| link.pruned) {
            list.prune(at);
        }
        let at = if links.len() < list.capacity() {
            links.len()
        } else {
            match victim(links, &link) {
                Some(at) => at,
                None => return Ok(false),
            }
        };
        list.write(at, &link);
        Ok(true)
    }
}

/// An element that is linked to a parent.
struct Insert<'a, 'p> {
    arena: &'a Arena,
    id: u32,
    /// A buffer.
    list: &'a mut Vec<Link>,
    pace: &'a Pace<'p>,
}

impl Parents for Insert<'_, '_> {
    type Linked = ();

    fn link(&mut self, parent: u32, distance: Option<f32>, capacity: usize) -> Result<Option<()>> {
        let Self { arena, id, list, pace } = self;
        pace.spend(0)?;
        list.clear();
        arena.list(parent, 0).read(list);
        if parent == *id || list.iter().filter(|link| link.protected).count() >= capacity {
            return Ok(None);
        }
        let distance = distance.map_or_else(|| arena.between(*id, parent, pace), Ok)?;
        // The link to the parent first: no walk reaches the element until the parent links to it.
        arena.protect(*id, parent, distance, list);
        if arena.link_back(parent, 0, *id, distance, true, list, pace)? {
            return Ok(Some(()));
        }
        arena.unprotect(*id, parent, list);
        Ok(None)
    }

    fn links(&mut self, id: u32, out: &mut Vec<u32>) -> Result<bool> {
        self.list.clear();
        self.arena.list(id, 0).read(self.list);
        out.extend(self.list.iter().map(Link::on_disk));
        Ok(true)
    }

    fn poll(&self) -> Result<()> {
        self.pace.check()
    }
}

/// Words from the start of a code to that of the next, rounded up to whole cache lines if that costs little.
fn stride(words: usize) -> usize {
    let lines = words.next_multiple_of(16);
    if lines - words <= words / 8 { lines } else { words }
}
