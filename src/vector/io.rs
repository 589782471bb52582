//! Text, binary and type modifier: what PostgreSQL calls to read and write a value.

use std::ffi::CStr;

use pgrx::pg_sys::{Datum, Oid};

use super::error::Error;
use super::{check_modifier, text};
use crate::pg::array::ArrayRef;
use crate::pg::function::{Bytes, Message, Text, sql_functions};
use crate::pg::vector::{MAX_DIMENSIONS, VectorRef, alloc, check_dimensions, check_elements, to_datum};

sql_functions! {
    fn vector_in(literal: &CStr, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        let values = text::parse(literal.to_bytes())?;
        check_modifier(modifier, values.len())?;
        Ok(to_datum(&values))
    }

    fn vector_out(vector: VectorRef<'_>) -> Result<Text, Error> {
        Ok(Text(text::format(&vector)))
    }

    /// `{u16 dimensions, u16 zero, f32 elements}` in network order.
    fn vector_recv(message: Message, _element: Oid, modifier: i32) -> Result<Datum, Error> {
        let mut message = message;
        let dimensions = usize::from(message.u16());
        let unused = message.u16();
        check_dimensions(dimensions)?;
        check_modifier(modifier, dimensions)?;
        if unused != 0 {
            return Err(Error::Unused(unused));
        }
        let received = message.f32s(dimensions);
        let (datum, elements) = alloc(dimensions);
        elements.iter_mut().zip(received).for_each(|(element, value)| *element = value);
        check_elements(elements)?;
        Ok(datum)
    }

    fn vector_send(vector: VectorRef<'_>) -> Result<Bytes, Error> {
        let mut bytes = Vec::with_capacity(4 + vector.len() * 4);
        bytes.extend((vector.len() as u16).to_be_bytes());
        bytes.extend(0u16.to_be_bytes());
        bytes.extend(vector.iter().flat_map(|element| element.to_be_bytes()));
        Ok(Bytes(bytes))
    }

    /// The modifier is the number of dimensions itself.
    fn vector_typmod_in(modifiers: ArrayRef<'_>) -> Result<i32, Error> {
        match modifiers.integer_modifiers() {
            [..1] => Err(Error::ModifierTooSmall),
            [n] if *n as usize > MAX_DIMENSIONS => Err(Error::ModifierTooLarge),
            [n] => Ok(*n),
            _ => Err(Error::Modifier),
        }
    }
}
