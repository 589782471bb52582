//! Headers of pages: what they claim, held against the chunk that they stand in, before a page is decompressed.

use lagoon_file::RegularFile;
use parquet::basic::{Compression, Type as Physical};
use parquet::file::metadata::ColumnChunkMetaData;

use super::fault::damaged;
use super::shapes::{PAGE, field};
use super::thrift::{Event, Fault, Tag, walk};
use crate::error::{Error, Result};
use crate::source::location::Location;

/// A page as its header describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHead {
    /// Bytes of the header.
    pub header: usize,
    /// Bytes behind the header.
    pub compressed: u64,
    /// Bytes when decompressed.
    pub uncompressed: u64,
    pub kind: PageKind,
    /// Values, with NULLs; of a dictionary, its entries.
    pub values: u64,
    /// Rows, where the header knows.
    pub rows: Option<u64>,
    /// Whether a value may take over a part of the one before (DELTA_BYTE_ARRAY), so that values are longer than the page.
    pub prefixed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PageKind {
    Data,
    Dictionary,
    #[default]
    Other,
}

const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;
/// DELTA_BYTE_ARRAY.
const PREFIXED: i64 = 7;

/// Rows of a batch of values that may each be as long as their page.
pub(crate) const PREFIXED_ROWS: u64 = 256;
/// Bytes of a page whose values, if they were as long as that, still make a batch of bearable size.
const PREFIXED_PAGE: u64 = 1 << 20;

impl PageHead {
    /// From the beginning of `bytes`; [`Fault::Short`] if they do not hold the whole header.
    pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Self, Fault> {
        let (mut head, mut ty, mut described) = (Self::default(), -1, -1);
        let (mut compressed, mut uncompressed) = (None, None);
        head.header = walk(bytes, &PAGE, &mut |event| {
            match event {
                Event::Int(Tag::Page, field::PAGE_TYPE, value) => ty = value,
                Event::Int(Tag::Page, field::PAGE_COMPRESSED, value) => compressed = Some(value),
                Event::Int(Tag::Page, field::PAGE_UNCOMPRESSED, value) => uncompressed = Some(value),
                Event::Int(
                    tag @ (Tag::DataPage | Tag::DictionaryPage | Tag::DataPageV2),
                    field::PAGE_VALUES,
                    value,
                ) => {
                    described = match tag {
                        Tag::DataPage => DATA,
                        Tag::DictionaryPage => DICTIONARY,
                        _ => DATA_V2,
                    };
                    head.values = count(value, "values")?;
                }
                Event::Int(Tag::DataPageV2, field::PAGE_V2_ROWS, value) => head.rows = Some(count(value, "rows")?),
                Event::Int(Tag::DataPage, field::PAGE_ENCODING, value)
                | Event::Int(Tag::DataPageV2, field::PAGE_V2_ENCODING, value) => head.prefixed = value == PREFIXED,
                _ => {}
            }
            Ok(())
        })?;
        let (Some(compressed), Some(uncompressed)) = (compressed, uncompressed) else {
            return Err(Fault::Bad("a page header without sizes".to_owned()));
        };
        head.compressed = count(compressed, "bytes")?;
        head.uncompressed = count(uncompressed, "bytes")?;
        head.kind = match ty {
            DATA | DATA_V2 => PageKind::Data,
            DICTIONARY => PageKind::Dictionary,
            _ => PageKind::Other,
        };
        if head.kind != PageKind::Other && described != ty {
            return Err(Fault::Bad("a page whose header describes another kind".to_owned()));
        }
        Ok(head)
    }

