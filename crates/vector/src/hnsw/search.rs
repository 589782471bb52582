//! Searching the graph: Algorithms 2 and 5 of the HNSW paper (Malkov and Yashunin, 2018).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::Result;
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::set::IdSet;
use crate::memory::{push, reserved, room};
use crate::store::PageStore;

/// An element and its distance to the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Distance of the metric, which may be negative.
    pub distance: f32,
    /// The element.
    pub id: u32,
    /// Whether it had rows when the search expanded it.
    pub live: bool,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

/// A candidate as one number, which is cheap to compare: in the high half its distance, with the bits changed so that
/// integers have the order of distances, in the low half the element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

impl Key {
    #[inline]
    fn new(distance: f32, id: u32) -> Self {
        let bits = (distance + 0.0).to_bits(); // -0.0 becomes 0.0
        let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Self(u64::from(ordered) << 32 | u64::from(id))
    }

    #[inline]
    fn id(self) -> u32 {
        self.0 as u32
    }

    /// The distance as an integer of the same order.
    #[inline]
    fn distance(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn candidate(self) -> Candidate {
        let ordered = self.distance();
        let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
        Candidate { distance: f32::from_bits(bits), id: self.id(), live: true }
    }
}

/// Buffers that searches reuse, so that they do not allocate.
pub struct Scratch {
    visited: IdSet,
    ids: Vec<u32>,
    linked: Vec<u32>,
    distances: Vec<f32>,
    dead: Vec<u32>,
    open: BinaryHeap<Reverse<Key>>,
    best: BinaryHeap<Key>,
    /// Blocks to which a link led, and elements whose codes are not read yet.
    wanted: IdSet,
    postponed: Vec<u32>,
}

impl Scratch {
    /// The elements that the last walk visited.
    pub(crate) fn visited(&self) -> &IdSet {
        &self.visited
    }

    /// Buffers for a walk over about `expected` elements.
    pub fn new(expected: usize) -> Result<Self> {
        Ok(Self {
            visited: IdSet::new(expected)?,
            ids: Vec::new(),
            linked: Vec::new(),
            distances: Vec::new(),
            dead: Vec::new(),
            open: BinaryHeap::new(),
            best: BinaryHeap::new(),
            wanted: IdSet::new(0)?,
            postponed: Vec::new(),
        })
    }

    /// Forgets what was visited.
    pub(crate) fn clear(&mut self) {
        self.visited.clear();
    }
}

/// Which distances a search computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanMode {
    /// Those of the elements to which the nearest ones link.
    Links,
    /// [Under memory pressure](PageStore::under_memory_pressure), those of all codes on fewer pages.
    ///
    /// Neighbours lie side by side, so on layer 0 whole pages find as much in fewer steps (Wang et al., "Starling", SIGMOD
    /// 2024). In return a page that is not cached is not read until it [seems to be worth it](postpone). On sentence
    /// embeddings that takes a quarter fewer reads for the same recall, and at one `ef` finds more than [`ScanMode::Links`].
    ///
    /// A code to which no link leads may just be written. So this is only for scans that compute the distance of each visible
    /// row from its value.
    Pages,
}

/// Minimum number of codes on a page for which searching whole pages makes up for the pages that are not read.
const CODES: usize = 5;

/// Moves elements from `ids`, which are in ascending order, to `postponed` if their page is not worth a read yet: it is not
/// cached, and only one link has led to it. On layer 0 the links of the nearest elements (`is_near`) are always worth a
/// read. On the layers above, which only lead to the entries of layer 0, only those of the very nearest element are, once
/// nothing else is nearer.
fn postpone<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    ids: &mut Vec<u32>,
    is_near: bool,
    wanted: &mut IdSet,
    postponed: &mut Vec<u32>,
) -> Result<()> {
    wanted.reserve(ids.len(), || graph.store.poll())?;
    reserved(postponed.try_reserve(ids.len()))?;
    let (mut kept, mut from) = (0, 0);
    while from < ids.len() {
        let block = graph.code_block(ids[from]);
        let to = from + ids[from..].iter().take_while(|id| graph.code_block(**id) == block).count();
        let is_wanted = !wanted.insert(block) || to - from > 1;
        if is_near || is_wanted || graph.store.is_cached(block) {
            ids.copy_within(from..to, kept);
            kept += to - from;
        } else {
            postponed.extend_from_slice(&ids[from..to]);
        }
        from = to;
    }
    ids.truncate(kept);
    Ok(())
}

