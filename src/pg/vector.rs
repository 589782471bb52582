//! The Rust side of SQL type `vector`, for every wing that takes, keeps or returns one.
//!
//! In memory and on disk a vector is a varlena: `{i32 length word, i16 dimensions, i16 zero, f32 elements}`, the layout of
//! pgvector. [`Vector`] owns its elements; [`VectorRef`] borrows PostgreSQL's own copy, which costs nothing unless that
//! copy is toasted; [`alloc`] builds a result in place.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum as BorrowedDatum, UnboxDatum};
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{FromDatum, IntoDatum};

use super::error::{OrRaise, SqlError, raise};

/// The most elements that a `vector` may have.
pub const MAX_DIMENSIONS: usize = 16_000;

/// Why some numbers are not a vector. The field is the name of the SQL type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// No element.
    #[error("{0} must have at least 1 dimension")]
    Empty(&'static str),
    /// More than [`MAX_DIMENSIONS`].
    #[error("{0} cannot have more than {MAX_DIMENSIONS} dimensions")]
    TooLong(&'static str),
    /// An element is NaN.
    #[error("NaN not allowed in {0}")]
    NotANumber(&'static str),
    /// An element is an infinity.
    #[error("infinite value not allowed in {0}")]
    Infinite(&'static str),
    /// The length word and the number of dimensions of a stored value contradict each other.
    #[error("stored {0} is damaged")]
    Damaged(&'static str),
    /// The library is loaded, but CREATE EXTENSION was not run in this database.
    #[error("type \"{0}\" of extension lagoon does not exist")]
    NoSuchType(&'static str),
}

impl SqlError for VectorError {
    fn sqlstate(&self) -> &str {
        match self {
            Self::Empty(_) | Self::NotANumber(_) | Self::Infinite(_) => "22000",
            Self::TooLong(_) => "54000",
            Self::Damaged(_) => "XX001",
            Self::NoSuchType(_) => "42704",
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::NoSuchType(_)).then(|| "Run CREATE EXTENSION lagoon in this database.".to_owned())
    }
}

/// Whether `count` elements make a vector: 1 to [`MAX_DIMENSIONS`].
pub fn check_dimensions(count: usize) -> Result<(), VectorError> {
    match count {
        0 => Err(VectorError::Empty("vector")),
        1..=MAX_DIMENSIONS => Ok(()),
        _ => Err(VectorError::TooLong("vector")),
    }
}

/// Whether every element is finite.
pub fn check_elements(values: &[f32]) -> Result<(), VectorError> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) if value.is_nan() => Err(VectorError::NotANumber("vector")),
        Some(_) => Err(VectorError::Infinite("vector")),
    }
}

/// An owned vector of 1 to [`MAX_DIMENSIONS`] finite elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Vec<f32>);

impl Vector {
    /// Checks the elements and takes them.
    pub fn new(values: Vec<f32>) -> Result<Self, VectorError> {
        check_dimensions(values.len())?;
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

/// What precedes the elements.
#[repr(C)]
struct Header {
    /// PostgreSQL's length word, of the whole value in bytes.
    length: i32,
    dimensions: u16,
    unused: u16,
}

const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 8 && align_of::<Header>() == align_of::<f32>());

/// A new value in the current memory context and its elements, all zero. The caller checks `dimensions` first
/// ([`check_dimensions`]) and fills in finite elements.
pub fn alloc<'a>(dimensions: usize) -> (Datum, &'a mut [f32]) {
    debug_assert!(check_dimensions(dimensions).is_ok());
    let size = HEADER + dimensions * size_of::<f32>();
    // SAFETY: palloc0 gives `size` zeroed bytes, aligned to 8, or raises; the slice lies behind the header inside them.
    unsafe {
        let start = pg_sys::palloc0(size);
        pgrx::set_varsize_4b(start.cast(), size as i32);
        (*start.cast::<Header>()).dimensions = dimensions as u16;
        (Datum::from(start), std::slice::from_raw_parts_mut(start.byte_add(HEADER).cast(), dimensions))
    }
}

/// A new value in the current memory context with these elements, which the caller has checked.
pub fn to_datum(values: &[f32]) -> Datum {
    let (datum, elements) = alloc(values.len());
    elements.copy_from_slice(values);
    datum
}

/// A vector that lies in PostgreSQL's memory. One that PostgreSQL has packed, compressed or moved out of line is copied
/// into the current memory context first, and that copy is freed on drop.
pub struct VectorRef<'a> {
    start: NonNull<Header>,
    is_copy: bool,
    source: PhantomData<&'a [f32]>,
}

impl VectorRef<'_> {
    /// Borrows a value. Raises XX001 when it is damaged.
    ///
    /// # Safety
    /// `datum` is a value of type `vector`, not NULL, and outlives the result.
    #[inline]
    pub unsafe fn from_datum(datum: Datum) -> Self {
        let given: *mut pg_sys::varlena = datum.cast_mut_ptr();
        // SAFETY: a value has at least a length word; a plain one is aligned to 4 because the type's alignment is int4.
        unsafe {
            let is_copy = !pgrx::varatt_is_4b_u(given);
            let start = if is_copy { pg_sys::pg_detoast_datum(given) } else { given };
            let header = start.cast::<Header>();
            let dimensions = usize::from((*header).dimensions);
            if dimensions == 0 || pgrx::varsize_4b(start) != HEADER + dimensions * size_of::<f32>() {
                raise(&VectorError::Damaged("vector"));
            }
            Self { start: NonNull::new_unchecked(header), is_copy, source: PhantomData }
        }
    }

    /// The value itself, detoasted, for a function that returns its argument. It lives as long as what it was made from.
    pub fn into_datum(self) -> Datum {
        let this = std::mem::ManuallyDrop::new(self);
        Datum::from(this.start.as_ptr())
    }
}

