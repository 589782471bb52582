//! What a build learns of the values of a table before it begins.

use pgrx::pg_sys;

use lagoon_vector::sample::Sample;
use lagoon_vector::space::{ENOUGH, Element, MOST, learn};
use lagoon_vector::{Coder, Error, Method};

use super::build::poll;
use super::column::{Column, space};
use super::random::{random_blocks, seed};
use super::rows::{IndexedTable, Rows};

/// Random blocks that are read of a larger table: with a few values on each there are enough.
const BLOCKS: u32 = 2000;
/// Bytes of values that are kept, whatever `maintenance_work_mem` says.
const LEAST_BYTES: usize = 4 << 20;

/// What makes the codes of an index over a table, from a sample of the values that the index is going to hold; only of those
/// whose codes can be more or less fine.
///
/// # Safety
/// `table` is being indexed by that method.
pub unsafe fn coder(table: &IndexedTable, method: Method) -> Result<Coder, Error> {
    // SAFETY: the caller's.
    unsafe {
        let plain = Coder::plain(space(table.index, method)?);
        let space = plain.space;
        if !space.is_quantised() {
            return Ok(plain);
        }
        let column = Column::new(table.index, method, plain)?;
        let all = table.blocks();
        let mut sample = Sample::new(space.dimensions, most(space.dimensions), seed());
        let take = |first, count, sample: &mut Sample<f32>| {
            table.sample(Rows::Blocks(first, count), &column, sample);
        };
        if all > BLOCKS {
            random_blocks(all, BLOCKS, |block| take(block, 1, &mut sample));
        }
        if sample.seen() < ENOUGH as u64 {
            // The table is small, or few rows have a value, or the predicate of a partial index holds for few.
            sample = Sample::new(space.dimensions, most(space.dimensions), seed());
            take(0, all, &mut sample);
        }
        learn(Element::Dense, space.metric, space.dimensions, sample.elements(), &poll)
    }
}

/// Values that are kept: they are gone when the build begins, which may take all of `maintenance_work_mem`.
fn most(dimensions: usize) -> usize {
    // SAFETY: a setting of this process.
    let limit = unsafe { pg_sys::maintenance_work_mem } as usize * 1024;
    let bytes = (limit / 2).max(LEAST_BYTES);
    (bytes / (size_of::<f32>() * dimensions)).clamp(1, MOST)
}
