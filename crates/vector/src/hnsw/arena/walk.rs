//! Searching the arena: Algorithm 2 of the HNSW paper as in [`crate::hnsw::search`], for many short walks in memory.
//!
//! Candidates are in one sorted array instead of two heaps, which is faster for the few dozen of `ef_construction`.

use crate::Result;
use crate::distance::prefetch;
use crate::hnsw::arena::Arena;
use crate::hnsw::search::{Candidate, beam};
use crate::hnsw::select::Link;
use crate::hnsw::set::Visited;
use crate::memory::reserved;
use crate::pace::Pace;

/// Number of codes that are prefetched.
const AHEAD: usize = 4;

/// Buffers that searches reuse, so that they do not allocate; one for each thread.
#[derive(Default)]
pub(crate) struct Walker {
    visited: Visited,
    pool: Vec<u64>,
    ids: Vec<u32>,
    /// The elements that the last search found, nearest first.
    pub found: Vec<Candidate>,
    /// Buffers for the choice of links.
    pub links: Vec<Link>,
    pub pruned: Vec<Link>,
    pub list: Vec<Link>,
}

/// The lowest bit of a candidate, which is a number that orders by distance: its links have been followed.
const FOLLOWED: u64 = 1;

#[inline]
fn entry(distance: f32, id: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(id) << 1
}

#[inline]
fn candidate(entry: u64) -> Candidate {
    let ordered = (entry >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    Candidate { distance: f32::from_bits(bits), id: entry as u32 >> 1, live: true }
}

impl Walker {
    /// Searches from the entry point down to the layer above `level`, for [`Self::found`].
    pub fn descend(&mut self, arena: &Arena, code: &[u32], top: (u32, u8), level: u8, pace: &Pace<'_>) -> Result<()> {
        let distance = arena.measure.distance(code, arena.code(top.0));
        self.found.clear();
        self.found.push(Candidate { distance, id: top.0, live: true });
        for layer in (level + 1..=top.1).rev() {
            self.search(arena, code, layer, beam(layer, arena.meta.ef_construction), pace)?;
        }
        Ok(())
    }

    /// Searches a layer for the `ef` elements nearest to a code, from those that were found last.
    pub fn search(&mut self, arena: &Arena, code: &[u32], layer: u8, ef: usize, pace: &Pace<'_>) -> Result<()> {
        let Self { visited, pool, ids, found, .. } = self;
        visited.clear();
        pool.clear();
        for near in found.iter().take(ef) {
            visited.insert(near.id);
            pool.push(entry(near.distance, near.id));
        }
        pool.sort_unstable();
        let mut next = 0;
        while next < pool.len() {
            if pool[next] & FOLLOWED != 0 {
                next += 1;
                continue;
            }
            pool[next] |= FOLLOWED;
            ids.clear();
            ids.extend(arena.list(pool[next] as u32 >> 1, layer).targets().filter(|id| visited.insert(*id)));
            reserved(visited.outcome())?;
            pace.spend(4 * code.len() * ids.len())?;
            // If nothing nearer is found, the links of this one are read next.
            if let Some(second) = pool.get(next + 1) {
                prefetch(arena.list(*second as u32 >> 1, layer).links);
            }
            for id in ids.iter().take(AHEAD) {
                prefetch(arena.code(*id));
            }
            for (i, id) in ids.iter().enumerate() {
                if let Some(ahead) = ids.get(i + AHEAD) {
                    prefetch(arena.code(*ahead));
                }
                let new = entry(arena.measure.distance(code, arena.code(*id)), *id);
                if pool.len() == ef {
                    if pool.last().is_some_and(|worst| new >= *worst) {
                        continue;
                    }
                    pool.pop();
                }
                let at = pool.partition_point(|there| *there < new);
                pool.insert(at, new);
                if at <= next {
                    next = at;
                    prefetch(arena.list(*id, layer).links);
                }
            }
        }
        found.clear();
        found.extend(pool.iter().map(|entry| candidate(*entry)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_the_order_of_distances() {
        let distances = [f32::MIN, -1.5, -0.0, 0.0, 1e-30, 2.0, f32::MAX];
        let entries: Vec<u64> = distances.iter().map(|distance| entry(*distance, 0x3FFF_FFFE)).collect();
        assert!(entries.is_sorted());
        for (distance, entry) in distances.iter().zip(&entries) {
            let back = candidate(*entry | FOLLOWED);
            assert_eq!((back.distance.to_bits(), back.id), (distance.to_bits(), 0x3FFF_FFFE));
        }
    }
}
