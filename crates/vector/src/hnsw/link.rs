//! Linking elements on pages: the neighbours of a new element, and adding a link to a list that may be full.
//!
//! The link to be replaced is chosen without a lock, since codes have to be read. Under the lock of the page it is checked
//! that the list has not changed; otherwise the choice is repeated.

use std::ops::RangeInclusive;

use crate::Result;
use crate::hnsw::format::{NodesMut, PROTECTED, target};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::search::{Candidate, ScanMode, Scratch, descend, search_layer};
use crate::hnsw::select::{Link, mark_pruned, select, victim, weigh};
use crate::store::{PageStore, Record};

/// Number of attempts to add a link to a list that others change concurrently.
pub(crate) const ATTEMPTS: usize = 3;

/// The neighbours of an element.
pub(crate) struct Neighbours {
    /// The elements that the search of the lowest layer found, nearest first.
    pub near: Vec<Candidate>,
    /// The links, layer by layer from 0, to elements with rows only; none on layers that were not asked for.
    pub links: Vec<Vec<Link>>,
}

/// Algorithm 1 up to the choice of links, on some layers. `myself` is left out, when the code is that of an element in the
/// graph: its list is chosen from twice as many as it holds at least, for it must make up for links to it that are gone.
pub(crate) fn neighbours<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    code: &[u32],
    layers: RangeInclusive<u8>,
    myself: Option<u32>,
) -> Result<Neighbours> {
    let (lowest, level) = layers.into_inner();
    let mut links = vec![Vec::new(); usize::from(level) + 1];
    let Some(entry) = graph.entry() else { return Ok(Neighbours { near: Vec::new(), links }) };
    let ef = match myself {
        Some(_) => graph.meta.ef_construction.max(2 * graph.meta.geometry.capacity(0)) + 1,
        None => graph.meta.ef_construction,
    };
    let mut scratch = Scratch::new(ef * graph.meta.m)?;
    let mut near = descend(graph, code, entry, level, ef, ScanMode::Links, &mut scratch)?;
    for layer in (lowest..=level.min(entry.1)).rev() {
        near = search_layer(graph, code, &near, ef, layer, &mut scratch)?;
        let others: Vec<Candidate> =
            near.iter().filter(|candidate| candidate.live && Some(candidate.id) != myself).copied().collect();
        let limit = graph.meta.geometry.capacity(layer);
        let codes = graph.load(others.iter().map(|candidate| candidate.id))?;
        links[usize::from(layer)] = select(&others, limit, graph.between(&codes))?;
    }
    Ok(Neighbours { near, links })
}

/// A link to add: from `owner`, on a layer, to an element with this code.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub owner: u32,
    pub layer: u8,
    pub code: &'a [u32],
    pub distance: f32,
    pub protected: bool,
}

/// What adding a link does to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The link is there already.
    Present,
    /// There is room for the link.
    Append,
    /// The link replaces this one.
    Replace(u32),
}

/// Plans the change of the owner's list when a link is added. None if the owner was removed, or if all its links are
/// better. `new` is the element to link to, unless it has no number yet. If all links are protected, one for whose target
/// `spare` returns true is replaced. A protected link is added only to a list with fewer than `room` protected ones.
pub(crate) fn plan<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    offer: Offer<'_>,
    new: Option<u32>,
    room: usize,
    spare: impl Fn(u32) -> Result<bool>,
) -> Result<Option<Change>> {
    let Offer { owner, layer, code, distance, protected } = offer;
    let links = graph.node(owner, |nodes, slot| {
        (nodes.is_live(slot) && nodes.level(slot) >= layer).then(|| nodes.links(slot, layer).to_vec())
    })?;
    let Some(links) = links else { return Ok(None) };
    if new.is_some_and(|new| links.iter().any(|link| target(*link) == new)) {
        return Ok(Some(Change::Present));
    }
    if protected && links.iter().filter(|link| *link & PROTECTED != 0).count() >= room {
        return Ok(None);
    }
    if links.len() < graph.meta.geometry.capacity(layer) {
        return Ok(Some(Change::Append));
    }
    if links.iter().all(|link| link & PROTECTED != 0) {
        for link in links {
            if spare(target(link))? {
                return Ok(Some(Change::Replace(link)));
            }
        }
        return Ok(None);
    }
    let mut list = Vec::with_capacity(links.len());
    let codes = graph.load(links.iter().map(|link| target(*link)).chain([owner]))?;
    for link in links {
        let id = target(link);
        let distance = codes.between(owner, id)?;
        list.push(Link { id, distance, protected: link & PROTECTED != 0, pruned: false });
    }
    mark_pruned(&mut list, graph.between(&codes))?;
    let mut link = Link { id: new.unwrap_or(crate::hnsw::format::NONE), distance, protected, pruned: false };
    weigh(&mut list, &mut link, graph.to(&codes, code))?;
    Ok(victim(&list, &link).map(|at| Change::Replace(list[at].id)))
}

/// Applies the planned change under the lock of the owner's page. Returns false if the list has changed since.
pub(crate) fn apply(
    nodes: &mut NodesMut<'_>,
    slot: usize,
    layer: u8,
    change: Change,
    new: u32,
    protected: bool,
) -> bool {
    let capacity = nodes.capacity(layer);
    let view = nodes.view();
    if !view.is_live(slot) || view.level(slot) < layer {
        return false;
    }
    let mut links = view.links(slot, layer).to_vec();
    let bit = if protected { PROTECTED } else { 0 };
    if let Some(link) = links.iter_mut().find(|link| target(**link) == new) {
        *link |= bit;
    } else {
        match change {
            Change::Present => return false,
            Change::Append if links.len() < capacity => links.push(new | bit),
            Change::Append => return false,
            // The protected bit is compared, too: a link that has become protected is not replaced.
            Change::Replace(victim) => match links.iter_mut().find(|link| **link == victim) {
                Some(link) => *link = new | bit,
                None => return false,
            },
        }
    }
    nodes.set_links(slot, layer, &links);
    true
}

/// Adds an unprotected link if it is better than one that the owner has, or if there is room. Returns whether the link is
/// there now.
pub(crate) fn offer<S: PageStore>(graph: &PagedGraph<'_, S>, offer: Offer<'_>, new: u32) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    let (node_page, slot) = geometry.locate(offer.owner);
    let block = geometry.node_block(node_page);
    for _ in 0..ATTEMPTS {
        graph.store.poll()?;
        match plan(graph, offer, Some(new), usize::MAX, |_| Ok(false))? {
            None => return Ok(false),
            Some(Change::Present) => return Ok(true),
            Some(change) => {
                let mut record = graph.store.record()?;
                let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
                if apply(&mut nodes, slot, offer.layer, change, new, false) {
                    record.commit()?;
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
