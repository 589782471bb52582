//! The graph as pgvector makes it and walks it, as plainly as can be: exact vectors in memory, one after the other. What scans
//! find is compared with what they find there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use super::*;
use crate::hnsw::level::Levels;
use crate::hnsw::search::Candidate;

/// Rows that an element takes.
const ROWS: usize = 10;

pub struct Peer {
    m: usize,
    ef_construction: usize,
    metric: Metric,
    levels: Levels,
    elements: Vec<Element>,
    entry: Option<usize>,
}

struct Element {
    value: Vec<f32>,
    rows: Vec<Tid>,
    /// Of layer 0 and those above it.
    links: Vec<Vec<Candidate>>,
}

impl Peer {
    pub fn new(metric: Metric, m: usize, ef_construction: usize, seed: u64) -> Self {
        let levels = Levels::new(m, 60, seed);
        Self { m, ef_construction, metric, levels, elements: Vec::new(), entry: None }
    }

    /// As pgvector has a value in its index.
    fn seen(&self, value: &[f32]) -> Vec<f32> {
        let norm = value.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let by = if self.metric == Metric::Cosine && norm > 0.0 { 1.0 / norm } else { 1.0 };
        value.iter().map(|x| (f64::from(*x) * by) as f32).collect()
    }

    fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.metric {
            Metric::L2 => distance::l2_squared(a, b),
            Metric::L1 => distance::l1(a, b),
            _ => -distance::inner_product(a, b),
        }
    }

    fn between(&self, a: u32, b: u32) -> f32 {
        self.distance(&self.elements[a as usize].value, &self.elements[b as usize].value)
    }

    fn capacity(&self, layer: usize) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    fn top(&self) -> usize {
        self.entry.map_or(0, |entry| self.elements[entry].links.len() - 1)
    }

    fn entries(&self, query: &[f32]) -> Vec<Candidate> {
        let candidate = |entry: usize| {
            let distance = self.distance(query, &self.elements[entry].value);
            Candidate { distance, id: entry as u32, live: true }
        };
        self.entry.into_iter().map(candidate).collect()
    }

    /// Nearest first.
    fn search(&self, query: &[f32], entries: &[Candidate], ef: usize, layer: usize) -> Vec<Candidate> {
        let mut seen: HashSet<u32> = entries.iter().map(|entry| entry.id).collect();
        let mut open: BinaryHeap<_> = entries.iter().copied().map(Reverse).collect();
        let mut best: BinaryHeap<_> = entries.iter().copied().collect();
        while let Some(Reverse(nearest)) = open.pop() {
            if best.peek().is_some_and(|worst| nearest.distance > worst.distance) {
                break;
            }
            for link in &self.elements[nearest.id as usize].links[layer] {
                if !seen.insert(link.id) {
                    continue;
                }
                let distance = self.distance(query, &self.elements[link.id as usize].value);
                if best.len() < ef || best.peek().is_some_and(|worst| distance < worst.distance) {
                    let candidate = Candidate { distance, id: link.id, live: true };
                    open.push(Reverse(candidate));
                    best.push(candidate);
                    if best.len() > ef {
                        best.pop();
                    }
                }
            }
        }
        best.into_sorted_vec()
    }

    fn descend(&self, query: &[f32], level: usize) -> Vec<Candidate> {
        (level + 1..=self.top()).rev().fold(self.entries(query), |near, layer| self.search(query, &near, 1, layer))
    }

    /// Of candidates nearest first: those to keep, and the first that is not.
    fn select(&self, candidates: &[Candidate], limit: usize) -> (Vec<Candidate>, Option<Candidate>) {
        if candidates.len() <= limit {
            return (candidates.to_vec(), None);
        }
        let (mut kept, mut pruned): (Vec<Candidate>, Vec<Candidate>) = Default::default();
        let mut left = candidates.iter();
        while kept.len() < limit
            && let Some(candidate) = left.next()
        {
            let is_closer = kept.iter().all(|other| self.between(candidate.id, other.id) > candidate.distance);
            if is_closer { kept.push(*candidate) } else { pruned.push(*candidate) }
        }
        let mut pruned = pruned.into_iter();
        while kept.len() < limit
            && let Some(candidate) = pruned.next()
        {
            kept.push(candidate);
        }
        (kept, pruned.next().or(left.next().copied()))
    }

    pub fn push(&mut self, value: &[f32], tid: Tid) {
        let (value, level) = (self.seen(value), usize::from(self.levels.draw()));
        let top = self.top();
        let mut links = vec![Vec::new(); level + 1];
        let mut near = self.descend(&value, level);
        for layer in (0..=level.min(top)).rev() {
            near = self.search(&value, &near, self.ef_construction, layer);
            links[layer] = self.select(&near, self.capacity(layer)).0;
        }
        for twin in &links[0] {
            let twin = &mut self.elements[twin.id as usize];
            if twin.value == value && twin.rows.len() < ROWS {
                twin.rows.push(tid);
                return;
            }
        }
        let id = self.elements.len();
        let back = links.clone();
        self.elements.push(Element { value, rows: vec![tid], links });
        for (layer, links) in back.iter().enumerate() {
            for link in links {
                self.link_back(link.id as usize, layer, Candidate { id: id as u32, ..*link });
            }
        }
        if self.entry.is_none() || level > top {
            self.entry = Some(id);
        }
    }

    fn link_back(&mut self, owner: usize, layer: usize, new: Candidate) {
        let links = &self.elements[owner].links[layer];
        let at = if links.len() < self.capacity(layer) {
            links.len()
        } else {
            let mut candidates = links.clone();
            candidates.push(new);
            candidates.sort();
            let (_, Some(pruned)) = self.select(&candidates, links.len()) else { return };
            let Some(at) = links.iter().position(|link| link.id == pruned.id) else { return };
            at
        };
        let links = &mut self.elements[owner].links[layer];
        if at == links.len() { links.push(new) } else { links[at] = new }
    }

    /// The rows of the `ef` nearest elements, nearest first.
    pub fn nearest(&self, query: &[f32], ef: usize) -> Vec<Tid> {
        let query = self.seen(query);
        let found = self.search(&query, &self.descend(&query, 0), ef, 0);
        found.iter().flat_map(|candidate| self.elements[candidate.id as usize].rows.iter().copied()).collect()
    }
}
