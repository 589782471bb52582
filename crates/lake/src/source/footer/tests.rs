#![allow(clippy::unwrap_used)]
//! Files that lie, written byte by byte: one column of integers, one chunk, and claims about them.

use super::claims::tests::{Bytes, footer, group, leaf};
use crate::error::Error;
use crate::source::store::Rights;
use crate::source::{Location, files};

/// What the footer says of the only column chunk.
#[derive(Clone, Copy)]
struct Claims {
    rows: i64,
    values: i64,
    offset: i64,
    length: i64,
    dictionary: Option<i64>,
    codec: i64,
}

/// Where the pages begin.
const BEGIN: i64 = 4;

fn honest(pages: &[u8], rows: i64) -> Claims {
    let length = i64::try_from(pages.len()).unwrap();
    Claims { rows, values: rows, offset: BEGIN, length, dictionary: None, codec: 0 }
}

/// The header of a data page: its bytes, compressed and not, its values, and the length of its contents.
fn page(uncompressed: i64, compressed: i64, values: i64) -> Bytes {
    let described = Bytes::default().int(1, 5, values).int(1, 5, 0).int(1, 5, 3).int(1, 5, 3).end();
    Bytes::default().int(1, 5, 0).int(1, 5, uncompressed).int(1, 5, compressed).field(2, 12).add(&described).end()
}

fn dictionary(size: i64, values: i64) -> Bytes {
    let described = Bytes::default().int(1, 5, values).int(1, 5, 0).end();
    Bytes::default().int(1, 5, 2).int(1, 5, size).int(1, 5, size).field(4, 12).add(&described).end()
}

fn file(pages: &[u8], claims: Claims) -> Vec<u8> {
    let meta = Bytes::default().int(1, 5, 1).list(1, 1, 5).number(0).list(1, 1, 8).number(1).byte(b'a');
    let meta = meta.int(1, 5, claims.codec).int(1, 6, claims.values).int(1, 6, claims.length).int(1, 6, claims.length);
    let meta = meta.int(2, 6, claims.offset);
    let meta = claims.dictionary.map_or(meta.clone(), |offset| meta.int(2, 6, offset)).end();
    let chunk = Bytes::default().int(2, 6, claims.offset).field(1, 12).add(&meta).end();
    let row_group = Bytes::default().list(1, 1, 12).add(&chunk).int(1, 6, claims.length).int(1, 6, claims.rows).end();
    let rest = Bytes::default().list(1, 1, 12).add(&row_group);
    let footer = footer(&[group(1), leaf()], &rest);
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [b"PAR1", pages, &footer, &length, b"PAR1"].concat()
}

/// Opens it, and reads it if that works.
fn read(bytes: &[u8]) -> Result<usize, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    let found = files::look(&[Location::local(&path, &Rights::everywhere())?], &mut || true)?;
    let files = files::open(&found, &mut || true)?;
    crate::exec::scan::tests::rows_of(files)
}

fn is_damaged(bytes: &[u8]) -> bool {
    match read(bytes) {
        Err(Error::Corrupt { message, .. }) => !message.contains("panic"),
        _ => false,
    }
}

/// Five values, all of them there: levels that say so, and the values.
fn five() -> Vec<u8> {
    let contents = [&[2, 0, 0, 0, 10, 1][..], &[7; 20]].concat();
    let size = i64::try_from(contents.len()).unwrap();
    [page(size, size, 5).0, contents].concat()
}

#[test]
fn an_honest_file_is_read() {
    assert_eq!(read(&file(&five(), honest(&five(), 5))).unwrap(), 5);
    // Some writers say 0 for no dictionary.
    let unset = Claims { dictionary: Some(0), ..honest(&five(), 5) };
    assert_eq!(read(&file(&five(), unset)).unwrap(), 5);
}

#[test]
fn chunks_that_do_not_lie_within_the_file_are_damaged() {
    let fine = honest(&five(), 5);
    for claims in [
        Claims { length: 1 << 40, ..fine },
        Claims { offset: 1 << 40, ..fine },
        Claims { offset: -9, ..fine },
        Claims { length: -5, ..fine },
        Claims { offset: i64::MAX, length: i64::MAX, ..fine },
        Claims { dictionary: Some(-1), ..fine },
        Claims { dictionary: Some(1 << 50), ..fine },
    ] {
        assert!(is_damaged(&file(&five(), claims)));
    }
}

#[test]
fn rows_that_no_page_has_are_damaged() {
    let fine = honest(&five(), 5);
    for (rows, values) in [(-1, -1), (6, 5), (1 << 62, 1 << 62), (1 << 31, 1 << 31), (5, 1 << 62), (i64::MIN, 0)] {
        assert!(is_damaged(&file(&five(), Claims { rows, values, ..fine })), "{rows} {values}");
    }
}

#[test]
fn pages_that_claim_more_than_they_can_hold_are_damaged() {
    let of = |head: Bytes| [head.0, vec![0; 16]].concat();
    let snappy = |pages: &[u8]| Claims { codec: 1, ..honest(pages, 5) };
    for pages in [
        of(page(0x7fff_ffff, 16, 5)),
        of(page(-1, 16, 5)),
        of(page(16, -1, 5)),
        of(page(16, 0x7fff_ffff, 5)),
        of(page(16, 16, -5)),
        of(page(16, 16, 0x7fff_ffff)),
        of(dictionary(16, 0x7fff_ffff)),
        of(dictionary(16, -1)),
        vec![0; 16],
        vec![0x15; 64],
    ] {
        assert!(is_damaged(&file(&pages, snappy(&pages))), "{pages:?}");
    }
}

/// 2,147,483,647 rows in a page of sixteen bytes, which its header says as well: only its levels know better, and `count(*)`
/// would not ask them.
#[test]
fn a_count_of_unlikely_many_rows_is_not_believed() {
    let many = i64::from(i32::MAX);
    let pages = [page(16, 16, many).0, vec![2, 0, 0, 0, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let bytes = file(&pages, honest(&pages, many));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    let found = files::look(&[Location::local(path, &Rights::everywhere()).unwrap()], &mut || true).unwrap();
    let files = files::open(&found, &mut || true).unwrap();
    assert!(matches!(crate::exec::scan::tests::count(files), Err(Error::Corrupt { .. })));
}

#[test]
fn codecs_that_this_build_lacks_are_unsupported() {
    let lzo = file(&five(), Claims { codec: 3, ..honest(&five(), 5) });
    assert_eq!(read(&lzo).unwrap_err().sqlstate(), "0A000");
}
