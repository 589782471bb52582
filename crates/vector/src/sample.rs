//! A random sample of a stream of values of unknown length (algorithm R of Vitter, "Random sampling with a reservoir", 1985).

use crate::memory::reserved;
use crate::random::Random;
use crate::{Error, Result};

/// A sample that has each value so far with the same probability.
#[derive(Debug)]
pub struct Sample<T> {
    /// Number of elements of a value.
    width: usize,
    wanted: usize,
    seen: u64,
    elements: Vec<T>,
    random: Random,
}

impl<T: Copy> Sample<T> {
    /// An empty sample of up to `wanted` values of `width` elements, which is above 0.
    pub fn new(width: usize, wanted: usize, seed: u64) -> Self {
        Self { width, wanted, seen: 0, elements: Vec::new(), random: Random(seed) }
    }

    /// Decides whether the next value becomes part of the sample, and returns its place for [`Self::put`].
    pub fn draw(&mut self) -> Option<usize> {
        self.seen += 1;
        let place = if self.len() < self.wanted { self.len() } else { self.random.below(self.seen) as usize };
        (place < self.wanted).then_some(place)
    }

    /// Stores the value that was [drawn](Self::draw) last.
    pub fn put(&mut self, place: usize, value: &[T]) -> Result<()> {
        if value.len() != self.width {
            return Err(Error::Store("a value of another length"));
        }
        match self.elements.get_mut(place * self.width..(place + 1) * self.width) {
            Some(old) => old.copy_from_slice(value),
            None => {
                if self.elements.capacity() - self.elements.len() < self.width {
                    // Twice as much each time, but no more than there will be.
                    let len = self.elements.len();
                    let left = (self.wanted * self.width).saturating_sub(len);
                    let more = len.max(64 * self.width).min(left).max(self.width);
                    reserved(self.elements.try_reserve_exact(more))?;
                }
                self.elements.extend_from_slice(value);
            }
        }
        Ok(())
    }

    /// Number of values in the sample.
    pub fn len(&self) -> usize {
        self.elements.len() / self.width
    }

    /// Whether the sample has no value.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Number of values that it was drawn from.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The values, one after the other.
    pub fn elements(&self) -> &[T] {
        &self.elements
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_the_same_chance() {
        let mut times = [0u32; 100];
        for seed in 0..2000 {
            let mut sample = Sample::new(2, 10, seed);
            for value in 0..100 {
                if let Some(place) = sample.draw() {
                    sample.put(place, &[value, value]).unwrap();
                }
            }
            assert_eq!((sample.len(), sample.seen(), sample.elements().len()), (10, 100, 20));
            sample.elements().chunks(2).for_each(|value| times[value[1]] += 1);
        }
        // 200 each are expected, and 13 is the standard deviation.
        assert!(times.iter().all(|times| (140..260).contains(times)), "{times:?}");
    }

    #[test]
    fn all_of_a_few_are_in_it_in_their_order() {
        let mut sample = Sample::new(1, 10, 1);
        for value in 0..7u8 {
            let place = sample.draw().unwrap();
            sample.put(place, &[value]).unwrap();
        }
        assert_eq!(sample.elements(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(sample.put(7, &[1, 2]), Err(Error::Store("a value of another length")));
    }
}
