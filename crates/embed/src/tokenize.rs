//! Text to token ids, as sentence-transformers does it before a model sees them.
//!
//! The tokens are those of the whole text, cut to the model's length, but only as much of a text is read as they depend on:
//! a beginning whose last words, which may read otherwise when the text goes on, are beyond the cut. Where a tokenizer
//! does not split into words, two beginnings, one twice as long as the other, have to agree.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{
    Encoding, Model, ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType, PostProcessor, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper, Token, Tokenizer, TruncationDirection,
};

use crate::cut::{Cutter, Kind, Squeeze};
use crate::layout::Spec;
use crate::{Cancel, Error};

/// Bytes of a text that are looked at first, for each token that the model takes; and at least.
const FIRST_FOR_TOKEN: usize = 8;
const FIRST: usize = 2048;
/// Bytes that are looked at in the end, likewise. Reading so much takes a tokenizer a tenth of a second and some 40 MB.
const LAST_FOR_TOKEN: usize = 32;
const LAST: usize = 256 << 10;
/// Words at the end of a beginning that may change with what follows, besides those of an added token that was cut.
const UNSETTLED: usize = 8;
/// Longest word for which a text is squeezed.
const LONGEST_WORD: usize = 10_000;

/// The ids of one text, with special tokens, cut to the model's length, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Rows of the embedding table.
    pub ids: Vec<u32>,
    /// Which sentence of a pair each token belongs to: all 0 here, but some tokenizers say otherwise.
    pub type_ids: Vec<u32>,
}

/// A tokenizer set up for one model.
pub struct TextTokenizer {
    inner: Tokenizer,
    prompt: String,
    lower_case: bool,
    /// Tokens of a text, special ones not counted.
    room: usize,
    /// Whether the last tokens of a long text are kept, not the first.
    keeps_end: bool,
    unsettled: usize,
    /// Bytes beyond which the length of a word does not matter, where it does.
    word_bytes: usize,
    /// Characters of the longest word that may be more than one token, where [`Squeeze`] is allowed.
    longest_word: Option<usize>,
    /// Bytes that are looked at first, and in the end.
    pub(crate) window: (usize, usize),
}

