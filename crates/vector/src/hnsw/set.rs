//! Sets of elements, or of blocks: numbers that begin at 0.
//!
//! There are three, for three uses.
//!
//! - [`IdSet`] is a hash table. Its size depends only on its members, so it suits searches that visit a small part of a graph of any
//!   size: scans of an index on pages, of which a session may have several open, and walks along the spanning tree.
//! - [`BitSet`] has a bit for each element of the index. It suits operations on the whole index: vacuum and verification.
//! - [`Visited`] is a [`BitSet`] with a list of its members, so that clearing it costs no more than filling it did. It suits the
//!   threads of a build, each of which searches millions of times with one set.
//!
//! All of them allocate fallibly.

use std::collections::TryReserveError;

use crate::Result;
use crate::memory::filled;

/// An open-addressing hash table. A slot has a bit for each of 32 consecutive elements, of which a search visits many, because
/// neighbours have close numbers.
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
    /// An empty set with room for about `expected` elements; it [grows](Self::reserve).
    pub fn new(expected: usize) -> Result<Self> {
        Ok(Self { slots: filled(EMPTY, expected.next_power_of_two().max(64), || Ok(()))?, used: 0, len: 0 })
    }

    /// Number of members.
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

    /// Reserves room for this number of further slots.
    #[inline]
    pub fn reserve(&mut self, rows: usize, poll: impl Fn() -> Result<()>) -> Result<()> {
        if (self.used + rows) * 2 > self.slots.len() { self.grow(rows, poll) } else { Ok(()) }
    }

    /// Adds an element, for which [room is reserved](Self::reserve). Returns whether it is new.
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

    /// The index of a row's slot, or of the empty slot where it belongs.
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

/// A set with a bit for each element.
#[derive(Default)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// An empty set with room for the elements below `len`. `poll` is called now and then.
    pub fn new(len: usize, poll: impl Fn() -> Result<()>) -> Result<Self> {
        Ok(Self { words: filled(0, len.div_ceil(64), poll)? })
    }

    /// Whether it is there.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    /// Adds an element. Returns false if it was a member already, or is beyond the set's room.
    #[inline]
    pub fn insert(&mut self, id: u32) -> bool {
        let bit = 1 << (id % 64);
        let Some(word) = self.words.get_mut(id as usize / 64) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// A [`BitSet`] that grows and is cleared quickly.
pub(crate) struct Visited {
    bits: BitSet,
    ids: Vec<u32>,
    /// The first failure of an allocation.
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

    /// Adds an element. Returns false if it was a member already, or if an allocation failed, which [`Self::outcome`]
    /// returns later: so it can be used within an iterator.
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

    /// An error if an allocation of [`Self::insert`] has failed since the last call of this.
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
