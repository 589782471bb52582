use super::*;
use crate::page::hole_is_zero;
use crate::space::Element;
use crate::store::PAGE_SIZE;

fn meta(dimensions: usize, lists: u32, metric: Metric) -> Meta {
    of(crate::tests::dense(metric, dimensions), lists)
}

fn of(space: Space, lists: u32) -> Meta {
    Meta::new(&Coder::plain(space), lists)
}

#[test]
fn the_layout_is_what_it_was() {
    let g = meta(384, 1000, Metric::L2).geometry();
    assert_eq!((g.code_bytes, g.entries, g.centres, g.is_long()), (400, 20, 20, false));
    assert_eq!((g.head_blocks(), g.centre_blocks(), g.first_entry_block()), (1..3, 3..53, 53));
    assert_eq!((g.head(0), g.head(999)), ((1, 24), (2, 24 + 319 * 12)));
    assert_eq!(meta(384, 681, Metric::L2).geometry().head(680), (2, 24));
    let g = Meta { is_centred: true, ..meta(2041, 1000, Metric::L2) }.geometry();
    assert_eq!(
        (g.coder_blocks(), g.head_blocks(), g.centre_blocks().start, g.head(999)),
        (1..3, 3..5, 5, (4, 24 + 319 * 12))
    );
    assert_eq!([3, 768, 1536, 2000, 4000].map(|n| meta(n, 1, Metric::L2).geometry().entries), [451, 10, 5, 4, 2]);
    let bits = Space::new(Element::Bits, Metric::Hamming, 64_000);
    assert_eq!(of(bits, 1).geometry().entries, 1);
    let g = meta(16_000, 10, Metric::L2).geometry();
    assert_eq!((g.code_bytes, g.head_bytes, g.entries, g.centres, g.step()), (16_016, 8112, 1, 0, 2));
    assert_eq!(g.centre_blocks(), 2..22);
}

#[test]
fn every_geometry_fits_its_pages() {
    let dense = [1, 2, 3, 31, 32, 33, 384, 2000, 4000, 8090, 8091, 8092, 8093, 8096, 8140, 8141, 12_000, 16_000];
    let dense = dense.map(|dimensions| Space::new(Element::Dense, Metric::L2, dimensions));
    let bits = [1, 64, 1000, 64_000].map(|dimensions| Space::new(Element::Bits, Metric::Hamming, dimensions));
    for space in dense.iter().chain(&bits) {
        for lists in [1, 100, 1020, 1021, MAX_LISTS as u32] {
            let g = of(*space, lists).geometry();
            let (block, at) = g.head(lists - 1);
            assert!(g.head_blocks().contains(&block) && at + HEAD_BYTES <= SPECIAL_OFFSET);
            assert!(ENTRIES + g.entries * (g.head_bytes + TID_BYTES) <= SPECIAL_OFFSET && g.entries > 0);
            assert!(g.is_long() == (g.code_bytes > LONGEST) && (g.entries == 1 || !g.is_long()));
            assert!(g.code_bytes - g.head_bytes <= PAYLOAD && g.head_bytes.is_multiple_of(4));
            let parts = g.centre_parts();
            assert_eq!(parts.iter().map(|part| part.len).sum::<usize>(), lists as usize * g.code_bytes);
            assert_eq!(parts.iter().map(|part| part.block).collect::<Vec<_>>(), g.centre_blocks().collect::<Vec<_>>());
            assert!(parts.iter().all(|part| part.offset + part.len <= SPECIAL_OFFSET && part.len > 0));
        }
    }
}

/// The bytes of version 3, on a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
fn golden_metapage() {
    let mut page = vec![0; PAGE_SIZE];
    let meta = Meta { is_centred: true, misfits: 0x0102, ..meta(384, 1000, Metric::Cosine) };
    meta.write(&mut page);
    assert_eq!(page[8..24], [0, 0, 0, 0, 88, 0, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20, 0, 0, 0, 0]);
    #[rustfmt::skip]
    assert_eq!(page[24..56], [
        0x56, 0x49, 0x47, 0x4C, 3, 0, 0, 0, 0x80, 1, 0, 0, 3, 0, 2, 0, 0xE8, 3, 0, 0, 1, 0, 12, 0, 2, 1, 0, 0, 0, 0, 0, 0,
    ]);
    assert_eq!(page[8184..], [1, 0, 0xA2, 0xFF, 0, 0, 0, 0]);
    assert_eq!(Meta::read(&page).unwrap(), meta);
    assert!(hole_is_zero(&page));
    Meta::count_misfit(&mut page).unwrap();
    assert_eq!(page[48..52], [3, 1, 0, 0]);
    Meta { misfits: u32::MAX, ..meta }.write(&mut page);
    Meta::count_misfit(&mut page).unwrap();
    assert_eq!(Meta::read(&page).unwrap().misfits, u32::MAX);
}

