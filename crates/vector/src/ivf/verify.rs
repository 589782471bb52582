//! Verifying an index. Reads everything, changes nothing.

use crate::ivf::format::{self, Meta, NONE, PageKind};
use crate::ivf::kmeans::{Assigning, Codes};
use crate::ivf::lists::{Lists, coder};
use crate::memory::{filled, room};
use crate::pace::Pace;
use crate::page::is_new;
use crate::report::show;
use crate::store::{Interlock, Mode, PageStore};
use crate::{Error, Method, Result};

pub use crate::report::{Check, Faults, Misfits, Report};

/// Verifies an index. Inserts and vacuums wait meanwhile, scans do not.
pub fn verify<S: PageStore>(store: &S) -> Result<Report> {
    let lock = store.lock(Interlock::Update, Mode::Exclusive)?;
    let mut report = Report::default();
    let mut faults = Faults::default();
    let meta = match store.blocks()? {
        0 => Err(Error::NotAnIndex(Method::Ivfflat)),
        _ => Meta::read(&store.read(0)?),
    };
    let opened = meta.and_then(|_| Ok((Lists::open(store)?, Assigning::new(&coder(store)?))));
    let (lists, assigning) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            faults.push(|| error.to_string());
            report.add("metapage", String::new(), &faults);
            return Ok(report);
        }
    };
    let Meta { space, lists: count, .. } = lists.meta;
    let seen =
        format!("format {}, {} dimensions, {count} lists, {}", format::VERSION, space.dimensions, space.metric.name());
    report.add("metapage", seen, &faults);
    let kinds = pages(&lists, &mut report)?;
    let Some(centres) = centres(&lists, &mut report)? else { return Ok(report) };
    entries(&lists, &assigning, &centres, kinds, &mut report)?;
    let misfits = Misfits { count: lists.meta.misfits, of: report.rows.len() as u64 };
    report.add_codes(&lists.meta.space, lists.meta.is_centred, misfits);
    drop(lock); // the rest is in memory
    report.check_rows(&|| store.poll())?;
    Ok(report)
}

/// The kinds of the pages that no list has been found to contain yet.
struct Unclaimed {
    kinds: Vec<Option<PageKind>>,
    count: usize,
}

impl Unclaimed {
    fn insert(&mut self, block: u32, kind: PageKind) {
        if let Some(place) = self.kinds.get_mut(block as usize) {
            *place = Some(kind);
            self.count += 1;
        }
    }

    fn remove(&mut self, block: u32) -> Option<PageKind> {
        self.kinds.get_mut(block as usize)?.take()
    }
}

fn pages<S: PageStore>(lists: &Lists<'_, S>, report: &mut Report) -> Result<Unclaimed> {
    let (mut faults, mut unused) = (Faults::default(), 0);
    let (geometry, blocks) = (&lists.geometry, lists.store.blocks()?);
    let mut unclaimed = Unclaimed { kinds: filled(None, blocks as usize, || lists.store.poll())?, count: 0 };
    if blocks < geometry.first_entry_block() {
        faults.push(|| format!("{blocks} blocks, where heads and centres alone have {}", geometry.first_entry_block()));
    }
    lists.store.read_ahead(1..blocks);
    for block in 1..blocks {
        lists.store.poll()?;
        let page = lists.store.read(block)?;
        let is = |kind| format::check_page(&page, block, kind);
        let found = if geometry.coder_blocks().contains(&block) {
            is(PageKind::CoderCentre)
        } else if geometry.head_blocks().contains(&block) {
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
    report.add("pages", format!("{blocks} blocks, {} of lists, {unused} unused", unclaimed.count), &faults);
    Ok(unclaimed)
}

fn centres<S: PageStore>(lists: &Lists<'_, S>, report: &mut Report) -> Result<Option<Codes>> {
    let mut faults = Faults::default();
    let words = lists.geometry.words();
    let mut centres = Codes { words, codes: room(words * lists.meta.lists as usize)? };
    let outcome = lists.centres(|list, centre| {
        if !lists.meta.space.is_sound(centre) {
            faults.push(|| format!("centre of list {list} is not finite"));
        }
        centres.codes.extend_from_slice(centre);
    });
    let is_whole = match outcome {
        Ok(()) => true,
        Err(error @ (Error::Corrupt { .. } | Error::Store(_))) => {
            faults.push(|| error.to_string());
            false
        }
        Err(error) => return Err(error),
    };
    report.add("centres", format!("{} centres", centres.len()), &faults);
    Ok(is_whole.then_some(centres))
}

/// Walks through all lists.
fn entries<S: PageStore>(
    lists: &Lists<'_, S>,
    assigning: &Assigning,
    centres: &Codes,
    mut unclaimed: Unclaimed,
    report: &mut Report,
) -> Result<()> {
    let (mut chains, mut vectors, mut assignments) = (Faults::default(), Faults::default(), Faults::default());
    let (mut pages, mut sampled) = (0u64, 0u64);
    let poll = || lists.store.poll();
    let pace = Pace::new(&poll);
    for list in 0..lists.meta.lists {
        poll()?;
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
            if unclaimed.remove(block) != Some(PageKind::Entries) {
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
                        // The page with the rest of its code cannot be read.
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
            let mut row = 0;
            let (mut first, mut outcome) = (Vec::new(), Ok(()));
            let next = lists.each(block, |code, tid| {
                if let Err(error) = report.rows.push(tid) {
                    outcome = Err(error);
                }
                if !lists.meta.space.is_sound(code) {
                    vectors.push(|| format!("vector of row {} is not finite or missing", show(tid)));
                }
                // Checking one row of each page takes long enough.
                if first.is_empty() {
                    sampled += 1;
                    first.extend_from_slice(code);
                    row = tid;
                }
            });
            outcome?;
            if !first.is_empty() {
                let (nearest, distance) = centres.nearest(|a, b| assigning.distance(a, b), &first, &pace)?;
                let own = assigning.distance(&first, centres.get(list as usize));
                // Another processor may have rounded differently.
                if own - distance > 1e-4 * own.abs().max(distance.abs()) {
                    assignments.push(|| format!("row {} is in list {list}, not in {nearest}", show(row)));
                }
            }
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
    for (block, _) in unclaimed.kinds.iter().enumerate().filter(|(_, kind)| kind.is_some()) {
        chains.push(|| format!("no list leads to block {block}"));
    }
    report.add("lists", format!("{pages} pages of entries"), &chains);
    report.add("vectors", format!("{} vectors", report.rows.len()), &vectors);
    report.add("assignments", format!("{sampled} rows checked, each in the list of its nearest centre"), &assignments);
    Ok(())
}

/// The fault of a page of a list, if it has one.
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
    if is_long && unclaimed.remove(rest) != Some(PageKind::Rest) || !is_long && rest != NONE {
        return Ok(Some(format!("block {block} says that its code goes on on block {rest}")));
    }
    Ok(None)
}
