//! Scans of an index: the rows nearest to a query, as many as are asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec;

use crate::Result;
use crate::hnsw::graph::{PagedGraph, coder};
use crate::hnsw::search::{Candidate, Reach, Scratch, descend, walk};
use crate::memory::{reserved, room};
use crate::store::{Interlock, Mode, PageStore};

pub use crate::page::Hit;

/// What follows the `ef` nearest elements (pgvector's `hnsw.iterative_scan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iterative {
    /// Nothing.
    Off,
    /// Further ones, in about the right order.
    Relaxed,
    /// Further ones, but for those that belong before one that was returned.
    Strict,
}

/// How far a scan goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Candidates that a walk keeps.
    pub ef: usize,
    /// Whether it goes on after them.
    pub iterative: Iterative,
    /// Elements to measure before it goes on no further.
    pub max_elements: usize,
    /// Bytes to take before it goes on no further.
    pub max_memory: usize,
}

impl Limits {
    /// How many rows of an element are returned, at most: as many as pgvector returns in all.
    fn rows(&self) -> usize {
        if self.iterative == Iterative::Off { self.ef.saturating_mul(10) } else { usize::MAX }
    }
}

/// A scan under way. It may stand still for as long as it likes: no lock is held between calls.
pub struct Scan {
    /// The code of the query.
    query: Vec<u32>,
    limits: Limits,
    batch: vec::IntoIter<Hit>,
    /// Of the last row, where the order is strict.
    last: f64,
    walk: Option<Walk>,
}

/// Where a walk over layer 0 stopped.
struct Walk {
    scratch: Scratch,
    /// Measured, but not among the nearest so far.
    discarded: BinaryHeap<Reverse<Candidate>>,
    /// Of the metapage: elements were freed since if it is another one now.
    generation: u32,
}

impl Scan {
    /// For the [code](crate::Space::encode) of a query.
    pub fn new(query: Vec<u32>, limits: Limits) -> Self {
        Self { query, limits, batch: Vec::new().into_iter(), last: f64::NEG_INFINITY, walk: None }
    }

    /// The next row.
    pub fn next<S: PageStore>(&mut self, store: &S) -> Result<Option<Hit>> {
        loop {
            for hit in self.batch.by_ref() {
                if self.limits.iterative != Iterative::Strict || hit.distance >= self.last {
                    self.last = hit.distance;
                    return Ok(Some(hit));
                }
            }
            match self.more(store)? {
                Some(batch) => self.batch = batch.into_iter(),
                None => return Ok(None),
            }
        }
    }

    fn more<S: PageStore>(&mut self, store: &S) -> Result<Option<Vec<Hit>>> {
        if self.walk.is_some() && self.limits.iterative == Iterative::Off {
            return Ok(None);
        }
        let _lock = store.lock(Interlock::Scan, Mode::Shared)?;
        let graph = PagedGraph::open(store)?;
        let Limits { ef, iterative, max_elements, max_memory } = self.limits;
        let found = match &mut self.walk {
            None => {
                let mut scratch = Scratch::new(ef * graph.meta.m)?;
                let mut discarded = BinaryHeap::new();
                let mut found = Vec::new();
                // What goes on must know of each element that it measured whether it is one.
                let is_simple = iterative == Iterative::Off && !graph.meta.space.is_exact();
                let reach = if is_simple { Reach::Pages } else { Reach::Links };
                if let Some(entry) = graph.entry() {
                    let nearest = descend(&graph, &self.query, entry, 0, ef, reach, &mut scratch)?;
                    scratch.clear();
                    found = walk(&graph, &self.query, &nearest, ef, 0, reach, &mut scratch, |candidate| {
                        if iterative != Iterative::Off { keep(&mut discarded, candidate) } else { Ok(()) }
                    })?;
                }
                self.walk = Some(Walk { scratch, discarded, generation: graph.meta.generation });
                found
            }
            Some(walk) => {
                walk.check(&graph, &self.query)?;
                let is_over = walk.scratch.visited().len() >= max_elements || walk.memory() > max_memory;
                // Over the limit, what was measured already is still returned.
                let entries = walk.take(ef);
                if entries.is_empty() {
                    return Ok(None);
                }
                if is_over { entries } else { walk.resume(&graph, &self.query, &entries, ef)? }
            }
        };
        self.hits(&graph, found).map(Some)
    }

