//! Verifying an index. Reads everything, changes nothing.

use crate::hnsw::format::{self, Geometry, Meta, NONE, Nodes, PageKind, target};
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::head::centre;
use crate::hnsw::packed;
use crate::hnsw::set::BitSet;
use crate::hnsw::tree;
use crate::memory::{filled, push, reserved};
use crate::page::is_new;
use crate::store::{Interlock, Mode, PageStore};
use crate::{Error, Method, Result};

pub use crate::report::{Check, Faults, Misfits, Report};

/// All elements, as far as the checks need them.
struct Elements {
    /// Slots by number.
    slots: Vec<Slot>,
    /// The links of each element from layer 0 up: for each layer their number, then the links.
    links: Vec<u32>,
    count: usize,
    live: usize,
    /// Each element that has overflow slots, with the newest of them.
    chains: Vec<(u32, u32)>,
    /// Overflow slots in ascending order.
    overflow: Vec<Overflow>,
}

/// An overflow slot.
struct Overflow {
    id: u32,
    owner: u32,
    next: u32,
    depth: u32,
    rows: usize,
    was_met: bool,
}

/// State of a slot.
#[derive(Debug, Clone, Copy)]
struct Slot {
    state: State,
    level: u8,
    /// Where its links begin.
    links: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Dead,
    Live,
}

impl Elements {
    fn get(&self, id: u32) -> Option<&Slot> {
        self.slots.get(id as usize).filter(|slot| slot.state != State::Free)
    }

    /// The links of an element, layer by layer.
    fn links(&self, slot: &Slot) -> impl Iterator<Item = &[u32]> {
        let mut rest = &self.links[slot.links..];
        (0..=slot.level).map(move |_| {
            let (count, others) = rest.split_first().unwrap_or((&0, &[]));
            let (links, others) = others.split_at(others.len().min(*count as usize));
            rest = others;
            links
        })
    }

    fn ground(&self, slot: &Slot) -> &[u32] {
        self.links(slot).next().unwrap_or_default()
    }

    /// The elements with rows. Checks now and then for a cancel.
    fn live<S: PageStore>(&self, store: &S) -> impl Iterator<Item = Result<(u32, &Slot)>> {
        (0..).zip(&self.slots).filter_map(|(id, slot): (u32, _)| {
            let row = (slot.state == State::Live).then_some(Ok((id, slot)));
            if id.is_multiple_of(POLL) { store.poll().err().map(Err).or(row) } else { row }
        })
    }
}

/// Elements between two checks for a cancel, where nothing is read.
const POLL: u32 = 256;

/// Verifies an index. Inserts and vacuums wait while it is read, scans do not.
pub fn verify<S: PageStore>(store: &S) -> Result<Report> {
    let lock = store.lock(Interlock::Update, Mode::Exclusive)?;
    let mut report = Report::default();
    let mut faults = Faults::default();
    let meta = match store.blocks()? {
        0 => Err(Error::NotAnIndex(Method::Hnsw)),
        _ => Meta::read(&store.read(0)?),
    };
    let meta = match meta {
        Ok(meta) => meta,
        Err(error) => {
            faults.push(|| error.to_string());
            report.add("metapage", String::new(), &faults);
            return Ok(report);
        }
    };
    report.add(
        "metapage",
        format!(
            "format {}, {} dimensions, m {}, ef_construction {}, {}",
            format::VERSION,
            meta.space.dimensions,
            meta.m,
            meta.ef_construction,
            meta.space.metric.name()
        ),
        &faults,
    );
    pages(store, &meta, &mut report)?;
    let elements = elements(store, &meta, &mut report)?;
    let misfits = Misfits { count: meta.misfits, of: elements.count as u64 };
    report.add_codes(&meta.space, meta.is_centred(), misfits);
    drop(lock); // the rest is in memory
    report.check_rows(&|| store.poll())?;
    entry(store, &meta, &elements, &mut report)?;
    links(store, &meta.geometry, &elements, &mut report)?;
    tree(store, &elements, &mut report)?;
    reachable(store, &meta, &elements, &mut report)?;
    Ok(report)
}

