#![allow(clippy::unwrap_used)]
//! Footers that lie, written byte by byte.

use super::*;
use parquet::file::metadata::ParquetMetaDataReader;

fn check(footer: &[u8]) -> Result<Checked, Refusal> {
    super::check(footer, Vec::new())
}

/// Thrift's compact protocol, as far as a footer needs it.
#[derive(Clone, Default)]
pub(in crate::source::footer) struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn number(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// A field: how much its number is above that of the one before, and its type.
    pub fn field(self, delta: u8, ty: u8) -> Self {
        self.byte(delta << 4 | ty)
    }

    pub fn int(self, delta: u8, ty: u8, value: i64) -> Self {
        self.field(delta, ty).number((value << 1) as u64 ^ (value >> 63) as u64)
    }

    pub fn binary(self, delta: u8, value: &[u8]) -> Self {
        let mut this = self.field(delta, 8).number(value.len() as u64);
        this.0.extend_from_slice(value);
        this
    }

    pub fn list(self, delta: u8, count: u64, ty: u8) -> Self {
        self.field(delta, 9).byte(0xf0 | ty).number(count)
    }

    pub fn add(mut self, other: &Self) -> Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    pub fn end(self) -> Self {
        self.byte(0)
    }
}

pub(in crate::source::footer) fn group(children: i64) -> Bytes {
    Bytes::default().int(3, 5, 0).binary(1, b"g").int(1, 5, children).end()
}

pub(in crate::source::footer) fn leaf() -> Bytes {
    Bytes::default().int(1, 5, 1).int(2, 5, 1).binary(1, b"a").end()
}

pub(in crate::source::footer) fn footer(elements: &[Bytes], rest: &Bytes) -> Vec<u8> {
    let begun = Bytes::default().int(1, 5, 1).list(1, elements.len() as u64, 12);
    let schema = elements.iter().fold(begun, Bytes::add);
    schema.int(1, 6, 0).add(rest).end().0
}

fn no_groups() -> Bytes {
    Bytes::default().list(1, 0, 12)
}

fn is_damaged(footer: &[u8]) -> bool {
    matches!(check(footer), Err(Refusal::Damaged(_)))
}

fn is_unsupported(footer: &[u8]) -> bool {
    matches!(check(footer), Err(Refusal::Unsupported(_)))
}

#[test]
fn an_honest_footer_passes() {
    assert!(check(&footer(&[group(1), leaf()], &no_groups())).is_ok());
    let deep = vec![group(1); DEEPEST_SCHEMA - 1];
    assert!(check(&footer(&[deep, vec![leaf()]].concat(), &no_groups())).is_ok());
}

#[test]
fn lists_longer_than_the_footer_are_refused() {
    for count in [100, 0x7fff_ffff, u64::MAX] {
        let schema = Bytes::default().int(1, 5, 1).list(1, count, 12).end();
        assert!(is_damaged(&schema.0), "{count}");
        let encodings = Bytes::default().int(1, 5, 1).list(1, count, 5).end();
        let chunk = Bytes::default().int(2, 6, 4).field(1, 12).add(&encodings).end();
        let row_group = Bytes::default().list(1, 1, 12).add(&chunk).end();
        let rest = Bytes::default().list(1, 1, 12).add(&row_group);
        assert!(is_damaged(&footer(&[group(1), leaf()], &rest)), "{count}");
    }
    for cut in 1..footer(&[group(1), leaf()], &no_groups()).len() {
        assert!(is_damaged(&footer(&[group(1), leaf()], &no_groups())[..cut]), "{cut}");
    }
}

#[test]
fn groups_without_end_and_groups_without_members_are_refused() {
    for depth in [DEEPEST_SCHEMA, 1_200, 100_000] {
        let deep = vec![group(1); depth + 1];
        assert!(is_unsupported(&footer(&[deep, vec![leaf()]].concat(), &no_groups())), "{depth}");
    }
    for children in [2, 0x7fff_ffff, -1] {
        assert!(is_damaged(&footer(&[group(children), leaf()], &no_groups())), "{children}");
    }
}

#[test]
fn more_row_groups_than_can_be_numbered_are_unsupported_and_not_damaged() {
    let empty = Bytes::default().list(1, 0, 12).int(1, 6, 0).int(1, 6, 0).end();
    let count = MOST_ROW_GROUPS + 1;
    let rest = (0..count).fold(Bytes::default().list(1, count, 12), |rest, _| rest.add(&empty));
    assert!(is_unsupported(&footer(&[group(1), leaf()], &rest)));
}

#[test]
fn encrypted_columns_and_codecs_to_come_are_unsupported() {
    let algorithm = Bytes::default().field(1, 12).end().end();
    let encrypted = no_groups().field(4, 12).add(&algorithm);
    assert!(is_unsupported(&footer(&[group(1), leaf()], &encrypted)));
    let meta = Bytes::default().int(4, 5, 12).end();
    let chunk = Bytes::default().int(2, 6, 4).field(1, 12).add(&meta).end();
    let row_group = Bytes::default().list(1, 1, 12).add(&chunk).end();
    let rest = Bytes::default().list(1, 1, 12).add(&row_group);
    assert!(is_unsupported(&footer(&[group(1), leaf()], &rest)));
}

/// The parser reads a known field as the type that it expects, and takes no byte for booleans that it skips: a footer that
/// plays on this is another one to it than to us. It never sees such a field.
#[test]
fn the_parser_sees_what_we_see() {
    let parse = |footer: &[u8]| ParquetMetaDataReader::decode_metadata(&check(footer).unwrap().footer);
    let honest = parse(&footer(&[group(1), leaf()], &no_groups())).unwrap();
    let strangers = no_groups().list(11, 4, 1).byte(1).byte(1).byte(1).byte(1).field(1, 12).int(1, 5, 7).end();
    assert_eq!(parse(&footer(&[group(1), leaf()], &strangers)).unwrap(), honest);
    // A created_by of another type.
    let mistyped = no_groups().int(2, 6, 7);
    assert_eq!(parse(&footer(&[group(1), leaf()], &mistyped)).unwrap(), honest);
    // Rows that are a struct.
    let begun = Bytes::default().int(1, 5, 1).list(1, 2, 12).add(&group(1)).add(&leaf());
    let rows = begun.field(1, 12).end().add(&no_groups()).end();
    assert!(parse(&rows.0).is_err());
    let nested = (0..40).fold(no_groups().field(11, 12), |bytes, _| bytes.field(1, 12));
    let nested = (0..41).fold(nested, |bytes, _| bytes.end());
    assert!(is_damaged(&footer(&[group(1), leaf()], &nested)));
}
