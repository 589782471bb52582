//! SQL types `vector`, `halfvec` and `sparsevec` and distances of `bit`, with pgvector's names, layouts, wire formats, limits and
//! messages.
//!
//! One file a verb, for `vector` and `halfvec` at once: functions generic over the element, with a table of their C symbols
//! at the end. `sparsevec` has its own folder. The symbols are declared in `sql/vector.sql` and beside it. Layouts are in
//! `pg::datum::vector`, arithmetic in `lagoon_vector::distance`.

mod aggregate;
mod arithmetic;
mod bit;
mod cast;
mod compare;
mod distance;
mod error;
mod io;
mod numbers;
mod sparsevec;
mod text;

use error::Error;

use crate::pg::datum::array::ArrayRef;
use crate::pg::datum::float::append_f32;
use crate::pg::datum::vector::{DenseRef, Scalar};

// First of all, because every wing may use the type.
pgrx::extension_sql_file!("../../../sql/vector.sql", name = "vector", bootstrap);
pgrx::extension_sql_file!("../../../sql/halfvec.sql", name = "halfvec", requires = ["vector"]);
pgrx::extension_sql_file!("../../../sql/bit.sql", name = "bit", requires = ["halfvec"]);
pgrx::extension_sql_file!("../../../sql/sparsevec.sql", name = "sparsevec", requires = ["halfvec"]);

/// The modifier in parentheses behind a type name: the number of dimensions itself, 1 to `most`.
fn modifier(type_name: &'static str, most: usize, modifiers: &ArrayRef<'_>) -> Result<i32, Error> {
    match modifiers.integer_modifiers() {
        [..1] => Err(Error::ModifierTooSmall(type_name)),
        [n] if *n as usize > most => Err(Error::ModifierTooLarge(type_name, most)),
        [n] => Ok(*n),
        _ => Err(Error::Modifier),
    }
}

/// A type modifier is the number of dimensions, or -1 for any.
fn check_modifier(modifier: i32, dimensions: usize) -> Result<(), Error> {
    let fits = modifier == -1 || usize::try_from(modifier) == Ok(dimensions);
    if fits { Ok(()) } else { Err(Error::Expected { expected: modifier, found: dimensions }) }
}

/// Two operands must have as many elements.
#[inline]
fn same_dimensions<E: Scalar>(a: &DenseRef<'_, E>, b: &DenseRef<'_, E>) -> Result<(), Error> {
    if a.len() == b.len() { Ok(()) } else { Err(Error::Different(E::TYPE, a.len(), b.len())) }
}

/// The element nearest to `value`; an error when `value` is finite and there is none. NaN and infinities pass.
fn to_element<E: Scalar>(value: f32) -> Result<E, Error> {
    let element = E::from_f32(value);
    if element.to_f32().is_infinite() && value.is_finite() {
        let mut text = Vec::new();
        append_f32(&mut text, value);
        return Err(Error::OutOfRange(E::TYPE, String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(element)
}
