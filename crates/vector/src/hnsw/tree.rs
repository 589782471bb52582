//! The spanning tree: links that keep every element reachable.
//!
//! # What it is
//!
//! A search finds only elements that links lead to. A full list drops a link when a better one comes, and an element to which no
//! link leads any more is lost, though it is in the index. So on layer 0 some links are [protected](PROTECTED). A new element and
//! an existing one, its parent, link to each other by protected links, so that the protected links of all elements form a tree
//! that spans the layer. Searches seldom need them; their cost is a place in a list for each end.
//!
//! pgvector and the HNSW paper have no such links: an insert may drop the last link that leads to an element, and pgvector's own
//! test of inserts (016) is content with 997 of 1,000 rows. Its vacuum, which searches again for each element that has lost
//! links, finds some of them again.
//!
//! # Invariants
//!
//! 1. A protected link between two elements with rows is there both ways.
//! 2. Protected links connect all elements with rows; paths may lead through elements without rows, until vacuum frees those. So
//!    links of layer 0 lead from the entry point to every row.
//! 3. Inserts never remove a protected link: [`victim`](super::select::victim) chooses another one.
//! 4. An element and the links to and from its parent are written in one record, so 2 holds after a crash at any point.
//! 5. Vacuum [mends](mend) the tree before it removes the first link to an element that it is going to free.
//! 6. While there are others, inserts take no parent that has
//!    [as many protected links](super::format::Geometry::tree_capacity) as leave half of a list to the nearest elements.
//!
//! `lagoon.verify_index` checks 1 ([`one_way`]) and 2 ([`reach`]).
//!
//! The graph is in memory while it is built and on pages afterwards. This file has what both have in common, and what is done on
//! pages. [`super::arena`] and [`super::insert`] link an element to its parent.

use crate::hnsw::format::{NONE, NodesMut, PROTECTED, target};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::link::{ATTEMPTS, Neighbours, Offer, apply, neighbours, plan};
use crate::hnsw::search::Candidate;
use crate::hnsw::set::{BitSet, IdSet};
use crate::memory::{filled, push, reserved};
use crate::store::{Interlock, Mode, PageStore, Record};
use crate::{Error, Result};

/// Number of steps of a random walk along the tree in search of a parent. Nearly every element can be one.
const STEPS: u32 = 32;

/// Number of searches for a partner without success after which any element may be one.
const SEARCHES: usize = 16;

/// Elements between two checks for a cancel, where nothing is read.
const POLL: u32 = 4096;

// --------------------------------------------------------------------------------------------------------- a new element

/// A graph in which a new element needs a parent.
pub(crate) trait Parents {
    /// The result of linking an element to its parent.
    type Linked;

    /// Links the new element and a parent to each other by protected links, unless that is gone or has `capacity` of them
    /// already. `distance` is that of the two, where it is known.
    fn link(&mut self, parent: u32, distance: Option<f32>, capacity: usize) -> Result<Option<Self::Linked>>;

    /// Appends the links of an element on layer 0, [`PROTECTED`] bits included; whether it has rows.
    fn links(&mut self, id: u32, out: &mut Vec<u32>) -> Result<bool>;

    /// Called now and then.
    fn poll(&self) -> Result<()>;
}

/// The result of a search for a parent.
pub(crate) enum Found<T> {
    /// The element is linked to a parent.
    Parent(T),
    /// All elements that could be a parent have been removed.
    NoParent,
    /// No element has rows, so the new one is the root of a new tree.
    Root,
}

/// Links a new element to a parent: to the nearest of `near` that has less than `capacity` protected links, else to one that a
/// random walk along the tree finds (there are leaves everywhere), else to any that has room.
pub(crate) fn find_parent<P: Parents>(
    graph: &mut P,
    near: &[Candidate],
    capacity: usize,
    random: u32,
) -> Result<Found<P::Linked>> {
    let live = || near.iter().filter(|candidate| candidate.live);
    for candidate in live() {
        if let Some(linked) = graph.link(candidate.id, Some(candidate.distance), capacity)? {
            return Ok(Found::Parent(linked));
        }
    }
    let mut links = Vec::new();
    let mut at = live().next().map(|candidate| candidate.id);
    for step in 0..STEPS {
        let Some(from) = at else { break };
        links.clear();
        graph.links(from, &mut links)?;
        at = tree_neighbour(&links, random ^ step);
        let Some(parent) = at else { break };
        if let Some(linked) = graph.link(parent, None, capacity)? {
            return Ok(Found::Parent(linked));
        }
    }
    // All elements nearby may be without rows, though others have some: search breadth-first.
    let mut visited = IdSet::new(near.len())?;
    let mut queue: Vec<u32> = near.iter().map(|candidate| candidate.id).collect();
    let mut is_empty = true;
    while !queue.is_empty() {
        visited.reserve(queue.len(), || graph.poll())?;
        queue.retain(|id| visited.insert(*id));
        let mut further = Vec::new();
        for parent in queue {
            if let Some(linked) = graph.link(parent, None, usize::MAX)? {
                return Ok(Found::Parent(linked));
            }
            links.clear();
            is_empty &= !graph.links(parent, &mut links)?;
            reserved(further.try_reserve(links.len()))?;
            further.extend(links.iter().map(|link| target(*link)));
        }
        queue = further;
    }
    Ok(if is_empty { Found::Root } else { Found::NoParent })
}