/// Algorithm 2: the `ef` elements of a layer that are nearest to `query`, nearest first, walking from `entries`.
/// Elements without rows are expanded, too, and returned with `live` false; they do not count towards `ef`.
pub fn search_layer<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entries: &[Candidate],
    ef: usize,
    level: u8,
    scratch: &mut Scratch,
) -> Result<Vec<Candidate>> {
    scratch.visited.clear();
    walk(graph, query, entries, ef, level, ScanMode::Links, scratch, |_| Ok(()))
}

/// As [`search_layer`], but goes on from an earlier walk: elements visited since `scratch` was cleared last are not visited
/// again. `discard` is called with each element whose distance was computed and that is not among the `ef` nearest.
#[allow(clippy::too_many_arguments)]
pub(crate) fn walk<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entries: &[Candidate],
    ef: usize,
    level: u8,
    mode: ScanMode,
    scratch: &mut Scratch,
    mut discard: impl FnMut(Candidate) -> Result<()>,
) -> Result<Vec<Candidate>> {
    let Scratch { visited, ids, linked, distances, dead, open, best, wanted, postponed } = scratch;
    wanted.clear();
    postponed.clear();
    dead.clear();
    open.clear();
    best.clear();
    visited.reserve(entries.len(), || graph.store.poll())?;
    for entry in entries {
        visited.insert(entry.id);
        let key = Key::new(entry.distance, entry.id);
        open.push(Reverse(key));
        best.push(key);
    }
    while best.len() > ef {
        best.pop().into_iter().try_for_each(|key| discard(key.candidate()))?;
    }
    // The number of elements that are kept. Until `ef` elements with rows have been expanded, those without rows are kept
    // in addition. After that they are not: each would admit one more from farther away, which is as likely to be without
    // rows, and the walk would visit the whole graph.
    let (mut keep, mut lives) = (ef, 0);
    // Before the first vacuum has freed something, no free slot has a code.
    let was_vacuumed = graph.meta.generation != 0;
    let is_saving = mode == ScanMode::Pages && graph.store.under_memory_pressure();
    let is_whole = is_saving && level == 0;
    let may_postpone = is_saving && (level > 0 || graph.meta.geometry.codes_per_page() >= CODES);
    loop {
        ids.clear();
        match open.pop() {
            // Every element that stays in `best` was in `open` at no more than this bound, so all of them get expanded.
            Some(Reverse(nearest))
                if best.len() < keep || best.peek().is_none_or(|worst| nearest.distance() <= worst.distance()) =>
            {
                visited.reserve(graph.meta.geometry.capacity(level), || graph.store.poll())?;
                let is_new = |id| if is_saving { !visited.contains(id) } else { visited.insert(id) };
                if graph.expand(nearest.id(), level, is_new, ids)? {
                    lives += 1;
                } else {
                    keep += usize::from(lives < ef);
                    push(dead, nearest.id())?;
                }
                if may_postpone {
                    let nearer = best.iter().filter(|other| **other < nearest).count();
                    let is_near = level == 0 && nearer * 4 <= best.len();
                    let waiting = postponed.len();
                    postpone(graph, ids, is_near, wanted, postponed)?;
                    if level > 0 && nearer > 0 {
                        postponed.truncate(waiting);
                    }
                }
            }
            // No open element is nearer, or too few were found: now the postponed ones are worth a read.
            _ if !postponed.is_empty() && (level > 0 || best.len() < keep) => {
                std::mem::swap(ids, postponed);
                ids.sort_unstable();
            }
            _ => break,
        }
        if let Some(Reverse(next)) = open.peek() {
            graph.prefetch(next.id());
        }
        distances.clear();
        linked.clear();
        if is_saving {
            let each = if is_whole { graph.meta.geometry.codes_per_page() / 32 + 2 } else { 1 };
            visited.reserve(ids.len() * each, || graph.store.poll())?;
        }
        if is_whole {
            std::mem::swap(ids, linked);
            graph.page_distances(query, linked, |id| visited.insert(id), ids, distances)?;
        } else {
            if is_saving {
                ids.retain(|id| visited.insert(*id));
            }
            graph.distances(query, ids, distances)?;
        }
        reserved(open.try_reserve(ids.len()))?;
        reserved(best.try_reserve(ids.len()))?;
        for (id, distance) in ids.iter().zip(distances.iter()) {
            let candidate = Key::new(*distance, *id);
            if best.len() >= keep && best.peek().is_none_or(|worst| candidate >= *worst) {
                discard(candidate.candidate())?;
                continue;
            }
            // A free slot has no links, and must not take the place of an element.
            if is_whole
                && was_vacuumed
                && linked.binary_search(id).is_err()
                && !graph.node(*id, |nodes, slot| nodes.is_used(slot))?
            {
                continue;
            }
            if !postponed.is_empty() && level > 0 && best.iter().all(|other| candidate < *other) {
                postponed.clear();
            }
            open.push(Reverse(candidate));
            if best.len() < keep {
                best.push(candidate);
            } else if let Some(mut worst) = best.peek_mut() {
                discard(std::mem::replace(&mut *worst, candidate).candidate())?;
            }
        }
    }
    let sorted = std::mem::take(best).into_sorted_vec();
    let mut found = room(sorted.len())?;
    found.extend(sorted.into_iter().map(Key::candidate));
    if !dead.is_empty() {
        dead.sort_unstable();
        for candidate in &mut found {
            candidate.live = dead.binary_search(&candidate.id).is_err();
        }
    }
    Ok(found)
}

