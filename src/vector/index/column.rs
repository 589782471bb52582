//! The indexed column: its type, dimensions, distance and values.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, ItemPointer, Oid, Relation};

use lagoon_vector::distance::half::f16;
use lagoon_vector::page::Tid;
use lagoon_vector::space::{Element, Value};
use lagoon_vector::{Coder, Error, Method, Metric, Space};

use super::support::{DISTANCE, NORM, WIDE, metric_of};
use crate::pg::compat;
use crate::pg::datum::vector::{
    BitRef, DenseRef, HALFVEC, MAX_DIMENSIONS, SPARSEVEC, Scalar, SparsevecRef, VECTOR, VectorRef,
};

/// The SQL type of an indexed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vector,
    Halfvec,
    Sparsevec,
    Bit,
}

impl Kind {
    fn of(type_id: Oid) -> Option<Self> {
        match type_id {
            pg_sys::BITOID => Some(Self::Bit),
            id if id == VECTOR.oid() => Some(Self::Vector),
            id if id == HALFVEC.oid() => Some(Self::Halfvec),
            id if id == SPARSEVEC.oid() => Some(Self::Sparsevec),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Halfvec => "halfvec",
            Self::Sparsevec => "sparsevec",
            Self::Bit => "bit",
        }
    }

    fn element(self) -> Element {
        match self {
            Self::Vector | Self::Halfvec => Element::Dense,
            Self::Sparsevec => Element::Sparse,
            Self::Bit => Element::Bits,
        }
    }

    /// Maximum dimensions for pgvector's operator classes, or for our wide ones. For sparsevec the number of non-zero elements is
    /// limited instead.
    fn max_dimensions(self, is_wide: bool) -> usize {
        match self {
            Self::Vector | Self::Halfvec if is_wide => MAX_DIMENSIONS,
            Self::Vector => 2000,
            Self::Halfvec => 4000,
            Self::Sparsevec => 1_000_000_000,
            Self::Bit => 64_000,
        }
    }
}

/// Reads the values of an indexed column.
pub struct Column {
    kind: Kind,
    coder: Coder,
}

/// The space of values, from the definition of an index.
///
/// # Safety
/// `index` is an open index of this access method.
pub unsafe fn space(index: Relation, method: Method) -> Result<Space, Error> {
    // SAFETY: the caller's. The access method is single-column, so attribute 0 exists.
    let (type_id, modifier, is_wide, metric) = unsafe {
        let attribute = &compat::attributes((*index).rd_att)[0];
        let is_wide = pg_sys::index_getprocid(index, 1, WIDE) != Oid::INVALID;
        (attribute.atttypid, attribute.atttypmod, is_wide, metric(index))
    };
    let kind = Kind::of(type_id).ok_or(Error::UnsupportedType(method))?;
    let dimensions = usize::try_from(modifier).map_err(|_| Error::NoDimensions)?;
    let max = kind.max_dimensions(is_wide);
    if dimensions > max {
        return Err(Error::TooManyDimensions { method, max });
    }
    let metric = metric.ok_or(Error::UnsupportedType(method))?;
    Ok(Space::new(kind.element(), metric, dimensions))
}

/// The distance that belongs to the operator class.
unsafe fn metric(index: Relation) -> Option<Metric> {
    // SAFETY: the caller's; get_func_name() gives a palloced string or NULL.
    let (name, has_norm) = unsafe {
        let name = pg_sys::get_func_name(pg_sys::index_getprocid(index, 1, DISTANCE));
        if name.is_null() {
            return None;
        }
        (CStr::from_ptr(name).to_string_lossy(), pg_sys::index_getprocid(index, 1, NORM) != Oid::INVALID)
    };
    metric_of(&name, has_norm)
}

/// Whether values of a type can be indexed.
pub fn is_indexable(type_id: Oid) -> bool {
    Kind::of(type_id).is_some()
}

