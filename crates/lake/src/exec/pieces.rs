//! A file in pieces: what one task decodes at a time.
//!
//! A piece is some row groups, or of a large row group the rows of some pages, so that no more of it has to be in memory.
//! Where pages lie is found by walking their headers: few files have an index of them, and this one does not lie.

use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use lagoon_file::RegularFile;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};

use super::reader::Chunks;
use crate::error::Result;
use crate::source::Location;
use crate::source::files::DataFile;
use crate::source::footer::check_codec;
use crate::source::footer::pages::{PREFIXED_ROWS, PageKind, walk_chunk};

/// Rows of a batch at most.
pub const BATCH_ROWS: usize = 8192;
/// Bytes of the values of a batch, about, at most: fewer rows if they are wide. Texts are not counted: they stay in the page
/// that they came in.
pub const BATCH_BYTES: u64 = 8 << 20;
/// Small row groups are put together up to this many bytes.
const SMALL: u64 = 4 << 20;

/// What one task decodes at a time.
#[derive(Debug)]
pub(super) struct Piece {
    pub location: Location,
    pub file: Arc<RegularFile>,
    pub metadata: Arc<ParquetMetaData>,
    pub access: ParquetAccessPlan,
    pub chunks: Arc<Chunks>,
    /// Bytes that have to be read at once.
    pub bytes: u64,
    pub rows: u64,
    /// Rows of a batch, and how many they might be if there were more.
    pub batch_rows: usize,
    pub most_rows: usize,
}

/// Cuts a file. `columns` are the top-level columns that are read, by number, `survivors` says which row groups, and `wanted`
/// is the most bytes of a piece, where pages allow it.
pub(super) fn cut(file: &DataFile, columns: &[usize], survivors: &[bool], wanted: u64) -> Result<Vec<Piece>> {
    let metadata = file.held.parsed(&mut || true)?;
    let leaves = leaves(&metadata, columns);
    let mut cutter = Cutter {
        location: file.location().clone(),
        file: Arc::new(file.held.open()?),
        metadata,
        leaves,
        pieces: Vec::new(),
        open: Vec::new(),
    };
    for i in (0..cutter.metadata.num_row_groups()).filter(|i| survivors.get(*i).copied().unwrap_or(true)) {
        cutter.add(i, wanted)?;
    }
    cutter.close();
    Ok(cutter.pieces)
}

/// The leaf columns below these top-level columns.
pub(super) fn leaves(metadata: &ParquetMetaData, columns: &[usize]) -> Vec<usize> {
    let descriptor = metadata.file_metadata().schema_descr();
    (0..descriptor.num_columns()).filter(|leaf| columns.contains(&descriptor.get_column_root_idx(*leaf))).collect()
}

struct Cutter {
    location: Location,
    file: Arc<RegularFile>,
    metadata: Arc<ParquetMetaData>,
    leaves: Vec<usize>,
    pieces: Vec<Piece>,
    /// Row groups that are put together.
    open: Vec<usize>,
}

impl Cutter {
    fn add(&mut self, i: usize, wanted: u64) -> Result<()> {
        let metadata = self.metadata.clone();
        let group = metadata.row_group(i);
        for chunk in self.chunks(group) {
            check_codec(chunk, &self.location)?;
        }
        let bytes: u64 = self.chunks(group).map(size).sum();
        if bytes > wanted
            && let Some(cuts) = self.cut_group(i, wanted)?
        {
            self.close();
            self.pieces.extend(cuts);
            return Ok(());
        }
        let so_far: u64 = self.open.iter().flat_map(|i| self.chunks(metadata.row_group(*i)).map(size)).sum();
        if so_far + bytes > SMALL.min(wanted) {
            self.close();
        }
        self.open.push(i);
        Ok(())
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let groups = std::mem::take(&mut self.open);
        let mut access = ParquetAccessPlan::new_none(self.metadata.num_row_groups());
        groups.iter().for_each(|i| access.scan(*i));
        let groups: Vec<_> = groups.into_iter().map(|i| self.metadata.row_group(i)).collect();
        let bytes = groups.iter().map(|group| self.chunks(group).map(compressed).sum()).max().unwrap_or(0);
        let batch_rows = groups.iter().map(|group| self.batch_rows(group)).min().unwrap_or(BATCH_ROWS);
        let longest = groups.iter().map(|group| rows(group)).max().unwrap_or(0);
        let rows = groups.iter().map(|group| rows(group)).fold(0, u64::saturating_add);
        let mut piece = self.piece(self.metadata.clone(), access, bytes, batch_rows, longest);
        piece.rows = rows;
        self.pieces.push(piece);
    }

    fn piece(
        &self,
        metadata: Arc<ParquetMetaData>,
        access: ParquetAccessPlan,
        bytes: u64,
        most: usize,
        rows: u64,
    ) -> Piece {
        let batch_rows = usize::try_from(rows).unwrap_or(most).clamp(1, most);
        let chunks = Arc::new(Chunks::new(&metadata, &access.row_group_indexes(), &self.leaves));
        Piece {
            location: self.location.clone(),
            file: self.file.clone(),
            metadata,
            access,
            chunks,
            bytes,
            rows,
            batch_rows,
            most_rows: most,
        }
    }

