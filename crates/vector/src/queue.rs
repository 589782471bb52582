//! A queue by distance.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Result;
use crate::memory::reserved;

/// A priority queue: the item with the smallest distance comes out first, of equally near ones the one that was pushed first. NaN
/// is the largest distance, as PostgreSQL sorts it.
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
    /// The nearest item is the greatest, for `BinaryHeap` pops the greatest.
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

    /// Calls `change` with each item, in no order.
    pub fn change(&mut self, mut change: impl FnMut(&mut T)) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.iter_mut().for_each(|entry| change(&mut entry.thing));
        self.heap = entries.into();
    }

    /// The distance of the nearest item.
    pub fn distance(&self) -> Option<f64> {
        self.heap.peek().map(|nearest| nearest.distance)
    }

    pub fn push(&mut self, distance: f64, thing: T) -> Result<()> {
        reserved(self.heap.try_reserve(1))?;
        // total_cmp orders by the sign of a NaN, which means nothing.
        let distance = if distance.is_nan() { f64::NAN.abs() } else { distance };
        self.heap.push(Entry { distance, number: self.pushed, thing });
        self.pushed += 1;
        Ok(())
    }

    /// Removes the nearest item.
    pub fn pop(&mut self) -> Option<(f64, T)> {
        self.heap.pop().map(|nearest| (nearest.distance, nearest.thing))
    }

    /// Removes the nearest item if it is no farther than `bound`, or if there is no bound.
    pub fn pop_within(&mut self, bound: Option<f64>) -> Option<(f64, T)> {
        let is_within = |distance: f64| bound.is_none_or(|bound| distance.total_cmp(&bound).is_le());
        self.distance().filter(|distance| is_within(*distance)).and_then(|_| self.pop())
    }
}
