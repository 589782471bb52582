//! Rows of random blocks of a table, for the clustering.

use pgrx::pg_sys::{self, ForkNumber, IndexInfo, Relation};

use lagoon_vector::Error;
use lagoon_vector::ivf::build::Builder;

use crate::vector::index::Column;
use crate::vector::index::rows::{self, Rows};
use crate::vector::index::sample::random_blocks;

/// Rows that a table of so many blocks can hold.
pub fn most_rows(blocks: u32) -> usize {
    // MaxHeapTuplesPerPage of htup_details.h
    let row = pg_sys::MAXIMUM_ALIGNOF as usize * 3 + size_of::<pg_sys::ItemIdData>();
    blocks as usize * ((pg_sys::BLCKSZ as usize - 24) / row)
}

/// Gives a build the sample that it wants, from as many random blocks at most, as ANALYZE takes its own.
///
/// # Safety
/// As for [`rows::each`].
pub unsafe fn give(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
    column: &Column,
    wanted: usize,
    builder: &mut Builder,
) -> Result<(), Error> {
    let mut take = |code: &[u32], _| {
        if let Some(place) = builder.draw() {
            builder.sample(place, code)?;
        }
        Ok(())
    };
    // SAFETY: the caller's.
    unsafe {
        let blocks = pg_sys::RelationGetNumberOfBlocksInFork(heap, ForkNumber::MAIN_FORKNUM);
        random_blocks(blocks, wanted as u32, |block| {
            rows::each(heap, index, info, Rows::Blocks(block, 1), column, &mut take);
        });
    }
    Ok(())
}
