//! What the numbers of an index say.

use super::*;
use crate::ivf::info::{Info, info};
use crate::ivf::vacuum::Outcome;
use crate::store::PAGE_SIZE;

fn counted(store: &MemPages) -> Info {
    let info = info(store).unwrap();
    assert_eq!(info.total_bytes(), u64::from(store.blocks().unwrap()) * PAGE_SIZE as u64);
    assert!(info.min_rows <= info.median_rows && info.median_rows <= info.max_rows);
    assert!(info.max_rows * u64::from(info.meta.lists) >= info.rows);
    info
}

#[test]
fn numbers_add_up() {
    let store = build(meta(40, 10, Metric::L2), &clustered(3000, 40, 5), 0);
    let before = counted(&store);
    assert_eq!((before.rows, before.empty_lists, before.unused_bytes), (3000, 0, 0));
    assert_eq!(before.rows + before.free_slots, before.entry_bytes / PAGE_SIZE as u64 * 130);
    assert_eq!((before.head_bytes, before.centre_bytes), (PAGE_SIZE as u64, PAGE_SIZE as u64));
    let outcome = vacuum(&store, |tid| tid % 3 == 0).unwrap();
    assert_eq!(outcome, Outcome { rows: 2000, removed: 1000 });
    let after = counted(&store);
    assert_eq!((after.rows, after.free_slots), (2000, before.free_slots + 1000));
    assert_eq!(after.total_bytes(), before.total_bytes());

    let commits = store.commits();
    assert_eq!(vacuum(&store, |tid| tid % 3 == 0).unwrap(), Outcome { rows: 2000, removed: 0 });
    assert_eq!(store.commits(), commits, "a vacuum with nothing to do writes nothing");

    let none = counted(&empty(&meta(9000, 10, Metric::L2)));
    assert_eq!((none.rows, none.max_rows, none.empty_lists, none.entry_bytes), (0, 0, 10, 0));
    assert_eq!(none.centre_bytes, 20 * PAGE_SIZE as u64);
}