impl Deref for VectorRef<'_> {
    type Target = [f32];

    #[inline]
    fn deref(&self) -> &[f32] {
        // SAFETY: the constructor has compared the length with the number of dimensions.
        unsafe {
            let start = self.start.as_ptr();
            std::slice::from_raw_parts(start.byte_add(HEADER).cast(), usize::from((*start).dimensions))
        }
    }
}

impl Drop for VectorRef<'_> {
    fn drop(&mut self) {
        if self.is_copy {
            // SAFETY: allocated by pg_detoast_datum for us alone.
            unsafe { pg_sys::pfree(self.start.as_ptr().cast()) }
        }
    }
}

/// The OID of type `vector` in this database, wherever the extension was created. Raises 42704 without the extension.
pub fn type_oid() -> Oid {
    static KNOWN: AtomicU32 = AtomicU32::new(0); // of this backend, hence of its one database
    let known = KNOWN.load(Ordering::Relaxed);
    let is_current = known != 0 && {
        // SAFETY: a lookup in the system cache, by OID; DROP EXTENSION makes it fail.
        unsafe {
            pg_sys::SearchSysCacheExists(
                pg_sys::SysCacheIdentifier::TYPEOID as i32,
                Datum::from(known),
                Datum::null(),
                Datum::null(),
                Datum::null(),
            )
        }
    };
    if is_current {
        return Oid::from(known);
    }
    let found = find_type(c"vector").ok_or(VectorError::NoSuchType("vector")).or_raise();
    KNOWN.store(found.to_u32(), Ordering::Relaxed);
    found
}

/// Looks in the schema of the extension, not along search_path: another type of that name must not be taken for ours.
fn find_type(name: &std::ffi::CStr) -> Option<Oid> {
    // SAFETY: a scan of pg_extension by name, as in get_extension_oid() of extension.c, then a syscache lookup.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::ExtensionRelationId, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_extension_extname as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            Oid::from(pg_sys::F_NAMEEQ),
            Datum::from(c"lagoon".as_ptr()),
        );
        let index = Oid::from(pg_sys::ExtensionNameIndexId);
        let scan = pg_sys::systable_beginscan(relation, index, true, std::ptr::null_mut(), 1, &mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let schema = (!tuple.is_null())
            .then(|| (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_extension>()).extnamespace);
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        let found = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            Datum::from(name.as_ptr()),
            Datum::from(schema?),
            Datum::null(),
            Datum::null(),
        );
        (found != Oid::INVALID).then_some(found)
    }
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<Datum> {
        Some(to_datum(&self.0))
    }

    fn type_oid() -> Oid {
        type_oid()
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
