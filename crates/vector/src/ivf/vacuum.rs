//! Removing dead rows, page by page. Pages stay with their lists; the space on them is used again.

use crate::Result;
use crate::ivf::format::{EntriesMut, Head, NONE};
use crate::ivf::lists::Lists;
use crate::page::Tid;
use crate::store::{Interlock, Mode, PageStore, Record};

/// What a vacuum did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that are left.
    pub rows: u64,
    /// Rows removed.
    pub removed: u64,
}

/// Removes the rows for which `is_dead` returns true; it is called with no page locked. Only one vacuum of a store may run at a
/// time.
pub fn vacuum<S: PageStore>(store: &S, mut is_dead: impl FnMut(Tid) -> bool) -> Result<Outcome> {
    let lists = Lists::open(store)?;
    let mut outcome = Outcome::default();
    for list in 0..lists.meta.lists {
        store.poll()?;
        let head = lists.head(list)?;
        let mut block = head.first;
        // The first page with room, unless inserts begin at or before it anyway.
        let (mut room, mut is_before) = (None, true);
        let mut chain = lists.chain()?;
        while block != NONE {
            store.poll()?;
            chain(block)?;
            is_before &= block != head.insert;
            let (has_room, next) = remove(&lists, block, &mut is_dead, &mut outcome)?;
            if has_room && is_before && room.is_none() {
                room = Some(block);
            }
            block = next;
        }
        if let Some(insert) = room {
            move_insert(&lists, list, insert)?;
        }
    }
    Ok(outcome)
}

/// Removes the dead rows from a page. Returns whether there is room on it now, and the next page.
fn remove<S: PageStore>(
    lists: &Lists<'_, S>,
    block: u32,
    is_dead: &mut impl FnMut(Tid) -> bool,
    outcome: &mut Outcome,
) -> Result<(bool, u32)> {
    let (tids, has_room, next) = lists.entries(block, |entries| {
        ((0..entries.count()).map(|i| entries.tid(i)).collect::<Vec<Tid>>(), entries.has_room(), entries.next())
    })?;
    let mut dead: Vec<Tid> = tids.iter().copied().filter(|tid| is_dead(*tid)).collect();
    outcome.rows += (tids.len() - dead.len()) as u64;
    if dead.is_empty() {
        return Ok((has_room, next));
    }
    dead.sort_unstable();
    let _lock = lists.store.lock(Interlock::Update, Mode::Shared)?;
    let mut record = lists.store.record()?;
    let mut entries = EntriesMut::new(record.page(block)?, &lists.geometry, block)?;
    outcome.removed += entries.retain(|tid| dead.binary_search(&tid).is_err()) as u64;
    let (has_room, next) = (entries.view().has_room(), entries.view().next());
    record.commit()?;
    Ok((has_room, next))
}

/// Moves the page where inserts begin towards the front.
fn move_insert<S: PageStore>(lists: &Lists<'_, S>, list: u32, insert: u32) -> Result<()> {
    let _lock = lists.store.lock(Interlock::Update, Mode::Shared)?;
    let mut record = lists.store.record()?;
    let page = record.page(lists.geometry.head(list).0)?;
    let head = Head::read(page, &lists.geometry, list)?;
    Head { insert, ..head }.write(page, &lists.geometry, list)?;
    record.commit()
}
