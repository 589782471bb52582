use super::*;
use crate::hnsw::head::write_head;
use crate::mem::MemPages;
use crate::page::hole_is_zero;
use crate::space::Element;
use crate::store::{PAGE_SIZE, PageStore};

fn meta(dimensions: usize, m: usize, ef_construction: usize, metric: Metric) -> Meta {
    Meta::new(crate::tests::dense(metric, dimensions), m, ef_construction)
}

fn dense(m: usize, dimensions: usize) -> Geometry {
    meta(dimensions, m, 64, Metric::L2).geometry
}

#[test]
fn the_layout_is_what_it_was() {
    // Of m = 16: 36 bytes and 32 links; 8 bytes and 16 links.
    let g = dense(16, 384);
    assert_eq!((g.node_bytes(), g.upper_bytes(), g.slot_bytes), (164, 72, 400));
    assert_eq!(g.overflow_capacity(), 24);
    assert_eq!((g.nodes, g.uppers, g.node_pages, g.code_pages, g.layout), (45, 8, 4, 9, Layout::Whole(20)));
    assert_eq!(dense(16, 5000).layout, Layout::RunOn, "one to a page would waste a third of it");
    assert_eq!(dense(16, 16_000).layout, Layout::Pair);
}

#[test]
fn every_geometry_fits_its_pages() {
    let dense = [1, 2, 3, 16, 31, 32, 33, 100, 384, 768, 1024, 2000, 4000, 8000, 8136, 8140, 8141, 16_000];
    let dense = dense.map(|dimensions| Space::new(Element::Dense, Metric::L2, dimensions));
    let bits = [1, 64, 1000, 64_000].map(|dimensions| Space::new(Element::Bits, Metric::Hamming, dimensions));
    let sparse = [300, MAX_DIMENSIONS].map(|dimensions| Space::new(Element::Sparse, Metric::L2, dimensions));
    for m in 2..=100 {
        let whole = dense.iter().chain(&bits).map(|space| (space, Geometry::new(m, space)));
        let lengths = [4, 100, 1000, 4000, 8012];
        let packed =
            sparse.iter().flat_map(|space| lengths.map(|bytes| (space, Geometry::for_lengths(m, space, bytes))));
        for (space, g) in whole.chain(packed) {
            let g = Geometry { first: if g.packed().is_some() { 1 } else { m as u32 % 4 + 1 }, ..g };
            assert!(g.node_page_used() <= PAYLOAD, "{g:?}");
            assert!(g.uppers < u16::MAX as usize && g.max_level() > 0);
            assert_eq!(g.node_block(0), g.first);
            let mut last = (0, 0);
            for id in 0..(2 * g.node_pages * g.nodes) as u32 {
                let (part, rest) = g.code_parts(id, g.slot_bytes);
                assert!((part.block, part.offset) > last, "no two overlap");
                let end = rest.unwrap_or(part);
                let unit = if g.packed().is_some() { Packing::ENTRY } else { 4 };
                assert!(end.offset + end.len <= SPECIAL_OFFSET && part.offset % unit == 0 && part.len % unit == 0);
                last = (end.block, end.offset + end.len - 1);
                let (node_page, slot) = g.locate(id);
                assert_eq!(g.id(node_page, slot), id);
                let (node, first) =
                    (g.node_block(node_page), g.node_block(node_page - node_page % g.node_pages as u32));
                assert_eq!(
                    [node, part.block, end.block].map(|block| g.kind(block)),
                    [PageKind::Node, PageKind::Code, PageKind::Code]
                );
                assert!(part.block > node && end.block < first + g.group_blocks());
                assert!(end.block < g.blocks(node_page + 1));
                assert_eq!(g.node_pages_of(node + 1), node_page + 1);
                assert_eq!(g.node_pages_of(first), node_page - node_page % g.node_pages as u32);
                let expected = if g.packed().is_some() { Packing::ENTRY } else { g.slot_bytes };
                assert_eq!(part.len + rest.map_or(0, |rest| rest.len), expected);
            }
            if g.packed().is_some() {
                assert!(g.has_room_for(space.max_code_bytes()));
                // All that has to do with levels is the same, whatever the lengths of codes turn out to be.
                let guess = Geometry::new(m, space);
                assert_eq!((g.nodes, g.uppers), (guess.nodes, guess.uppers));
            }
            let meta = Meta { geometry: Geometry { first: 1, ..g }, ..Meta::new(*space, m, 64) };
            let mut page = vec![0; PAGE_SIZE];
            meta.write(&mut page);
            assert_eq!(Meta::read(&page), Ok(meta));
        }
    }
}

