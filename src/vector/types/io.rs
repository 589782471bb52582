//! Text, binary and type modifier: what PostgreSQL calls to read and write a value.

use std::ffi::CStr;

use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::{Datum, Oid};

use super::error::Error;
use super::{check_modifier, modifier, text};
use crate::pg::datum::array::ArrayRef;
use crate::pg::datum::vector::{DenseRef, MAX_DIMENSIONS, Scalar, alloc, check_dimensions, check_elements, to_datum};
use crate::pg::function::{Bytes, Message, Text, sql_functions, sql_symbols};

fn read<E: Scalar>(literal: &CStr, _element: Oid, modifier: i32) -> Result<Datum, Error> {
    let values = text::parse::<E>(literal.to_bytes())?;
    check_modifier(modifier, values.len())?;
    Ok(to_datum(&values))
}

fn write<E: Scalar>(vector: DenseRef<'_, E>) -> Result<Text, Error> {
    Ok(Text(text::format(&vector)))
}

/// `{u16 dimensions, u16 zero, elements of N bytes}` in network order.
fn receive<E: Scalar, const N: usize>(
    mut message: Message,
    modifier: i32,
    element: fn([u8; N]) -> E,
) -> Result<Datum, Error> {
    let dimensions = usize::from(message.u16());
    let unused = message.u16();
    check_dimensions::<E>(dimensions)?;
    check_modifier(modifier, dimensions)?;
    if unused != 0 {
        return Err(Error::Unused(unused.into()));
    }
    let (datum, elements) = alloc(dimensions);
    elements.iter_mut().zip(message.words(dimensions)).for_each(|(slot, word)| *slot = element(*word));
    check_elements(elements)?;
    Ok(datum)
}

/// As [`receive`] reads it.
fn send<E: Scalar, const N: usize>(vector: &DenseRef<'_, E>, word: fn(E) -> [u8; N]) -> Bytes {
    let mut bytes = Vec::with_capacity(4 + vector.len() * N);
    bytes.extend((vector.len() as u16).to_be_bytes());
    bytes.extend(0u16.to_be_bytes());
    bytes.extend(vector.iter().flat_map(|element| word(*element)));
    Bytes(bytes)
}

sql_functions! {
    fn vector_recv(message: Message, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        receive(message, modifier, f32::from_be_bytes)
    }

    fn halfvec_recv(message: Message, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        receive(message, modifier, f16::from_be_bytes)
    }

    fn vector_send(vector: DenseRef<'_, f32>) -> Result<Bytes, Error> {
        Ok(send(&vector, f32::to_be_bytes))
    }

    fn halfvec_send(vector: DenseRef<'_, f16>) -> Result<Bytes, Error> {
        Ok(send(&vector, f16::to_be_bytes))
    }
}

fn typmod_in<E: Scalar>(modifiers: ArrayRef<'_>) -> Result<i32, Error> {
    modifier(E::TYPE, MAX_DIMENSIONS, &modifiers)
}

sql_symbols! {
    vector_in = read::<f32>,
    halfvec_in = read::<f16>,
    vector_out = write::<f32>,
    halfvec_out = write::<f16>,
    vector_typmod_in = typmod_in::<f32>,
    halfvec_typmod_in = typmod_in::<f16>,
}