    /// The rows of some elements, nearest first.
    fn hits<S: PageStore>(&self, graph: &PagedGraph<'_, S>, mut found: Vec<Candidate>) -> Result<Vec<Hit>> {
        let space = &graph.meta.space;
        found.retain(|candidate| candidate.live);
        let mut bounds: Vec<f64> = room(found.len())?;
        if space.is_exact() {
            bounds.extend(found.iter().map(|candidate| space.exact(candidate.distance)));
        } else {
            found.sort_unstable_by_key(|candidate| candidate.id);
            let mut ids = room(found.len())?;
            ids.extend(found.iter().map(|candidate| candidate.id));
            let coder = coder(graph.store)?;
            let query = coder.bounds(&self.query);
            graph.codes(&ids, |_, code| bounds.push(query.to(code)))?;
        }
        let (mut hits, mut tids) = (Vec::new(), Vec::new());
        for (candidate, distance) in found.iter().zip(bounds) {
            graph.store.poll()?;
            tids.clear();
            graph.rows(candidate.id, self.limits.rows(), &mut tids)?;
            tids.truncate(self.limits.rows());
            reserved(hits.try_reserve(tids.len()))?;
            hits.extend(tids.iter().map(|tid| Hit { distance, tid: *tid }));
        }
        if !space.is_exact() {
            hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        }
        Ok(hits)
    }
}

/// Elements that are measured again at a time.
const RECHECKED: usize = 1024;

fn keep(discarded: &mut BinaryHeap<Reverse<Candidate>>, candidate: Candidate) -> Result<()> {
    reserved(discarded.try_reserve(1))?;
    discarded.push(Reverse(candidate));
    Ok(())
}

impl Walk {
    /// Leaves out the elements that were freed while the scan stood still: their distance is another one now.
    fn check<S: PageStore>(&mut self, graph: &PagedGraph<'_, S>, query: &[u32]) -> Result<()> {
        if self.generation == graph.meta.generation {
            return Ok(());
        }
        self.generation = graph.meta.generation;
        // What has no rows may be freed once this call ends; what is freed may be a part of another element's code by now.
        let mut live = room(self.discarded.len())?;
        for Reverse(candidate) in std::mem::take(&mut self.discarded) {
            graph.store.poll()?;
            if graph.node(candidate.id, |nodes, slot| nodes.is_live(slot))? {
                live.push(candidate);
            }
        }
        for candidates in live.chunks(RECHECKED) {
            let ids: Vec<u32> = candidates.iter().map(|candidate: &Candidate| candidate.id).collect();
            let mut distances = Vec::with_capacity(ids.len());
            graph.distances(query, &ids, &mut distances)?;
            for (candidate, _) in candidates.iter().zip(distances).filter(|(same, distance)| same.distance == *distance)
            {
                keep(&mut self.discarded, *candidate)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Vec<Candidate> {
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(Reverse(candidate)) = self.discarded.pop()
        {
            taken.push(candidate);
        }
        taken
    }

    fn resume<S: PageStore>(
        &mut self,
        graph: &PagedGraph<'_, S>,
        query: &[u32],
        entries: &[Candidate],
        ef: usize,
    ) -> Result<Vec<Candidate>> {
        let discarded = &mut self.discarded;
        walk(graph, query, entries, ef, 0, Reach::Links, &mut self.scratch, |candidate| keep(discarded, candidate))
    }

    fn memory(&self) -> usize {
        self.discarded.len() * size_of::<Candidate>() + self.scratch.visited().memory()
    }
}