fn pages<S: PageStore>(store: &S, meta: &Meta, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    let blocks = store.blocks()?;
    match centre(meta, store) {
        Err(error @ Error::Corrupt { .. }) => faults.push(|| error.to_string()),
        centre => drop(centre?),
    }
    let mut tail = 0;
    store.read_ahead(meta.geometry.first..blocks);
    for block in meta.geometry.first..blocks {
        store.poll()?;
        let kind = meta.geometry.kind(block);
        let page = store.read(block)?;
        let expected = std::mem::take(&mut tail);
        if !is_new(&page)
            && let Err(error) = format::check_page(&page, block, kind)
        {
            faults.push(|| error.to_string());
        } else if kind == PageKind::Code
            && let Some(packing) = meta.geometry.packed()
        {
            let (is_sound, beyond) = packed::is_sound(&page, packing, &meta.space, expected);
            if !is_sound || beyond > 0 && meta.geometry.next_code_page(block).is_none() {
                faults.push(|| format!("block {block} has codes that are broken or lie over each other"));
            }
            tail = beyond;
        }
    }
    report.add("pages", format!("{blocks} blocks, {} of nodes", meta.geometry.node_pages_of(blocks)), &faults);
    Ok(())
}

fn elements<S: PageStore>(store: &S, meta: &Meta, report: &mut Report) -> Result<Elements> {
    let geometry = &meta.geometry;
    let (mut faults, mut vectors) = (Faults::default(), Faults::default());
    let graph = PagedGraph::open(store)?;
    let node_pages = geometry.node_pages_of(store.blocks()?);
    let free = Slot { state: State::Free, level: 0, links: 0 };
    let slots = filled(free, node_pages as usize * geometry.nodes, || store.poll())?;
    let mut elements =
        Elements { slots, links: Vec::new(), count: 0, live: 0, chains: Vec::new(), overflow: Vec::new() };
    store.read_ahead(geometry.node_blocks(node_pages));
    for node_page in 0..node_pages {
        store.poll()?;
        let block = geometry.node_block(node_page);
        {
            let page = store.read(block)?;
            let Ok(nodes) = Nodes::new(&page, geometry, block) else { continue }; // reported as a page
            let mut owners = 0;
            for slot in 0..geometry.nodes {
                let id = geometry.id(node_page, slot);
                if nodes.is_overflow(slot) {
                    nodes.tids(slot).try_for_each(|tid| report.rows.push(tid))?;
                    let (owner, next, depth) = (nodes.owner(slot), nodes.overflow(slot), nodes.depth(slot));
                    let rows = nodes.tid_count(slot);
                    push(&mut elements.overflow, Overflow { id, owner, next, depth, rows, was_met: false })?;
                }
                if !nodes.is_used(slot) {
                    continue;
                }
                let level = nodes.level(slot);
                for layer in 1..=level.min(geometry.max_level()) {
                    if nodes.upper(slot, layer).and_then(|upper| nodes.upper_owner(upper)) != Some(slot) {
                        faults.push(|| format!("element {id} has no links on layer {layer} of {level}"));
                    }
                }
                owners += usize::from(level);
                nodes.tids(slot).try_for_each(|tid| report.rows.push(tid))?;
                elements.add(id, &nodes, slot)?;
            }
            if geometry.uppers - nodes.free_uppers() != owners {
                faults.push(|| format!("block {block} has upper slots that no element owns"));
            }
        }
        for slot in 0..geometry.nodes {
            let id = geometry.id(node_page, slot);
            if elements.get(id).is_none() {
                continue;
            }
            store.poll()?;
            match graph.code(id) {
                Ok(code) if meta.space.is_sound(&code) => {}
                Ok(_) => vectors.push(|| format!("vector of element {id} is not finite or missing")),
                Err(error) => vectors.push(|| error.to_string()),
            }
        }
    }
    elements.check_chains(store, &mut faults)?;
    let (count, live) = (elements.count, elements.live);
    report.add("elements", format!("{count} elements, {live} with rows"), &faults);
    report.add("vectors", format!("{count} vectors"), &vectors);
    Ok(elements)
}

impl Elements {
    fn add(&mut self, id: u32, nodes: &Nodes<'_>, slot: usize) -> Result<()> {
        let (level, links) = (nodes.level(slot), self.links.len());
        for layer in 0..=level {
            let list = nodes.links(slot, layer);
            reserved(self.links.try_reserve(1 + list.len()))?;
            self.links.push(list.len() as u32);
            self.links.extend_from_slice(list);
        }
        if nodes.overflow(slot) != NONE {
            push(&mut self.chains, (id, nodes.overflow(slot)))?;
        }
        let is_live = nodes.is_live(slot);
        self.count += 1;
        self.live += usize::from(is_live);
        if let Some(place) = self.slots.get_mut(id as usize) {
            *place = Slot { state: if is_live { State::Live } else { State::Dead }, level, links };
        }
        Ok(())
    }

