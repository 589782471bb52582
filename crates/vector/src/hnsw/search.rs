//! Walking the graph: Algorithms 2 and 5 of the HNSW paper (Malkov and Yashunin, 2018).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::Result;
use crate::hnsw::graph::PagedGraph;
use crate::store::PageStore;

/// An element and how far it is from the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Distance of the metric, which may be negative.
    pub distance: f32,
    /// The element.
    pub id: u32,
    /// Whether it had rows when the walk passed it.
    pub live: bool,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

/// Which elements a walk has seen: an open-addressing set, for a graph of any size.
pub struct IdSet {
    slots: Vec<u32>, // id + 1; 0 is empty
    len: usize,
}

impl IdSet {
    /// Room for about `expected` elements; it grows.
    pub fn new(expected: usize) -> Self {
        Self { slots: vec![0; (expected * 2).next_power_of_two().max(64)], len: 0 }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn place(&mut self, id: u32) -> bool {
        let mask = self.slots.len() - 1;
        let mut at = (id.wrapping_mul(0x9E37_79B1) >> 7) as usize & mask;
        loop {
            match self.slots[at] {
                0 => {
                    self.slots[at] = id + 1;
                    return true;
                }
                there if there == id + 1 => return false,
                _ => at = (at + 1) & mask,
            }
        }
    }
}

impl IdSet {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
    }

    /// Adds one; false when it was there.
    #[inline]
    pub fn insert(&mut self, id: u32) -> bool {
        if self.len * 2 >= self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; old.len() * 2];
            for id in old.into_iter().filter(|id| *id != 0) {
                self.place(id - 1);
            }
        }
        let added = self.place(id);
        self.len += usize::from(added);
        added
    }
}

/// What walks reuse, so that none allocates.
pub struct Scratch {
    visited: IdSet,
    ids: Vec<u32>,
    distances: Vec<f32>,
    dead: Vec<u32>,
    open: BinaryHeap<Reverse<Candidate>>,
    best: BinaryHeap<Candidate>,
}

impl Scratch {
    /// What the last walk has seen.
    pub(crate) fn visited(&self) -> &IdSet {
        &self.visited
    }

    /// Empty.
    pub fn new(visited: IdSet) -> Self {
        Self {
            visited,
            ids: Vec::new(),
            distances: Vec::new(),
            dead: Vec::new(),
            open: BinaryHeap::new(),
            best: BinaryHeap::new(),
        }
    }

    /// Forgets what was seen.
    pub(crate) fn clear(&mut self) {
        self.visited.clear();
    }
}

/// Algorithm 2: the `ef` elements of a layer that are nearest to `query`, nearest first, walking from `entries`.
/// Elements without rows are walked through and returned with `live` false; they do not count towards `ef`.
pub fn search_layer<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entries: &[Candidate],
    ef: usize,
    level: u8,
    scratch: &mut Scratch,
) -> Result<Vec<Candidate>> {
    scratch.visited.clear();
    walk(graph, query, entries, ef, level, scratch, |_| {})
}

/// Walks on: elements visited before `scratch` was cleared last are not visited again. Those that were measured and do not
/// belong to the `ef` nearest are given to `discard`.
pub(crate) fn walk<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entries: &[Candidate],
    ef: usize,
    level: u8,
    scratch: &mut Scratch,
    mut discard: impl FnMut(Candidate),
) -> Result<Vec<Candidate>> {
    let Scratch { visited, ids, distances, dead, open, best } = scratch;
    dead.clear();
    open.clear();
    best.clear();
    for entry in entries {
        visited.insert(entry.id);
        open.push(Reverse(*entry));
        best.push(*entry);
    }
    while best.len() > ef {
        best.pop().into_iter().for_each(&mut discard);
    }
    // How many are kept: elements without rows come on top until `ef` with rows were met. Not for ever, or each that is passed
    // lets in one more from farther away, which is as likely to be without rows: the walk would not end before the graph does.
    let (mut keep, mut lives) = (ef, 0);
    while let Some(Reverse(nearest)) = open.pop() {
        // Every element that stays in `best` was in `open` at no more than this bound, so all of them get expanded.
        if best.len() >= keep && best.peek().is_some_and(|worst| nearest.distance > worst.distance) {
            break;
        }
        ids.clear();
        if graph.expand(nearest.id, level, ids)? {
            lives += 1;
        } else {
            keep += usize::from(lives < ef);
            dead.push(nearest.id);
        }
        ids.retain(|id| visited.insert(*id));
        distances.clear();
        graph.distances(query, ids, distances)?;
        for (id, distance) in ids.iter().zip(distances.iter()) {
            let candidate = Candidate { distance: *distance, id: *id, live: true };
            if best.len() < keep {
                open.push(Reverse(candidate));
                best.push(candidate);
            } else if let Some(mut worst) = best.peek_mut()
                && candidate < *worst
            {
                open.push(Reverse(candidate));
                discard(std::mem::replace(&mut *worst, candidate));
            } else {
                discard(candidate);
            }
        }
    }
    let mut found = std::mem::take(best).into_sorted_vec();
    if !dead.is_empty() {
        for candidate in &mut found {
            candidate.live = !dead.contains(&candidate.id);
        }
    }
    Ok(found)
}

/// Walks down from the entry point to just above `level`, keeping the one nearest element.
pub fn descend<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    query: &[u32],
    entry: (u32, u8),
    level: u8,
    scratch: &mut Scratch,
) -> Result<Vec<Candidate>> {
    let mut distance = Vec::with_capacity(1);
    graph.distances(query, &[entry.0], &mut distance)?;
    let mut nearest = vec![Candidate { distance: distance[0], id: entry.0, live: true }];
    for layer in (level + 1..=entry.1).rev() {
        let found = search_layer(graph, query, &nearest, 1, layer, scratch)?;
        if let Some(best) = found.first() {
            nearest = vec![*best];
        }
    }
    Ok(nearest)
}