#[test]
#[cfg(target_endian = "little")]
fn golden_head_and_centre_pages() {
    let g = meta(3, 5, Metric::L2).geometry();
    let mut page = vec![0; PAGE_SIZE];
    init_page(&mut page, PageKind::Heads, PAYLOAD);
    let head = Head { first: 0x01020304, insert: 5, length: 1.0 };
    head.write(&mut page, &g, 2).unwrap();
    assert_eq!(page[48..60], [4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0x80, 0x3F]);
    assert_eq!(page[8184..], [2, 0, 0xA2, 0xFF, 0, 0, 0, 0]);
    assert_eq!(Head::read(&page, &g, 2).unwrap(), head);
    assert_eq!(Head::read(&page, &g, 1).unwrap(), Head::default());

    write_centres(&mut page, g.centre_parts()[0], &[7; 15]);
    assert_eq!(page[24..32], [7, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(page[8..24], [0, 0, 0, 0, 84, 0, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20, 0, 0, 0, 0]);
    assert_eq!(page[8184..], [3, 0, 0xA2, 0xFF, 0, 0, 0, 0]);
}

#[test]
#[cfg(target_endian = "little")]
fn golden_entry_page() {
    let g = meta(3, 5, Metric::L2).geometry();
    let mut page = vec![0; PAGE_SIZE];
    let mut entries = EntriesMut::init(&mut page, &g, 4, NONE);
    entries.set_next(9);
    assert!(entries.push(&[1, 2, 3], 0x0001_0002_0003) && entries.push(&[4, 5, 6], 0xFFFF_FFFE_0007));
    assert!(entries.push(&[7, 8, 9], 11));
    let bytes = |page: &[u8]| (page[12..16].to_vec(), page[24..36].to_vec(), page[64..100].to_vec());
    #[rustfmt::skip]
    assert_eq!(bytes(&page), (
        vec![100, 0, 0xE6, 0x1F], // 64 + 3 * 12 and 8184 - 3 * 6
        vec![9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0],
    ));
    assert_eq!(
        page[8166..],
        [0, 0, 0, 0, 11, 0, 0xFE, 0xFF, 0xFF, 0xFF, 7, 0, 2, 0, 1, 0, 3, 0, 4, 0, 0xA2, 0xFF, 0, 0, 0, 0]
    );
    assert!(hole_is_zero(&page));
    assert_eq!(EntriesMut::new(&mut page, &g, 1).unwrap().retain(|tid| tid != 0x0001_0002_0003), 1);
    let entries = Entries::new(&page, &g, 1).unwrap();
    assert_eq!((entries.count(), entries.next(), entries.list()), (2, 9, 4));
    assert_eq!((entries.code(0), entries.tid(0)), (&[4, 5, 6][..], 0xFFFF_FFFE_0007));
    assert_eq!((entries.code(1), entries.tid(1)), (&[7, 8, 9][..], 11));
    assert!(hole_is_zero(&page));
    assert_eq!(EntriesMut::new(&mut page, &g, 1).unwrap().retain(|_| false), 2);
    assert!(page[64..8184].iter().all(|byte| *byte == 0));
}

#[test]
#[cfg(target_endian = "little")]
fn golden_long_code() {
    let g = meta(16_000, 1, Metric::L2).geometry();
    let code: Vec<u32> = (0..g.words() as u32).collect();
    let (mut page, mut rest) = (vec![0; PAGE_SIZE], vec![0; PAGE_SIZE]);
    let mut entries = EntriesMut::init(&mut page, &g, 0, 77);
    assert!(entries.push(&code, 1) && !entries.push(&code, 2));
    put_rest(&mut rest, 77, &code).unwrap();
    assert_eq!(page[32..36], [77, 0, 0, 0]);
    assert_eq!(page[12..16], [0xF0, 0x1F, 0xF2, 0x1F]);
    assert_eq!(rest[24..28], 2028u32.to_ne_bytes());
    assert_eq!(rest[12..16], [0xF8, 0x1E, 0xF8, 0x1F]);
    assert_eq!(rest[8184..], [5, 0, 0xA2, 0xFF, 0, 0, 0, 0]);
    assert!(hole_is_zero(&page) && hole_is_zero(&rest));
    let head = Entries::new(&page, &g, 1).unwrap();
    assert_eq!([head.code(0), rest_of_code(&rest, &g, head.rest()).unwrap()].concat(), code);
}

#[test]
fn other_pages_are_refused() {
    let mut page = vec![0; PAGE_SIZE];
    assert_eq!(Meta::read(&page), Err(Error::NotAnIndex(Method::Ivfflat)));
    let meta = meta(3, 10, Metric::L2);
    meta.write(&mut page);
    for (at, value) in [(META_LISTS, 0), (META_LISTS, MAX_LISTS as u32 + 1), (META_DIMENSIONS, 0), (META_FORM, 9)] {
        let mut page = page.clone();
        put_u32(&mut page, at, value);
        assert_eq!(Meta::read(&page), Err(Error::NotAnIndex(Method::Ivfflat)));
    }
    assert!(!of(Space::new(Element::Sparse, Metric::L2, 100), 1).is_possible());
    assert!(!self::meta(16_300, 1, Metric::L2).is_possible());
    for found in [1, 2, 99] {
        put_u32(&mut page, META_VERSION, found);
        let error = Meta::read(&page).unwrap_err();
        assert_eq!(error, Error::Version { method: Method::Ivfflat, found, expected: VERSION });
        assert_eq!(error.hint().as_deref(), Some("REINDEX the index."));
    }
    let g = meta.geometry();
    assert!(matches!(Entries::new(&page, &g, 5).map(|_| ()), Err(Error::Corrupt { block: 5, .. })));
    EntriesMut::init(&mut page, &g, 0, NONE).push(&[1, 2, 3], 1);
    for (at, value) in [(PD_LOWER, 64), (PD_UPPER, 0), (PD_UPPER, 8184 - 7), (PD_UPPER, 8190)] {
        let mut page = page.clone();
        put_u16(&mut page, at, value);
        assert!(matches!(Entries::new(&page, &g, 5).map(|_| ()), Err(Error::Corrupt { block: 5, .. })), "{at} {value}");
    }
}