    /// Each overflow slot is in the chain of its owner, once. One that vacuum has unlinked has no rows.
    fn check_chains<S: PageStore>(&mut self, store: &S, faults: &mut Faults) -> Result<()> {
        let mut steps = 0u32;
        let mut poll = || {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(POLL) { store.poll() } else { Ok(()) }
        };
        for (owner, mut next) in self.chains.iter().copied() {
            let mut above = u32::MAX;
            while next != NONE {
                poll()?;
                let found = self.overflow.binary_search_by_key(&next, |slot| slot.id).ok();
                let Some(slot) = found.and_then(|at| self.overflow.get_mut(at)) else {
                    faults.push(|| format!("rows of element {owner} go on in slot {next}, which has none"));
                    break;
                };
                if slot.owner != owner || slot.depth >= above {
                    faults.push(|| format!("rows of element {owner} go on in slot {next} of {}", slot.owner));
                    break;
                }
                slot.was_met = true;
                (above, next) = (slot.depth, slot.next);
            }
        }
        for slot in &self.overflow {
            poll()?;
            if !slot.was_met && (slot.owner != NONE || slot.rows > 0) {
                faults.push(|| format!("slot {} has {} rows of no element", slot.id, slot.rows));
            }
        }
        Ok(())
    }
}

fn entry<S: PageStore>(store: &S, meta: &Meta, elements: &Elements, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    match elements.get(meta.entry) {
        None if meta.entry == NONE && elements.live(store).next().transpose()?.is_none() => {}
        None => faults.push(|| "entry point is no element".to_owned()),
        Some(element) if element.level != meta.entry_level => {
            faults.push(|| format!("entry point is on layer {}, not {}", element.level, meta.entry_level));
        }
        Some(_) => {}
    }
    report.add("entry point", format!("layer {}", meta.entry_level), &faults);
    Ok(())
}

fn links<S: PageStore>(store: &S, geometry: &Geometry, elements: &Elements, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    let mut count = 0u64;
    let mut sorted = Vec::new();
    for row in elements.live(store) {
        let (id, element) = row?;
        for (layer, links) in elements.links(element).enumerate() {
            if links.len() > geometry.capacity(layer as u8) {
                faults.push(|| format!("element {id} has {} links on layer {layer}", links.len()));
            }
            sorted.clear();
            sorted.extend(links.iter().map(|link| target(*link)));
            sorted.sort_unstable();
            for (at, to) in sorted.iter().copied().enumerate() {
                count += 1;
                if to == id || at > 0 && sorted[at - 1] == to {
                    faults.push(|| format!("element {id} links to {to} twice or to itself on layer {layer}"));
                }
                match elements.get(to) {
                    None => faults.push(|| format!("element {id} links to {to} on layer {layer}, which is free")),
                    Some(other) if usize::from(other.level) < layer => {
                        faults.push(|| format!("element {id} links to {to} on layer {layer}, above its highest"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    report.add("links", format!("{count} links"), &faults);
    Ok(())
}

fn tree<S: PageStore>(store: &S, elements: &Elements, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    let mut count = 0;
    for row in elements.live(store) {
        let (id, element) = row?;
        let links = elements.ground(element);
        count += links.iter().filter(|link| **link & format::PROTECTED != 0).count();
        let live = |to| elements.get(to).filter(|other| other.state == State::Live);
        for to in tree::one_way(id, links, |to| live(to).map(|other| elements.ground(other))) {
            faults.push(|| format!("element {id} has a protected link to {to}, which has none back"));
        }
    }
    report.add("spanning tree", format!("{count} protected links"), &faults);
    Ok(())
}

fn reachable<S: PageStore>(store: &S, meta: &Meta, elements: &Elements, report: &mut Report) -> Result<()> {
    let mut reached = BitSet::new(elements.slots.len(), || store.poll())?;
    let mut steps = 0u32;
    let is_new = |id: u32| elements.get(id).is_some() && reached.insert(id);
    let count = tree::reach(meta.entry, is_new, |id, links| {
        steps = steps.wrapping_add(1);
        links.extend_from_slice(elements.get(id).map(|element| elements.ground(element)).unwrap_or_default());
        if steps.is_multiple_of(POLL) { store.poll() } else { Ok(()) }
    })?;
    let mut faults = Faults::default();
    for row in elements.live(store) {
        let (id, _) = row?;
        if !reached.contains(id) {
            faults.push(|| format!("element {id} cannot be reached from the entry point"));
        }
    }
    report.add("reachable", format!("{count} elements reachable on layer 0"), &faults);
    Ok(())
}
