//! Prefixes of a long text, which are enough to compute its first tokens.
//!
//! A tokenizer reads a whole text before the tokens are truncated to a model's limit: megabytes for 256 tokens. So it is given
//! a prefix of the text, then a longer one if that was not enough ([`crate::tokenize`]); a suffix if the model truncates on the
//! left. [`Prefixes`] makes them, and omits characters that do not change the tokens: see [`Squeeze`].

use std::collections::HashMap;
use std::iter::Peekable;

use crate::{Cancel, Error};

/// Number of characters between two checks for a cancel.
const PIECE: usize = 1 << 16;

/// What a tokenizer does with a character within a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is dropped, and ends the word.
    Separator,
    /// It is dropped, and the word continues.
    Removed,
    /// It belongs to the word, perhaps normalised to several characters, or to one together with its neighbours.
    InWord,
    /// Anything else.
    Other,
}

/// Omits from a text what does not change its tokens: the rest of a run of white space, and the rest of a word that is too
/// long. For tokenizers that drop white space and make such a word one (unknown) token. Without this, a word of megabytes would
/// have to be read to its end.
pub struct Squeeze<'a> {
    /// Characters of the longest word that may become more than one token.
    pub longest_word: usize,
    /// Called once for each different character.
    pub kind: &'a dyn Fn(char) -> Kind,
}

/// Maximum number of characters that normalisation may compose into one.
const COMPOSED: usize = 4;

/// Makes longer and longer prefixes (or suffixes) of a text.
pub struct Prefixes<'a> {
    rest: Peekable<Box<dyn Iterator<Item = char> + 'a>>,
    squeeze: Option<Squeeze<'a>>,
    kinds: HashMap<char, Kind>,
    /// Number of characters in the word at the end of the prefix.
    word: usize,
    /// Whether the prefix ends with characters that are dropped, and whether there is a separator among them.
    is_removed: bool,
    is_separator: bool,
    text: String,
    from_end: bool,
}

impl<'a> Prefixes<'a> {
    /// Prefixes of the text `head` followed by `tail`, or suffixes if `from_end`.
    pub fn new(head: &'a str, tail: &'a str, from_end: bool, squeeze: Option<Squeeze<'a>>) -> Self {
        let chars = head.chars().chain(tail.chars());
        let rest: Box<dyn Iterator<Item = char> + 'a> = if from_end { Box::new(chars.rev()) } else { Box::new(chars) };
        let rest = rest.peekable();
        let (kinds, text) = (HashMap::new(), String::new());
        Self { rest, squeeze, kinds, word: 0, is_removed: false, is_separator: false, text, from_end }
    }

    /// A prefix (or suffix) of at least `bytes` bytes, or the whole text. It extends the one before.
    pub fn at_least(&mut self, bytes: usize, cancel: &Cancel) -> Result<String, Error> {
        let mut seen = 0usize;
        while self.text.len() < bytes {
            let Some(c) = self.rest.next() else { break };
            seen += 1;
            if seen.is_multiple_of(PIECE) {
                cancel.check()?;
            }
            if self.is_needed(c) {
                self.text.push(c);
            }
        }
        Ok(if self.from_end { self.text.chars().rev().collect() } else { self.text.clone() })
    }

    /// Whether the last prefix was the whole text.
    pub fn is_whole(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    fn is_needed(&mut self, c: char) -> bool {
        let Some(squeeze) = &self.squeeze else { return true };
        let kind = *self.kinds.entry(c).or_insert_with(|| (squeeze.kind)(c));
        let is_long = self.word > COMPOSED * (squeeze.longest_word + 1);
        let (was_removed, was_separator) = (self.is_removed, self.is_separator);
        self.is_removed = matches!(kind, Kind::Removed | Kind::Separator);
        self.is_separator = self.is_removed && (was_separator || kind == Kind::Separator);
        match kind {
            Kind::InWord => {
                self.word += 1;
                !is_long
            }
            // The first of a run stays, so that no characters become neighbours that were not.
            Kind::Removed => !was_removed && !is_long,
            Kind::Separator => {
                self.word = 0;
                !was_separator
            }
            Kind::Other => {
                self.word = 0;
                true
            }
        }
    }
}
