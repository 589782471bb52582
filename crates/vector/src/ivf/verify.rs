//! Whether an index is what it should be. Reads everything, changes nothing.

use std::collections::HashMap;

use crate::ivf::format::{self, Meta, NONE, PageKind};
use crate::ivf::kmeans::Codes;
use crate::ivf::lists::Lists;
use crate::page::is_new;
use crate::report::show;
use crate::store::{Interlock, Mode, PageStore};
use crate::{Error, Method, Result};

pub use crate::report::{Check, Faults, Report};

/// Verifies an index. Inserts and vacuums wait meanwhile, scans do not.
pub fn verify<S: PageStore>(store: &S) -> Result<Report> {
    let _lock = store.lock(Interlock::Update, Mode::Exclusive)?;
    let mut report = Report::default();
    let mut faults = Faults::default();
    let meta = match store.blocks()? {
        0 => Err(Error::NotAnIndex(Method::Ivfflat)),
        _ => Meta::read(&store.read(0)?),
    };
    let lists = match meta.and_then(|_| Lists::open(store)) {
        Ok(lists) => lists,
        Err(error) => {
            faults.push(|| error.to_string());
            report.add("metapage", String::new(), &faults);
            return Ok(report);
        }
    };
    let Meta { space, lists: count } = lists.meta;
    let seen =
        format!("format {}, {} dimensions, {count} lists, {}", format::VERSION, space.dimensions, space.metric.name());
    report.add("metapage", seen, &faults);
    let kinds = pages(&lists, &mut report)?;
    let Some(centres) = centres(&lists, &mut report) else { return Ok(report) };
    entries(&lists, &centres, kinds, &mut report)?;
    Ok(report)
}

/// Pages that no list has led to so far, and what they are.
type Unclaimed = HashMap<u32, PageKind>;

fn pages<S: PageStore>(lists: &Lists<'_, S>, report: &mut Report) -> Result<Unclaimed> {
    let (mut faults, mut unclaimed, mut unused) = (Faults::default(), Unclaimed::new(), 0);
    let (geometry, blocks) = (&lists.geometry, lists.store.blocks()?);
    if blocks < geometry.first_entry_block() {
        faults.push(|| format!("{blocks} blocks, where heads and centres alone have {}", geometry.first_entry_block()));
    }
    for block in 1..blocks {
        lists.store.poll()?;
        let page = lists.store.read(block)?;
        let is = |kind| format::check_page(&page, block, kind);
        let found = if geometry.head_blocks().contains(&block) {
            is(PageKind::Heads)
        } else if geometry.centre_blocks().contains(&block) {
            is(PageKind::Centres)
        } else if is_new(&page) {
            unused += 1;
            Ok(())
        } else if is(PageKind::Rest).is_ok() {
            unclaimed.insert(block, PageKind::Rest);
            Ok(())
        } else {
            unclaimed.insert(block, PageKind::Entries);
            is(PageKind::Entries)
        };
        if let Err(error) = found {
            faults.push(|| error.to_string());
        }
    }
    report.add("pages", format!("{blocks} blocks, {} of lists, {unused} unused", unclaimed.len()), &faults);
    Ok(unclaimed)
}

fn centres<S: PageStore>(lists: &Lists<'_, S>, report: &mut Report) -> Option<Codes> {
    let mut faults = Faults::default();
    let mut centres = Codes { words: lists.geometry.words(), codes: Vec::new() };
    let outcome = lists.centres(|list, centre| {
        if !lists.meta.space.is_sound(centre) {
            faults.push(|| format!("centre of list {list} is not finite"));
        }
        centres.codes.extend_from_slice(centre);
    });
    if let Err(error) = &outcome {
        faults.push(|| error.to_string());
    }
    report.add("centres", format!("{} centres", centres.len()), &faults);
    outcome.is_ok().then_some(centres)
}

