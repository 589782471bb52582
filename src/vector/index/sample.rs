//! Sampling the values of a table before a build, to learn its codes.

use pgrx::pg_sys;

use lagoon_vector::sample::Sample;
use lagoon_vector::space::{ENOUGH, Element, MOST, learn};
use lagoon_vector::{Coder, Error, Method};

use super::build::poll;
use super::column::{Column, space};
use super::random::{random_blocks, seed};
use super::rows::{IndexedTable, Rows};

/// Number of random blocks that are read of a larger table: with a few values on each, they suffice.
const BLOCKS: u32 = 2000;
/// Minimum bytes of the sample, at any `maintenance_work_mem`.
const LEAST_BYTES: usize = 4 << 20;

/// The coder of an index over a table, from a sample of the values that it will have. Values whose codes are always exact are not
/// sampled.
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
            // Few values were found in these blocks, so the whole table is sampled.
            sample = Sample::new(space.dimensions, most(space.dimensions), seed());
            take(0, all, &mut sample);
        }
        learn(Element::Dense, space.metric, space.dimensions, sample.elements(), &poll)
    }
}

/// Maximum number of values in the sample, which is freed before the build begins.
fn most(dimensions: usize) -> usize {
    // SAFETY: a setting of this process.
    let limit = unsafe { pg_sys::maintenance_work_mem } as usize * 1024;
    let bytes = (limit / 2).max(LEAST_BYTES);
    (bytes / (size_of::<f32>() * dimensions)).clamp(1, MOST)
}
