//! Writes Parquet files that are large only when they are read: one value in a dictionary, named again and again.

use std::io;
use std::path::Path;

/// Writes a file with one column `t` of `rows` texts, all `value`. The file is as large as one of them.
pub fn write_repeated(path: &Path, value: &[u8], rows: u32) -> io::Result<()> {
    let mut file = b"PAR1".to_vec();
    let dictionary_at = file.len();
    file.extend(page(2, 4 + value.len(), 7, 1, PLAIN));
    file.extend((value.len() as u32).to_le_bytes());
    file.extend(value);

    // The width of an index in bits, then one run: how often, and of what.
    let indexes = [vec![1], varint(u64::from(rows) << 1), vec![0]].concat();
    let data_at = file.len();
    file.extend(page(0, indexes.len(), 5, rows, RLE_DICTIONARY));
    file.extend(indexes);

    let size = (file.len() - dictionary_at) as i64;
    let rows = i64::from(rows);
    let mut chunk = Struct::default();
    chunk.int32(1, BYTE_ARRAY);
    chunk.list(2, INT32, &[zigzag(PLAIN.into()), zigzag(RLE_DICTIONARY.into())]);
    chunk.list(3, BINARY, &[binary(b"t")]);
    chunk.int32(4, 0); // not compressed
    for (field, number) in [(5, rows), (6, size), (7, size), (9, data_at as i64), (11, dictionary_at as i64)] {
        chunk.int64(field, number);
    }
    let mut column = Struct::default();
    column.int64(2, dictionary_at as i64);
    column.nested(3, chunk);
    let mut group = Struct::default();
    group.list(1, STRUCT, &[column.end()]);
    group.int64(2, size);
    group.int64(3, rows);

    let mut root = Struct::default();
    root.put(4, BINARY, &binary(b"root"));
    root.int32(5, 1);
    let mut leaf = Struct::default();
    leaf.int32(1, BYTE_ARRAY);
    leaf.int32(3, 0); // required
    leaf.put(4, BINARY, &binary(b"t"));
    leaf.int32(6, 0); // UTF-8
    let mut footer = Struct::default();
    footer.int32(1, 1);
    footer.list(2, STRUCT, &[root.end(), leaf.end()]);
    footer.int64(3, rows);
    footer.list(4, STRUCT, &[group.end()]);

    let footer = footer.end();
    file.extend(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    std::fs::write(path, file)
}

// Types of Thrift's compact protocol, and numbers of the Parquet format.
const INT32: u8 = 5;
const INT64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
const BYTE_ARRAY: i32 = 6;
const PLAIN: i32 = 0;
const RLE_DICTIONARY: i32 = 8;
const RLE: i32 = 3;

/// The header of a page of this type; `field` is where its own header goes.
fn page(kind: i32, bytes: usize, field: i16, values: u32, encoding: i32) -> Vec<u8> {
    let mut own = Struct::default();
    own.int32(1, values as i32);
    own.int32(2, encoding);
    if kind == 0 {
        own.int32(3, RLE);
        own.int32(4, RLE);
    }
    let mut header = Struct::default();
    header.int32(1, kind);
    header.int32(2, bytes as i32);
    header.int32(3, bytes as i32);
    header.nested(field, own);
    header.end()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn zigzag(number: i64) -> Vec<u8> {
    varint(((number << 1) ^ (number >> 63)) as u64)
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A Thrift struct; fields are put in ascending order.
#[derive(Default)]
struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    fn put(&mut self, field: i16, kind: u8, content: &[u8]) {
        self.bytes.push(((field - self.last) as u8) << 4 | kind);
        self.bytes.extend(content);
        self.last = field;
    }

    fn int32(&mut self, field: i16, number: i32) {
        self.put(field, INT32, &zigzag(number.into()));
    }

    fn int64(&mut self, field: i16, number: i64) {
        self.put(field, INT64, &zigzag(number));
    }

    fn list(&mut self, field: i16, kind: u8, items: &[Vec<u8>]) {
        let content = [vec![(items.len() as u8) << 4 | kind], items.concat()].concat();
        self.put(field, LIST, &content);
    }

    fn nested(&mut self, field: i16, inner: Struct) {
        self.put(field, STRUCT, &inner.end());
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}
