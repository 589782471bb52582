//! Inserting into an index on pages: a row goes to the list of its nearest centre, on the first page with room.
//!
//! An insert is one WAL record, even if it adds a page to the list. So a crash leaves no unlinked page but all-zero ones, and
//! those at the end of the index are used by the next inserts.

use crate::ivf::format::{self, Entries, EntriesMut, Head, Meta, NONE};
use crate::ivf::lists::Lists;
use crate::page::{Tid, is_new};
use crate::store::{Interlock, Mode, PageStore, Record};
use crate::{Error, Metric, Result, Space};

/// Minimum number of rows for [`Space::fits`].
const ENOUGH: usize = 8;

/// A list's length is raised for rows that are this many times as long, so that few inserts write the head.
const LONGER: f32 = 1.25;

/// Adds a row with its [code](crate::Coder::encode). If the code is too coarse for the rows on its page, block 0 counts a misfit:
/// most of the nearest rows are in the same list, and the most recent ones on the same page.
pub fn insert<S: PageStore>(store: &S, code: &[u32], tid: Tid) -> Result<()> {
    let _lock = store.lock(Interlock::Update, Mode::Shared)?;
    let lists = Lists::open(store)?;
    if code.len() != lists.geometry.words() {
        return Err(Error::Store("a code of another length"));
    }
    let (list, length) = lists.nearest(code)?;
    lengthen(&lists, list, length)?;
    // An attempt fails if another insert takes the room first.
    loop {
        store.poll()?;
        let head = lists.head(list)?;
        let (is_in, block) = match find(&lists, head)? {
            Destination::Page { block, rest } => (put(&lists, list, head, (block, rest), code, tid)?, block),
            Destination::NewPage(last) => (append(&lists, list, head, last, code, tid)?, last),
        };
        if is_in {
            return count_misfit(&lists, block, code);
        }
    }
}

/// For inner product, raises the length of a list to that of a longer row, before the row is inserted: scans rank lists by
/// their lengths.
fn lengthen<S: PageStore>(lists: &Lists<'_, S>, list: u32, length: f32) -> Result<()> {
    if length == 0.0 || length <= LONGER * lists.head(list)?.length {
        return Ok(());
    }
    let mut record = lists.store.record()?;
    let page = record.page(lists.geometry.head(list).0)?;
    let head = Head::read(page, &lists.geometry, list)?;
    Head { length: length.max(head.length), ..head }.write(page, &lists.geometry, list)?;
    record.commit()
}

fn count_misfit<S: PageStore>(lists: &Lists<'_, S>, block: u32, code: &[u32]) -> Result<()> {
    let space = &lists.meta.space;
    if block == NONE || space.is_exact() {
        return Ok(());
    }
    let mut near = Vec::with_capacity(lists.geometry.entries);
    lists.each(block, |other, _| {
        if other != code {
            near.push(lists.measure.distance(code, other));
        }
    })?;
    near.sort_unstable_by(f32::total_cmp);
    if !fits(space, code, near) {
        let mut record = lists.store.record()?;
        Meta::count_misfit(record.page(0)?)?;
        record.commit()?;
    }
    Ok(())
}

/// [`Space::fits`]. With too few rows for that, whether the code is fine enough to tell the row from them.
fn fits(space: &Space, code: &[u32], mut near: Vec<f32>) -> bool {
    if near.len() < ENOUGH && space.metric != Metric::InnerProduct {
        let Some(usual) = near.get(near.len() / 2) else { return true };
        near = vec![*usual; ENOUGH];
        near[..ENOUGH / 4].fill(0.0);
    }
    space.fits(code, &near)
}

/// Where an entry goes.
enum Destination {
    /// A page with room.
    Page { block: u32, rest: u32 },
    /// A new page, to be linked after this one.
    NewPage(u32),
}

