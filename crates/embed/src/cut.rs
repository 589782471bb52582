//! The piece of a long text that its first (or last) tokens depend on.
//!
//! A tokenizer reads all of a text before a model's limit cuts the tokens: megabytes for 256 tokens. So it is given the
//! beginning of the text, and a longer one when that was not enough ([`crate::tokenize`]). [`Cutter`] hands out these
//! beginnings, or ends where a model cuts on the left, and leaves out what makes no token of its own: see [`Squeeze`].

use std::collections::HashMap;
use std::iter::Peekable;

use crate::{Cancel, Error};

/// Characters between two looks at whether the caller still waits.
const PIECE: usize = 1 << 16;

/// What a character does within a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It ends the word and goes.
    Blank,
    /// It goes, and the word goes on.
    Gone,
    /// It stays in the word, perhaps as several characters, perhaps as one with its neighbours.
    Solid,
    /// Anything else.
    Other,
}

/// What can be left out of a text without a change of its tokens, for tokenizers that drop white space and make one token of
/// a word that is too long: the rest of a run of white space, and the rest of such a word. Without this, one word of
/// megabytes would have to be read to its end.
pub struct Squeeze<'a> {
    /// Characters of the longest word that may be more than one token.
    pub longest_word: usize,
    /// Asked once for each character that occurs.
    pub kind: &'a dyn Fn(char) -> Kind,
}

/// How many characters of a word may become one.
const COMPOSED: usize = 4;

/// Hands out longer and longer beginnings (or ends) of a text.
pub struct Cutter<'a> {
    rest: Peekable<Box<dyn Iterator<Item = char> + 'a>>,
    squeeze: Option<Squeeze<'a>>,
    kinds: HashMap<char, Kind>,
    /// Solid characters of the word that what was taken ends with.
    word: usize,
    /// Whether it ends with a character that is gone or blank, and whether there is a blank among those.
    is_gone: bool,
    is_blank: bool,
    taken: String,
    from_end: bool,
}

impl<'a> Cutter<'a> {
    /// Of the text `head` followed by `tail`.
    pub fn new(head: &'a str, tail: &'a str, from_end: bool, squeeze: Option<Squeeze<'a>>) -> Self {
        let chars = head.chars().chain(tail.chars());
        let rest: Box<dyn Iterator<Item = char> + 'a> = if from_end { Box::new(chars.rev()) } else { Box::new(chars) };
        let rest = rest.peekable();
        let (kinds, taken) = (HashMap::new(), String::new());
        Self { rest, squeeze, kinds, word: 0, is_gone: false, is_blank: false, taken, from_end }
    }

    /// A beginning (or end) of at least `bytes` bytes, or the whole text. Longer than the last one, if that was not whole.
    pub fn take(&mut self, bytes: usize, cancel: &Cancel) -> Result<String, Error> {
        let mut seen = 0usize;
        while self.taken.len() < bytes {
            let Some(c) = self.rest.next() else { break };
            seen += 1;
            if seen.is_multiple_of(PIECE) {
                cancel.check()?;
            }
            if self.is_needed(c) {
                self.taken.push(c);
            }
        }
        Ok(if self.from_end { self.taken.chars().rev().collect() } else { self.taken.clone() })
    }

    /// Whether the last one was the whole text.
    pub fn is_whole(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    fn is_needed(&mut self, c: char) -> bool {
        let Some(squeeze) = &self.squeeze else { return true };
        let kind = *self.kinds.entry(c).or_insert_with(|| (squeeze.kind)(c));
        let is_long = self.word > COMPOSED * (squeeze.longest_word + 1);
        let (was_gone, was_blank) = (self.is_gone, self.is_blank);
        self.is_gone = matches!(kind, Kind::Gone | Kind::Blank);
        self.is_blank = self.is_gone && (was_blank || kind == Kind::Blank);
        match kind {
            Kind::Solid => {
                self.word += 1;
                !is_long
            }
            // The first is kept, so that nothing becomes neighbours that was not.
            Kind::Gone => !was_gone && !is_long,
            Kind::Blank => {
                self.word = 0;
                !was_blank
            }
            Kind::Other => {
                self.word = 0;
                true
            }
        }
    }
}
