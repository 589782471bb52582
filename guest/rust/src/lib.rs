//! The author's side of a Lagoon plugin: SQL functions and row triggers in Rust.
//!
//! ```ignore
//! lagoon_guest::plugin!();
//!
//! lagoon_guest::function! {
//!     fn greet(name: &str) -> String { format!("hello, {name}") }
//! }
//!
//! lagoon_guest::trigger! {
//!     fn tidy(row) with { name: text, size: int4 } {
//!         if let Some(text) = row.get(name) {
//!             row.set(name, Some(text.trim()));
//!         }
//!         Ok(Answer::Keep)
//!     }
//! }
//! ```
//!
//! Build a `cdylib` for `wasm32-unknown-unknown` with `panic = "abort"`. No dependencies, no proc macros: what the macros
//! write is the ABI of `guest/ABI.md`, which any other language can speak as well.

mod error;
pub mod host;
mod row;
mod value;

pub use error::Error;
pub use host::{log, Level};
pub use row::{Answer, Column, ColumnType, Operation, Row};
pub use value::{Argument, IntoAnswer};

/// Says which ABI the plugin speaks and gives the host its buffer. Once in a plugin.
#[macro_export]
macro_rules! plugin {
    () => {
        #[no_mangle]
        pub extern "C" fn lagoon_abi_1() {}

        #[no_mangle]
        pub extern "C" fn lagoon_buffer(size: usize) -> *mut u8 {
            $crate::host::buffer(size)
        }
    };
}

