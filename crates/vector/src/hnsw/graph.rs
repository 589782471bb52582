//! The graph on pages.

use std::cell::RefCell;

use crate::distance::prefetch;
use crate::hnsw::format::{Meta, NONE, Nodes, Packing, target};
use crate::hnsw::packed;
use crate::memory::{reserved, room};
use crate::pace::Budget;
use crate::page::{Part, words};
use crate::space::Measure;
use crate::store::PageStore;
use crate::{Error, Method, Result};

/// Number of codes that are read between two checks for a cancel: each may be one or two pages that come from disk.
const AT_ONCE: usize = 32;

/// The graph of a [`PageStore`], as its metapage was when it was opened.
pub struct PagedGraph<'a, S> {
    /// The pages.
    pub store: &'a S,
    /// The metapage.
    pub meta: Meta,
    measure: Measure,
    /// Buffers of [`Self::codes`]: the parts that it reads, and a code that lies on two pages.
    parts: RefCell<Vec<Part>>,
    whole: RefCell<Vec<u32>>,
    budget: Budget,
}

impl<'a, S: PageStore> PagedGraph<'a, S> {
    /// Reads the metapage.
    pub fn open(store: &'a S) -> Result<Self> {
        if store.blocks()? == 0 {
            return Err(Error::NotAnIndex(Method::Hnsw));
        }
        let meta = Meta::read(&store.read(0)?)?;
        Ok(Self {
            store,
            measure: meta.space.measure(),
            meta,
            parts: RefCell::default(),
            whole: RefCell::default(),
            budget: Budget::default(),
        })
    }

    /// Counts a distance of two codes that are in memory, and checks for a cancel now and then.
    #[inline]
    fn spend(&self) -> Result<()> {
        if self.budget.spend(self.meta.space.max_code_bytes()) { self.store.poll() } else { Ok(()) }
    }

    /// A function that returns the distance of two elements whose codes were loaded.
    pub fn between<'c>(&'c self, codes: &'c Codes) -> impl Fn(u32, u32) -> Result<f32> + 'c {
        |a, b| {
            self.spend()?;
            codes.between(a, b)
        }
    }