#[test]
fn codes_on_a_page_are_those_of_the_elements_whose_codes_share_a_page() {
    for dimensions in [32, 384, 768, 1024, 1536, 4000, 16_000] {
        let g = dense(16, dimensions);
        let slots = (g.node_pages * g.nodes) as u32;
        let wholly_on = |id: u32| {
            let (part, rest) = g.code_parts(id, g.slot_bytes);
            rest.is_none().then_some(part.block)
        };
        for id in slots..2 * slots {
            let page = g.code_parts(id, g.slot_bytes).0.block;
            let expected: Vec<u32> = (0..3 * slots).filter(|member| wholly_on(*member) == Some(page)).collect();
            let members: Vec<u32> = g.codes_on_page(id).collect();
            assert_eq!(members, expected, "{dimensions}, {id}");
        }
    }
}

#[test]
fn no_dimension_wastes_pages() {
    for dimensions in [64, 128, 256, 384, 512, 768, 1000, 1024, 1536, 2000, 3072, 4096, 16_000] {
        let g = dense(16, dimensions);
        let spent = (g.node_pages + g.code_pages) * PAGE_SIZE * 100
            / (g.node_pages * g.nodes * (g.slot_bytes + g.node_bytes()));
        assert!(spent <= 115, "{dimensions} dimensions: {spent} %");
    }
}

/// The bytes of version 3, on a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
fn golden_metapage() {
    let mut page = vec![0; PAGE_SIZE];
    let mut meta = self::meta(384, 16, 64, Metric::Cosine);
    (meta.entry, meta.entry_level, meta.insert_hint, meta.generation) = (0x01020304, 5, 6, 7);
    (meta.geometry.first, meta.misfits) = (2, 0x0A0B);
    meta.write(&mut page);
    assert_eq!(page[8..24], [0, 0, 0, 0, 88, 0, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20, 0, 0, 0, 0]);
    #[rustfmt::skip]
    assert_eq!(page[24..80], [
        0x4E, 0x48, 0x47, 0x4C, 3, 0, 0, 0, 0x80, 1, 0, 0, 16, 0, 64, 0, 3, 0, 2, 0,
        45, 0, 8, 0, 4, 0, 9, 0, 0x90, 1, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0,
        1, 0, 0, 0, 0x0B, 0x0A, 0, 0,
    ]);
    assert_eq!(page[8184..], [1, 0, 0xA1, 0xFF, 0, 0, 0, 0]);
    assert_eq!(Meta::read(&page).unwrap(), meta);
    assert!(hole_is_zero(&page));
}

#[test]
fn a_centre_comes_back_as_it_was_from_as_many_pages_as_it_fills() {
    for (dimensions, pages) in [(32, 1), (2040, 1), (2041, 2), (4080, 2), (16_000, 8)] {
        let store = MemPages::new();
        let space = Space { form: Form::Quantised, metric: Metric::L2, dimensions };
        let coder = Coder::new(space, Some((0..dimensions).map(|i| 1.0 / (i as f32 - 0.5)).collect()));
        let meta = Meta::of(&coder, 16, 64);
        write_head(&meta, coder.centre(), &store).unwrap();
        assert_eq!((store.blocks().unwrap(), meta.geometry.first), (1 + pages, 1 + pages));
        assert_eq!(Meta::read(&store.read(0).unwrap()).unwrap(), meta);
        assert_eq!(crate::hnsw::coder(&store).unwrap(), coder);
    }
}

#[test]
fn misfits_are_counted_up_to_the_largest_number() {
    let mut page = vec![0; PAGE_SIZE];
    Meta { misfits: u32::MAX - 1, ..meta(3, 16, 64, Metric::L2) }.write(&mut page);
    for _ in 0..2 {
        add_misfit(&mut page);
        assert_eq!(Meta::read(&page).unwrap().misfits, u32::MAX);
    }
}

