//! What goes in and out of a function.

use crate::error::Error;
use crate::host;

/// A type of argument; text is dealt with by the macro.
pub trait Argument {
    /// The WebAssembly type.
    type Raw;
    fn from_raw(raw: Self::Raw) -> Self;
}

/// A type of result.
pub trait IntoAnswer {
    /// The WebAssembly type; its default stands for NULL and for an error, which the host knows of already.
    type Raw: Default;
    fn into_raw(self) -> Self::Raw;
}

macro_rules! number {
    ($($kind:ty as $raw:ty),*) => { $(
        impl Argument for $kind {
            type Raw = $raw;
            fn from_raw(raw: $raw) -> Self { raw as Self }
        }
        impl IntoAnswer for $kind {
            type Raw = $raw;
            fn into_raw(self) -> $raw { self as $raw }
        }
    )* };
}
number!(i16 as i32, i32 as i32, i64 as i64, f32 as f32, f64 as f64);

impl Argument for bool {
    type Raw = i32;
    fn from_raw(raw: i32) -> Self {
        raw != 0
    }
}

impl IntoAnswer for bool {
    type Raw = i32;
    fn into_raw(self) -> i32 {
        self.into()
    }
}

impl IntoAnswer for String {
    type Raw = i64;
    fn into_raw(self) -> i64 {
        host::pack(host::keep(self))
    }
}

impl IntoAnswer for &'static str {
    type Raw = i64;
    fn into_raw(self) -> i64 {
        host::pack(self)
    }
}

impl<T: IntoAnswer> IntoAnswer for Option<T> {
    type Raw = T::Raw;
    fn into_raw(self) -> T::Raw {
        match self {
            Some(value) => value.into_raw(),
            None => {
                host::return_null();
                T::Raw::default()
            }
        }
    }
}

impl<T: IntoAnswer> IntoAnswer for Result<T, Error> {
    type Raw = T::Raw;
    fn into_raw(self) -> T::Raw {
        match self {
            Ok(value) => value.into_raw(),
            Err(error) => {
                host::fail(&error);
                T::Raw::default()
            }
        }
    }
}
