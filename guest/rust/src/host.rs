//! The host's functions, and the memory that it writes to. Plugins need [`log`] only; the rest is for the macros.

use std::cell::{Cell, RefCell};

use crate::error::{record, Error};

/// How important a log line is, as in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    Debug = 0,
    Log = 1,
    Info = 2,
    Notice = 3,
    Warning = 4,
}

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "lagoon")]
    extern "C" {
        pub fn log(level: i32, address: *const u8, length: usize);
        pub fn error(address: *const u8, length: usize);
        pub fn return_null();
    }
}

/// A plugin's own tests run without a host.
#[cfg(not(target_arch = "wasm32"))]
mod imports {
    pub unsafe fn log(_: i32, _: *const u8, _: usize) {}
    pub unsafe fn error(_: *const u8, _: usize) {}
    pub unsafe fn return_null() {}
}

thread_local! {
    static BUFFER: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// What the host has yet to read of the last call.
    static KEPT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static READY: Cell<bool> = const { Cell::new(false) };
}

/// Writes a line to PostgreSQL's log or to the client, once the running call has ended. The manifest must list the
/// permission `log`.
pub fn log(level: Level, line: impl AsRef<str>) {
    let line = line.as_ref();
    unsafe { imports::log(level as i32, line.as_ptr(), line.len()) }
}

/// The host's buffer: at least `size` bytes, aligned to 8, in the same place until the next call of this.
#[doc(hidden)]
pub fn buffer(size: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        *buffer = Vec::new(); // first give back the old one
        buffer.resize(size.div_ceil(8), 0);
        buffer.as_mut_ptr().cast()
    })
}

/// At the beginning of every call.
#[doc(hidden)]
pub fn enter() {
    KEPT.with_borrow_mut(Vec::clear);
    if !READY.replace(true) {
        std::panic::set_hook(Box::new(|panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
            let place = panic.location().map(|l| format!("Panicked at {}:{}.", l.file(), l.line()));
            fail(&panicked(text).detail(place.unwrap_or_default()));
        }));
    }
}

/// Rust checks its arithmetic itself; SQL has codes for that.
fn panicked(text: &str) -> Error {
    match text {
        "attempt to divide by zero" | "attempt to calculate the remainder with a divisor of zero" => {
            Error::new("22012", "division by zero")
        }
        _ if text.starts_with("attempt to ") && text.ends_with(" with overflow") => {
            Error::new("22003", "number out of range")
        }
        _ => Error::new("38000", format!("guest panicked: {text}")),
    }
}

/// The running call ends with this error.
#[doc(hidden)]
pub fn fail(error: &Error) {
    let record = record(error);
    unsafe { imports::error(record.as_ptr(), record.len()) }
}

/// The running call returns NULL.
#[doc(hidden)]
pub fn return_null() {
    unsafe { imports::return_null() }
}

/// Keeps a text until the next call; gives its address.
#[doc(hidden)]
pub fn keep(text: String) -> &'static str {
    KEPT.with_borrow_mut(|kept| {
        let (address, length) = (text.as_ptr(), text.len());
        kept.push(text);
        // The bytes of a String do not move when the String does.
        unsafe { self::text(address, length) }
    })
}

/// Address in the upper half, length in the lower one.
#[doc(hidden)]
pub fn pack(text: &str) -> i64 {
    ((text.as_ptr() as usize as i64) << 32) | text.len() as i64
}

/// Takes the next bit of a bitmap of NULLs.
#[doc(hidden)]
pub fn next_is_null(bitmap: &mut u64) -> bool {
    let is_null = *bitmap & 1 != 0;
    *bitmap >>= 1;
    is_null
}

/// # Safety
/// `length` bytes of UTF-8 at `address` that stay there for `'a`.
#[doc(hidden)]
pub unsafe fn text<'a>(address: *const u8, length: usize) -> &'a str {
    if length == 0 {
        return "";
    }
    std::str::from_utf8_unchecked(std::slice::from_raw_parts(address, length))
}