#[test]
#[cfg(target_endian = "little")]
fn golden_node_page() {
    let g = dense(2, 3);
    let mut page = vec![0; PAGE_SIZE];
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    assert_eq!(nodes.occupy(1, 2, &[0x0001_0002_0003]), 2);
    nodes.set_links(1, 0, &[7, 9 | PROTECTED]);
    nodes.set_links(1, 2, &[8]);
    let at = g.node_offset(1);
    assert_eq!(page[at..at + 12], [1, 1, 2, 0, 2, 0, 2, 0, 0xFF, 0xFF, 0xFF, 0x7F]);
    assert_eq!(page[at + 12..at + 18], [2, 0, 1, 0, 3, 0]);
    assert_eq!(page[at + 36..at + 52], [7, 0, 0, 0, 9, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
    let at = g.upper_offset(1);
    assert_eq!(page[at..at + 16], [2, 0, 1, 0, 2, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    assert!(hole_is_zero(&page));
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    assert_eq!(nodes.view().links(1, 0), [7, 9 | PROTECTED]);
    assert_eq!(nodes.view().links(1, 1), [0u32; 0]);
    assert_eq!(nodes.view().links(1, 2), [8]);
    assert_eq!(nodes.view().tids(1).collect::<Vec<_>>(), [0x0001_0002_0003]);
    nodes.free(1);
    assert!(!nodes.view().is_used(1));
    assert_eq!(nodes.view().free_uppers(), g.uppers);
}

#[test]
#[cfg(target_endian = "little")]
fn golden_overflow_slot() {
    let g = dense(2, 3);
    let mut page = vec![0; PAGE_SIZE];
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    nodes.occupy(1, 0, &[7]);
    nodes.set_overflow(1, 2);
    nodes.occupy_overflow(2, 1, 0x0403_0201, 8);
    assert!(nodes.push_tid(2, 0x0001_0002_0003));
    let at = g.node_offset(2);
    assert_eq!(page[at..at + 16], [2, 1, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 8, 0, 0, 0]);
    assert_eq!(page[at + 16..at + 24], [2, 0, 1, 0, 3, 0, 0, 0]);
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    nodes.disown(2);
    let view = nodes.view();
    assert_eq!((view.overflow(1), view.owner(2), view.overflow(2), view.depth(2)), (2, NONE, 0x0403_0201, 8));
    assert!(view.is_overflow(2) && !view.is_used(2) && !view.is_free(2) && !view.is_live(2));
    nodes.retain_tids(1, |_| false);
    assert!(nodes.view().is_live(1), "it has a chain");
    nodes.set_overflow(1, NONE);
    assert!(!nodes.view().is_live(1));
    nodes.free(2);
    assert!(nodes.view().is_free(2) && page[at..at + g.node_bytes()].iter().all(|byte| *byte == 0));
}

#[test]
fn slots_hold_as_many_rows_as_they_say() {
    for m in [2, 16, 100] {
        let g = dense(m, 3);
        let mut page = vec![0; PAGE_SIZE];
        let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
        nodes.occupy(2, 1, &[]);
        nodes.occupy_overflow(3, 2, NONE, 0);
        nodes.occupy(4, 1, &[1]);
        for (slot, capacity) in [(2, MAX_TIDS), (3, g.overflow_capacity())] {
            let rows: Vec<Tid> = (0..capacity as Tid).map(|row| row << 40 | 5).collect();
            for row in &rows {
                assert!(nodes.view().has_room(slot) && nodes.push_tid(slot, *row));
            }
            assert!(!nodes.view().has_room(slot) && !nodes.push_tid(slot, 1));
            assert_eq!(nodes.view().tids(slot).collect::<Vec<_>>(), rows);
            nodes.retain_tids(slot, |row| row == rows[1]);
            assert_eq!(nodes.view().tids(slot).collect::<Vec<_>>(), [rows[1]]);
        }
        assert_eq!((nodes.view().tid_count(4), nodes.view().owner(3), g.overflow_slots(4)), (1, 2, 0));
        assert_eq!((g.overflow_slots(5), g.overflow_slots(5 + g.overflow_capacity())), (1, 2));
    }
}

#[test]
fn other_pages_are_refused() {
    let mut page = vec![0; PAGE_SIZE];
    assert_eq!(Meta::read(&page), Err(Error::NotAnIndex(Method::Hnsw)));
    meta(3, 16, 64, Metric::L2).write(&mut page);
    put_u32(&mut page, META_VERSION, 2);
    let error = Meta::read(&page).unwrap_err();
    assert_eq!(error.to_string(), "hnsw index has format version 2, this library reads version 3");
    assert_eq!((error.sqlstate(), error.hint().as_deref()), ("55000", Some("REINDEX the index.")));
    put_u32(&mut page, META_VERSION, VERSION);
    put_u16(&mut page, META_CENTRE_PAGES, 2);
    assert!(matches!(Meta::read(&page), Err(Error::Corrupt { block: 0, .. })));
    put_u16(&mut page, META_CENTRE_PAGES, 0);
    put_u16(&mut page, META_RUNS_ON, 1);
    assert!(matches!(Meta::read(&page), Err(Error::Corrupt { block: 0, .. })));
    put_u16(&mut page, META_RUNS_ON, 0);
    let sparse = |damage: &dyn Fn(&mut [u8])| {
        let mut page = vec![0; PAGE_SIZE];
        Meta::new(Space::new(Element::Sparse, Metric::L2, 300), 16, 64).write(&mut page);
        damage(&mut page);
        Meta::read(&page)
    };
    assert!(sparse(&|_| ()).is_ok());
    for bytes in [1, 2, 3, u32::MAX] {
        let read = sparse(&|page| put_u32(page, META_SLOT_BYTES, bytes));
        assert!(matches!(read, Err(Error::Corrupt { block: 0, .. })), "{bytes}");
    }
    let error = sparse(&|page| put_u16(page, META_RUNS_ON, 0)).unwrap_err();
    assert_eq!((error.sqlstate(), error.hint().as_deref()), ("XX002", Some("REINDEX the index.")));
    put_u16(&mut page, META_NODES, 1);
    assert!(matches!(Meta::read(&page), Err(Error::Corrupt { block: 0, .. })));
    let g = dense(16, 3);
    assert!(matches!(Nodes::new(&page, &g, 5).map(|_| ()), Err(Error::Corrupt { block: 5, .. })));
}
