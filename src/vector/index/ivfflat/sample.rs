//! Rows of random blocks of a table, for the clustering.

use pgrx::pg_sys;

use lagoon_vector::ivf::build::Builder;

use crate::vector::index::column::Column;
use crate::vector::index::random::random_blocks;
use crate::vector::index::rows::{IndexedTable, Rows};

/// Rows that a table of so many blocks can hold.
pub fn most_rows(blocks: u32) -> usize {
    // MaxHeapTuplesPerPage of htup_details.h
    let row = pg_sys::MAXIMUM_ALIGNOF as usize * 3 + size_of::<pg_sys::ItemIdData>();
    blocks as usize * ((pg_sys::BLCKSZ as usize - 24) / row)
}

/// Feeds a build with its sample, from at most as many random blocks, as ANALYZE samples rows.
///
/// # Safety
/// As for [`IndexedTable::each`].
pub unsafe fn sample_rows(table: &IndexedTable, column: &Column, wanted: usize, builder: &mut Builder) {
    let mut sample = |code: &[u32], _| match builder.draw() {
        Some(place) => builder.sample(place, code),
        None => Ok(()),
    };
    random_blocks(table.blocks(), wanted as u32, |block| {
        // SAFETY: the caller's.
        unsafe { table.each(Rows::Blocks(block, 1), column, &mut sample) };
    });
}