/// Exports functions to SQL that are declared STRICT: no argument is ever NULL.
///
/// Arguments: `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `&str`. Results: the same with `String` for text, an `Option` of
/// one (NULL), or a `Result` of any of these with [`Error`].
#[macro_export]
macro_rules! function {
    ($( $(#[$meta:meta])* fn $name:ident ( $($arguments:tt)* ) -> $result:ty $body:block )*) => {
        $( $crate::__function!(@strict [$(#[$meta])* $name $result $body] [] [] $($arguments)* ,); )*
    };
}

/// As [`function!`], for functions that are declared without STRICT: every argument is an `Option`.
#[macro_export]
macro_rules! nullable_function {
    ($( $(#[$meta:meta])* fn $name:ident ( $($arguments:tt)* ) -> $result:ty $body:block )*) => {
        $( $crate::__function!(@nullable nulls [$(#[$meta])* $name $result $body] [] [] $($arguments)* ,); )*
    };
}

/// Takes the arguments one by one. In the brackets: the parameters and the conversions so far. `address`, `length` and `raw`
/// of each step are names of their own.
#[doc(hidden)]
#[macro_export]
macro_rules! __function {
    (@strict $head:tt $parameters:tt $lets:tt ,) => { $crate::__function!(@emit $head $parameters $lets); };
    (@strict $head:tt $parameters:tt $lets:tt) => { $crate::__function!(@emit $head $parameters $lets); };
    (@strict $head:tt [$($parameters:tt)*] [$($lets:tt)*] $name:ident : &str, $($rest:tt)*) => {
        $crate::__function!(@strict $head [$($parameters)* address: *const u8, length: usize,]
            [$($lets)* let $name: &str = unsafe { $crate::host::text(address, length) };] $($rest)*);
    };
    (@strict $head:tt [$($parameters:tt)*] [$($lets:tt)*] $name:ident : $kind:ty, $($rest:tt)*) => {
        $crate::__function!(@strict $head [$($parameters)* raw: <$kind as $crate::Argument>::Raw,]
            [$($lets)* let $name = <$kind as $crate::Argument>::from_raw(raw);] $($rest)*);
    };

    (@nullable $nulls:ident $head:tt [$($parameters:tt)*] [$($lets:tt)*] ,) => {
        $crate::__function!(@nullable $nulls $head [$($parameters)*] [$($lets)*]);
    };
    (@nullable $nulls:ident $head:tt [$($parameters:tt)*] [$($lets:tt)*]) => {
        $crate::__function!(@emit $head [mut $nulls: u64, $($parameters)*] [$($lets)* let _ = $nulls;]);
    };
    (@nullable $nulls:ident $head:tt [$($parameters:tt)*] [$($lets:tt)*] $name:ident : Option<&str>, $($rest:tt)*) => {
        $crate::__function!(@nullable $nulls $head [$($parameters)* address: *const u8, length: usize,]
            [$($lets)* let $name: Option<&str> = if $crate::host::next_is_null(&mut $nulls) { None } else {
                Some(unsafe { $crate::host::text(address, length) })
            };] $($rest)*);
    };
    (@nullable $nulls:ident $head:tt [$($parameters:tt)*] [$($lets:tt)*] $name:ident : Option<$kind:ty>, $($rest:tt)*) => {
        $crate::__function!(@nullable $nulls $head [$($parameters)* raw: <$kind as $crate::Argument>::Raw,]
            [$($lets)* let $name: Option<$kind> = if $crate::host::next_is_null(&mut $nulls) { None } else {
                Some(<$kind as $crate::Argument>::from_raw(raw))
            };] $($rest)*);
    };

    (@emit [$(#[$meta:meta])* $name:ident $result:ty $body:block] [$($parameters:tt)*] [$($lets:tt)*]) => {
        $(#[$meta])*
        #[no_mangle]
        #[allow(unused_mut)]
        pub extern "C" fn $name($($parameters)*) -> <$result as $crate::IntoAnswer>::Raw {
            $crate::host::enter();
            $($lets)*
            let answer: $result = (move || -> $result { $body })();
            $crate::IntoAnswer::into_raw(answer)
        }
    };
}

/// Exports a row trigger.
///
/// ```ignore
/// trigger! {
///     fn check(row) with { name: text, price: float8, old_price = old.price: float8 } {
///         ...
///         Ok(Answer::Keep)
///     }
/// }
/// ```
///
/// Only the columns in `with` are converted. Types: `bool`, `int2`, `int4`, `int8`, `float4`, `float8`, `text`. A plain column
/// is that of NEW, in a DELETE of OLD; `old.column` is that of OLD, NULL in an INSERT. In the body each name is a [`Column`]
/// for [`Row::get`] and [`Row::set`]; the body gives a `Result<Answer, Error>`.
#[macro_export]
macro_rules! trigger {
    ($( $(#[$meta:meta])* fn $name:ident ( $row:ident ) with {
        $( $column:ident $(= old . $old:ident)? : $kind:ident ),* $(,)?
    } $body:block )*) => { $(
        $(#[$meta])*
        #[no_mangle]
        pub extern "C" fn $name(buffer: *mut u8) -> i32 {
            #[export_name = concat!(stringify!($name), "_columns")]
            pub extern "C" fn columns() -> i64 {
                $crate::host::pack(concat!($( $crate::__column!($column $(= old . $old)? : $kind) ),*))
            }
            $crate::host::enter();
            let mut number = 0;
            $(
                #[allow(unused_variables)]
                let $column = $crate::Column::<$crate::__kind!($kind)>::new(number);
                number += 1;
            )*
            let _ = number;
            let mut row = unsafe { $crate::Row::at(buffer) };
            let answer = {
                let $row = &mut row;
                (move || -> Result<$crate::Answer, $crate::Error> { $body })()
            };
            row.finish(answer)
        }
    )* };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __column {
    ($column:ident : $kind:ident) => { concat!(stringify!($column), ":", stringify!($kind), "\n") };
    ($column:ident = old . $old:ident : $kind:ident) => { concat!("old.", stringify!($old), ":", stringify!($kind), "\n") };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    (bool) => { bool };
    (int2) => { i16 };
    (int4) => { i32 };
    (int8) => { i64 };
    (float4) => { f32 };
    (float8) => { f64 };
    (text) => { &'static str };
}
