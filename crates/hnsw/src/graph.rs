//! What the algorithms ask of a graph, and the graph on pages.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::format::{self, Meta, NONE, Nodes, PageKind, Part, target};
use crate::space::{Form, Measure};
use crate::store::PageStore;
use crate::{Error, Result};

/// A graph whose elements have numbers. Queries are codes of its [`crate::Space`].
pub trait Graph {
    /// Appends the distance of each element to `query`.
    fn distances(&self, query: &[u32], ids: &[u32], out: &mut Vec<f32>) -> Result<()>;

    /// Appends the elements that `id` links to on a layer; says whether `id` has rows.
    fn expand(&self, id: u32, level: u8, out: &mut Vec<u32>) -> Result<bool>;

    /// The distance of two elements.
    fn between(&self, a: u32, b: u32) -> Result<f32>;
}

/// The graph of a [`PageStore`], as its metapage was when it was opened.
pub struct PagedGraph<'a, S> {
    /// The pages.
    pub store: &'a S,
    /// The metapage.
    pub meta: Meta,
    measure: Measure,
    /// Codes that [`Graph::between`] has read: an insert compares the same few hundred many times.
    cache: RefCell<HashMap<u32, Box<[u32]>>>,
}

/// Codes that the cache keeps before it starts again.
const CACHE_LIMIT: usize = 8192;

impl<'a, S: PageStore> PagedGraph<'a, S> {
    /// Reads the metapage.
    pub fn open(store: &'a S) -> Result<Self> {
        if store.blocks()? == 0 {
            return Err(Error::NotAnIndex);
        }
        let meta = Meta::read(&store.read(0)?)?;
        Ok(Self { store, measure: meta.space.measure(), meta, cache: RefCell::default() })
    }

    /// Where walks begin, if there is an element.
    pub fn entry(&self) -> Option<(u32, u8)> {
        (self.meta.entry != NONE).then_some((self.meta.entry, self.meta.entry_level))
    }

    /// Gives `f` the node page of an element and its slot there.
    pub fn node<R>(&self, id: u32, f: impl FnOnce(Nodes<'_>, usize) -> R) -> Result<R> {
        let geometry = &self.meta.geometry;
        let (node_page, slot) = geometry.locate(id);
        let block = geometry.node_block(node_page);
        let page = self.store.read(block)?;
        Ok(f(Nodes::new(&page, geometry, block)?, slot))
    }

    /// The code of an element.
    pub fn code(&self, id: u32) -> Result<Box<[u32]>> {
        let space = &self.meta.space;
        let mut bytes = space.max_code_bytes();
        if space.form == Form::Sparse {
            let (first, _) = self.meta.geometry.code_parts(id, 4);
            bytes = 4 * self.part(first, |words| space.code_words(words[0]))?;
        }
        let (part, rest) = self.meta.geometry.code_parts(id, bytes);
        let mut code = Vec::with_capacity(bytes / 4);
        self.part(part, |words| code.extend_from_slice(words))?;
        if let Some(rest) = rest {
            self.part(rest, |words| code.extend_from_slice(words))?;
        }
        Ok(code.into())
    }

    fn part<R>(&self, part: Part, f: impl FnOnce(&[u32]) -> R) -> Result<R> {
        let page = self.store.read(part.block)?;
        format::check_page(&page, part.block, PageKind::Code)?;
        Ok(f(format::words(&page, part)?))
    }

    /// The distance of two codes.
    #[inline]
    pub fn distance(&self, a: &[u32], b: &[u32]) -> f32 {
        self.measure.distance(a, b)
    }

    /// The distance of a code to an element, whose code is kept for the next time.
    pub fn measure(&self, code: &[u32], id: u32) -> Result<f32> {
        self.cached(id)?;
        match self.cache.borrow().get(&id) {
            Some(other) => Ok(self.measure.distance(code, other)),
            None => Err(Error::Store("code cache")),
        }
    }

    fn cached(&self, id: u32) -> Result<()> {
        let mut cache = self.cache.borrow_mut();
        if !cache.contains_key(&id) {
            if cache.len() >= CACHE_LIMIT {
                cache.clear();
            }
            cache.insert(id, self.code(id)?);
        }
        Ok(())
    }
}

impl<S: PageStore> Graph for PagedGraph<'_, S> {
    fn distances(&self, query: &[u32], ids: &[u32], out: &mut Vec<f32>) -> Result<()> {
        self.store.poll()?;
        for id in ids {
            out.push(self.measure.distance(query, &self.code(*id)?));
        }
        Ok(())
    }

    fn expand(&self, id: u32, level: u8, out: &mut Vec<u32>) -> Result<bool> {
        self.node(id, |nodes, slot| {
            out.extend(nodes.links(slot, level).iter().map(|link| target(*link)));
            nodes.is_live(slot)
        })
    }

    fn between(&self, a: u32, b: u32) -> Result<f32> {
        self.cached(a)?;
        self.cached(b)?;
        let cache = self.cache.borrow();
        match (cache.get(&a), cache.get(&b)) {
            (Some(a), Some(b)) => Ok(self.measure.distance(a, b)),
            _ => {
                drop(cache); // the second one has emptied the cache
                Ok(self.measure.distance(&self.code(a)?, &self.code(b)?))
            }
        }
    }
}
