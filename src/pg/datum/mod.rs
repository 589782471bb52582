//! Datums in PostgreSQL's own layout: arrays, numbers as text, values that may be toasted, and the vector types.

pub mod array;
pub mod float;
pub mod varlena;
pub mod vector;