impl Column {
    /// The column of an index with this coder.
    ///
    /// # Safety
    /// `index` is an open index of this access method.
    pub unsafe fn new(index: Relation, method: Method, coder: Coder) -> Result<Self, Error> {
        // SAFETY: the caller's. The access method is single-column, so attribute 0 exists.
        let type_id = unsafe { compat::attributes((*index).rd_att)[0].atttypid };
        let kind = Kind::of(type_id).ok_or(Error::UnsupportedType(method))?;
        Ok(Self { kind, coder })
    }

    /// The code of a row's value; None for rows that are not indexed: NULL, and zero under cosine.
    ///
    /// # Safety
    /// `value` is of the column's type when `is_null` is false.
    pub unsafe fn code(&self, value: Datum, is_null: bool) -> Result<Option<Vec<u32>>, Error> {
        // SAFETY: the caller's.
        if is_null { Ok(None) } else { unsafe { self.encode(value) } }
    }

    /// The code of a query. For NULL it is that of the zero vector: there is nothing to compare with, so any order is right.
    ///
    /// # Safety
    /// As for [`Self::code`].
    pub unsafe fn query(&self, value: Datum, is_null: bool) -> Result<Vec<u32>, Error> {
        // SAFETY: the caller's.
        match unsafe { self.code(value, is_null) } {
            Ok(code) => Ok(code.unwrap_or_else(|| self.coder.origin())),
            Err(Error::DimensionMismatch { expected, actual }) => match self.kind {
                Kind::Bit => Err(Error::DifferentLengths { expected, actual }),
                kind => Err(Error::DifferentDimensions { kind: kind.name(), expected, actual }),
            },
            Err(error) => Err(error),
        }
    }

    unsafe fn encode(&self, value: Datum) -> Result<Option<Vec<u32>>, Error> {
        // SAFETY: the caller's: a value of that type.
        unsafe {
            match self.kind {
                Kind::Vector => self.coder.encode(Value::Dense(&VectorRef::from_datum(value))),
                Kind::Halfvec => self.coder.encode(Value::Dense(&floats(&DenseRef::<f16>::from_datum(value)))),
                Kind::Sparsevec => {
                    let value = SparsevecRef::from_datum(value);
                    self.same_dimensions(value.dimensions() as usize)?;
                    self.coder.encode(Value::Sparse(value.parts()))
                }
                Kind::Bit => {
                    let value = BitRef::from_datum(value);
                    self.same_dimensions(value.bits())?;
                    self.coder.encode(Value::Bits(&value))
                }
            }
        }
    }

    /// Calls `f` with the elements of a dense value; does nothing for others.
    ///
    /// # Safety
    /// `value` is of the column's type.
    pub unsafe fn elements(&self, value: Datum, f: impl FnOnce(&[f32]) -> Result<(), Error>) -> Result<(), Error> {
        let checked = |elements: &[f32]| self.same_dimensions(elements.len()).and_then(|()| f(elements));
        // SAFETY: the caller's.
        unsafe {
            match self.kind {
                Kind::Vector => checked(&VectorRef::from_datum(value)),
                Kind::Halfvec => checked(&floats(&DenseRef::<f16>::from_datum(value))),
                Kind::Sparsevec | Kind::Bit => Ok(()),
            }
        }
    }

    fn same_dimensions(&self, actual: usize) -> Result<(), Error> {
        let expected = self.coder.space.dimensions;
        if actual == expected { Ok(()) } else { Err(Error::DimensionMismatch { expected, actual }) }
    }
}

fn floats<E: Scalar>(vector: &DenseRef<'_, E>) -> Vec<f32> {
    vector.iter().map(|x| x.to_f32()).collect()
}

/// The row identifier as the engine writes it.
///
/// # Safety
/// `tid` is valid.
pub unsafe fn tid(tid: ItemPointer) -> Tid {
    // SAFETY: the caller's.
    let (block, offset) = pgrx::itemptr::item_pointer_get_both(unsafe { *tid });
    u64::from(block) << 16 | u64::from(offset)
}

/// The row identifier as PostgreSQL has it.
pub fn item_pointer(tid: Tid) -> pg_sys::ItemPointerData {
    let mut pointer = pg_sys::ItemPointerData::default();
    pgrx::itemptr::item_pointer_set_all(&mut pointer, (tid >> 16) as u32, tid as u16);
    pointer
}
