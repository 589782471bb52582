//! Numbers as PostgreSQL writes them.

use std::ffi::{c_char, c_int};

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
