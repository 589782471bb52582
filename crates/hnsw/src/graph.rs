//! What the algorithms ask of a graph, and the graph on pages.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::distance::Kernel;
use crate::format::{self, Meta, NONE, Nodes, target};
use crate::store::PageStore;
use crate::{Error, Result};

/// A graph whose elements have numbers.
pub trait Graph {
    /// Appends the distance of each element to `query`.
    fn distances(&self, query: &[f32], ids: &[u32], out: &mut Vec<f32>) -> Result<()>;

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
    kernel: Kernel,
    /// Vectors that [`Graph::between`] has read: an insert compares the same few hundred many times.
    cache: RefCell<HashMap<u32, Box<[f32]>>>,
}

/// Vectors that the cache keeps before it starts again.
const CACHE_LIMIT: usize = 8192;

impl<'a, S: PageStore> PagedGraph<'a, S> {
    /// Reads the metapage.
    pub fn open(store: &'a S) -> Result<Self> {
        if store.blocks()? == 0 {
            return Err(Error::NotAnIndex);
        }
        let meta = Meta::read(&store.read(0)?)?;
        Ok(Self { store, kernel: meta.metric.kernel(), meta, cache: RefCell::default() })
    }

    /// Where walks begin, if there is an element.
    pub fn entry(&self) -> Option<(u32, u8)> {
        (self.meta.entry != NONE).then_some((self.meta.entry, self.meta.entry_level))
    }

    /// Gives `f` the node page of an element and its slot there.
    pub fn node<R>(&self, id: u32, f: impl FnOnce(Nodes<'_>, usize) -> R) -> Result<R> {
        let geometry = &self.meta.geometry;
        let (group, slot) = geometry.locate(id);
        let block = geometry.node_block(group);
        let page = self.store.read(block)?;
        Ok(f(Nodes::new(&page, geometry, block)?, slot))
    }

    /// Gives `f` the vector of an element: on its page, or put together where it runs on over two.
    pub fn vector<R>(&self, id: u32, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let (part, rest) = self.meta.geometry.vector_parts(id);
        let page = self.store.read(part.block)?;
        format::check_page(&page, part.block, format::PageKind::Vector)?;
        let Some(rest) = rest else { return Ok(f(format::floats(&page, part)?)) };
        let mut whole = Vec::with_capacity(self.meta.dimensions);
        whole.extend_from_slice(format::floats(&page, part)?);
        drop(page);
        let page = self.store.read(rest.block)?;
        format::check_page(&page, rest.block, format::PageKind::Vector)?;
        whole.extend_from_slice(format::floats(&page, rest)?);
        drop(page);
        Ok(f(&whole))
    }

    /// The distance of two prepared vectors.
    #[inline]
    pub fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        (self.kernel)(a, b)
    }

    /// The distance of a prepared vector to an element, whose vector is kept for the next time.
    pub fn measure(&self, vector: &[f32], id: u32) -> Result<f32> {
        self.cached(id)?;
        match self.cache.borrow().get(&id) {
            Some(other) => Ok((self.kernel)(vector, other)),
            None => Err(Error::Store("vector cache")),
        }
    }

    fn cached(&self, id: u32) -> Result<()> {
        let mut cache = self.cache.borrow_mut();
        if !cache.contains_key(&id) {
            if cache.len() >= CACHE_LIMIT {
                cache.clear();
            }
            let vector = self.vector(id, |vector| vector.into())?;
            cache.insert(id, vector);
        }
        Ok(())
    }
}

impl<S: PageStore> Graph for PagedGraph<'_, S> {
    fn distances(&self, query: &[f32], ids: &[u32], out: &mut Vec<f32>) -> Result<()> {
        self.store.poll()?;
        for id in ids {
            out.push(self.vector(*id, |vector| (self.kernel)(query, vector))?);
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
            (Some(a), Some(b)) => Ok((self.kernel)(a, b)),
            _ => {
                drop(cache); // the second one has emptied the cache
                let first: Box<[f32]> = self.vector(a, |vector| vector.into())?;
                self.vector(b, |second| (self.kernel)(&first, second))
            }
        }
    }
}
