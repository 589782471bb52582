//! What `benches/wasm.py` measures: as little as a function and a row trigger can do.

use lagoon_guest::{function, plugin, trigger, Answer};

plugin!();

function! {
    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
}

trigger! {
    fn normalise(row) with { email: text, section: text } {
        if let Some(text) = row.get(email) {
            row.set(email, Some(&text.trim().to_lowercase()));
        }
        if let Some(text) = row.get(section) {
            row.set(section, Some(&text.trim().to_lowercase()));
        }
        Ok(Answer::Keep)
    }
}