impl TextTokenizer {
    /// Reads tokenizer.json. Its own truncation and padding are those of some past training run: both are replaced.
    pub fn load(spec: &Spec, file: &[u8]) -> Result<Self, Error> {
        set_parallelism(false); // no thread pool: this process may be a PostgreSQL backend
        let invalid = |reason: String| Error::invalid(&spec.tokenizer, reason);
        let mut inner = guarded(|| Tokenizer::from_bytes(file)).map_err(invalid)?;
        let keeps_end = inner.get_truncation().is_some_and(|params| params.direction == TruncationDirection::Left);
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let empty = guarded(|| inner.encode_fast("", true)).map_err(invalid)?.len();
        let special = inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false)).max(empty);
        if special >= spec.max_tokens {
            return Err(invalid(format!(
                "it adds {special} special tokens to a sequence of at most {}",
                spec.max_tokens
            )));
        }
        let room = spec.max_tokens - special;
        let added = inner.get_added_vocabulary().get_vocab().keys().map(|token| token.chars().count()).max();
        let longest_word = longest_word(&inner);
        let word_bytes = limit(inner.get_model()).map_or(0, |characters| characters.saturating_mul(4));
        let prompt = spec.prompt().unwrap_or_default().trim_start_matches(is_space).to_owned();
        Ok(Self {
            inner,
            prompt,
            lower_case: spec.lower_case,
            room,
            keeps_end,
            unsettled: UNSETTLED + added.unwrap_or(0),
            word_bytes,
            longest_word,
            window: ((room * FIRST_FOR_TOKEN).max(FIRST), (room * LAST_FOR_TOKEN).max(LAST)),
        })
    }

    /// The tokens of one text, at least one.
    pub fn encode(&self, text: &str, cancel: &Cancel) -> Result<Tokens, Error> {
        let stripped = text.trim_matches(is_space);
        if stripped.is_empty() {
            return Err(Error::EmptyText { position: None });
        }
        let tail = if self.prompt.is_empty() { stripped } else { text.trim_end_matches(is_space) };
        let failed = |reason| Error::Inference { model: "tokenizer".to_owned(), reason };
        let ids = self.cut(tail, cancel, &failed)?;
        let bare: Encoding = ids.into_iter().map(|id| (id, String::new(), (0, 0), None, 0)).collect();
        let encoding = guarded(|| self.inner.post_process(bare, None, true)).map_err(failed)?;
        if encoding.is_empty() {
            return Err(Error::EmptyText { position: None }); // of characters that this tokenizer drops
        }
        Ok(Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The ids of the prompt and `text`, cut, without special tokens.
    fn cut(&self, text: &str, cancel: &Cancel, failed: &dyn Fn(String) -> Error) -> Result<Vec<u32>, Error> {
        let (mut bytes, last) = self.window;
        let length = self.prompt.len() + text.len();
        let kind = |c| kind(&self.inner, c);
        // Shorter texts are looked at as they are.
        let squeeze = self.longest_word.filter(|_| length > last);
        let squeeze = squeeze.map(|longest_word| Squeeze { longest_word, kind: &kind });
        let mut cutter = Cutter::new(&self.prompt, text, self.keeps_end, squeeze);
        let mut before = Found::default();
        loop {
            let piece = cutter.take(bytes, cancel)?;
            let is_whole = cutter.is_whole();
            let found = self.words(&piece, is_whole, cancel, failed)?;
            if is_whole || found.settled >= self.room {
                return Ok(found.ids);
            }
            // No proof is a piece that ends where the last one did, nor one that ends in the same word.
            let is_longer = found.length >= before.length + (before.length / 2).max(self.word_bytes);
            if is_longer && found.ids.len() == self.room && found.ids == before.ids {
                return Ok(found.ids);
            }
            if bytes >= last {
                return Err(Error::TextTooLong { bytes: length, tokens: self.room, limit: bytes });
            }
            if is_longer {
                before = found;
            }
            bytes = (bytes * 2).min(last);
        }
    }

    /// The first (or last) ids of a piece of text, no more than there is room for.
    fn words(
        &self,
        piece: &str,
        is_whole: bool,
        cancel: &Cancel,
        failed: &dyn Fn(String) -> Error,
    ) -> Result<Found, Error> {
        // A number that is read in groups of three digits, from the left, must not begin in its middle.
        let is_from_middle = self.keeps_end && !is_whole;
        let start = if is_from_middle { piece.find(char::is_whitespace) } else { Some(0) };
        let piece = &piece[start.unwrap_or(0)..];
        // White space at the open end may belong to an added token behind it.
        let piece = match (is_whole, self.keeps_end) {
            (true, _) => piece,
            (false, true) => piece.trim_start_matches(is_space),
            (false, false) => piece.trim_end_matches(is_space),
        };
        let lower = self.lower_case.then(|| piece.to_lowercase());
        let piece = lower.as_deref().unwrap_or(piece);
        let inner = &self.inner;
        let words = split(inner, piece).map_err(failed)?;
        let mut words = words.get_splits(OffsetReferential::Normalized, OffsetType::None);
        if self.keeps_end {
            words.reverse();
        }
        let settled_words = match start {
            _ if is_whole => words.len(),
            Some(_) => self.settled(&words),
            None => 0,
        };
        let mut found = Found { length: piece.len(), ..Found::default() };
        for (index, (word, _, tokens)) in words.into_iter().enumerate() {
            if found.ids.len() >= self.room {
                break;
            }
            cancel.check()?;
            let made;
            let tokens = match tokens {
                Some(tokens) => tokens,
                None => {
                    made = guarded(|| inner.get_model().tokenize(word)).map_err(failed)?;
                    &made
                }
            };
            let ids = tokens.iter().map(|token| token.id);
            let room = self.room - found.ids.len();
            if self.keeps_end {
                found.ids.extend(ids.rev().take(room))
            } else {
                found.ids.extend(ids.take(room))
            }
            if index < settled_words {
                found.settled = found.ids.len();
            }
        }
        if self.keeps_end {
            found.ids.reverse();
        }
        Ok(found)
    }

    /// How many words of a piece read the same whatever follows. White space does not count: an added token takes all that
    /// is beside it.
    fn settled<T>(&self, words: &[(&str, T, &Option<Vec<Token>>)]) -> usize {
        let is_blank = |word: &str| word.chars().all(|c| is_space(c) || matches!(c, '▁' | 'Ġ' | 'Ċ' | 'ĉ'));
        let mut unsettled = self.unsettled;
        let last = words.iter().rposition(|(word, ..)| {
            unsettled -= usize::from(!is_blank(word));
            unsettled == 0
        });
        last.unwrap_or(0)
    }
}

/// What was found in a piece of text.
#[derive(Default)]
struct Found {
    ids: Vec<u32>,
    /// How many of them no other text around the piece would change.
    settled: usize,
    /// Bytes of the piece.
    length: usize,
}

/// Runs code of the tokenizer, some of which panics on what it does not expect.
fn guarded<T>(f: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer does not support it".to_owned()),
    }
}

