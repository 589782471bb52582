//! A chunk of elements, in one [`Block`].
//!
//! ```text
//! plain: codes | facts (tid, tid, level and first upper list, start of the code) of each element
//! cells: links of layer 0 | their distances | state of each element | upper lists: links | distances
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;
use crate::hnsw::format::{Meta, PROTECTED};
use crate::hnsw::select::Link;
use crate::memory::{Block, Memory, reserved};
use crate::page::Tid;

/// Number of elements of a chunk.
pub(crate) const CHUNK: usize = 512;

/// The second highest bit of a link, next to [`PROTECTED`]: Algorithm 4 would prune the link, because another one leads near its
/// target.
const PRUNED: u32 = 0x4000_0000;
/// Maximum number of elements of an arena: the bits of a link that are left.
pub(crate) const MAX_ELEMENTS: u32 = PRUNED - 1;

const FACTS: usize = 4;
const STATES: usize = 3;

/// Rows that the feeder gathers until a chunk is full.
#[derive(Default)]
pub(crate) struct Pending {
    codes: Vec<u32>,
    /// As in the chunk.
    facts: Vec<[u32; FACTS]>,
    lists: u32,
}

impl Pending {
    pub fn push(&mut self, code: &[u32], level: u8, tid: Tid, stride: usize) -> Result<()> {
        reserved(self.facts.try_reserve(1))?;
        reserved(self.codes.try_reserve(code.len().max(stride)))?;
        let facts = [tid as u32, (tid >> 32) as u32, self.lists << 8 | u32::from(level), self.codes.len() as u32];
        self.facts.push(facts);
        self.codes.extend_from_slice(code);
        let padded = self.codes.len().max(self.facts.len() * stride);
        self.codes.resize(padded, 0);
        self.lists += u32::from(level);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        4 * self.codes.capacity() + size_of::<[u32; FACTS]>() * self.facts.capacity()
    }
}

pub(crate) struct Chunk {
    block: Block,
    len: usize,
    /// Where the facts begin in the plain words.
    facts: usize,
    m: usize,
}

impl Chunk {
    /// Makes a chunk of the pending rows, and empties those.
    pub fn new(pending: &mut Pending, meta: &Meta, memory: &mut Memory) -> Result<Self> {
        let (len, facts, m) = (pending.len(), pending.codes.len(), meta.m);
        let cells = len * (4 * m + STATES) + pending.lists as usize * 2 * m;
        let mut block = memory.block(facts + len * FACTS, cells)?;
        let (codes, rest) = block.plain_mut().split_at_mut(facts);
        codes.copy_from_slice(&pending.codes);
        rest.copy_from_slice(pending.facts.as_flattened());
        pending.codes.clear();
        pending.facts.clear();
        pending.lists = 0;
        Ok(Self { block, len, facts, m })
    }

    /// All codes.
    #[inline]
    pub fn codes(&self) -> &[u32] {
        self.block.plain()
    }

    #[inline]
    fn fact(&self, at: usize, which: usize) -> u32 {
        self.block.plain()[self.facts + at * FACTS + which]
    }

    /// Start and end of a code, without reading the code, which may not be in the processor's cache.
    #[inline]
    pub fn stretch(&self, at: usize) -> (usize, usize) {
        let end = if at + 1 < self.len { self.fact(at + 1, 3) as usize } else { self.facts };
        (self.fact(at, 3) as usize, end)
    }

    #[inline]
    pub fn level(&self, at: usize) -> u8 {
        self.fact(at, 2) as u8
    }

    pub fn tid(&self, at: usize) -> Tid {
        u64::from(self.fact(at, 0)) | u64::from(self.fact(at, 1)) << 32
    }

    /// The links of an element on a layer; empty if the element is not on that layer.
    #[inline]
    pub fn list(&self, at: usize, layer: u8) -> List<'_> {
        let (m, cells) = (self.m, self.block.cells());
        if layer == 0 {
            let width = 2 * m;
            let distances = (self.len + at) * width;
            return List {
                links: &cells[at * width..(at + 1) * width],
                distances: &cells[distances..distances + width],
            };
        }
        let fact = self.fact(at, 2);
        if layer > fact as u8 {
            return List { links: &[], distances: &[] };
        }
        let list = (fact >> 8) as usize + usize::from(layer) - 1;
        let start = self.len * (4 * m + STATES) + list * 2 * m;
        let (links, distances) = cells[start..start + 2 * m].split_at(m);
        List { links, distances }
    }

    fn state(&self, at: usize, which: usize) -> &AtomicU32 {
        &self.block.cells()[self.len * (4 * self.m + which) + at]
    }

    /// Number of rows that were merged into this element; [`MERGED`] if it was merged itself. Changed under its lock.
    pub fn merged(&self, at: usize) -> &AtomicU32 {
        self.state(at, 0)
    }

    /// The first element that was merged into this one, or the next one in the list of another: its number plus one.
    pub fn next(&self, at: usize) -> &AtomicU32 {
        self.state(at, 1)
    }

    /// The number that the element will have on disk.
    pub fn number(&self, at: usize) -> &AtomicU32 {
        self.state(at, 2)
    }
}

/// In [`Chunk::merged`]: the element's row belongs to another one.
pub(crate) const MERGED: u32 = u32::MAX;

/// The links of an element on a layer, with a cell for each possible link. A link is its target plus one, with two flag
/// bits; zero ends the list. Links are changed under the element's lock and read without it.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    pub links: &'a [AtomicU32],
    distances: &'a [AtomicU32],
}

impl<'a> List<'a> {
    /// The targets.
    #[inline]
    pub fn targets(self) -> impl Iterator<Item = u32> + 'a {
        let links = self.links.iter().map(|cell| cell.load(Ordering::Acquire)).take_while(|link| *link != 0);
        links.map(|link| (link & !(PROTECTED | PRUNED)) - 1)
    }

    pub fn capacity(self) -> usize {
        self.links.len()
    }

    /// Appends all links.
    pub fn read(self, out: &mut Vec<Link>) {
        for (link, distance) in self.links.iter().zip(self.distances) {
            let link = link.load(Ordering::Relaxed);
            if link == 0 {
                break;
            }
            out.push(Link {
                id: (link & !(PROTECTED | PRUNED)) - 1,
                distance: f32::from_bits(distance.load(Ordering::Relaxed)),
                protected: link & PROTECTED != 0,
                pruned: link & PRUNED != 0,
            });
        }
    }

    pub fn write(self, at: usize, link: &Link) {
        let bits = if link.protected { PROTECTED } else { 0 } | if link.pruned { PRUNED } else { 0 };
        self.distances[at].store(link.distance.to_bits(), Ordering::Relaxed);
        self.links[at].store((link.id + 1) | bits, Ordering::Release);
    }

    /// Marks a link as pruned.
    pub fn prune(self, at: usize) {
        let link = self.links[at].load(Ordering::Relaxed);
        if link & PRUNED == 0 {
            self.links[at].store(link | PRUNED, Ordering::Release);
        }
    }

    /// The cells of the distances, for [`crate::distance::prefetch`].
    pub fn distances(self) -> &'a [AtomicU32] {
        self.distances
    }
}
