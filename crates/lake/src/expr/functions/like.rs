//! `LIKE` by its bytes, with backslash as the escape: what `ESCAPE` says instead, PostgreSQL has put into the pattern.

use super::kernel::Answer;
use crate::fault::Fault;

/// What a pattern's matches begin with, up to the first wildcard.
pub(crate) fn prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut rest = pattern.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' | b'_' => break,
            b'\\' => prefix.extend(rest.next()),
            plain => prefix.push(*plain),
        }
    }
    prefix
}

/// Whether nothing follows the last escape of a pattern: an error for those texts that match what stands before it.
pub fn ends_in_escape(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Whether the text is like the pattern: MatchText in like_match.c, with its errors in the same cases.
pub(crate) fn is_like(text: &[u8], pattern: &[u8]) -> Answer<bool> {
    let (mut t, mut p) = (0, 0);
    // Where to go on when what follows the last % does not fit: it then stands for a character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let Some(byte) = pattern.get(p) else {
            if t == text.len() {
                return Ok(true);
            }
            match shifted(text, &mut retry) {
                Some(next) => (t, p) = next,
                None => return Ok(false),
            }
            continue;
        };
        if t == text.len() {
            return Ok(pattern[p..].iter().all(|byte| *byte == b'%'));
        }
        let fits = match byte {
            b'%' => {
                while let Some(wild @ (b'%' | b'_')) = pattern.get(p) {
                    if *wild == b'_' {
                        if t == text.len() {
                            return Ok(false);
                        }
                        t = next(text, t);
                    }
                    p += 1;
                }
                match pattern[p..] {
                    [] => return Ok(true),
                    [b'\\'] => return Err(Fault::Escape),
                    _ => retry = Some((t, p)),
                }
                continue;
            }
            b'_' => {
                t = next(text, t);
                p += 1;
                continue;
            }
            b'\\' => {
                p += 1;
                text[t] == *pattern.get(p).ok_or(Fault::Escape)?
            }
            byte => text[t] == *byte,
        };
        if fits {
            t += 1;
            p += 1;
        } else {
            match shifted(text, &mut retry) {
                Some(next) => (t, p) = next,
                None => return Ok(false),
            }
        }
    }
}

/// The next place in the text at which what follows the last % may fit.
fn shifted(text: &[u8], retry: &mut Option<(usize, usize)>) -> Option<(usize, usize)> {
    let (from, after) = retry.as_mut()?;
    *from = next(text, *from);
    (*from < text.len()).then_some((*from, *after))
}

/// The byte behind a character.
fn next(text: &[u8], mut at: usize) -> usize {
    at += 1;
    while text.get(at).is_some_and(|byte| (*byte as i8) < -0x40) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_wildcard_that_is_not_escaped() {
        for (pattern, expected) in
            [("abc", "abc"), ("a%c", "a"), ("_", ""), (r"50\%%", "50%"), (r"a\\_", r"a\"), (r"\é", "é"), (r"a\", "a")]
        {
            assert_eq!(prefix(pattern.as_bytes()), expected.as_bytes(), "{pattern}");
        }
        assert!(ends_in_escape(r"a\") && ends_in_escape(r"\\\") && !ends_in_escape(r"\\") && !ends_in_escape(""));
    }
}