/// The target of a random protected link in a list.
fn tree_neighbour(links: &[u32], random: u32) -> Option<u32> {
    let mut tree = links.iter().filter(|link| **link & PROTECTED != 0);
    let count = tree.clone().count();
    let at = (random.wrapping_mul(0x9E37_79B1) >> 8) as usize % count.max(1);
    tree.nth(at).map(|link| target(*link))
}

// -------------------------------------------------------------------------------------------------------------- vacuum

/// Links two elements with rows by protected links both ways, in one record. Returns false if one of them was removed or has no
/// room: no free or unprotected link, and none that `spare` allows to replace.
fn link_tree<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    a: u32,
    b: u32,
    spare: impl Fn(u32, u32) -> Result<bool>,
) -> Result<bool> {
    let geometry = &graph.meta.geometry;
    let codes = [graph.code(b)?, graph.code(a)?];
    let distance = graph.distance(&codes[0], &codes[1]);
    for _ in 0..ATTEMPTS {
        graph.store.poll()?;
        let mut plans = Vec::with_capacity(2);
        for ((owner, new), code) in [(a, b), (b, a)].into_iter().zip(&codes) {
            let offer = Offer { owner, layer: 0, code, distance, protected: true };
            let Some(change) = plan(graph, offer, Some(new), usize::MAX, |to| spare(owner, to))? else {
                return Ok(false);
            };
            plans.push((geometry.node_block(geometry.locate(owner).0), owner, new, change));
        }
        plans.sort_by_key(|(block, ..)| *block); // a record locks its pages in this order
        let mut record = graph.store.record()?;
        let mut done = true;
        for (block, owner, new, change) in plans {
            let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
            done &= apply(&mut nodes, geometry.locate(owner).1, 0, change, new, true);
        }
        if done {
            record.commit()?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds links to the tree until it spans all elements with rows without the `deleted` ones, which are going to be freed.
/// Their links are still there, so every element stays reachable. Returns the number of added links. Inserts may go on
/// meanwhile; only one vacuum may run this.
pub(crate) fn mend<S: PageStore>(store: &S, deleted: &BitSet) -> Result<u64> {
    let graph = PagedGraph::open(store)?;
    let forest = Forest::of(&graph, deleted)?;
    Mending { graph, deleted, forest, failures: 0, added: 0 }.run()
}

struct Mending<'a, S> {
    graph: PagedGraph<'a, S>,
    deleted: &'a BitSet,
    forest: Forest,
    /// Number of searches for a partner since the last success.
    failures: usize,
    /// Number of links that were added to the tree.
    added: u64,
}

impl<S: PageStore> Mending<'_, S> {
    fn run(mut self) -> Result<u64> {
        // All components are joined to the first one. Each member of another one tries once to be linked to an element outside:
        // there are more members than missing links. It tries the cheapest partners first: those that it links to, then those
        // that a search finds, then any that are connected with the first component. This is repeated while it succeeds, since a
        // link can become replaceable after the component behind it was joined.
        loop {
            let before = self.added;
            for partners in [Self::linked, Self::near, Self::connected] {
                self.join_all(partners)?;
            }
            if self.is_tree()? {
                return Ok(self.added);
            }
            if self.added == before {
                return Err(Error::NotRepaired);
            }
        }
    }

    /// Links elements that are not connected with the first one to one of their `partners` outside of their component.
    fn join_all(&mut self, partners: fn(&mut Self, u32) -> Result<Vec<u32>>) -> Result<()> {
        for id in 0..self.forest.len() {
            self.poll(id)?;
            if self.forest.is_joined(id) || !self.has_room(id)? {
                continue;
            }
            self.graph.store.poll()?;
            for (at, partner) in (0..).zip(partners(self, id)?) {
                self.poll(at)?;
                if self.forest.is_member(partner)
                    && self.forest.find(partner) != self.forest.find(id)
                    && self.join(id, partner)?
                {
                    self.forest.union(id, partner);
                    self.added += 1;
                    self.failures = 0;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Checks for a cancel, once in a number of elements.
    fn poll(&self, at: u32) -> Result<()> {
        if at.is_multiple_of(POLL) { self.graph.store.poll() } else { Ok(()) }
    }

    fn is_tree(&self) -> Result<bool> {
        for id in 0..self.forest.len() {
            self.poll(id)?;
            if !self.forest.is_joined(id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Links two elements to each other. The lock excludes a verification of the whole tree.
    fn join(&self, a: u32, b: u32) -> Result<bool> {
        let _lock = self.graph.store.lock(Interlock::Update, Mode::Shared)?;
        let parts = [a, b].map(|id| self.forest.root(id));
        link_tree(&self.graph, a, b, |from, to| self.is_spare(parts, from, to))
    }

    /// Whether the protected link `from` a live element `to` another can be replaced when the two `parts` of the forest are
    /// connected: `to` is deleted, and all live elements behind it (those that protected links lead to through deleted
    /// ones) are in these parts.
    fn is_spare(&self, parts: [u32; 2], from: u32, to: u32) -> Result<bool> {
        let store = self.graph.store;
        if !self.deleted.contains(to) {
            return Ok(false);
        }
        let mut visited = IdSet::new(0)?;
        visited.reserve(2, || store.poll_awake())?;
        visited.insert(from);
        visited.insert(to);
        let mut open = vec![to];
        while let Some(id) = open.pop() {
            store.poll_awake()?;
            let links = self.graph.node(id, |nodes, slot| nodes.links(slot, 0).to_vec())?;
            visited.reserve(links.len(), || store.poll_awake())?;
            for next in links.into_iter().filter(|link| link & PROTECTED != 0).map(target) {
                if !visited.insert(next) {
                } else if self.deleted.contains(next) {
                    push(&mut open, next)?;
                } else if self.forest.is_member(next) && !parts.contains(&self.forest.root(next)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a protected link can still be added.
    fn has_room(&self, id: u32) -> Result<bool> {
        let capacity = self.graph.meta.geometry.capacity(0);
        self.graph.node(id, |nodes, slot| {
            let links = nodes.links(slot, 0);
            links.len() < capacity
                || links.iter().any(|link| link & PROTECTED == 0 || self.deleted.contains(target(*link)))
        })
    }

    /// Partners that an element links to.
    fn linked(&mut self, id: u32) -> Result<Vec<u32>> {
        self.graph.node(id, |nodes, slot| nodes.links(slot, 0).iter().map(|link| target(*link)).collect())
    }

    /// Partners that a search finds. Returns none after some failures in a row: a large component can be far from all others.
    fn near(&mut self, id: u32) -> Result<Vec<u32>> {
        self.failures += 1;
        if self.failures > SEARCHES {
            return Ok(Vec::new());
        }
        let code = self.graph.code(id)?;
        let Neighbours { near, .. } = neighbours(&self.graph, &code, 0..=0, Some(id))?;
        Ok(near.iter().filter(|candidate| candidate.live).map(|candidate| candidate.id).collect())
    }

    /// All elements that are connected with the first one.
    fn connected(&mut self, _: u32) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for other in 0..self.forest.len() {
            self.poll(other)?;
            if self.forest.is_joined_member(other) {
                push(&mut all, other)?;
            }
        }
        Ok(all)
    }
}

/// The connected components of the tree without deleted elements: union-find over the numbers of elements. Elements that
/// are inserted later are no members; they are linked to a member, or to an element that is.
struct Forest {
    parents: Vec<u32>,
    first: Option<u32>,
}

impl Forest {
    fn new(len: usize, poll: impl Fn() -> Result<()>) -> Result<Self> {
        Ok(Self { parents: filled(NONE, len, poll)?, first: None })
    }

    /// The components that protected links form without those to the deleted elements.
    fn of<S: PageStore>(graph: &PagedGraph<'_, S>, deleted: &BitSet) -> Result<Self> {
        let geometry = &graph.meta.geometry;
        let node_pages = geometry.node_pages_of(graph.store.blocks()?);
        let mut forest = Self::new(node_pages as usize * geometry.nodes, || graph.store.poll())?;
        for node_page in 0..node_pages {
            graph.store.poll()?;
            graph.node_page(node_page, |nodes| {
                for slot in (0..geometry.nodes).filter(|slot| nodes.is_live(*slot)) {
                    let id = geometry.id(node_page, slot);
                    forest.add(id);
                    for link in nodes.links(slot, 0).iter().filter(|link| *link & PROTECTED != 0) {
                        if !deleted.contains(target(*link)) {
                            forest.add(target(*link));
                            forest.union(id, target(*link));
                        }
                    }
                }
            })?;
        }
        Ok(forest)
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

    /// Whether the element is connected with the first one, or is no member.
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

/// The rank of a root: a random order, different for each number, in which roots are linked, so that paths have logarithmic
/// length (Goel, Khanna, Larkin and Tarjan, "Disjoint Set Union with Randomized Linking", SODA 2014).
fn rank(id: u32) -> u32 {
    let mixed = (id ^ id >> 16).wrapping_mul(0x7FEB_352D);
    (mixed ^ mixed >> 15).wrapping_mul(0x846C_A68B)
}

// --------------------------------------------------------------------------------------------------------------- checks

/// The protected ones of an element's `links` on layer 0 that lead to elements without a protected link back. `other` returns the
/// links of an element with rows.
pub(crate) fn one_way<'a>(
    id: u32,
    links: &'a [u32],
    other: impl Fn(u32) -> Option<&'a [u32]>,
) -> impl Iterator<Item = u32> {
    let protected = links.iter().filter(|link| **link & PROTECTED != 0).map(|link| target(*link));
    protected.filter(move |to| other(*to).is_some_and(|links| !links.contains(&(id | PROTECTED))))
}

/// The number of elements that links of layer 0 lead to from one element, itself included. `is_new` is called with each
/// that is met, and `links` appends the links of an element.
pub(crate) fn reach(
    entry: u32,
    mut is_new: impl FnMut(u32) -> bool,
    mut links: impl FnMut(u32, &mut Vec<u32>) -> Result<()>,
) -> Result<u32> {
    let (mut open, mut found, mut count) = (Vec::new(), Vec::new(), 0);
    let mut visit = |id: u32, open: &mut Vec<u32>| {
        if is_new(id) {
            count += 1;
            push(open, id)?;
        }
        Ok(())
    };
    visit(entry, &mut open)?;
    while let Some(id) = open.pop() {
        found.clear();
        links(id, &mut found)?;
        found.iter().try_for_each(|link| visit(target(*link), &mut open))?;
    }
    Ok(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hnsw::build::write_empty;
    use crate::hnsw::format::{self, Meta};
    use crate::hnsw::insert::insert;
    use crate::hnsw::level::Levels;
    use crate::hnsw::vacuum::vacuum;
    use crate::hnsw::verify::verify;
    use crate::mem::MemPages;
    use crate::space::{Element, Value};
    use crate::{Metric, Space};

    /// The only element with rows has no room for a further link of the tree: all of its links lead to deleted elements,
    /// behind each of which there is another one.
    #[test]
    fn an_element_that_links_to_deleted_ones_only_is_linked_to_what_is_behind_them() {
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

    /// Rows that were inserted in order could form a chain, which each search for a root would follow.
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

    /// A graph in memory, of which some elements can be no parents.
    struct Lists {
        links: Vec<Vec<u32>>,
        live: fn(u32) -> bool,
        is_parent: fn(u32) -> bool,
    }

    impl Parents for Lists {
        type Linked = u32;

        fn link(&mut self, parent: u32, _: Option<f32>, _: usize) -> Result<Option<u32>> {
            Ok((self.is_parent)(parent).then_some(parent))
        }

        fn links(&mut self, id: u32, out: &mut Vec<u32>) -> Result<bool> {
            out.extend(&self.links[id as usize]);
            Ok((self.live)(id))
        }

        fn poll(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_parent_is_found_wherever_there_is_one() {
        // A chain of 200 elements, longer than a random walk.
        let link = |id: u32| [id.checked_sub(1), (id < 199).then_some(id + 1)].into_iter().flatten();
        let links = || (0..200).map(|id| link(id).map(|to| to | PROTECTED).collect()).collect();
        let near = [3, 2].map(|id| Candidate { id, distance: id as f32, live: true });
        let found = |live: fn(u32) -> bool, is_parent: fn(u32) -> bool| {
            let near = near.map(|candidate| Candidate { live: live(candidate.id), ..candidate });
            find_parent(&mut Lists { links: links(), live, is_parent }, &near, 8, 1).unwrap()
        };
        assert!(matches!(found(|_| true, |_| true), Found::Parent(3)));
        assert!(matches!(found(|_| true, |id| id != 3), Found::Parent(2)));
        assert!(matches!(found(|_| true, |id| id == 199), Found::Parent(199)));
        assert!(matches!(found(|id| id == 199, |id| id == 199), Found::Parent(199)));
        assert!(matches!(found(|id| id == 199, |_| false), Found::NoParent));
        assert!(matches!(found(|_| false, |_| false), Found::Root));
    }
}
