//! The rows of a build: codes, and which list each belongs to. They lie in chunks that never move.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use crate::Result;
use crate::memory::{Block, Memory};
use crate::page::Tid;

/// Approximate bytes of the codes of a chunk.
const CHUNK: usize = 256 << 10;
/// Words of a row's identifier.
const TID: usize = 2;

/// The rows of a chunk: codes, then identifiers, then a cell for each row's list.
struct Chunk {
    block: Block,
}

/// The rows of a build, which its threads share.
pub(crate) struct Rows {
    words: usize,
    /// Number of rows of a chunk.
    size: usize,
    chunks: RwLock<Vec<Arc<Chunk>>>,
}

impl Rows {
    pub fn new(words: usize) -> Self {
        Self { words, size: (CHUNK / (4 * words)).clamp(4, 4096), chunks: RwLock::default() }
    }

    /// Number of rows of a chunk.
    pub fn chunk_rows(&self) -> usize {
        self.size
    }

    fn chunk(&self, row: u32) -> Option<Arc<Chunk>> {
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        chunks.get(row as usize / self.size).cloned()
    }

    /// Calls `f` with the codes of some rows of one chunk, which returns the list of each.
    pub fn assign(&self, rows: std::ops::Range<u32>, mut f: impl FnMut(&[u32]) -> Result<u32>) -> Result<()> {
        let Some(chunk) = self.chunk(rows.start) else { return Ok(()) };
        for row in rows {
            let at = row as usize % self.size;
            let list = f(&chunk.block.plain()[at * self.words..(at + 1) * self.words])?;
            chunk.block.cells()[at].store(list, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The lists of the first so many rows.
    pub fn lists(&self, count: u32) -> impl Fn(usize) -> usize {
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let size = self.size;
        debug_assert!(count as usize <= chunks.len() * size);
        move |row| chunks[row / size].block.cells()[row % size].load(Ordering::Relaxed) as usize
    }

    /// Calls `f` with a row.
    pub fn row<T>(&self, row: u32, f: impl FnOnce(&[u32], Tid) -> T) -> Option<T> {
        let (chunk, at) = (self.chunk(row)?, row as usize % self.size);
        let (codes, tids) = chunk.block.plain().split_at(self.size * self.words);
        let tid = Tid::from(tids[TID * at]) << 32 | Tid::from(tids[TID * at + 1]);
        Some(f(&codes[at * self.words..(at + 1) * self.words], tid))
    }
}

/// The chunk that is being filled.
#[derive(Default)]
pub(crate) struct Pending {
    block: Option<Block>,
    pub len: usize,
}

impl Pending {
    /// Adds a row. There must be room.
    pub fn push(&mut self, rows: &Rows, code: &[u32], tid: Tid, memory: &mut Memory) -> Result<()> {
        let block = match &mut self.block {
            Some(block) => block,
            None => self.block.insert(memory.block(rows.size * (rows.words + TID), rows.size)?),
        };
        let (codes, tids) = block.plain_mut().split_at_mut(rows.size * rows.words);
        codes[self.len * rows.words..(self.len + 1) * rows.words].copy_from_slice(code);
        tids[TID * self.len..TID * (self.len + 1)].copy_from_slice(&[(tid >> 32) as u32, tid as u32]);
        self.len += 1;
        Ok(())
    }

    /// Publishes the chunk to the threads.
    pub fn publish(&mut self, rows: &Rows) {
        if let Some(block) = self.block.take() {
            rows.chunks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(Chunk { block }));
        }
        self.len = 0;
    }
}
