//! A random sample of the rows of some files: which rows, for statistics of the table.
//!
//! Row groups are chosen first, in random order, until their bytes are as many as may be read; then rows of those, each with
//! the same chance. Where all row groups fit, that is a simple random sample of the table. Pages without a chosen row are not
//! read where pages say how many rows they have, and what is read is not decoded but for the chosen rows.

use std::collections::BTreeSet;

use datafusion::datasource::physical_plan::parquet::RowGroupAccess;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::RowGroupMetaData;

use super::pieces::{self, Piece};
use crate::error::{Error, Result};
use crate::source::files::DataFile;
use crate::source::table::TableColumn;

/// Bytes of pages, decompressed, that a sample of a table reads, about.
pub const SAMPLE_BYTES: u64 = 1 << 30;

/// How large a sample is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleSize {
    /// Rows, if there are so many.
    pub rows: usize,
    /// Bytes of the row groups, decompressed, after which no other one is chosen.
    pub bytes: u64,
}

/// Rows that were drawn.
#[derive(Debug, Default)]
pub struct Sample {
    /// Row groups with a row that was drawn, in the order of the table.
    groups: Vec<Group>,
    /// The first row of each in the sample, and behind the last one the number of all.
    starts: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    file: usize,
    number: usize,
    rows: u64,
    /// Ascending.
    drawn: Vec<u64>,
}

impl Sample {
    /// Draws rows of files; the same ones for the same seed. `columns` are those that are to be read. Blocks where a footer is
    /// not remembered; `go_on` is asked before each row group.
    pub fn draw(
        files: &[DataFile],
        columns: &[TableColumn],
        size: SampleSize,
        seed: u64,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Self> {
        let mut random = Random(seed);
        let mut groups = choose(files, columns, size, &mut random, go_on)?;
        groups.sort_unstable_by_key(|group| (group.file, group.number));
        distribute(&mut groups, size.rows, &mut random)?;
        groups.retain(|group| !group.drawn.is_empty());
        let mut starts = vec![0];
        groups.iter().for_each(|group| starts.push(starts.last().copied().unwrap_or(0) + group.drawn.len()));
        Ok(Self { groups, starts })
    }

    /// How many rows were drawn.
    pub fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// How many row groups are read.
    pub fn row_groups(&self) -> usize {
        self.groups.len()
    }

    /// How many row groups are finished when so many rows of the sample have come.
    pub fn row_groups_before(&self, rows: usize) -> usize {
        self.starts.partition_point(|start| *start <= rows).saturating_sub(1)
    }

    /// Whether rows of a file were drawn.
    pub(super) fn reads(&self, file: usize) -> bool {
        let at = self.groups.partition_point(|group| group.file < file);
        self.groups.get(at).is_some_and(|group| group.file == file)
    }

    /// Whether rows of a row group of a file were drawn.
    pub(super) fn has(&self, file: usize, number: usize) -> bool {
        self.find(file, number).is_some()
    }

    /// Leaves of the pieces of a file what was drawn.
    pub(super) fn thin(&self, file: usize, pieces: &mut Vec<Piece>) {
        pieces.retain_mut(|piece| {
            for number in piece.access.row_group_indexes() {
                match self.find(file, number) {
                    Some(group) => piece.access.scan_selection(number, group.selection()),
                    None => piece.access.skip(number),
                }
            }
            piece.access.inner().iter().any(|access| match access {
                RowGroupAccess::Selection(selection) => selection.selects_any(),
                access => access.should_scan(),
            })
        });
    }

    fn find(&self, file: usize, number: usize) -> Option<&Group> {
        let found = self.groups.binary_search_by_key(&(file, number), |group| (group.file, group.number));
        found.ok().and_then(|at| self.groups.get(at))
    }
}

impl Group {
    fn selection(&self) -> RowSelection {
        let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let (mut selectors, mut next) = (Vec::with_capacity(2 * self.drawn.len() + 1), 0);
        for row in &self.drawn {
            if *row > next {
                selectors.push(RowSelector::skip(count(row - next)));
            }
            selectors.push(RowSelector::select(1));
            next = row + 1;
        }
        if self.rows > next {
            selectors.push(RowSelector::skip(count(self.rows - next)));
        }
        RowSelection::from(selectors)
    }
}

/// Row groups in random order, as many as may be read, one at least.
fn choose(
    files: &[DataFile],
    columns: &[TableColumn],
    size: SampleSize,
    random: &mut Random,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Group>> {
    let all: usize = files.iter().map(|file| file.footer.row_groups).sum();
    let mut order = reserved(all)?;
    order.extend(
        files.iter().enumerate().flat_map(|(i, file)| (0..file.footer.row_groups).map(move |group| (i, group))),
    );
    let (mut groups, mut bytes) = (Vec::new(), 0u64);
    for at in 0..order.len() {
        if bytes >= size.bytes || groups.len() >= size.rows {
            break;
        }
        if !go_on() {
            return Err(Error::Canceled);
        }
        // The next one of a random order (Fisher and Yates).
        let next = at + random.index(order.len() - at);
        order.swap(at, next);
        let Some((file, number)) = order.get(at).copied() else { break };
        let Some(data) = files.get(file) else { break };
        let metadata = data.held.parsed(go_on)?;
        let Some(group) = metadata.row_groups().get(number) else { continue };
        let wanted = |name: &str| columns.iter().any(|column| column.name == name);
        let named = data.footer.columns.iter().enumerate().filter(|(_, column)| wanted(&column.name));
        let numbers: Vec<_> = named.map(|(i, _)| i).collect();
        bytes = bytes.saturating_add(decompressed(group, &pieces::leaves(&metadata, &numbers)));
        groups.push(Group { file, number, rows: u64::try_from(group.num_rows()).unwrap_or(0), drawn: Vec::new() });
    }
    Ok(groups)
}

fn decompressed(group: &RowGroupMetaData, leaves: &[usize]) -> u64 {
    let chunks = leaves.iter().filter_map(|leaf| group.columns().get(*leaf));
    chunks.map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(0)).fold(0, u64::saturating_add)
}

/// Draws rows of all row groups together, and gives each its own.
fn distribute(groups: &mut [Group], wanted: usize, random: &mut Random) -> Result<()> {
    let all = groups.iter().map(|group| group.rows).fold(0, u64::saturating_add);
    let mut drawn = draw(all, wanted, random)?.into_iter().peekable();
    let mut first = 0;
    for group in groups {
        let end = first + group.rows;
        while let Some(row) = drawn.next_if(|row| *row < end) {
            group.drawn.try_reserve(1).map_err(|_| no_memory())?;
            group.drawn.push(row - first);
        }
        first = end;
    }
    Ok(())
}

/// Numbers below `all` without repetition, each with the same chance, ascending (Floyd's algorithm).
fn draw(all: u64, wanted: usize, random: &mut Random) -> Result<Vec<u64>> {
    let count = u64::try_from(wanted).unwrap_or(u64::MAX).min(all);
    let mut drawn = reserved(usize::try_from(count).unwrap_or(usize::MAX))?;
    if count == all {
        drawn.extend(0..all);
        return Ok(drawn);
    }
    let mut numbers = BTreeSet::new();
    for greatest in all - count..all {
        if !numbers.insert(random.below(greatest + 1)) {
            numbers.insert(greatest);
        }
    }
    drawn.extend(numbers);
    Ok(drawn)
}

fn reserved<T>(count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| no_memory())?;
    Ok(room)
}

fn no_memory() -> Error {
    Error::Memory { message: "rows of a sample".to_owned() }
}

/// SplitMix64: enough for sampling, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
