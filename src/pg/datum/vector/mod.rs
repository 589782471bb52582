//! The Rust side of SQL types `vector`, `halfvec`, `sparsevec` and `bit`, for every wing that takes, keeps or returns one.
//!
//! In memory and on disk they are pgvector's, and PostgreSQL's own `bit`. [`DenseRef`], [`SparsevecRef`] and [`BitRef`]
//! borrow PostgreSQL's copy, which costs nothing unless that copy is toasted; `alloc` beside each builds a result in
//! place. [`Vector`] owns its elements.

mod bit;
mod dense;
mod error;
mod hint;
mod many;
mod oid;
mod owned;
mod sparse;

pub use bit::{BitRef, alloc_bits};
pub use dense::{DenseRef, MAX_DIMENSIONS, Scalar, VectorRef, alloc, check_dimensions, check_elements, to_datum};
pub use error::{VectorError, check_finite};
pub use hint::VectorHint;
pub use many::VectorArray;
pub use oid::{HALFVEC, SPARSEVEC, VECTOR};
pub use owned::Vector;
pub use sparse::{MAX_NON_ZERO, MAX_SPARSE_DIMENSIONS, SparsevecRef, alloc_sparse, check_sparse_dimensions};
