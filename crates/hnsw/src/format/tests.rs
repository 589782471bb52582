use super::*;

#[test]
fn the_layout_is_what_it_was() {
    // Of m = 16: 68 bytes and 32 links; 8 bytes and 16 links.
    let g = Geometry::new(16, 384 * 4);
    assert_eq!((g.node_bytes(), g.upper_bytes()), (196, 72));
    assert_eq!((g.nodes, g.uppers, g.vector_pages, g.per_page), (35, 7, 7, 5));
    let g = Geometry::new(16, 1024 * 4);
    assert_eq!(g.per_page, 0, "one to a page would waste half of it");
    assert_eq!(Geometry::new(16, 2000 * 4).per_page, 1);
}

#[test]
fn every_geometry_fits_its_pages() {
    for m in 2..=100 {
        for dimensions in (1..=MAX_DIMENSIONS).step_by(7).chain([MAX_DIMENSIONS]) {
            let g = Geometry::new(m, dimensions * 4);
            assert!(g.node_page_used() <= PAYLOAD, "{g:?}");
            assert!(g.uppers < u16::MAX as usize && g.max_level() > 0 && g.nodes > 0);
            let mut last = (0, 0);
            for id in 0..2 * g.nodes as u32 {
                let (part, rest) = g.vector_parts(id);
                assert!((part.block, part.offset) > last, "no two overlap");
                assert!(part.offset + part.len <= SPECIAL_OFFSET && part.offset % 4 == 0);
                let end = rest.unwrap_or(part);
                last = (end.block, end.offset + end.len - 1);
                let (group, slot) = g.locate(id);
                assert_eq!(g.id(group, slot), id);
                assert!(part.block > g.node_block(group) && end.block < g.node_block(group + 1));
                assert!(end.len > 0 && part.len + rest.map_or(0, |rest| rest.len) == dimensions * 4);
            }
        }
    }
}

#[test]
fn no_dimension_wastes_pages() {
    for dimensions in [64, 128, 256, 384, 512, 768, 1000, 1024, 1536, 2000] {
        let g = Geometry::new(16, dimensions * 4);
        let spent = (1 + g.vector_pages) * PAGE_SIZE * 100 / (g.nodes * (g.vector_bytes + g.node_bytes()));
        assert!(spent <= 125, "{dimensions} dimensions: {spent} %");
    }
}

/// The bytes of version 1, on a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
fn golden_metapage() {
    let mut page = vec![0; PAGE_SIZE];
    let mut meta = Meta::new(384, 16, 64, Metric::Cosine);
    (meta.entry, meta.entry_level, meta.insert_hint) = (0x01020304, 5, 6);
    meta.write(&mut page);
    assert_eq!(page[8..24], [0, 0, 0, 0, 88, 0, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20, 0, 0, 0, 0]);
    #[rustfmt::skip]
    assert_eq!(page[24..64], [
        0x4E, 0x48, 0x47, 0x4C, 1, 0, 0, 0, 0x80, 1, 0, 0, 16, 0, 64, 0, 3, 0, 1, 0,
        35, 0, 7, 0, 7, 0, 5, 0, 4, 3, 2, 1, 5, 0, 0, 0, 6, 0, 0, 0,
    ]);
    assert_eq!(page[8184..], [1, 0, 0xA1, 0xFF, 0, 0, 0, 0]);
    assert_eq!(Meta::read(&page).unwrap(), meta);
    assert!(hole_is_zero(&page));
}

#[test]
#[cfg(target_endian = "little")]
fn golden_node_page() {
    let g = Geometry::new(2, 12);
    let mut page = vec![0; PAGE_SIZE];
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    assert_eq!(nodes.occupy(1, 2, &[0x0001_0002_0003]), 2);
    nodes.set_links(1, 0, &[7, 9 | PROTECTED]);
    nodes.set_links(1, 2, &[8]);
    let at = g.node_offset(1);
    assert_eq!(page[at..at + 8], [1, 0, 2, 1, 2, 0, 2, 0]);
    assert_eq!(page[at + 8..at + 14], [2, 0, 1, 0, 3, 0]);
    assert_eq!(page[at + 68..at + 84], [7, 0, 0, 0, 9, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
    let at = g.upper_offset(1);
    assert_eq!(page[at..at + 16], [2, 0, 1, 0, 2, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    assert!(hole_is_zero(&page));
    let mut nodes = NodesMut::new(&mut page, &g, 1).unwrap();
    assert_eq!(nodes.view().links(1, 0), [7, 9 | PROTECTED]);
    assert_eq!(nodes.view().links(1, 1), [0u32; 0]);
    assert_eq!(nodes.view().links(1, 2), [8]);
    assert_eq!(nodes.view().tids(1).collect::<Vec<_>>(), [0x0001_0002_0003]);
    nodes.free(1);
    assert_eq!((nodes.view().is_used(1), nodes.view().version(1)), (false, 1));
    assert_eq!(nodes.view().free_uppers(), g.uppers);
}

#[test]
fn other_pages_are_refused() {
    let mut page = vec![0; PAGE_SIZE];
    assert_eq!(Meta::read(&page), Err(Error::NotAnIndex));
    Meta::new(3, 16, 64, Metric::L2).write(&mut page);
    put_u32(&mut page, META_VERSION, 99);
    assert_eq!(Meta::read(&page), Err(Error::Version { found: 99, expected: VERSION }));
    put_u32(&mut page, META_VERSION, VERSION);
    put_u16(&mut page, META_NODES, 1);
    assert!(matches!(Meta::read(&page), Err(Error::Corrupt { block: 0, .. })));
    let g = Geometry::new(16, 12);
    assert!(matches!(Nodes::new(&page, &g, 5).map(|_| ()), Err(Error::Corrupt { block: 5, .. })));
}
