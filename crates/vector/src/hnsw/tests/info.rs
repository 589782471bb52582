//! What the numbers of an index say.

use super::*;
use crate::hnsw::info::{Info, info};
use crate::hnsw::vacuum::vacuum;
use crate::store::PAGE_SIZE;

/// 400 vectors, the first 10 of them twice.
fn store() -> MemPages {
    let mut vectors = clustered(400, 8, 5);
    vectors.extend_from_within(..10);
    build(meta(8, 4, 32, Metric::L2), &vectors, 1)
}

fn counted(store: &MemPages) -> Info {
    let info = info(store).unwrap();
    let slots = info.node_bytes / PAGE_SIZE as u64 * info.meta.geometry.nodes as u64;
    assert_eq!(info.degrees.iter().sum::<u64>(), info.elements());
    assert_eq!(info.elements() + info.overflow_slots + info.free_slots, slots);
    assert_eq!(info.total_bytes(), u64::from(store.blocks().unwrap()) * PAGE_SIZE as u64);
    info
}

#[test]
fn numbers_add_up() {
    let info = counted(&store());
    assert_eq!((info.rows, info.elements(), info.dead, info.unreachable), (410, 400, 0, 0));
    assert!(info.layers.len() > 2 && info.layers.is_sorted_by(|lower, higher| lower > higher), "{:?}", info.layers);
    assert_eq!(info.layers.len(), usize::from(info.meta.entry_level) + 1);
    assert_eq!((info.degrees.len(), info.degrees[0]), (9, 0));

    let coder = Coder::new(Space::new(Element::Dense, Metric::L2, 40), Some(vec![0.5; 40].into()));
    let info = counted(&build_coded(memory(1 << 30), &coder, 4, 32, &clustered(400, 40, 5), 1));
    assert_eq!((info.elements(), info.meta_bytes()), (400, 2 * PAGE_SIZE as u64));

    let none = counted(&empty(&meta(8, 4, 32, Metric::L2)));
    assert_eq!((none.rows, none.elements(), none.layers.len(), none.total_bytes()), (0, 0, 0, PAGE_SIZE as u64));
}

#[test]
fn slots_of_further_rows_are_counted() {
    let vectors = vec![clustered(1, 8, 5).concat(); 100];
    let store = build(meta(8, 4, 32, Metric::L2), &vectors, 1);
    let slots = |store| {
        let info = counted(store);
        (info.rows, info.elements(), info.overflow_slots)
    };
    assert_eq!(slots(&store), (100, 1, 12), "4 rows, and 12 times 8");
    add(&store, &vectors[0], 101).unwrap();
    assert_eq!(slots(&store), (101, 1, 13));
    vacuum(&store, |tid| tid > 1).unwrap();
    assert_eq!(slots(&store), (1, 1, 0));
}

#[test]
fn vacuum_turns_elements_into_free_slots() {
    let store = store();
    let before = counted(&store);
    vacuum(&store, |tid| tid > 10 && tid % 2 == 0).unwrap(); // 200 rows, the second ones of five elements among them
    let after = counted(&store);
    assert_eq!((after.rows, after.elements()), (210, 205));
    assert_eq!(after.free_slots, before.free_slots + 195);
    assert_eq!((after.dead, after.unreachable, after.total_bytes()), (0, 0, before.total_bytes()));
}

#[test]
fn the_dead_and_the_unreachable_are_counted() {
    let store = store();
    let meta = Meta::read(&store.read(0).unwrap()).unwrap();
    let (node_page, slot) = meta.geometry.locate(meta.entry);
    let at = meta.geometry.node_offset(slot);
    store.damage(meta.geometry.node_block(node_page), |page| page[at + 1] = 0); // no rows
    let one = counted(&store);
    assert_eq!((one.elements(), one.dead, one.unreachable), (400, 1, 0));
    store.damage(meta.geometry.node_block(node_page), |page| page[at + 6..at + 8].fill(0)); // no links
    let all = counted(&store);
    assert_eq!((all.dead, all.unreachable, all.degrees[0]), (1, 399, 1));
}