    /// The rows of a large row group, cut where pages of its largest column begin; `None` if that is not known of a column.
    fn cut_group(&self, i: usize, wanted: u64) -> Result<Option<Vec<Piece>>> {
        let group = self.metadata.row_group(i);
        let Some(&largest) = self.leaves.iter().max_by_key(|leaf| size(group.column(**leaf))) else { return Ok(None) };
        let mut index: Vec<_> = group.columns().iter().map(|_| pages_of(Vec::new())).collect();
        let mut cuts = Vec::new();
        for leaf in &self.leaves {
            let chunk = group.column(*leaf);
            let Some((locations, sizes)) = self.locate(chunk)? else { return Ok(None) };
            if *leaf == largest {
                let total: u64 = self.chunks(group).map(size).sum();
                // Of the largest column this many bytes stand for a piece of all.
                let share = (u128::from(wanted) * u128::from(size(chunk)) / u128::from(total.max(1))) as u64;
                cuts = starts(&locations, &sizes, share);
            }
            if let Some(slot) = index.get_mut(*leaf) {
                *slot = pages_of(locations);
            }
        }
        if cuts.len() < 2 {
            return Ok(None);
        }
        let mut offsets = vec![Vec::new(); self.metadata.num_row_groups()];
        if let Some(slot) = offsets.get_mut(i) {
            *slot = index;
        }
        let builder = (*self.metadata).clone().into_builder();
        let metadata = Arc::new(builder.set_offset_index(Some(offsets)).build());
        let all = rows(group);
        let bytes = self.chunks(group).map(compressed).sum::<u64>() / cuts.len() as u64;
        let most = self.batch_rows(group);
        let ends = cuts.iter().skip(1).copied().chain([all]);
        let pieces = cuts.iter().zip(ends).map(|(start, end)| {
            let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
            let selection = RowSelection::from(vec![
                RowSelector::skip(count(*start)),
                RowSelector::select(count(end - start)),
                RowSelector::skip(count(all - end)),
            ]);
            let mut access = ParquetAccessPlan::new_none(self.metadata.num_row_groups());
            access.set(i, RowGroupAccess::Selection(selection));
            self.piece(metadata.clone(), access, bytes, most, end - start)
        });
        Ok(Some(pieces.collect()))
    }

    /// Where the data pages of a chunk lie, and how large they are decompressed; `None` if a page does not say its rows.
    fn locate(&self, chunk: &ColumnChunkMetaData) -> Result<Option<(Vec<PageLocation>, Vec<u64>)>> {
        let flat = chunk.column_descr().max_rep_level() == 0;
        let (mut locations, mut sizes, mut row, mut known) = (Vec::new(), Vec::new(), 0u64, true);
        walk_chunk(&self.file, &self.location, chunk, |page, offset| {
            if page.kind != PageKind::Data {
                // Between the beginning and the first data page, the reader takes all for the dictionary.
                known &= page.kind == PageKind::Dictionary && locations.is_empty();
                return Ok(());
            }
            let rows = page.rows.or(flat.then_some(page.values));
            let length = i32::try_from(page.header as u64 + page.compressed);
            let (Some(rows), Ok(length), Ok(offset)) = (rows, length, i64::try_from(offset)) else {
                known = false;
                return Ok(());
            };
            let first_row_index = i64::try_from(row).unwrap_or(i64::MAX);
            locations.push(PageLocation { offset, compressed_page_size: length, first_row_index });
            sizes.push(page.uncompressed.max(page.compressed));
            row = row.saturating_add(rows);
            Ok(())
        })?;
        Ok(known.then_some((locations, sizes)))
    }

    /// Rows of which a batch is not too large.
    fn batch_rows(&self, group: &RowGroupMetaData) -> usize {
        let rows = rows(group).max(1);
        let mut most = BATCH_ROWS as u64;
        let mut width = 0u64;
        for chunk in self.chunks(group) {
            let values = u64::try_from(chunk.num_values()).unwrap_or(0).div_ceil(rows);
            width = width.saturating_add(values.saturating_mul(value_bytes(chunk)));
            if chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY) {
                most = most.min(PREFIXED_ROWS);
            }
        }
        usize::try_from((BATCH_BYTES / width.max(1)).clamp(1, most)).unwrap_or(1)
    }

    fn chunks<'a>(&'a self, group: &'a RowGroupMetaData) -> impl Iterator<Item = &'a ColumnChunkMetaData> {
        self.leaves.iter().filter_map(|leaf| group.columns().get(*leaf))
    }
}

/// Rows at which pieces begin: of pages of these sizes, at every `share` bytes.
fn starts(locations: &[PageLocation], sizes: &[u64], share: u64) -> Vec<u64> {
    let (mut starts, mut bytes) = (vec![0], 0u64);
    for (location, size) in locations.iter().zip(sizes) {
        let row = u64::try_from(location.first_row_index).unwrap_or(0);
        if bytes >= share && starts.last().is_some_and(|last| row > *last) {
            starts.push(row);
            bytes = 0;
        }
        bytes = bytes.saturating_add(*size);
    }
    starts
}

fn pages_of(page_locations: Vec<PageLocation>) -> OffsetIndexMetaData {
    OffsetIndexMetaData { page_locations, unencoded_byte_array_data_bytes: None }
}

fn rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

fn compressed(chunk: &ColumnChunkMetaData) -> u64 {
    u64::try_from(chunk.compressed_size()).unwrap_or(0)
}

/// Bytes of a chunk before or after decompression, whichever is more.
pub(super) fn size(chunk: &ColumnChunkMetaData) -> u64 {
    compressed(chunk).max(u64::try_from(chunk.uncompressed_size()).unwrap_or(0))
}

/// Bytes that a value takes in a batch, with its levels and what a conversion adds.
fn value_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    match chunk.column_type() {
        Physical::FIXED_LEN_BYTE_ARRAY => {
            u64::try_from(chunk.column_descr().type_length()).unwrap_or(0).saturating_mul(2).saturating_add(24)
        }
        _ => 32,
    }
}
