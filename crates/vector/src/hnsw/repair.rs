//! Replacing links to elements that are about to be freed.
//!
//! For a list that loses a few links, the candidates are its own live neighbours and the live neighbours of the deleted ones (the
//! delete rule of FreshDiskANN, Singh et al. 2021), of which the diverse ones are selected. A list that loses more is replaced by
//! a new search, as for an insert. That takes longer and mostly finds better links than before, for there are more elements to
//! choose from than when the list was made.

use crate::Result;
use crate::hnsw::format::{NodesMut, PROTECTED, target};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::link::{Offer, neighbours, offer};
use crate::hnsw::search::Candidate;
use crate::hnsw::select::{Link, select};
use crate::store::{PageStore, Record};

/// A list that loses 1/LOSS of the links that it can hold is replaced by a new search.
const LOSS: usize = 6;

/// A list with fewer candidates than this for each lost link is replaced by a new search, too.
const CANDIDATES: usize = 6;

/// Maximum number of candidates besides its own neighbours, as a multiple of a list's capacity: the nearest ones. Its own
/// neighbours are always candidates, however far they are.
const LISTS: usize = 4;

/// A list with links to deleted elements.
pub(crate) struct ListToRepair {
    slot: usize,
    layer: u8,
    links: Vec<u32>,
}

/// Replaces the links of the live elements on a node page that lead to deleted ones. Returns the number of changed lists.
///
/// The new links are found with no page locked. If an insert changes a list meanwhile, it still loses its links to deleted
/// elements, and gets as many of the new ones as it has room for, so that inserts cannot delay this for ever.
pub(crate) fn repair<S: PageStore>(store: &S, node_page: u32, deleted: impl Fn(u32) -> bool + Copy) -> Result<u64> {
    store.poll()?;
    let graph = PagedGraph::open(store)?; // anew: the entry point may have moved
    let geometry = &graph.meta.geometry;
    let block = geometry.node_block(node_page);
    let lists = lists_to_repair(&graph, node_page, deleted)?;
    if lists.is_empty() {
        return Ok(0);
    }
    let mut plans = Vec::with_capacity(lists.len());
    for list in lists {
        store.poll()?;
        let plan = plan(&graph, geometry.id(node_page, list.slot), &list, deleted)?;
        plans.push((list, plan));
    }
    let mut record = store.record()?;
    let mut nodes = NodesMut::new(record.page(block)?, geometry, block)?;
    for (list, plan) in &mut plans {
        let now = nodes.view().links(list.slot, list.layer);
        if now != list.links {
            plan.links = merged(now, &plan.links, geometry.capacity(list.layer), deleted);
        }
        nodes.set_links(list.slot, list.layer, &plan.links);
    }
    record.commit()?;
    for (list, plan) in &plans {
        let id = geometry.id(node_page, list.slot);
        for link in plan.searched.iter().filter(|link| plan.links.contains(&link.id)) {
            let (owner, distance) = (link.id, link.distance);
            offer(&graph, Offer { owner, layer: list.layer, code: &plan.code, distance, protected: false }, id)?;
        }
    }
    Ok(plans.len() as u64)
}

/// The links of a list that has changed, without those that lead to deleted elements, and as many of the others as there is room
/// for. A protected one is there already: only vacuum removes those.
fn merged(now: &[u32], others: &[u32], capacity: usize, deleted: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut links: Vec<u32> = now.iter().copied().filter(|link| !deleted(target(*link))).collect();
    fill(&mut links, others.iter().copied().filter(|other| other & PROTECTED == 0), capacity);
    links
}

/// Adds those elements that are missing, as many as there is room for.
fn fill(links: &mut Vec<u32>, others: impl Iterator<Item = u32>, capacity: usize) {
    for other in others {
        if links.len() < capacity && is_missing(links, other) {
            links.push(other);
        }
    }
}

fn is_missing(links: &[u32], id: u32) -> bool {
    !links.iter().any(|link| target(*link) == id)
}

/// The lists of live elements on a node page that lead to deleted ones.
pub(crate) fn lists_to_repair<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    node_page: u32,
    deleted: impl Fn(u32) -> bool + Copy,
) -> Result<Vec<ListToRepair>> {
    graph.node_page(node_page, |nodes| {
        let live = (0..graph.meta.geometry.nodes).filter(|slot| nodes.is_live(*slot));
        let lists = live.flat_map(|slot| (0..=nodes.level(slot)).map(move |layer| (slot, layer)));
        let lists = lists.map(|(slot, layer)| ListToRepair { slot, layer, links: nodes.links(slot, layer).to_vec() });
        lists.filter(|list| list.links.iter().any(|link| deleted(target(*link)))).collect()
    })
}

/// The new content of a list.
struct Plan {
    code: Box<[u32]>,
    links: Vec<u32>,
    /// Elements that a search found and that the element did not link to before: they may not link to it.
    searched: Vec<Link>,
}

fn plan<S: PageStore>(
    graph: &PagedGraph<'_, S>,
    id: u32,
    list: &ListToRepair,
    deleted: impl Fn(u32) -> bool + Copy,
) -> Result<Plan> {
    let capacity = graph.meta.geometry.capacity(list.layer);
    let code = graph.code(id)?;
    let (gone, own): (Vec<u32>, Vec<u32>) = list.links.iter().partition(|link| deleted(target(**link)));
    let (mut links, own): (Vec<u32>, Vec<u32>) = own.into_iter().partition(|link| link & PROTECTED != 0);

    let mut others = Vec::new();
    if gone.len() * LOSS < capacity {
        for link in &gone {
            graph.expand(target(*link), list.layer, |_| true, &mut others)?;
        }
        others.sort_unstable();
        others.dedup();
        others.retain(|to| *to != id && !deleted(*to) && is_missing(&links, *to) && is_missing(&own, *to));
    }
    if others.len() < CANDIDATES * gone.len() {
        let mut searched = std::mem::take(
            &mut neighbours(graph, &code, list.layer..=list.layer, Some(id))?.links[usize::from(list.layer)],
        );
        fill(&mut links, searched.iter().map(|link| link.id), capacity);
        fill(&mut links, own.iter().copied(), capacity);
        searched.retain(|link| is_missing(&own, link.id));
        return Ok(Plan { code, links, searched });
    }

    let measure = |ids: &[u32]| -> Result<Vec<Candidate>> {
        let mut distances = Vec::with_capacity(ids.len());
        graph.distances(&code, ids, &mut distances)?;
        Ok(ids.iter().zip(distances).map(|(id, distance)| Candidate { distance, id: *id, live: true }).collect())
    };
    let mut near = measure(&others)?;
    near.sort_unstable();
    near.truncate(LISTS * capacity);
    near.extend(measure(&own)?);
    near.sort_unstable();
    let codes = graph.load(near.iter().map(|candidate| candidate.id))?;
    links.extend(select(&near, capacity - links.len(), graph.between(&codes))?.iter().map(|link| link.id));
    Ok(Plan { code, links, searched: Vec::new() })
}
