//! Whether an index is what it should be. Reads everything, changes nothing.

use std::collections::{HashMap, HashSet};

use crate::hnsw::format::{self, Geometry, Meta, NONE, Nodes, PageKind, target};
use crate::hnsw::graph::PagedGraph;
use crate::page::is_new;
use crate::report::show;
use crate::store::{Interlock, Mode, PageStore};
use crate::{Error, Method, Result};

pub use crate::report::{Check, Faults, Report};

/// The part of an element that the checks need.
struct Element {
    level: u8,
    live: bool,
    links: Vec<Vec<u32>>,
}

/// Elements between two looks at whether to go on, where nothing is read.
const POLL: usize = 4096;

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
    drop(lock); // the rest is in memory
    entry(&meta, &elements, &mut report);
    links(store, &meta.geometry, &elements, &mut report)?;
    tree(store, &elements, &mut report)?;
    reachable(store, &meta, &elements, &mut report)?;
    Ok(report)
}

fn pages<S: PageStore>(store: &S, meta: &Meta, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    let blocks = store.blocks()?;
    for block in 1..blocks {
        store.poll()?;
        let kind = if meta.geometry.is_node_block(block) { PageKind::Node } else { PageKind::Code };
        let page = store.read(block)?;
        if !is_new(&page)
            && let Err(error) = format::check_page(&page, block, kind)
        {
            faults.push(|| error.to_string());
        }
    }
    report.add("pages", format!("{blocks} blocks, {} of nodes", meta.geometry.node_pages_of(blocks)), &faults);
    Ok(())
}

fn elements<S: PageStore>(store: &S, meta: &Meta, report: &mut Report) -> Result<HashMap<u32, Element>> {
    let geometry = &meta.geometry;
    let mut faults = Faults::default();
    let mut vectors = Faults::default();
    let mut elements = HashMap::new();
    let graph = PagedGraph::open(store)?;
    let blocks = store.blocks()?;
    for node_page in 0..geometry.node_pages_of(blocks) {
        store.poll()?;
        let block = geometry.node_block(node_page);
        {
            let page = store.read(block)?;
            let Ok(nodes) = Nodes::new(&page, geometry, block) else { continue }; // reported as a page
            let mut owners = 0;
            for slot in (0..geometry.nodes).filter(|slot| nodes.is_used(*slot)) {
                let id = geometry.id(node_page, slot);
                let level = nodes.level(slot);
                for layer in 1..=level.min(geometry.max_level()) {
                    if nodes.upper(slot, layer).and_then(|upper| nodes.upper_owner(upper)) != Some(slot) {
                        faults.push(|| format!("element {id} has no links on layer {layer} of {level}"));
                    }
                }
                owners += usize::from(level);
                for tid in nodes.tids(slot) {
                    *report.rows.entry(tid).or_default() += 1;
                }
                let links = (0..=level).map(|layer| nodes.links(slot, layer).to_vec()).collect();
                elements.insert(id, Element { level, live: nodes.is_live(slot), links });
            }
            if geometry.uppers - nodes.free_uppers() != owners {
                faults.push(|| format!("block {block} has upper slots that no element owns"));
            }
        }
        for slot in 0..geometry.nodes {
            let id = geometry.id(node_page, slot);
            if !elements.contains_key(&id) {
                continue;
            }
            match graph.code(id) {
                Ok(code) if meta.space.is_sound(&code) => {}
                Ok(_) => vectors.push(|| format!("vector of element {id} is not finite or missing")),
                Err(error) => vectors.push(|| error.to_string()),
            }
        }
    }
    let live = elements.values().filter(|element: &&Element| element.live).count();
    report.add("elements", format!("{} elements, {live} with rows", elements.len()), &faults);
    report.add("vectors", format!("{} vectors", elements.len()), &vectors);
    let mut twice = Faults::default();
    for (tid, count) in report.rows.iter().filter(|(_, count)| **count > 1) {
        twice.push(|| format!("row {} is in the index {count} times", show(*tid)));
    }
    report.add("rows", format!("{} rows", report.rows.len()), &twice);
    Ok(elements)
}

fn entry(meta: &Meta, elements: &HashMap<u32, Element>, report: &mut Report) {
    let mut faults = Faults::default();
    match elements.get(&meta.entry) {
        None if meta.entry == NONE && elements.values().all(|element| !element.live) => {}
        None => faults.push(|| "entry point is no element".to_owned()),
        Some(element) if element.level != meta.entry_level => {
            faults.push(|| format!("entry point is on layer {}, not {}", element.level, meta.entry_level));
        }
        Some(_) => {}
    }
    report.add("entry point", format!("layer {}", meta.entry_level), &faults);
}

/// The elements with rows. Looks now and then at whether to go on.
fn live<'a, S: PageStore>(
    store: &S,
    elements: &'a HashMap<u32, Element>,
) -> impl Iterator<Item = Result<(&'a u32, &'a Element)>> {
    let live = elements.iter().filter(|(_, element)| element.live).enumerate();
    live.map(|(at, row)| if at.is_multiple_of(POLL) { store.poll().map(|()| row) } else { Ok(row) })
}

fn links<S: PageStore>(
    store: &S,
    geometry: &Geometry,
    elements: &HashMap<u32, Element>,
    report: &mut Report,
) -> Result<()> {
    let mut faults = Faults::default();
    let mut count = 0u64;
    for row in live(store, elements) {
        let (id, element) = row?;
        for (layer, links) in element.links.iter().enumerate() {
            let mut seen = HashSet::new();
            if links.len() > geometry.capacity(layer as u8) {
                faults.push(|| format!("element {id} has {} links on layer {layer}", links.len()));
            }
            for to in links.iter().map(|link| target(*link)) {
                count += 1;
                if to == *id || !seen.insert(to) {
                    faults.push(|| format!("element {id} links to {to} twice or to itself on layer {layer}"));
                }
                match elements.get(&to) {
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

/// Every protected link has its counterpart.
fn tree<S: PageStore>(store: &S, elements: &HashMap<u32, Element>, report: &mut Report) -> Result<()> {
    let mut faults = Faults::default();
    let mut count = 0u64;
    for row in live(store, elements) {
        let (id, element) = row?;
        for link in element.links[0].iter().filter(|link| **link & format::PROTECTED != 0) {
            count += 1;
            let back = id | format::PROTECTED;
            if elements.get(&target(*link)).is_some_and(|other| other.live && !other.links[0].contains(&back)) {
                faults.push(|| format!("element {id} is tied to {}, which is not tied to it", target(*link)));
            }
        }
    }
    report.add("spanning tree", format!("{count} protected links"), &faults);
    Ok(())
}

fn reachable<S: PageStore>(
    store: &S,
    meta: &Meta,
    elements: &HashMap<u32, Element>,
    report: &mut Report,
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    if elements.contains_key(&meta.entry) {
        seen.insert(meta.entry);
        open.push(meta.entry);
    }
    let mut steps = 0usize;
    while let Some(id) = open.pop() {
        if steps.is_multiple_of(POLL) {
            store.poll()?;
        }
        steps += 1;
        for to in elements.get(&id).and_then(|element| element.links.first()).into_iter().flatten() {
            if elements.contains_key(&target(*to)) && seen.insert(target(*to)) {
                open.push(target(*to));
            }
        }
    }
    let mut faults = Faults::default();
    for row in live(store, elements) {
        let (id, _) = row?;
        if seen.contains(id) {
            continue;
        }
        faults.push(|| format!("element {id} cannot be reached from the entry point"));
    }
    report.add("reachable", format!("{} elements reachable on layer 0", seen.len()), &faults);
    Ok(())
}