fn find<S: PageStore>(lists: &Lists<'_, S>, head: Head) -> Result<Destination> {
    // In a damaged head one of the two may be missing.
    let mut block = if head.insert == NONE { head.first } else { head.insert };
    if block == NONE {
        return Ok(Destination::NewPage(NONE));
    }
    let mut chain = lists.chain()?;
    loop {
        lists.store.poll()?;
        chain(block)?;
        let (has_room, rest, next) =
            lists.entries(block, |entries| (entries.has_room(), entries.rest(), entries.next()))?;
        if has_room {
            return Ok(Destination::Page { block, rest });
        }
        if next == NONE {
            return Ok(Destination::NewPage(block));
        }
        block = next;
    }
}

/// Adds the row to a page. Returns false if another insert has filled it.
fn put<S: PageStore>(
    lists: &Lists<'_, S>,
    list: u32,
    head: Head,
    (block, rest): (u32, u32),
    code: &[u32],
    tid: Tid,
) -> Result<bool> {
    let geometry = &lists.geometry;
    let mut record = lists.store.record()?;
    if block != head.insert {
        move_insert(lists, &mut record, list, head, block)?;
    }
    let mut pages = [block, if geometry.is_long() { rest } else { block }];
    pages.sort_unstable();
    for page in pages {
        record.page(page)?;
    }
    if !EntriesMut::new(record.page(block)?, geometry, block)?.push(code, tid) {
        return Ok(false);
    }
    if geometry.is_long() {
        format::put_rest(record.page(rest)?, rest, code)?;
    }
    record.commit()?;
    Ok(true)
}

/// Sets the page where inserts begin, unless a vacuum has moved it back meanwhile.
fn move_insert<S: PageStore>(
    lists: &Lists<'_, S>,
    record: &mut S::Record<'_>,
    list: u32,
    read: Head,
    insert: u32,
) -> Result<()> {
    let page = record.page(lists.geometry.head(list).0)?;
    let now = Head::read(page, &lists.geometry, list)?;
    if now == read {
        Head { insert, ..now }.write(page, &lists.geometry, list)?;
    }
    Ok(())
}

/// Appends a page with the row to the list. Returns false if `last` is not the last page any more, or has room.
fn append<S: PageStore>(
    lists: &Lists<'_, S>,
    list: u32,
    head: Head,
    last: u32,
    code: &[u32],
    tid: Tid,
) -> Result<bool> {
    let geometry = &lists.geometry;
    let new = free_blocks(lists)?;
    let rest = if geometry.is_long() { new + 1 } else { NONE };
    let mut record = lists.store.record()?;
    let page = record.page(geometry.head(list).0)?;
    let now = Head::read(page, geometry, list)?;
    match last {
        NONE if now.first != NONE => return Ok(false),
        NONE => Head { first: new, insert: new, ..now }.write(page, geometry, list)?,
        _ if now == head => Head { insert: new, ..now }.write(page, geometry, list)?,
        _ => {}
    }
    let mut pages = [last, new, rest];
    pages.sort_unstable();
    for block in pages.into_iter().filter(|block| *block != NONE) {
        record.page(block)?;
    }
    if last != NONE {
        let page = record.page(last)?;
        let entries = Entries::new(page, geometry, last)?;
        if entries.next() != NONE || entries.has_room() {
            return Ok(false);
        }
        EntriesMut::new(page, geometry, last)?.set_next(new);
    }
    if !is_new(record.page(new)?) || rest != NONE && !is_new(record.page(rest)?) {
        return Ok(false);
    }
    EntriesMut::init(record.page(new)?, geometry, list, rest).push(code, tid);
    if rest != NONE {
        format::put_rest(record.page(rest)?, rest, code)?;
    }
    record.commit()?;
    Ok(true)
}

/// The first of the all-zero pages at the end, as many as a list grows by. Concurrent inserts may get the same ones.
fn free_blocks<S: PageStore>(lists: &Lists<'_, S>) -> Result<u32> {
    let mut end = lists.store.blocks()?;
    while end > lists.geometry.first_entry_block() && is_new(&lists.store.read(end - 1)?) {
        lists.store.poll()?;
        end -= 1;
    }
    let end = end.max(lists.geometry.first_entry_block());
    let needed = end.checked_add(lists.geometry.step()).ok_or(Error::Store("too many pages"))?;
    lists.store.extend_to(needed)?;
    Ok(end)
}