/// The words of a text, before each becomes tokens; added tokens among them.
fn split(tokenizer: &Tokenizer, text: &str) -> Result<PreTokenizedString, String> {
    guarded(|| {
        let vocabulary = tokenizer.get_added_vocabulary();
        let mut words = vocabulary.extract_and_normalize(tokenizer.get_normalizer(), text);
        if let Some(splitter) = tokenizer.get_pre_tokenizer() {
            splitter.pre_tokenize(&mut words)?;
        }
        Ok(words)
    })
}

/// What becomes of a character between two others. For tokenizers that [`longest_word`] allows, it does not depend on these.
fn kind(tokenizer: &Tokenizer, c: char) -> Kind {
    let Ok(words) = split(tokenizer, &format!("a{c}a")) else { return Kind::Other };
    match words.get_splits(OffsetReferential::Normalized, OffsetType::None).as_slice() {
        [("aa", _, None)] => Kind::Gone,
        [(word, _, None)] if word.chars().count() > 2 => Kind::Solid,
        [("a", _, None), ("a", _, None)] => Kind::Blank,
        _ => Kind::Other,
    }
}

/// Characters of the longest word that may be more than one token. `None` unless every part of the tokenizer is known to
/// allow [`Squeeze`].
fn longest_word(tokenizer: &Tokenizer) -> Option<usize> {
    fn keeps_words(normalizer: &NormalizerWrapper) -> bool {
        use NormalizerWrapper as N;
        match normalizer {
            N::BertNormalizer(_) | N::Lowercase(_) | N::StripAccents(_) | N::StripNormalizer(_) => true,
            N::NFC(_) | N::NFD(_) | N::NFKC(_) | N::NFKD(_) => true,
            N::Sequence(all) => all.as_ref().iter().all(keeps_words),
            _ => false,
        }
    }
    fn drops_space(splitter: &PreTokenizerWrapper) -> bool {
        use PreTokenizerWrapper as P;
        match splitter {
            P::BertPreTokenizer(_) | P::Whitespace(_) | P::WhitespaceSplit(_) => true,
            P::Sequence(all) => {
                let all = all.as_ref();
                let splits = |splitter: &P| drops_space(splitter) || matches!(splitter, P::Punctuation(_));
                all.first().is_some_and(drops_space) && all.iter().all(splits)
            }
            _ => false,
        }
    }
    let longest_word = limit(tokenizer.get_model())?;
    // An added token must not be found in what is left out, nor made by it.
    let is_apart = |token: &String| {
        let is_edge = |c: Option<char>| c.is_some_and(|c| kind(tokenizer, c) == Kind::Other);
        let stays = |c: char| matches!(kind(tokenizer, c), Kind::Solid | Kind::Other);
        is_edge(token.chars().next()) && is_edge(token.chars().next_back()) && token.chars().all(stays)
    };
    let fits = longest_word <= LONGEST_WORD
        && tokenizer.get_normalizer().is_none_or(keeps_words)
        && tokenizer.get_pre_tokenizer().is_some_and(drops_space)
        && tokenizer.get_added_vocabulary().get_vocab().keys().all(is_apart);
    fits.then_some(longest_word)
}

/// Characters of the longest word that is not unknown for its length alone.
fn limit(model: &ModelWrapper) -> Option<usize> {
    match model {
        ModelWrapper::WordPiece(model) => Some(model.max_input_chars_per_word),
        ModelWrapper::WordLevel(model) => model.get_vocab().keys().map(|word| word.chars().count()).max(),
        _ => None,
    }
}

/// Whether there is nothing in a text but white space: such a text has no vector.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// As str.strip() of Python, which also takes the four ASCII separators for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
