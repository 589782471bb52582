//! A queue by distance.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Result;
use crate::memory::reserved;

/// Things with their distances, the nearest first; of equally near ones the one that came first. NaN is farther than anything,
/// as PostgreSQL sorts it.
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    pushed: u64,
}

struct Entry<T> {
    distance: f64,
    number: u64,
    thing: T,
}

impl<T> Ord for Entry<T> {
    /// The nearest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.number.cmp(&self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), pushed: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Gives each thing, in no order, to `change`.
    pub fn change(&mut self, mut change: impl FnMut(&mut T)) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.iter_mut().for_each(|entry| change(&mut entry.thing));
        self.heap = entries.into();
    }

    /// Of the nearest.
    pub fn distance(&self) -> Option<f64> {
        self.heap.peek().map(|nearest| nearest.distance)
    }

    pub fn push(&mut self, distance: f64, thing: T) -> Result<()> {
        reserved(self.heap.try_reserve(1))?;
        // The sign of a NaN says nothing, but would count.
        let distance = if distance.is_nan() { f64::NAN.abs() } else { distance };
        self.heap.push(Entry { distance, number: self.pushed, thing });
        self.pushed += 1;
        Ok(())
    }

    /// Takes the nearest.
    pub fn pop(&mut self) -> Option<(f64, T)> {
        self.heap.pop().map(|nearest| (nearest.distance, nearest.thing))
    }

    /// Takes the nearest, if it is no farther than `bound`, where there is one.
    pub fn pop_within(&mut self, bound: Option<f64>) -> Option<(f64, T)> {
        let is_within = |distance: f64| bound.is_none_or(|bound| distance.total_cmp(&bound).is_le());
        self.distance().filter(|distance| is_within(*distance)).and_then(|_| self.pop())
    }
}
