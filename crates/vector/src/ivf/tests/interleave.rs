//! Changes by others between what an insert reads and what it writes.

use super::*;
use crate::ivf::info::info;
use crate::tests::Eventful;

/// Two lists, around this vector and its opposite.
fn two_lists(dimensions: usize, rows: usize) -> MemPages {
    let side = |i: usize| vec![if i.is_multiple_of(2) { 1.0 } else { -1.0 }; dimensions];
    build(meta(dimensions, 2, Metric::L2), &(0..2 * rows).map(side).collect::<Vec<_>>(), 0)
}

/// Inserts a row with number 1001 while `event` happens; the index has so many rows then.
fn insert_while(store: &MemPages, side: f32, rows: usize, event: impl FnOnce(&MemPages)) {
    let space = space(store);
    let mut event = Some(event);
    let eventful = Eventful::new(store, |store| event.take().into_iter().for_each(|event| event(store)));
    insert(&eventful, &code(&space, &vec![side; space.dimensions]), 1001).unwrap();
    assert!(event.is_none(), "it has happened");
    let report = verified(store);
    assert_eq!(report.rows.len(), rows);
    assert_eq!(report.rows.iter().filter(|tid| *tid == 1001).count(), 1);
    assert_eq!(nearest(store, &vec![side; space.dimensions], 2).len(), rows);
    let unused = info(store).unwrap().unused_bytes;
    assert!(unused <= 2 * 8192, "{unused} bytes of pages that nobody has written");
}

/// Rows of a page, and how many dimensions they have: several, one, and one on two pages.
const SHAPES: [(usize, usize); 3] = [(5, 1536), (1, 5000), (1, 9000)];

#[test]
fn two_lists_never_get_the_same_page() {
    for (page, dimensions) in SHAPES {
        for rows in [0, page] {
            let store = two_lists(dimensions, rows);
            let other = vec![-1.0; dimensions];
            insert_while(&store, 1.0, 2 * rows + 2, |store| add(store, &other, 1002).unwrap());
        }
    }
}

#[test]
fn a_list_never_gets_two_pages_after_one() {
    for (page, dimensions) in SHAPES {
        for rows in [0, page] {
            let store = two_lists(dimensions, rows);
            let same = vec![1.0; dimensions];
            insert_while(&store, 1.0, 2 * rows + page + 2, |store| {
                (0..=page as Tid).for_each(|i| add(store, &same, 1002 + i).unwrap());
            });
        }
    }
}

#[test]
fn room_that_is_taken_or_given_back_is_noticed() {
    for (page, dimensions) in SHAPES {
        // The last place is taken.
        let store = two_lists(dimensions, page);
        vacuum(&store, |tid| tid <= 2).unwrap();
        let same = vec![1.0; dimensions];
        insert_while(&store, 1.0, 2 * page, |store| add(store, &same, 1002).unwrap());
        // There is a place again, after the insert has seen none.
        let store = two_lists(dimensions, page);
        let before = info(&store).unwrap().entry_bytes;
        insert_while(&store, 1.0, 2 * page - 1, |store| {
            vacuum(store, |tid| tid <= 2).unwrap();
        });
        assert_eq!(info(&store).unwrap().entry_bytes, before);
    }
}

/// An insert that has gone further does not undo what vacuum has said meanwhile.
#[test]
fn the_first_page_with_room_stays_known() {
    // The rows of a list have odd numbers, ten of them to a page.
    let page = |page: Tid| move |tid: Tid| tid % 2 == 1 && tid / 10 == page && tid < 1000;
    let store = two_lists(1536, 20);
    let fill = |store: &MemPages, count: Tid| {
        (2000..2000 + count).for_each(|tid| add(store, &vec![1.0; 1536], tid + count * 100).unwrap());
    };
    // Inserts begin on the second page, which is full; there is room on the fourth.
    vacuum(&store, page(1)).unwrap();
    fill(&store, 5);
    vacuum(&store, page(3)).unwrap();
    let before = info(&store).unwrap().total_bytes();
    insert_while(&store, 1.0, 2 * 20 - 5 + 1 - 5, |store| {
        vacuum(store, page(0)).unwrap();
    });
    fill(&store, 9);
    assert_eq!(info(&store).unwrap().total_bytes(), before);

    // The same where the insert finds no room at all and adds a page.
    let store = two_lists(1536, 20);
    insert_while(&store, 1.0, 2 * 20 - 5 + 1, |store| {
        vacuum(store, page(0)).unwrap();
    });
    let before = info(&store).unwrap().total_bytes();
    fill(&store, 9);
    assert_eq!(info(&store).unwrap().total_bytes(), before);
}