/// Number of elements that a search keeps on a layer above 0, on its way down to the `ef` nearest: 32, 8, 2 and then 1 on
/// the layers 1, 2, 3 and so on, but no more than a quarter of `ef`.
///
/// The paper keeps one. In clustered data it is often in the wrong cluster, which few links leave; an insert then links an
/// element where no search finds it. Of 1,000,000 rows in 1,000 clusters (m 16, ef_construction 64), searches that keep one
/// find 0.95 of the nearest at `ef` 160 and 0.98 at 1,000; with this beam they find 0.96 at 60 and 0.99 at 120.
pub(crate) fn beam(layer: u8, ef: usize) -> usize {
    let widest = 32_usize.checked_shr(2 * (u32::from(layer) - 1)).unwrap_or(0);
    widest.min(ef / 4).max(1)
}

/// Searches from the entry point down to the layer above `level`. Returns the [`beam`] of nearest elements there, from which to
/// search for the `ef` nearest.
pub(crate) fn descend<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entry: (u32, u8),
    level: u8,
    ef: usize,
    mode: ScanMode,
    scratch: &mut Scratch,
) -> Result<Vec<Candidate>> {
    let mut distance = Vec::with_capacity(1);
    graph.distances(query, &[entry.0], &mut distance)?;
    let mut nearest = vec![Candidate { distance: distance[0], id: entry.0, live: true }];
    for layer in (level + 1..=entry.1).rev() {
        scratch.clear();
        nearest = walk(graph, query, &nearest, beam(layer, ef), layer, mode, scratch, |_| Ok(()))?;
    }
    Ok(nearest)
}
