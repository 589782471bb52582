//! C functions for hand-written SQL: `sql_functions!` declares them, the traits here carry arguments and results across.
//!
//! For functions that `#[pg_extern]` cannot serve: input and output of types, operators on the hot path, support functions.
//! They must be STRICT in SQL, so that no argument is NULL.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};

use super::datum::array::{ArrayRef, Element};
use super::datum::vector::{BitRef, DenseRef, Scalar, SparsevecRef};
use super::error::{OrRaise, Plain, SqlError, raise};

/// Gives functions C symbols, with the record that PostgreSQL looks for (`PG_FUNCTION_INFO_V1`): `add_i4 = add::<i32>, ...`.
/// Arguments and results are those of the function, which returns a `Result`; its error is raised behind the last destructor.
macro_rules! sql_symbols {
    ($($symbol:ident = $function:expr),* $(,)?) => {$(
        const _: () = {
            #[unsafe(export_name = concat!("pg_finfo_", stringify!($symbol)))]
            extern "C" fn record() -> &'static ::pgrx::pg_sys::Pg_finfo_record {
                const V1: ::pgrx::pg_sys::Pg_finfo_record = ::pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &V1
            }

            #[::pgrx::pg_guard]
            #[unsafe(export_name = stringify!($symbol))]
            unsafe extern "C-unwind" fn shell(fcinfo: ::pgrx::pg_sys::FunctionCallInfo) -> ::pgrx::pg_sys::Datum {
                // SAFETY: the SQL declaration has these types, in this order, and is STRICT.
                unsafe { $crate::pg::function::call($function, fcinfo) }
            }
        };
    )*};
}
pub(crate) use sql_symbols;

/// Declares functions and gives each the C symbol of its name.
macro_rules! sql_functions {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {
        $($(#[$meta])* fn $name($($argument: $type),*) -> $result $body)*
        $crate::pg::function::sql_symbols! { $($name = $name),* }
    };
}
pub(crate) use sql_functions;

/// Calls `function` with the arguments that PostgreSQL passes.
///
/// # Safety
/// The call is under way; its SQL declaration has the types of `function`, in this order, and is STRICT.
#[inline]
pub unsafe fn call<A>(function: impl Function<A>, fcinfo: FunctionCallInfo) -> Datum {
    let mut call = Call { fcinfo, next: 0 };
    // SAFETY: the caller's.
    let result = unsafe { function.apply(&mut call) };
    result.or_raise().into_datum(call)
}

/// Ends a call of a set-returning function whose declaration has another number of columns: that of an older version, in a
/// database where the extension has not been updated yet. Its values would be taken for those of other types.
pub fn check_columns(call: FunctionCallInfo, columns: i32) {
    let mut row = std::ptr::null_mut();
    // SAFETY: pgrx passes the call that is under way; the result is in its memory.
    let declared = unsafe {
        pg_sys::get_call_result_type(call, std::ptr::null_mut(), &mut row);
        row.as_ref().map_or(0, |row| row.natts)
    };
    if declared != columns {
        raise(&Plain {
            sqlstate: "55000",
            message: format!("function is declared with {declared} columns, this library gives {columns}"),
            hint: Some("Run ALTER EXTENSION lagoon UPDATE.".to_owned()),
        });
    }
}

/// A Rust function with one to three arguments `A`.
pub trait Function<A> {
    /// Its result.
    type Result: Return;
    /// Its error.
    type Error: SqlError;

    /// Takes the arguments from a call.
    ///
    /// # Safety
    /// As for [`call`].
    unsafe fn apply(self, call: &mut Call) -> Result<Self::Result, Self::Error>;
}

macro_rules! function_of {
    ($($argument:ident)*) => {
        impl<F, R: Return, E: SqlError, $($argument: Argument),*> Function<($($argument,)*)> for F
        where
            F: FnOnce($($argument),*) -> Result<R, E>,
        {
            type Result = R;
            type Error = E;

            #[inline]
            unsafe fn apply(self, call: &mut Call) -> Result<R, E> {
                // SAFETY: the caller's; arguments are evaluated from left to right.
                unsafe { self($($argument::from_call(call)),*) }
            }
        }
    };
}
function_of!(A);
function_of!(A B);
function_of!(A B C);

/// A call, whose arguments are read in order.
pub struct Call {
    fcinfo: FunctionCallInfo,
    next: usize,
}

impl Call {
    /// The next argument.
    ///
    /// # Safety
    /// The call has that many arguments and is under way.
    #[inline]
    unsafe fn value(&mut self) -> Datum {
        // SAFETY: the caller's; `args` is a flexible array of `nargs` elements.
        let value = unsafe { (*(*self.fcinfo).args.as_ptr().add(self.next)).value };
        self.next += 1;
        value
    }
}

/// What a function can take.
pub trait Argument {
    /// Takes the next argument of the call.
    ///
    /// # Safety
    /// The call is under way and that argument exists, has the SQL type that belongs to `Self`, and is not NULL.
    unsafe fn from_call(call: &mut Call) -> Self;
}

/// What a function can return.
pub trait Return {
    /// Makes the result of the call.
    fn into_datum(self, call: Call) -> Datum;
}

impl<E: Scalar> Argument for DenseRef<'_, E> {
    #[inline]
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::from_datum(call.value()) }
    }
}

