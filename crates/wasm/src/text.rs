//! Texts of guests for messages: truncated, with control characters escaped.

use std::fmt::{self, Write};

/// Maximum bytes of a name in a message: functions, imports, exports.
pub(crate) const NAME: usize = 200;
/// Maximum bytes of a compiler's message.
pub(crate) const REASON: usize = 1000;

/// A name that a user has given, for a message.
pub fn shown(text: &str) -> String {
    printable(text, 300)
}

/// About `most` bytes of `text` at most. Control characters and marks that change the writing direction are escaped.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = Bounded::new(most);
    let _ = out.write_str(text); // fails if the text is truncated
    out.finish()
}

/// The same of a function's demangled name. A mangled name of a few bytes may be megabytes demangled.
pub(crate) fn demangled(name: &str) -> String {
    let mut out = Bounded::new(NAME);
    if name.len() > 4 * NAME || write!(out, "{:#}", rustc_demangle::demangle(name)).is_err() && out.text.is_empty() {
        return printable(name, NAME);
    }
    out.finish()
}

/// The same of a text of several lines: line ends and tabs are kept.
pub(crate) fn printable_lines(text: &str, most: usize) -> String {
    let mut out = Bounded { keeps_lines: true, ..Bounded::new(most) };
    let _ = out.write_str(text); // as above
    out.finish()
}

/// A writer that fails after so many bytes, so that formatting stops.
struct Bounded {
    text: String,
    most: usize,
    is_cut: bool,
    keeps_lines: bool,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { text: String::new(), most, is_cut: false, keeps_lines: false }
    }

    fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str("...");
        }
        self.text
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let is_kept = self.keeps_lines && matches!(character, '\n' | '\t');
            let is_escaped = !is_kept && (character.is_control() || turns_direction(character));
            let size = if is_escaped { character.escape_default().len() } else { character.len_utf8() };
            if self.text.len() + size > self.most {
                self.is_cut = true;
                return Err(fmt::Error);
            }
            if is_escaped {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d", 100), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(printable_lines("a\nb\u{7}", 100), "a\nb\\u{7}");
        assert_eq!(printable("größer", 4), "grö...");
    }

    #[test]
    fn names_are_shown_as_in_their_source_and_cut() {
        assert_eq!(demangled("_ZN4core9panicking9panic_fmt17h0123456789abcdefE"), "core::panicking::panic_fmt");
        assert_eq!(demangled(&"x".repeat(1 << 20)).len(), NAME + "...".len());
        // The second tuple is two of the first, by reference: four names of a type in few bytes.
        assert_eq!(demangled("_RIC1aTmmETB3_B3_EE"), "a::<(u32, u32), ((u32, u32), (u32, u32))>");
    }
}
