//! Type `sparsevec`, by verb as the dense types.

mod cast;
mod compare;
mod distance;
mod io;
mod text;

use super::error::Error;
use crate::pg::datum::vector::{MAX_NON_ZERO, SparsevecRef};

/// The name of the type in messages.
const TYPE: &str = "sparsevec";

/// Whether a vector of so many dimensions can store so many elements.
fn check_count(count: i32, dimensions: i32) -> Result<usize, Error> {
    let stored = usize::try_from(count).map_err(|_| Error::NegativeCount)?;
    if stored > MAX_NON_ZERO {
        return Err(Error::TooManyElements);
    }
    if count > dimensions { Err(Error::MoreThanDimensions) } else { Ok(stored) }
}

/// Whether the indices lie below `dimensions` and ascend.
fn check_indices(indices: &[i32], dimensions: i32) -> Result<(), Error> {
    let mut previous = -1;
    for index in indices {
        if !(0..dimensions).contains(index) {
            return Err(Error::OutOfBounds);
        }
        if *index < previous {
            return Err(Error::NotAscending);
        }
        if *index == previous {
            return Err(Error::Duplicate);
        }
        previous = *index;
    }
    Ok(())
}

/// Two operands must have as many dimensions.
#[inline]
fn same_dimensions(a: &SparsevecRef<'_>, b: &SparsevecRef<'_>) -> Result<(), Error> {
    let (a, b) = (a.dimensions(), b.dimensions());
    if a == b { Ok(()) } else { Err(Error::Different(TYPE, a as usize, b as usize)) }
}
