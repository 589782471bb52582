//! Numbers as PostgreSQL reads and writes them.

use std::ffi::{CString, c_char, c_int};

unsafe extern "C" {
    // common/shortest_dec.h; not in pgrx's bindings. Never raises, so it needs no guard.
    fn float_to_shortest_decimal_bufn(value: f32, result: *mut c_char) -> c_int;
}

/// FLOAT_SHORTEST_DECIMAL_LEN of shortest_dec.h, with the NUL that the function above does not write.
const LONGEST: usize = 16;

/// Appends the shortest decimal that reads back as `value`, as `real` is written with extra_float_digits = 1.
pub fn append_f32(text: &mut Vec<u8>, value: f32) {
    text.reserve(LONGEST);
    // SAFETY: at most LONGEST bytes are written, into reserved space, and their number is returned.
    unsafe {
        let written = float_to_shortest_decimal_bufn(value, text.as_mut_ptr().add(text.len()).cast());
        text.set_len(text.len() + written as usize);
    }
}

/// The number at the beginning of `text`, as input of `real` reads it, and its length in bytes: 0 if there is none.
/// Rounded once; out of range it is infinite, too near zero it is zero.
pub fn read_f32(text: &[u8]) -> (f32, usize) {
    let plain = || {
        let first = text.iter().find(|byte| !matches!(byte, b'+' | b'-'))?;
        let is_decimal = first.is_ascii_digit() || *first == b'.';
        is_decimal.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
    };
    if let Some(value) = plain() {
        return (value, text.len());
    }
    // Hexadecimal, NaN, infinity, or something behind the number. LC_NUMERIC is always C in a server process.
    let Ok(text) = CString::new(text) else { return (0.0, 0) };
    let mut end = std::ptr::null_mut();
    // SAFETY: reads up to the NUL at most and sets `end` to somewhere in the string.
    unsafe {
        let value = libc::strtof(text.as_ptr(), &mut end);
        (value, end.offset_from(text.as_ptr()) as usize)
    }
}