    /// A function that returns the distance of a code and an element whose code was loaded.
    pub fn to<'c>(&'c self, codes: &'c Codes, code: &'c [u32]) -> impl Fn(u32) -> Result<f32> + 'c {
        |other| {
            self.spend()?;
            codes.to(code, other)
        }
    }

    /// The entry point and its level, if there is an element.
    pub fn entry(&self) -> Option<(u32, u8)> {
        (self.meta.entry != NONE).then_some((self.meta.entry, self.meta.entry_level))
    }

    /// Calls `f` with the node page of an element and its slot on that page.
    pub fn node<R>(&self, id: u32, f: impl FnOnce(Nodes<'_>, usize) -> R) -> Result<R> {
        let geometry = &self.meta.geometry;
        let (node_page, slot) = geometry.locate(id);
        let block = geometry.node_block(node_page);
        let (mut f, mut outcome) = (Some(f), Err(Error::Store("page that was not shown")));
        self.store.with_page(block, &mut |page| {
            if let Some(f) = f.take() {
                outcome = Nodes::new(page, geometry, block).map(|nodes| f(nodes, slot));
            }
        })?;
        outcome
    }

    /// Calls `f` with a node page.
    pub fn node_page<R>(&self, node_page: u32, f: impl FnOnce(Nodes<'_>) -> R) -> Result<R> {
        self.node(self.meta.geometry.id(node_page, 0), |nodes, _| f(nodes))
    }

    /// The code of an element.
    pub fn code(&self, id: u32) -> Result<Box<[u32]>> {
        let mut found = Box::default();
        self.few_codes(&[id], |_, code| found = code.into())?;
        Ok(found)
    }

    /// Calls `f` with the codes of elements, each with its index in `ids`, in any order.
    pub fn codes(&self, ids: &[u32], mut f: impl FnMut(usize, &[u32])) -> Result<()> {
        for (i, ids) in ids.chunks(AT_ONCE).enumerate() {
            self.store.poll()?;
            self.few_codes(ids, |at, code| f(i * AT_ONCE + at, code))?;
        }
        Ok(())
    }

    fn few_codes(&self, ids: &[u32], mut f: impl FnMut(usize, &[u32])) -> Result<()> {
        let space = &self.meta.space;
        let bytes = space.max_code_bytes();
        let (mut parts, mut whole) = (self.parts.borrow_mut(), self.whole.borrow_mut());
        parts.clear();
        whole.clear();
        for id in ids {
            let (part, rest) = self.meta.geometry.code_parts(*id, bytes);
            parts.push(part);
            parts.extend(rest);
        }
        if let Some(packing) = self.meta.geometry.packed() {
            return self.packed_codes(packing, &parts, f);
        }
        let mut at = 0;
        self.store.read_unlocked(&parts, &mut |i, page| {
            let words = words(page, parts[i]);
            if parts[i].len == bytes {
                f(at, words);
                at += 1;
                return;
            }
            whole.extend_from_slice(words);
            if whole.len() * 4 == bytes {
                f(at, &whole);
                at += 1;
                whole.clear();
            }
        })
    }

    /// Calls `f` with the codes of some directory entries.
    fn packed_codes(&self, packing: Packing, parts: &[Part], mut f: impl FnMut(usize, &[u32])) -> Result<()> {
        let (geometry, space) = (&self.meta.geometry, &self.meta.space);
        // The heads of codes that continue on another page, and the positions of their tails.
        let (mut heads, mut tails) = (Vec::new(), Vec::new());
        self.store.read_unlocked(parts, &mut |i, page| {
            let (code, bytes) = packed::code(page, parts[i], space);
            prefetch(code); // the store has prefetched the directory entry only
            let rest = bytes - 4 * code.len();
            let tail = geometry.next_code_page(parts[i].block).and_then(|next| packing.tail(next, rest));
            match tail.filter(|_| rest > 0) {
                _ if rest == 0 => f(i, code),
                Some(tail) => {
                    tails.push(tail);
                    heads.push((i, code.to_vec()));
                }
                None => f(i, &[]), // it is damaged
            }
        })?;
        if tails.is_empty() {
            return Ok(());
        }
        self.store.read_unlocked(&tails, &mut |i, page| {
            let (at, code) = &mut heads[i];
            code.extend_from_slice(words(page, tails[i]));
            f(*at, code);
        })
    }

    /// The distance of two codes.
    #[inline]
    pub fn distance(&self, a: &[u32], b: &[u32]) -> f32 {
        self.measure.distance(a, b)
    }

    /// Appends the distance of each element to the code `query`.
    pub fn distances(&self, query: &[u32], ids: &[u32], out: &mut Vec<f32>) -> Result<()> {
        reserved(out.try_reserve(ids.len()))?;
        let from = out.len();
        out.resize(from + ids.len(), 0.0);
        self.codes(ids, |at, code| out[from + at] = self.measure.distance(query, code))
    }

    /// Appends the elements that `id` links to on a layer and for which `is_new` returns true, in ascending order, so that
    /// codes of one page come together. Returns whether `id` has rows.
    pub fn expand(&self, id: u32, level: u8, mut is_new: impl FnMut(u32) -> bool, out: &mut Vec<u32>) -> Result<bool> {
        self.store.poll()?;
        let from = out.len();
        let is_live = self.node(id, |nodes, slot| {
            let links = nodes.links(slot, level).iter();
            out.extend(links.map(|link| target(*link)).filter(|id| is_new(*id)));
            nodes.is_live(slot)
        })?;
        out[from..].sort_unstable();
        Ok(is_live)
    }

    /// A hint that an element is likely to be [expanded](Self::expand) next.
    #[inline]
    pub fn prefetch(&self, id: u32) {
        let geometry = &self.meta.geometry;
        let (node_page, slot) = geometry.locate(id);
        let block = geometry.node_block(node_page);
        self.store.prefetch(Part { block, offset: geometry.node_offset(slot), len: geometry.node_bytes() });
    }

    /// The block where the code of an element begins.
    #[inline]
    pub fn code_block(&self, id: u32) -> u32 {
        self.meta.geometry.code_parts(id, 1).0.block
    }

    /// Appends to `ids` the elements of `linked`, which are in ascending order, and all other elements with codes on the
    /// same pages for which `is_new` returns true, and to `out` their distances to the code `query`. The others may be
    /// elements that no link leads to yet, or any more. Codes must be quantised.
    pub fn page_distances(
        &self,
        query: &[u32],
        linked: &[u32],
        mut is_new: impl FnMut(u32) -> bool,
        ids: &mut Vec<u32>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let geometry = &self.meta.geometry;
        let bytes = self.meta.space.max_code_bytes();
        let (mut pages, mut parts, mut across) = (Vec::new(), Vec::new(), Vec::new());
        for id in linked {
            let members = geometry.codes_on_page(*id);
            if !members.contains(id) {
                across.push(*id); // its code continues on the next page
            } else if pages.last() != Some(&members) {
                parts.push(geometry.code_parts(members.start, bytes).0);
                pages.push(members);
            }
        }
        across.retain(|id| is_new(*id));
        for (parts, pages) in parts.chunks(AT_ONCE).zip(pages.chunks(AT_ONCE)) {
            self.store.poll()?;
            self.store.read_unlocked(parts, &mut |i, page| {
                let mut part = parts[i];
                for member in pages[i].clone() {
                    let ahead = part.offset + 2 * geometry.slot_bytes;
                    prefetch(page.get(ahead..ahead + bytes).unwrap_or(&[]));
                    let code = words(page, part);
                    // A free slot is all zeros. No code is: its error is above 0.
                    if code.iter().any(|word| *word != 0) && is_new(member) {
                        ids.push(member);
                        out.push(self.measure.distance(query, code));
                    }
                    part.offset += geometry.slot_bytes;
                }
            })?;
        }
        ids.extend_from_slice(&across);
        self.distances(query, &across, out)
    }

    /// Reads the codes of some elements into memory, to compare them with each other.
    pub fn load(&self, ids: impl Iterator<Item = u32>) -> Result<Codes> {
        let mut ids: Vec<u32> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        let mut codes = Codes { places: room(ids.len())?, words: Vec::new(), measure: self.measure };
        let mut outcome = Ok(());
        self.codes(&ids, |at, code| {
            // The others are about as long as the first one.
            let more = if codes.places.is_empty() { ids.len() * code.len() } else { code.len() };
            outcome = std::mem::replace(&mut outcome, Ok(())).and_then(|()| reserved(codes.words.try_reserve(more)));
            if outcome.is_ok() {
                codes.places.push((ids[at], codes.words.len(), code.len()));
                codes.words.extend_from_slice(code);
            }
        })?;
        codes.places.sort_unstable();
        outcome.map(|()| codes)
    }
}

/// Codes of some elements.
pub struct Codes {
    /// Elements in ascending order, each with the start and the length of its code in `words`.
    places: Vec<(u32, usize, usize)>,
    words: Vec<u32>,
    measure: Measure,
}

impl Codes {
    /// The code of an element; None if it was not loaded.
    #[inline]
    pub fn of(&self, id: u32) -> Option<&[u32]> {
        let at = self.places.binary_search_by_key(&id, |(id, ..)| *id).ok()?;
        let (_, start, len) = self.places[at];
        Some(&self.words[start..start + len])
    }

    /// The distance of two elements that were loaded.
    #[inline]
    pub fn between(&self, a: u32, b: u32) -> Result<f32> {
        match (self.of(a), self.of(b)) {
            (Some(a), Some(b)) => Ok(self.measure.distance(a, b)),
            _ => Err(Error::Store("code that was not loaded")),
        }
    }

    /// The distance of a code to an element that was loaded.
    #[inline]
    pub fn to(&self, code: &[u32], id: u32) -> Result<f32> {
        match self.of(id) {
            Some(other) => Ok(self.measure.distance(code, other)),
            None => Err(Error::Store("code that was not loaded")),
        }
    }
}