    /// Whether the claims can be true for a page of this chunk.
    pub(crate) fn check(&self, chunk: &ColumnChunkMetaData) -> std::result::Result<(), String> {
        let size = if chunk.compression() == Compression::UNCOMPRESSED { self.compressed } else { self.uncompressed };
        if let Some(most) = most_expansion(chunk.compression())
            && size > self.compressed.saturating_mul(most).saturating_add(1024)
        {
            return Err(format!("a page of {} bytes cannot decompress to {size}", self.compressed));
        }
        match self.kind {
            PageKind::Dictionary if self.values.saturating_mul(entry_bytes(chunk)) > size => {
                Err(format!("a dictionary of {} values in {size} bytes", self.values))
            }
            PageKind::Data if i64::try_from(self.values).is_ok_and(|values| values > chunk.num_values()) => {
                Err(format!("a page of {} values in a column chunk of {}", self.values, chunk.num_values()))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that the page takes decompressed, beside those of the chunk itself.
    pub(crate) fn decompressed(&self, chunk: &ColumnChunkMetaData) -> u64 {
        let size = self.uncompressed.max(self.compressed);
        if self.prefixed && size > PREFIXED_PAGE {
            return size.saturating_mul(PREFIXED_ROWS);
        }
        if chunk.compression() == Compression::UNCOMPRESSED { 0 } else { self.uncompressed }
    }
}

fn count(value: i64, of: &str) -> std::result::Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::Bad(format!("a page of {value} {of}")))
}

/// How many times as large as itself a compressed page can become, for the formats that have a bound.
fn most_expansion(codec: Compression) -> Option<u64> {
    match codec {
        Compression::SNAPPY => Some(64),
        Compression::GZIP(_) => Some(1100),
        Compression::LZ4 | Compression::LZ4_RAW => Some(300),
        _ => None,
    }
}

/// Bytes of an entry of a dictionary at least.
fn entry_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    match chunk.column_type() {
        Physical::BOOLEAN => 1,
        Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).unwrap_or(0),
    }
}

/// Bytes of a header that are read at first, and at most.
const HEADER: u64 = 512;
const LARGEST_HEADER: u64 = 16 << 20;

/// Calls `each` with every page of a chunk and its offset in the file, in order. Reads only their headers.
pub(crate) fn walk_chunk(
    file: &RegularFile,
    location: &Location,
    chunk: &ColumnChunkMetaData,
    mut each: impl FnMut(&PageHead, u64) -> Result<()>,
) -> Result<()> {
    let (mut at, length) = chunk.byte_range();
    let end = at + length;
    while at < end {
        let head = read_head(file, location, at, end)?;
        head.check(chunk).map_err(|message| damaged(location, message))?;
        each(&head, at)?;
        at += head.header as u64 + head.compressed;
        if at > end {
            return Err(damaged(location, "a page runs on over the end of its column chunk".to_owned()));
        }
    }
    Ok(())
}

fn read_head(file: &RegularFile, location: &Location, at: u64, end: u64) -> Result<PageHead> {
    let mut room = HEADER;
    loop {
        let length = room.min(end - at);
        let bytes = file.read_range(at, length, || true).map_err(|error| Error::file("read", location, error))?;
        match PageHead::parse(&bytes) {
            Ok(head) => return Ok(head),
            Err(Fault::Short) if length == room && room < LARGEST_HEADER => room *= 8,
            Err(Fault::Short) => return Err(damaged(location, "a page header ends too early".to_owned())),
            Err(Fault::Bad(message)) => return Err(damaged(location, message)),
        }
    }
}

/// Checks the headers of the pages that stand one behind the other in `bytes`, which are of this chunk, and returns the
/// bytes that they decompress to and those of the largest of them.
pub(crate) fn check_pages(bytes: &[u8], chunk: &ColumnChunkMetaData) -> std::result::Result<(u64, u64), String> {
    let (mut at, mut total, mut largest) = (0, 0u64, 0u64);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let head = PageHead::parse(rest).map_err(|fault| match fault {
            Fault::Short => "a page header ends too early".to_owned(),
            Fault::Bad(message) => message,
        })?;
        head.check(chunk)?;
        let own = head.decompressed(chunk);
        (total, largest) = (total.saturating_add(own), largest.max(own));
        let length = head.header as u64 + head.compressed;
        if length > rest.len() as u64 {
            return Err("a page runs on over the end of its column chunk".to_owned());
        }
        at += length as usize;
    }
    Ok((total, largest))
}
