//! Removing dead rows: mark, repair, confirm, free.
//!
//! 1. Rows that are gone are taken out of their elements, and overflow slots without rows out of their chains. Elements without
//!    rows are *doomed*: walks still pass through them, nothing new links to them.
//! 2. Everybody who might have chosen a doomed element before has ended ([`Interlock::Update`]); the entry point is moved
//!    off them, and the spanning tree is tied together without them.
//! 3. Every link to a doomed element is removed and replaced.
//! 4. It is confirmed that no element links to a doomed one. Only then, when all who might still stand on one have ended
//!    (both interlocks), their slots are freed, and the overflow slots that were taken out.
//!
//! Stopped at any point, the next vacuum does the rest: a doomed element is known by having no rows, an overflow slot to free
//! by having no owner.

use std::collections::HashSet;

use crate::hnsw::format::{self, NONE, Nodes, NodesMut, PROTECTED, target};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::insert::{Neighbours, neighbours};
use crate::hnsw::link::tie;
use crate::hnsw::packed;
use crate::hnsw::repair::{hurt, repair};
use crate::hnsw::rows::unlink_empty;
use crate::memory::{filled, push, reserved};
use crate::page::Tid;
use crate::store::{Interlock, MAX_RECORD_PAGES, Mode, PageStore, Record, barrier};
use crate::{Error, Result};

/// Searches without success after which any partner will do.
const SEARCHES: usize = 16;

/// Elements between two looks at whether to go on, where nothing is read.
const POLL: u32 = 4096;

/// What a vacuum did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that are left.
    pub rows: u64,
    /// Rows taken out.
    pub removed: u64,
    /// Elements freed.
    pub freed: u64,
    /// Lists from which links were removed.
    pub repaired: u64,
    /// Parts of the graph that had come apart.
    pub mended: u64,
}

/// Takes out the rows that `is_dead` says, which is called with no page locked. Only one vacuum of a store at a time.
pub fn vacuum<S: PageStore>(store: &S, is_dead: impl FnMut(Tid) -> bool) -> Result<Outcome> {
    let mut vacuum = Vacuum { store, doomed: Bits::default(), unlinked: Vec::new(), outcome: Outcome::default() };
    let mut live = vacuum.remove_rows(is_dead)?;
    if vacuum.doomed.count == 0 && vacuum.unlinked.is_empty() {
        return Ok(vacuum.outcome);
    }
    if vacuum.doomed.count > 0 {
        barrier(store, Interlock::Update)?;
        vacuum.move_entry(&mut live)?;
        vacuum.mend_tree()?;
        vacuum.repair()?;
        if !vacuum.is_repaired()? {
            return Err(Error::NotRepaired);
        }
    }
    vacuum.next_generation()?;
    barrier(store, Interlock::Update)?;
    barrier(store, Interlock::Scan)?;
    vacuum.free()?;
    Ok(vacuum.outcome)
}

struct Vacuum<'a, S> {
    store: &'a S,
    doomed: Bits,
    /// Overflow slots that belong to no element any more.
    unlinked: Vec<u32>,
    outcome: Outcome,
}

/// An element on the highest layer known.
type Highest = Option<(u32, u8)>;

