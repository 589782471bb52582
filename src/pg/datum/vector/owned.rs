//! A vector of our own, as argument and result of `#[pg_extern]` functions.

use std::ops::Deref;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum as BorrowedDatum, UnboxDatum};
use pgrx::pg_sys::{Datum, Oid};
use pgrx::{FromDatum, IntoDatum};

use super::dense::{VectorRef, check_dimensions, check_elements, to_datum};
use super::error::VectorError;
use super::oid::VECTOR;
use crate::pg::error::raise;

/// An owned vector of 1 to [`MAX_DIMENSIONS`](super::dense::MAX_DIMENSIONS) finite elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Vec<f32>);

impl Vector {
    /// Checks the elements and takes them.
    pub fn new(values: Vec<f32>) -> Result<Self, VectorError> {
        check_dimensions::<f32>(values.len())?;
        check_elements(&values)?;
        Ok(Self(values))
    }
}

impl Deref for Vector {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl TryFrom<&[f32]> for Vector {
    type Error = VectorError;

    fn try_from(values: &[f32]) -> Result<Self, VectorError> {
        Self::new(values.to_vec())
    }
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<Datum> {
        Some(to_datum(&self.0))
    }

    fn type_oid() -> Oid {
        VECTOR.oid()
    }
}

impl FromDatum for Vector {
    unsafe fn from_polymorphic_datum(datum: Datum, is_null: bool, _type: Oid) -> Option<Self> {
        // SAFETY: the caller vouches for the type; NULL is asked for first.
        (!is_null).then(|| Self(unsafe { VectorRef::from_datum(datum) }.to_vec()))
    }
}

// SAFETY: the result owns its elements and borrows nothing.
unsafe impl UnboxDatum for Vector {
    type As<'src> = Vector;

    unsafe fn unbox<'src>(datum: BorrowedDatum<'src>) -> Vector
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches that it is a vector and not NULL.
        Self(unsafe { VectorRef::from_datum(datum.sans_lifetime()) }.to_vec())
    }
}

// SAFETY: SqlTranslatable below says that such an argument is of type vector.
unsafe impl<'fcx> ArgAbi<'fcx> for Vector {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches that it is a vector and not NULL.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(vector) => vector,
            None => raise(&VectorError::Empty("vector")),
        }
    }
}

// SAFETY: a datum of type vector, as SqlTranslatable below says.
unsafe impl BoxRet for Vector {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> BorrowedDatum<'fcx> {
        // SAFETY: it was just made, in the context of the caller.
        unsafe { fcinfo.return_raw_datum(to_datum(&self.0)) }
    }
}

pgrx::impl_sql_translatable!(Vector, "vector");