impl Argument for SparsevecRef<'_> {
    #[inline]
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::from_datum(call.value()) }
    }
}

impl Argument for BitRef<'_> {
    #[inline]
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::from_datum(call.value()) }
    }
}

impl Argument for ArrayRef<'_> {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::from_datum(call.value()) }
    }
}

impl Argument for i32 {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's. An integer is the low half of its datum.
        unsafe { call.value().value() as i32 }
    }
}

/// `boolean`.
impl Argument for bool {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { call.value().value() & 0xFF != 0 }
    }
}

/// `oid`.
impl Argument for pg_sys::Oid {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::from(call.value().value() as u32) }
    }
}

/// `cstring`.
impl Argument for &CStr {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's; the string lives as long as the call.
        unsafe { CStr::from_ptr(call.value().cast_mut_ptr()) }
    }
}

/// The message that a receive function reads; `internal` in SQL.
pub struct Message(pg_sys::StringInfo);

impl Message {
    /// Two bytes as PostgreSQL reads them, without a sign.
    pub fn u16(&mut self) -> u16 {
        // SAFETY: a message under way; raises 08P01 when it has ended.
        unsafe { pg_sys::pq_getmsgint(self.0, 2) as u16 }
    }

    /// Four bytes with a sign.
    pub fn i32(&mut self) -> i32 {
        // SAFETY: a message under way; raises 08P01 when it has ended.
        unsafe { pg_sys::pq_getmsgint(self.0, 4) as i32 }
    }

    /// The next `count` numbers of `N` bytes each, in network order. Raises 08P01 when the message is shorter.
    pub fn words<const N: usize>(&mut self, count: usize) -> &[[u8; N]] {
        // SAFETY: pq_getmsgbytes raises unless that many bytes are there; they live as long as the call.
        unsafe {
            let start = pg_sys::pq_getmsgbytes(self.0, (count * N) as i32);
            std::slice::from_raw_parts(start.cast(), count)
        }
    }
}

impl Argument for Message {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Self(call.value().cast_mut_ptr()) }
    }
}

/// Whether the function runs as part of an aggregate, and so may change its first argument in place. Not an argument in SQL.
pub struct InAggregate(pub bool);

impl Argument for InAggregate {
    unsafe fn from_call(call: &mut Call) -> Self {
        // SAFETY: the call is under way.
        Self(unsafe { pg_sys::AggCheckCallContext(call.fcinfo, std::ptr::null_mut()) != 0 })
    }
}

impl Return for Datum {
    fn into_datum(self, _call: Call) -> Datum {
        self
    }
}

/// None is NULL.
impl Return for Option<Datum> {
    fn into_datum(self, call: Call) -> Datum {
        // SAFETY: the call is under way.
        unsafe { (*call.fcinfo).isnull = self.is_none() };
        self.unwrap_or(Datum::null())
    }
}

impl Return for f64 {
    #[inline]
    fn into_datum(self, _call: Call) -> Datum {
        Datum::from(self.to_bits())
    }
}

impl Return for i32 {
    fn into_datum(self, _call: Call) -> Datum {
        Datum::from(self)
    }
}

impl Return for bool {
    fn into_datum(self, _call: Call) -> Datum {
        Datum::from(self)
    }
}

/// `cstring`: the bytes, to which a NUL is added.
pub struct Text(pub Vec<u8>);

impl Return for Text {
    fn into_datum(self, _call: Call) -> Datum {
        // SAFETY: palloc gives that many bytes or raises.
        unsafe {
            let start = pg_sys::palloc(self.0.len() + 1).cast::<u8>();
            start.copy_from_nonoverlapping(self.0.as_ptr(), self.0.len());
            *start.add(self.0.len()) = 0;
            Datum::from(start)
        }
    }
}

/// `bytea`.
pub struct Bytes(pub Vec<u8>);

impl Return for Bytes {
    fn into_datum(self, _call: Call) -> Datum {
        let size = pg_sys::VARHDRSZ + self.0.len();
        // SAFETY: palloc gives that many bytes or raises; the length word comes first.
        unsafe {
            let start = pg_sys::palloc(size).cast::<u8>();
            pgrx::set_varsize_4b(start.cast(), size as i32);
            start.add(pg_sys::VARHDRSZ).copy_from_nonoverlapping(self.0.as_ptr(), self.0.len());
            Datum::from(start)
        }
    }
}

/// An array of numbers.
impl<T: Element> Return for Vec<T> {
    fn into_datum(self, _call: Call) -> Datum {
        let (datum, elements) = super::datum::array::alloc(self.len());
        elements.copy_from_slice(&self);
        datum
    }
}
