//! What a footer claims, held against its own length before anything is built from it.

use super::shapes::{FILE, field};
use super::thrift::{Event, Fault, Tag, rewrite};

/// Levels of groups within groups that are followed. A list takes two of them, a map three.
pub(crate) const DEEPEST_SCHEMA: usize = 64;
/// Row groups that the parquet crate can count: it numbers them with 16 bits.
pub(crate) const MOST_ROW_GROUPS: u64 = 32_767;
/// Bytes of a fixed-length value at most.
pub(crate) const LARGEST_FIXED: i64 = 16 << 20;
/// The codecs of parquet.thrift: uncompressed to LZ4_RAW.
const CODECS: std::ops::RangeInclusive<i64> = 0..=7;

/// Bytes that the parquet crate takes for a column chunk, a row group and a schema element, rounded up.
const CHUNK_BYTES: u64 = 1024;
const ROW_GROUP_BYTES: u64 = 512;
const ELEMENT_BYTES: u64 = 1024;

/// Why a footer is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It contradicts itself or the file.
    Damaged(String),
    /// It is right as far as we can tell, and more than this version reads.
    Unsupported(String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Short => Self::Damaged("the footer ends before what it announces".to_owned()),
            Fault::Bad(message) => Self::Damaged(format!("the footer holds {message}")),
        }
    }
}

/// A footer that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// For the parser: what it knows, as it expects it.
    pub footer: Vec<u8>,
    /// Bytes that its parsed form takes, about.
    pub parsed: u64,
}

/// Walks a footer once. `out` has room for as many bytes.
pub(crate) fn check(footer: &[u8], out: Vec<u8>) -> Result<Checked, Refusal> {
    let mut claims = Claims::default();
    let outcome = rewrite(footer, &FILE, out, &mut |event| {
        claims.hear(event);
        if claims.refusal.is_some() { Err(Fault::Short) } else { Ok(()) }
    });
    if let Some(refusal) = claims.refusal {
        return Err(refusal);
    }
    let footer = outcome?;
    if claims.open.iter().any(|left| *left > 0) {
        return Err(Refusal::Damaged("its schema has groups that lack members".to_owned()));
    }
    let parsed = claims.chunks * CHUNK_BYTES + claims.row_groups * ROW_GROUP_BYTES + claims.elements * ELEMENT_BYTES;
    Ok(Checked { parsed: parsed + footer.len() as u64, footer })
}

#[derive(Default)]
struct Claims {
    elements: u64,
    row_groups: u64,
    chunks: u64,
    /// Members that the groups which are open still lack, outermost first.
    open: Vec<i64>,
    /// What the current element says of itself.
    children: i64,
    refusal: Option<Refusal>,
}

impl Claims {
    fn hear(&mut self, event: Event) {
        match event {
            Event::List(Tag::File, field::FILE_SCHEMA, _) => self.open.clear(),
            Event::List(Tag::File, field::FILE_ROW_GROUPS, count) => {
                self.row_groups = count;
                if count > MOST_ROW_GROUPS {
                    self.unsupported(format!("it has {count} row groups, more than {MOST_ROW_GROUPS}"));
                }
            }
            // A footer in plain text names the algorithm that its columns are encrypted with.
            Event::Field(Tag::File, field::FILE_ENCRYPTION) => self.unsupported("it has encrypted columns".to_owned()),
            Event::List(Tag::RowGroup, field::ROW_GROUP_COLUMNS, count) => self.chunks += count,
            Event::Int(Tag::Element, field::ELEMENT_LENGTH, length) if length > LARGEST_FIXED => {
                self.unsupported(format!("it has values of a fixed length of {length} bytes"));
            }
            Event::Int(Tag::Element, field::ELEMENT_CHILDREN, children) => self.children = children,
            Event::Int(Tag::Meta, field::META_CODEC, codec) if !CODECS.contains(&codec) => {
                self.unsupported(format!("its compression codec {codec} is not known"));
            }
            Event::End(Tag::Element) => self.element(),
            _ => {}
        }
    }

    fn element(&mut self) {
        let children = std::mem::take(&mut self.children);
        self.elements += 1;
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
        if children < 0 {
            self.refusal = Some(Refusal::Damaged(format!("its schema has a group of {children} members")));
        }
        if children > 0 {
            self.open.push(children);
        }
        while self.open.last() == Some(&0) && self.open.len() > 1 {
            self.open.pop();
        }
        if self.open.len() > DEEPEST_SCHEMA {
            self.unsupported(format!("its groups are nested more than {DEEPEST_SCHEMA} levels deep"));
        }
    }

    fn unsupported(&mut self, message: String) {
        self.refusal.get_or_insert(Refusal::Unsupported(message));
    }
}

#[cfg(test)]
pub(super) mod tests;