/// Walks through all lists.
fn entries<S: PageStore>(
    lists: &Lists<'_, S>,
    centres: &Codes,
    mut unclaimed: Unclaimed,
    report: &mut Report,
) -> Result<()> {
    let (mut chains, mut vectors, mut places) = (Faults::default(), Faults::default(), Faults::default());
    let (mut pages, mut sampled) = (0u64, 0u64);
    for list in 0..lists.meta.lists {
        let head = match lists.head(list) {
            Ok(head) => head,
            Err(error) => {
                chains.push(|| error.to_string());
                continue;
            }
        };
        let (mut block, mut has_insert) = (head.first, head.insert == NONE);
        if (head.first == NONE) != (head.insert == NONE) {
            chains.push(|| format!("list {list} has a first page or a page with room, but not both"));
        }
        while block != NONE {
            lists.store.poll()?;
            has_insert |= block == head.insert;
            if unclaimed.remove(&block) != Some(PageKind::Entries) {
                chains.push(|| {
                    format!("list {list} leads to block {block}, which is no page of entries or of two lists")
                });
                break;
            }
            match page(lists, list, block, &mut unclaimed) {
                Ok(None) => {}
                Ok(Some(fault)) => {
                    chains.push(|| fault);
                    if lists.geometry.is_long() {
                        // Where its code goes on cannot be read.
                        block = lists.entries(block, |entries| entries.next())?;
                        continue;
                    }
                }
                Err(error) => {
                    chains.push(|| error.to_string());
                    break;
                }
            }
            pages += 1;
            let mut is_first = true;
            let next = lists.each(block, |code, tid| {
                *report.rows.entry(tid).or_default() += 1;
                if !lists.meta.space.is_sound(code) {
                    vectors.push(|| format!("vector of row {} is not finite or missing", show(tid)));
                }
                // To look at one row of each page takes long enough.
                if std::mem::take(&mut is_first) {
                    sampled += 1;
                    let (nearest, distance) = centres.nearest(&lists.assigning, code);
                    let own = lists.assigning.distance(code, centres.get(list as usize));
                    // Another processor may have rounded differently.
                    if own - distance > 1e-4 * own.abs().max(distance.abs()) {
                        places.push(|| format!("row {} is in list {list}, not in {nearest}", show(tid)));
                    }
                }
            });
            match next {
                Ok(next) => block = next,
                Err(error) => {
                    chains.push(|| error.to_string());
                    break;
                }
            }
        }
        if !has_insert {
            chains
                .push(|| format!("inserts into list {list} begin on block {}, which it does not lead to", head.insert));
        }
    }
    for block in unclaimed.keys() {
        chains.push(|| format!("no list leads to block {block}"));
    }
    report.add("lists", format!("{pages} pages of entries"), &chains);
    report.add("vectors", format!("{} vectors", report.rows.values().sum::<u32>()), &vectors);
    report.add("places", format!("{sampled} rows looked at, each in the list of its nearest centre"), &places);
    let mut twice = Faults::default();
    for (tid, count) in report.rows.iter().filter(|(_, count)| **count > 1) {
        twice.push(|| format!("row {} is in the index {count} times", show(*tid)));
    }
    report.add("rows", format!("{} rows", report.rows.len()), &twice);
    Ok(())
}

/// What is wrong with a page of a list, if anything is.
fn page<S: PageStore>(
    lists: &Lists<'_, S>,
    list: u32,
    block: u32,
    unclaimed: &mut Unclaimed,
) -> Result<Option<String>> {
    let (owner, rest) = lists.entries(block, |entries| (entries.list(), entries.rest()))?;
    if owner != list {
        return Ok(Some(format!("block {block} says it is of list {owner}, but is of {list}")));
    }
    let is_long = lists.geometry.is_long();
    if is_long && unclaimed.remove(&rest) != Some(PageKind::Rest) || !is_long && rest != NONE {
        return Ok(Some(format!("block {block} says that its code goes on on block {rest}")));
    }
    Ok(None)
}