impl<S: PageStore> Vacuum<'_, S> {
    fn node_pages(&self, graph: &PagedGraph<'_, S>) -> Result<std::ops::Range<u32>> {
        Ok(0..graph.meta.geometry.node_pages_of(self.store.blocks()?))
    }

    fn remove_rows(&mut self, mut is_dead: impl FnMut(Tid) -> bool) -> Result<Highest> {
        if self.store.blocks()? == 1 {
            return Ok(None); // the first insert, under way perhaps, may yet choose another layout
        }
        let graph = PagedGraph::open(self.store)?;
        let geometry = graph.meta.geometry;
        let (mut highest, mut owners): (Highest, Vec<u32>) = (None, Vec::new());
        let node_pages = self.node_pages(&graph)?;
        self.doomed = Bits::new(node_pages.len() * geometry.nodes, || self.store.poll())?;
        self.store.read_ahead(geometry.node_blocks(node_pages.end));
        for node_page in node_pages {
            self.store.poll()?;
            let rows: Vec<(usize, Vec<Tid>)> = read_node_page(&graph, node_page, |nodes| {
                let all = (0..geometry.nodes).filter(|slot| nodes.is_used(*slot) || nodes.is_overflow(*slot));
                all.map(|slot| (slot, nodes.tids(slot).collect())).collect()
            })?;
            let dead: Vec<(usize, Vec<Tid>)> = rows
                .into_iter()
                .map(|(slot, tids)| (slot, tids.into_iter().filter(|tid| is_dead(*tid)).collect::<Vec<_>>()))
                .filter(|(_, tids)| !tids.is_empty())
                .collect();
            if !dead.is_empty() {
                let block = geometry.node_block(node_page);
                let mut record = self.store.record()?;
                let mut nodes = NodesMut::new(record.page(block)?, &geometry, block)?;
                for (slot, tids) in &dead {
                    nodes.retain_tids(*slot, |tid| !tids.contains(&tid));
                    self.outcome.removed += tids.len() as u64;
                }
                record.commit()?;
            }
            read_node_page(&graph, node_page, |nodes| {
                for slot in 0..geometry.nodes {
                    let id = geometry.id(node_page, slot);
                    if nodes.is_overflow(slot) {
                        self.outcome.rows += nodes.tid_count(slot) as u64;
                        match nodes.owner(slot) {
                            NONE => push(&mut self.unlinked, id)?,
                            owner if nodes.tid_count(slot) == 0 => push(&mut owners, owner)?,
                            _ => {}
                        }
                    } else if nodes.is_live(slot) {
                        self.outcome.rows += nodes.tid_count(slot) as u64;
                        if highest.is_none_or(|(_, level)| nodes.level(slot) > level) {
                            highest = Some((id, nodes.level(slot)));
                        }
                    } else if nodes.is_used(slot) {
                        self.doomed.insert(id);
                    }
                }
                Ok(())
            })??;
        }
        self.unlink_empty(&graph, owners)?;
        if highest.is_some_and(|(id, _)| self.doomed.contains(id)) {
            highest = self.highest(&graph)?;
        }
        Ok(highest)
    }

    /// Takes empty overflow slots out of the chains of these elements.
    fn unlink_empty(&mut self, graph: &PagedGraph<'_, S>, mut owners: Vec<u32>) -> Result<()> {
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            if !unlink_empty(graph, owner, |id| push(&mut self.unlinked, id))? {
                self.doomed.insert(owner);
            }
        }
        Ok(())
    }

    /// The highest of the live elements.
    fn highest(&self, graph: &PagedGraph<'_, S>) -> Result<Highest> {
        let mut highest: Highest = None;
        for node_page in self.node_pages(graph)? {
            self.store.poll_awake()?;
            read_node_page(graph, node_page, |nodes| {
                for slot in (0..graph.meta.geometry.nodes).filter(|slot| nodes.is_live(*slot)) {
                    if highest.is_none_or(|(_, level)| nodes.level(slot) > level) {
                        highest = Some((graph.meta.geometry.id(node_page, slot), nodes.level(slot)));
                    }
                }
            })?;
        }
        Ok(highest)
    }

    fn move_entry(&self, highest: &mut Highest) -> Result<()> {
        let _lock = self.store.lock(Interlock::Update, Mode::Exclusive)?;
        let graph = PagedGraph::open(self.store)?;
        if graph.meta.entry == NONE || !self.doomed.contains(graph.meta.entry) {
            return Ok(());
        }
        if highest.is_none() {
            // None was alive in the first pass; an insert may have added some before the barrier.
            *highest = self.highest(&graph)?;
        }
        let (entry, level) = highest.unwrap_or((NONE, 0));
        let mut record = self.store.record()?;
        format::set_entry(record.page(0)?, entry, level);
        record.commit()
    }

    /// Removes every link of a live element to a doomed one, and finds others instead.
    fn repair(&mut self) -> Result<()> {
        let graph = PagedGraph::open(self.store)?;
        for node_page in self.node_pages(&graph)? {
            self.outcome.repaired += repair(self.store, node_page, |id| self.doomed.contains(id))?;
        }
        Ok(())
    }

    /// Ties together what only the doomed elements hold together, before their links go: so nobody is ever out of reach.
    fn mend_tree(&mut self) -> Result<()> {
        let graph = PagedGraph::open(self.store)?;
        let geometry = graph.meta.geometry;
        let node_pages = self.node_pages(&graph)?;
        let mut forest = Forest::new(node_pages.end as usize * geometry.nodes, || self.store.poll())?;
        for node_page in node_pages.clone() {
            self.store.poll()?;
            read_node_page(&graph, node_page, |nodes| {
                for slot in (0..geometry.nodes).filter(|slot| nodes.is_live(*slot)) {
                    let id = geometry.id(node_page, slot);
                    forest.add(id);
                    for link in nodes.links(slot, 0).iter().filter(|link| *link & PROTECTED != 0) {
                        if !self.doomed.contains(target(*link)) {
                            forest.add(target(*link));
                            forest.union(id, target(*link));
                        }
                    }
                }
            })?;
        }
        // The first component is the one that all others join. Each member of another tries once to tie itself to somebody
        // outside: one tie less than there are components is enough, and every component has at least one member.
        // Cheapest partners first: whom it links to, then who is near, then anybody at all. Then once more as long as that
        // helps: a link becomes spare when what is behind it has been joined.
        loop {
            let before = self.outcome.mended;
            for partners in [Self::linked, Self::near, Self::anybody] {
                for id in 0..forest.len() {
                    if id.is_multiple_of(POLL) {
                        self.store.poll()?;
                    }
                    if forest.is_joined(id) || !self.has_room(&graph, id)? {
                        continue;
                    }
                    self.store.poll()?;
                    for (at, partner) in partners(self, &graph, id, &mut forest)?.into_iter().enumerate() {
                        if at.is_multiple_of(POLL as usize) {
                            self.store.poll()?;
                        }
                        if forest.is_member(partner)
                            && forest.find(partner) != forest.find(id)
                            && self.join(&graph, &forest, id, partner)?
                        {
                            forest.union(id, partner);
                            self.outcome.mended += 1;
                            forest.failures = 0;
                            break;
                        }
                    }
                }
            }
            if self.is_tree(&forest)? {
                return Ok(());
            }
            if self.outcome.mended == before {
                return Err(Error::NotRepaired);
            }
        }
    }

    fn is_tree(&self, forest: &Forest) -> Result<bool> {
        for id in 0..forest.len() {
            if id.is_multiple_of(POLL) {
                self.store.poll()?;
            }
            if !forest.is_joined(id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ties two elements to each other, with nobody looking at the whole tree meanwhile.
    fn join(&self, graph: &PagedGraph<'_, S>, forest: &Forest, a: u32, b: u32) -> Result<bool> {
        let _lock = self.store.lock(Interlock::Update, Mode::Shared)?;
        let parts = [a, b].map(|id| forest.root(id));
        tie(graph, a, b, |from, to| self.is_spare(graph, forest, parts, from, to))
    }

    /// Whether nobody is out of reach without the link from a live element to this one, when two parts of the forest are tied
    /// together: it is doomed, and all live elements behind it (those to which its tree leads through doomed ones) are in those
    /// parts.
    fn is_spare(
        &self,
        graph: &PagedGraph<'_, S>,
        forest: &Forest,
        parts: [u32; 2],
        from: u32,
        to: u32,
    ) -> Result<bool> {
        if !self.doomed.contains(to) {
            return Ok(false);
        }
        let mut seen = HashSet::from([from, to]);
        let mut open = vec![to];
        while let Some(id) = open.pop() {
            self.store.poll_awake()?;
            let links = graph.node(id, |nodes, slot| nodes.links(slot, 0).to_vec())?;
            reserved(seen.try_reserve(links.len()))?;
            for next in links.into_iter().filter(|link| link & PROTECTED != 0).map(target) {
                if !seen.insert(next) {
                } else if self.doomed.contains(next) {
                    push(&mut open, next)?;
                } else if forest.is_member(next) && !parts.contains(&forest.root(next)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a protected link can still be added.
    fn has_room(&self, graph: &PagedGraph<'_, S>, id: u32) -> Result<bool> {
        let capacity = graph.meta.geometry.capacity(0);
        graph.node(id, |nodes, slot| {
            let links = nodes.links(slot, 0);
            links.len() < capacity
                || links.iter().any(|link| link & PROTECTED == 0 || self.doomed.contains(target(*link)))
        })
    }

    fn linked(&self, graph: &PagedGraph<'_, S>, id: u32, _: &mut Forest) -> Result<Vec<u32>> {
        graph.node(id, |nodes, slot| nodes.links(slot, 0).iter().map(|link| target(*link)).collect())
    }

    /// Gives up after some failures in a row: a large component can be far from all others.
    fn near(&self, graph: &PagedGraph<'_, S>, id: u32, forest: &mut Forest) -> Result<Vec<u32>> {
        forest.failures += 1;
        if forest.failures > SEARCHES {
            return Ok(Vec::new());
        }
        let code = graph.code(id)?;
        let Neighbours { near, .. } = neighbours(graph, &code, 0..=0, Some(id))?;
        Ok(near.iter().filter(|candidate| candidate.live).map(|candidate| candidate.id).collect())
    }

    fn anybody(&self, _: &PagedGraph<'_, S>, _: u32, forest: &mut Forest) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for other in 0..forest.len() {
            if other.is_multiple_of(POLL) {
                self.store.poll()?;
            }
            if forest.is_joined_member(other) {
                push(&mut all, other)?;
            }
        }
        Ok(all)
    }

    fn is_repaired(&self) -> Result<bool> {
        let graph = PagedGraph::open(self.store)?;
        for node_page in self.node_pages(&graph)? {
            self.store.poll()?;
            if !hurt(&graph, node_page, |id| self.doomed.contains(id))?.is_empty() {
                return Ok(false);
            }
        }
        Ok(!self.doomed.contains(graph.meta.entry))
    }

    /// Before the barriers: a scan that goes on after them sees it.
    fn next_generation(&self) -> Result<()> {
        let mut record = self.store.record()?;
        format::next_generation(record.page(0)?);
        record.commit()
    }

    fn free(&mut self) -> Result<()> {
        let graph = PagedGraph::open(self.store)?;
        self.outcome.freed = self.doomed.count;
        for id in std::mem::take(&mut self.unlinked) {
            self.doomed.insert(id);
        }
        let geometry = &graph.meta.geometry;
        let mut first = None;
        for node_page in self.node_pages(&graph)? {
            let doomed: Vec<usize> =
                (0..geometry.nodes).filter(|slot| self.doomed.contains(geometry.id(node_page, *slot))).collect();
            if doomed.is_empty() {
                if node_page.is_multiple_of(64) {
                    self.store.poll()?;
                }
                continue;
            }
            let block = geometry.node_block(node_page);
            // Packed codes go with their elements, as many pages of them as a record can carry; the last one may run on.
            let entry = |slot: usize| geometry.code_parts(geometry.id(node_page, slot), packed::ENTRY).0;
            let mut rest = &doomed[..];
            while let Some(first) = rest.first() {
                self.store.poll()?;
                let last = entry(*first).block + MAX_RECORD_PAGES as u32 - 3;
                let count = match geometry.packed() {
                    Some(_) => rest.partition_point(|slot| entry(*slot).block <= last),
                    None => rest.len(),
                };
                let mut record = self.store.record()?;
                let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
                let has_code = |slot: &usize| geometry.packed().is_some() && nodes.view().is_used(*slot);
                let coded: Vec<usize> = rest[..count].iter().copied().filter(has_code).collect();
                for slot in &rest[..count] {
                    nodes.free(*slot);
                }
                for slot in coded {
                    let entry = entry(slot);
                    if packed::remove(record.page(entry.block)?, entry, &graph.meta.space)
                        && let Some(next) = geometry.next_code_page(entry.block)
                    {
                        packed::remove_tail(record.page(next)?);
                    }
                }
                record.commit()?;
                rest = &rest[count..];
            }
            first.get_or_insert(node_page);
        }
        if let Some(first) = first {
            let mut record = self.store.record()?;
            let page = record.page(0)?;
            if format::hint(page) > first {
                format::set_hint(page, first);
                record.commit()?;
            }
        }
        Ok(())
    }
}

fn read_node_page<S: PageStore, R>(
    graph: &PagedGraph<'_, S>,
    node_page: u32,
    f: impl FnOnce(Nodes<'_>) -> R,
) -> Result<R> {
    let geometry = &graph.meta.geometry;
    let block = geometry.node_block(node_page);
    let page = graph.store.read(block)?;
    Ok(f(Nodes::new(&page, geometry, block)?))
}

/// A set of elements: a bit each.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    fn new(len: usize, poll: impl Fn() -> Result<()>) -> Result<Self> {
        Ok(Self { words: filled(0, len.div_ceil(64), poll)?, count: 0 })
    }

    /// Of those that there is room for.
    fn insert(&mut self, id: u32) {
        let bit = 1 << (id % 64);
        if let Some(word) = self.words.get_mut(id as usize / 64) {
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }
}

/// Which elements are connected: union-find over their numbers. Elements that appear later are no members; an insert
/// ties them to one that is, or to one that is tied to one.
struct Forest {
    parents: Vec<u32>,
    first: Option<u32>,
    /// Searches for a partner since the last success.
    failures: usize,
}

impl Forest {
    fn new(len: usize, poll: impl Fn() -> Result<()>) -> Result<Self> {
        Ok(Self { parents: filled(NONE, len, poll)?, first: None, failures: 0 })
    }

    fn len(&self) -> u32 {
        self.parents.len() as u32
    }

    fn add(&mut self, id: u32) {
        if let Some(parent) = self.parents.get_mut(id as usize)
            && *parent == NONE
        {
            *parent = id;
            self.first.get_or_insert(id);
        }
    }

    fn is_member(&self, id: u32) -> bool {
        self.parents.get(id as usize).is_some_and(|parent| *parent != NONE)
    }

    /// Whether it is no member or connected with the first one.
    fn is_joined(&self, id: u32) -> bool {
        !self.is_member(id) || self.is_joined_member(id)
    }

    fn is_joined_member(&self, id: u32) -> bool {
        match self.first {
            Some(first) => self.is_member(id) && self.root(id) == self.root(first),
            None => false,
        }
    }

    fn root(&self, mut id: u32) -> u32 {
        while self.parents[id as usize] != id {
            id = self.parents[id as usize];
        }
        id
    }

    fn find(&mut self, mut id: u32) -> u32 {
        while self.parents[id as usize] != id {
            let parent = self.parents[id as usize];
            self.parents[id as usize] = self.parents[parent as usize];
            id = self.parents[id as usize];
        }
        id
    }

    fn union(&mut self, a: u32, b: u32) {
        if self.is_member(a) && self.is_member(b) {
            let (a, b) = (self.find(a), self.find(b));
            let (below, above) = if rank(a) < rank(b) { (a, b) } else { (b, a) };
            self.parents[below as usize] = above;
        }
    }
}

/// Roots hang below others in an order that has nothing to do with that of unions, so that paths have logarithmic length
/// (Goel, Khanna, Larkin and Tarjan, "Disjoint Set Union with Randomized Linking", SODA 2014). Different for each number.
fn rank(id: u32) -> u32 {
    let mixed = (id ^ id >> 16).wrapping_mul(0x7FEB_352D);
    (mixed ^ mixed >> 15).wrapping_mul(0x846C_A68B)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hnsw::build::write_empty;
    use crate::hnsw::format::Meta;
    use crate::hnsw::insert::insert;
    use crate::hnsw::level::Levels;
    use crate::hnsw::verify::verify;
    use crate::mem::MemPages;
    use crate::space::{Element, Value};
    use crate::{Metric, Space};

    /// The only element with rows that has no room for a further link of the tree: all of its links lead to doomed elements,
    /// behind each of which there is another one.
    #[test]
    fn an_element_that_holds_only_doomed_ones_is_tied_to_what_is_behind_them() {
        let meta = Meta::new(Space::new(Element::Dense, Metric::L2, 2), 2, 4);
        let geometry = meta.geometry;
        let store = MemPages::new();
        write_empty(&meta, &store).unwrap();
        let seed = (0..).find(|seed| Levels::new(2, geometry.max_level(), *seed).draw() == 0).unwrap();
        for tid in 0..9 {
            let value = [tid as f32, (tid * tid % 7) as f32];
            insert(
                &store,
                &crate::Coder::plain(meta.space).encode(Value::Dense(&value)).unwrap().unwrap(),
                tid + 1,
                seed,
            )
            .unwrap();
        }
        let block = geometry.node_block(0);
        let mut record = store.record().unwrap();
        format::set_entry(record.page(0).unwrap(), 0, 0);
        let mut nodes = NodesMut::new(record.page(block).unwrap(), &geometry, block).unwrap();
        nodes.set_links(0, 0, &[1, 2, 3, 4].map(|id| id | PROTECTED));
        for id in 1..5 {
            nodes.set_links(id, 0, &[0, id as u32 + 4].map(|id| id | PROTECTED));
            nodes.set_links(id + 4, 0, &[id as u32 | PROTECTED]);
            nodes.retain_tids(id, |_| false);
        }
        record.commit().unwrap();
        vacuum(&store, |_| false).unwrap();
        assert!(verify(&store).unwrap().passed());
        let graph = PagedGraph::open(&store).unwrap();
        let links = graph.node(0, |nodes, slot| nodes.links(slot, 0).to_vec()).unwrap();
        assert!(links.iter().any(|link| link & PROTECTED != 0), "{links:?}");
    }

    /// Rows that came in order hang on each other in a chain, which each look at a root would walk.
    #[test]
    fn paths_are_short_whatever_the_order_of_unions() {
        let count = 100_000;
        let orders: [fn(u32) -> (u32, u32); 3] = [|i| (i, i - 1), |i| (i - 1, i), |i| (i, i / 2)];
        for order in orders {
            let mut forest = Forest::new(count as usize, || Ok(())).unwrap();
            (0..count).for_each(|id| forest.add(id));
            (1..count).map(order).for_each(|(a, b)| forest.union(a, b));
            let length = |id: u32| {
                std::iter::successors(Some(id), |id| {
                    let parent = forest.parents[*id as usize];
                    (parent != *id).then_some(parent)
                })
                .count()
            };
            assert!((0..count).all(|id| forest.is_joined(id)));
            assert!((0..count).map(length).max().unwrap() < 100);
        }
    }
}
