//! SQL type `vector`: what pgvector's type of that name is, in name, layout, wire format, limits and messages.
//!
//! One file a verb; the types `halfvec` and `sparsevec` will stand beside `vector` in each of them. The C functions are declared
//! in `sql/vector.sql`. The layout is in `pg::vector`, the arithmetic in `lagoon_hnsw::distance`.

mod aggregate;
mod arithmetic;
mod cast;
mod compare;
mod distance;
mod error;
mod io;
mod text;

use error::Error;

// First of all, because every wing may use the type.
pgrx::extension_sql_file!("../../sql/vector.sql", name = "vector", bootstrap);

/// A type modifier is the number of dimensions, or -1 for any.
fn check_modifier(modifier: i32, dimensions: usize) -> Result<(), Error> {
    match usize::try_from(modifier) {
        Ok(expected) if expected != dimensions => Err(Error::Expected { expected, found: dimensions }),
        _ => Ok(()),
    }
}

/// Two operands must have as many elements.
#[inline]
fn same_dimensions(a: &[f32], b: &[f32]) -> Result<(), Error> {
    if a.len() == b.len() { Ok(()) } else { Err(Error::Different(a.len(), b.len())) }
}
