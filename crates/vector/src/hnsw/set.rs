//! Sets of elements, or of blocks: numbers that begin at 0.
//!
//! There are three, for three ways to use one.
//!
//! - [`IdSet`] is a hash table. It takes memory for its members only, so it is for whoever visits a small part of a graph of any
//!   size: searches of an index on pages, of which a session may have several under way, and walks along the spanning tree.
//! - [`BitSet`] has a bit for each element that there is. It is for whoever passes over the whole index anyway: vacuum and
//!   verification.
//! - [`Visited`] is a [`BitSet`] that knows its members, so that emptying it costs no more than filling it did. It is for the
//!   threads of a build, each of which searches millions of times and stays within one set.
//!
//! None of them allocates without asking: memory that cannot be had is an error.

use std::collections::TryReserveError;

use crate::Result;
use crate::memory::filled;

/// An open-addressing hash table. A slot has the bits of 32 elements in a row, of which a search visits many, because neighbours
/// have numbers near to each other.
pub(crate) struct IdSet {
    slots: Vec<Slot>,
    used: usize,
    len: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    row: u32,
    bits: u32, // 0: empty
}

const EMPTY: Slot = Slot { row: 0, bits: 0 };

/// Slots that move between two checks for a cancel.
const POLL: usize = 1 << 16;

impl IdSet {
    /// Room for about `expected` elements; it [grows](Self::reserve).
    pub fn new(expected: usize) -> Result<Self> {
        Ok(Self { slots: filled(EMPTY, expected.next_power_of_two().max(64), || Ok(()))?, used: 0, len: 0 })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes in use.
    pub fn memory(&self) -> usize {
        self.used * 2 * size_of::<Slot>()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(EMPTY);
        (self.used, self.len) = (0, 0);
    }

    /// Whether it is there.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        let slot = self.slots[self.at(id / u32::BITS)];
        slot.bits & 1 << (id % u32::BITS) != 0
    }

    /// Makes sure that there is room for so many more rows of 32 elements.
    #[inline]
    pub fn reserve(&mut self, rows: usize, poll: impl Fn() -> Result<()>) -> Result<()> {
        if (self.used + rows) * 2 > self.slots.len() { self.grow(rows, poll) } else { Ok(()) }
    }

    /// Adds one, for which there [is room](Self::reserve); false when it was there.
    #[inline]
    pub fn insert(&mut self, id: u32) -> bool {
        let (row, bit) = (id / u32::BITS, 1 << (id % u32::BITS));
        let slot = self.place(row);
        let (is_first, is_new) = (slot.bits == 0, slot.bits & bit == 0);
        *slot = Slot { row, bits: slot.bits | bit };
        self.used += usize::from(is_first);
        self.len += usize::from(is_new);
        is_new
    }

    #[inline]
    fn place(&mut self, row: u32) -> &mut Slot {
        let at = self.at(row);
        &mut self.slots[at]
    }

    /// Where the slot of a row is, or the empty one where it belongs.
    #[inline]
    fn at(&self, row: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (row.wrapping_mul(0x9E37_79B1) >> 7) as usize & mask;
        while self.slots[at].bits != 0 && self.slots[at].row != row {
            at = (at + 1) & mask;
        }
        at
    }

    #[cold]
    fn grow(&mut self, rows: usize, poll: impl Fn() -> Result<()>) -> Result<()> {
        let len = ((self.used + rows) * 2).next_power_of_two().max(self.slots.len() * 2);
        let larger = filled(EMPTY, len, &poll)?;
        for (i, slot) in std::mem::replace(&mut self.slots, larger).into_iter().enumerate() {
            if i.is_multiple_of(POLL) {
                poll()?;
            }
            if slot.bits != 0 {
                *self.place(slot.row) = slot;
            }
        }
        Ok(())
    }
}

/// A bit for each element there is.
#[derive(Default)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// Empty, with room for the elements below `len`. `poll` is called now and then.
    pub fn new(len: usize, poll: impl Fn() -> Result<()>) -> Result<Self> {
        Ok(Self { words: filled(0, len.div_ceil(64), poll)? })
    }

    /// Whether it is there.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    /// Adds one; false when it was there, or when there is no room for it.
    #[inline]
    pub fn insert(&mut self, id: u32) -> bool {
        let bit = 1 << (id % 64);
        let Some(word) = self.words.get_mut(id as usize / 64) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// A [`BitSet`] that grows and is emptied soon.
pub(crate) struct Visited {
    bits: BitSet,
    ids: Vec<u32>,
    /// What was said when there was to be more room.
    outcome: std::result::Result<(), TryReserveError>,
}

impl Default for Visited {
    fn default() -> Self {
        Self { bits: BitSet::default(), ids: Vec::new(), outcome: Ok(()) }
    }
}

impl Visited {
    /// Forgets all.
    pub fn clear(&mut self) {
        for id in self.ids.drain(..) {
            self.bits.words[id as usize / 64] = 0;
        }
    }

    /// Adds one; false when it was there, or when there is no memory, which is [told](Self::outcome) later: so it can be asked in
    /// the midst of an iterator.
    #[inline]
    pub fn insert(&mut self, id: u32) -> bool {
        let at = id as usize / 64;
        if at >= self.bits.words.len() && !self.grow((at + 1).next_power_of_two()) {
            return false;
        }
        let is_new = self.bits.insert(id);
        if is_new {
            self.ids.push(id);
        }
        is_new
    }

    /// Whether there was memory for all that was [added](Self::insert) since this was asked.
    #[inline]
    pub fn outcome(&mut self) -> std::result::Result<(), TryReserveError> {
        std::mem::replace(&mut self.outcome, Ok(()))
    }

    #[cold]
    fn grow(&mut self, words: usize) -> bool {
        let bits = &mut self.bits.words;
        let outcome = bits.try_reserve_exact(words - bits.len());
        let is_done = outcome.is_ok();
        if is_done {
            bits.resize(words, 0);
        } else {
            self.outcome = outcome;
        }
        is_done
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Neighbours, the largest number there is, and numbers all over the place.
    fn ids(largest: u32) -> impl Iterator<Item = u32> {
        (0..100).chain([largest, 0]).chain((0..5000).map(|i: u32| i.wrapping_mul(0x9E37_79B1) % 50_000))
    }

    #[test]
    fn an_id_set_is_a_set() {
        let mut set = IdSet::new(0).unwrap();
        for _ in 0..2 {
            let mut other = HashSet::new();
            for id in ids(u32::MAX >> 1) {
                set.reserve(1, || Ok(())).unwrap();
                assert_eq!(set.insert(id), other.insert(id), "{id}");
                assert_eq!(set.len(), other.len());
            }
            set.clear();
            assert_eq!(set.len(), 0);
        }
    }

    #[test]
    fn a_bit_set_is_a_set_of_what_it_has_room_for() {
        let (mut set, mut other) = (BitSet::new(50_001, || Ok(())).unwrap(), HashSet::new());
        for id in ids(50_000) {
            assert_eq!(set.insert(id), other.insert(id), "{id}");
        }
        assert!((0..60_000).all(|id| set.contains(id) == other.contains(&id)));
        assert!(!set.insert(60_000) && !set.contains(60_000));
    }

    #[test]
    fn a_visited_set_is_a_set_and_is_empty_once_it_was_cleared() {
        let mut set = Visited::default();
        for _ in 0..2 {
            let mut other = HashSet::new();
            for id in ids(100_000) {
                assert_eq!(set.insert(id), other.insert(id), "{id}");
            }
            assert_eq!(set.outcome(), Ok(()));
            set.clear();
        }
    }
}
