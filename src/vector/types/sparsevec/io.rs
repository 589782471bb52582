//! Text, binary and type modifier.

use std::ffi::CStr;

use pgrx::pg_sys::{Datum, Oid};

use super::super::{check_modifier, modifier};
use super::{TYPE, check_count, check_indices, text};
use crate::pg::datum::array::ArrayRef;
use crate::pg::datum::vector::{
    MAX_SPARSE_DIMENSIONS, SparsevecRef, alloc_sparse, check_finite, check_sparse_dimensions,
};
use crate::pg::function::{Bytes, Message, Text, sql_functions};
use crate::vector::types::error::Error;

sql_functions! {
    fn sparsevec_in(literal: &CStr, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        let parsed = text::parse(literal.to_bytes())?;
        check_modifier(modifier, parsed.dimensions as usize)?;
        parsed.check()?;
        let (datum, indices, values) = alloc_sparse(parsed.dimensions, parsed.indices.len());
        indices.copy_from_slice(&parsed.indices);
        values.copy_from_slice(&parsed.values);
        Ok(datum)
    }

    fn sparsevec_out(vector: SparsevecRef<'_>) -> Result<Text, Error> {
        Ok(Text(text::format(&vector)))
    }

    /// `{i32 dimensions, i32 count, i32 zero, i32 indices, f32 elements}` in network order; indices count from 0.
    fn sparsevec_recv(message: Message, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        let mut message = message;
        let (dimensions, count, unused) = (message.i32(), message.i32(), message.i32());
        check_sparse_dimensions(dimensions)?;
        let count = check_count(count, dimensions)?;
        check_modifier(modifier, dimensions as usize)?;
        if unused != 0 {
            return Err(Error::Unused(unused));
        }
        let (datum, indices, values) = alloc_sparse(dimensions, count);
        indices.iter_mut().zip(message.words(count)).for_each(|(index, word)| *index = i32::from_be_bytes(*word));
        check_indices(indices, dimensions)?;
        for (value, word) in values.iter_mut().zip(message.words(count)) {
            *value = f32::from_be_bytes(*word);
            check_finite(TYPE, std::iter::once(*value))?;
            if *value == 0.0 {
                return Err(Error::StoredZero);
            }
        }
        Ok(datum)
    }

    fn sparsevec_send(vector: SparsevecRef<'_>) -> Result<Bytes, Error> {
        let parts = vector.parts();
        let count = parts.values().len();
        let mut bytes = Vec::with_capacity(12 + count * 8);
        bytes.extend([vector.dimensions(), count as i32, 0].iter().flat_map(|field| field.to_be_bytes()));
        bytes.extend(parts.indices().iter().flat_map(|index| index.to_be_bytes()));
        bytes.extend(parts.values().iter().flat_map(|value| value.to_be_bytes()));
        Ok(Bytes(bytes))
    }

    fn sparsevec_typmod_in(modifiers: ArrayRef<'_>) -> Result<i32, Error> {
        modifier(TYPE, MAX_SPARSE_DIMENSIONS as usize, &modifiers)
    }
}
