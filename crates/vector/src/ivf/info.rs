//! Statistics of an index. Reads all entry pages, changes nothing.

use crate::Result;
use crate::ivf::format::{Meta, NONE};
use crate::ivf::lists::Lists;
use crate::page::is_new;
use crate::store::{Interlock, Mode, PAGE_SIZE, PageStore};

/// Statistics of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The metapage.
    pub meta: Meta,
    /// Rows of the table that the index holds, dead ones that no vacuum has removed yet included.
    pub rows: u64,
    /// Rows of the smallest list.
    pub min_rows: u64,
    /// Rows of the median list.
    pub median_rows: u64,
    /// Rows of the largest list.
    pub max_rows: u64,
    /// Lists without rows.
    pub empty_lists: u32,
    /// Pages of the longest chain: what a scan of that list reads.
    pub max_pages: u64,
    /// Entries for which there is room on the pages of lists.
    pub free_slots: u64,
    /// Bytes of pages of heads.
    pub head_bytes: u64,
    /// Bytes of pages of centres, that of the coder among them.
    pub centre_bytes: u64,
    /// Bytes of pages of lists, whole codes included.
    pub entry_bytes: u64,
    /// Bytes of pages that were never written: those at the end are used by the next inserts.
    pub unused_bytes: u64,
}

impl Info {
    /// Bytes of the metapage.
    pub fn meta_bytes(&self) -> u64 {
        PAGE_SIZE as u64
    }

    /// Bytes of all pages.
    pub fn total_bytes(&self) -> u64 {
        self.meta_bytes() + self.head_bytes + self.centre_bytes + self.entry_bytes + self.unused_bytes
    }
}

/// Computes the statistics. Inserts and vacuums wait meanwhile, scans do not.
pub fn info<S: PageStore>(store: &S) -> Result<Info> {
    let _lock = store.lock(Interlock::Update, Mode::Exclusive)?;
    let lists = Lists::open(store)?;
    let bytes = |blocks: std::ops::Range<u32>| blocks.len() as u64 * PAGE_SIZE as u64;
    let (mut rows, mut pages, mut max_pages) = (Vec::with_capacity(lists.meta.lists as usize), 0, 0);
    for list in 0..lists.meta.lists {
        store.poll()?;
        let (mut block, mut in_list, mut count) = (lists.head(list)?.first, 0, 0);
        let mut chain = lists.chain()?;
        while block != NONE {
            store.poll()?;
            chain(block)?;
            let (entries, next) = lists.entries(block, |entries| (entries.count(), entries.next()))?;
            in_list += 1;
            count += entries as u64;
            block = next;
        }
        rows.push(count);
        pages += in_list;
        max_pages = max_pages.max(in_list);
    }
    let mut unused = 0;
    let blocks = lists.geometry.first_entry_block()..store.blocks()?;
    store.read_ahead(blocks.clone());
    for block in blocks {
        store.poll()?;
        unused += u64::from(is_new(&store.read(block)?));
    }
    rows.sort_unstable();
    let total: u64 = rows.iter().sum();
    Ok(Info {
        meta: lists.meta,
        rows: total,
        min_rows: rows.first().copied().unwrap_or_default(),
        median_rows: rows.get(rows.len() / 2).copied().unwrap_or_default(),
        max_rows: rows.last().copied().unwrap_or_default(),
        empty_lists: rows.iter().filter(|rows| **rows == 0).count() as u32,
        max_pages: max_pages * u64::from(lists.geometry.step()),
        free_slots: pages * lists.geometry.entries as u64 - total,
        head_bytes: bytes(lists.geometry.head_blocks()),
        centre_bytes: bytes(lists.geometry.coder_blocks()) + bytes(lists.geometry.centre_blocks()),
        entry_bytes: pages * u64::from(lists.geometry.step()) * PAGE_SIZE as u64,
        unused_bytes: unused * PAGE_SIZE as u64,
    })
}
