//! Text to token ids, as in sentence-transformers.
//!
//! The tokens are those of the whole text, truncated to the model's length, but only a prefix of a long text is tokenised.
//! The prefix is long enough if its last words, whose tokens may depend on the text that follows, are beyond the truncation.
//! For tokenizers that do not split into words, two prefixes, one twice as long as the other, have to give the same tokens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{
    Encoding, Model, ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType, PostProcessor, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper, Token, Tokenizer, TruncationDirection,
};

use crate::cut::{Kind, Prefixes, Squeeze};
use crate::layout::Spec;
use crate::{Cancel, Error};

/// Bytes of the first prefix: for each token that the model takes, and at least.
const FIRST_FOR_TOKEN: usize = 8;
const FIRST: usize = 2048;
/// Bytes of the last prefix, likewise. Tokenising it takes a tenth of a second and some 40 MB.
const LAST_FOR_TOKEN: usize = 32;
const LAST: usize = 256 << 10;
/// Number of words at the end of a prefix whose tokens may depend on the text that follows, besides those of a truncated added
/// token.
const UNSTABLE: usize = 8;
/// Longest word for which a text is squeezed.
const LONGEST_WORD: usize = 10_000;

/// The ids of one text, with special tokens, cut to the model's length, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Rows of the embedding table.
    pub ids: Vec<u32>,
    /// The sentence of a pair that each token belongs to: mostly 0, but some tokenizers have other values.
    pub type_ids: Vec<u32>,
}

/// A tokenizer set up for one model.
pub struct TextTokenizer {
    inner: Tokenizer,
    prompt: String,
    lower_case: bool,
    /// Maximum number of tokens of a text, without special ones.
    room: usize,
    /// Whether the last tokens of a long text are kept, not the first.
    keeps_end: bool,
    unstable: usize,
    /// Bytes of the longest word that is not unknown because of its length; 0 if there is no such limit.
    word_bytes: usize,
    /// Characters of the longest word that may become more than one token, if [`Squeeze`] is allowed.
    longest_word: Option<usize>,
    /// Bytes of the first and of the last prefix.
    pub(crate) window: (usize, usize),
}

impl TextTokenizer {
    /// Reads tokenizer.json. Its truncation and padding, which come from a training run, are replaced.
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
            unstable: UNSTABLE + added.unwrap_or(0),
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
            return Err(Error::EmptyText { position: None }); // the tokenizer drops all its characters
        }
        Ok(Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The ids of the prompt and `text`, truncated, without special tokens.
    fn cut(&self, text: &str, cancel: &Cancel, failed: &dyn Fn(String) -> Error) -> Result<Vec<u32>, Error> {
        let (mut bytes, last) = self.window;
        let length = self.prompt.len() + text.len();
        let kind = |c| kind(&self.inner, c);
        // Shorter texts are tokenised as they are.
        let squeeze = self.longest_word.filter(|_| length > last);
        let squeeze = squeeze.map(|longest_word| Squeeze { longest_word, kind: &kind });
        let mut prefixes = Prefixes::new(&self.prompt, text, self.keeps_end, squeeze);
        let mut before = Found::default();
        loop {
            let piece = prefixes.at_least(bytes, cancel)?;
            let is_whole = prefixes.is_whole();
            let found = self.words(&piece, is_whole, cancel, failed)?;
            if is_whole || found.stable >= self.room {
                return Ok(found.ids);
            }
            // Equal tokens prove nothing if both prefixes end at the same character or in the same word.
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

    /// The first (or last) ids of a prefix (or suffix), at most `room`.
    fn words(
        &self,
        piece: &str,
        is_whole: bool,
        cancel: &Cancel,
        failed: &dyn Fn(String) -> Error,
    ) -> Result<Found, Error> {
        // A suffix must not begin within a number: some tokenizers split numbers into groups of three digits from the left.
        let is_from_middle = self.keeps_end && !is_whole;
        let start = if is_from_middle { piece.find(char::is_whitespace) } else { Some(0) };
        let piece = &piece[start.unwrap_or(0)..];
        // White space at the truncated end may belong to an added token that follows.
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
        let stable_words = match start {
            _ if is_whole => words.len(),
            Some(_) => self.stable(&words),
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
            if index < stable_words {
                found.stable = found.ids.len();
            }
        }
        if self.keeps_end {
            found.ids.reverse();
        }
        Ok(found)
    }

    /// The number of words whose tokens do not depend on the text that follows. White space does not count as a word: an added
    /// token absorbs all that is next to it.
    fn stable<T>(&self, words: &[(&str, T, &Option<Vec<Token>>)]) -> usize {
        let is_blank = |word: &str| word.chars().all(|c| is_space(c) || matches!(c, '▁' | 'Ġ' | 'Ċ' | 'ĉ'));
        let mut unstable = self.unstable;
        let last = words.iter().rposition(|(word, ..)| {
            unstable -= usize::from(!is_blank(word));
            unstable == 0
        });
        last.unwrap_or(0)
    }
}

/// The tokens of a prefix.
#[derive(Default)]
struct Found {
    ids: Vec<u32>,
    /// How many of `ids` do not depend on the text that follows.
    stable: usize,
    /// Bytes of the prefix.
    length: usize,
}

/// Runs code of the tokenizer, which may panic on unexpected input.
fn guarded<T>(f: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer does not support it".to_owned()),
    }
}

/// The normalised words of a text and its added tokens, before words are split into tokens.
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

/// What the tokenizer does with a character between two letters. For tokenizers that [`longest_word`] allows, it does the same
/// between any others.
fn kind(tokenizer: &Tokenizer, c: char) -> Kind {
    let Ok(words) = split(tokenizer, &format!("a{c}a")) else { return Kind::Other };
    match words.get_splits(OffsetReferential::Normalized, OffsetType::None).as_slice() {
        [("aa", _, None)] => Kind::Removed,
        [(word, _, None)] if word.chars().count() > 2 => Kind::InWord,
        [("a", _, None), ("a", _, None)] => Kind::Separator,
        _ => Kind::Other,
    }
}

/// Characters of the longest word that may become more than one token. `None` unless every part of the tokenizer is known to
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
    // Omitting characters must neither remove nor create an added token.
    let is_apart = |token: &String| {
        let is_edge = |c: Option<char>| c.is_some_and(|c| kind(tokenizer, c) == Kind::Other);
        let stays = |c: char| matches!(kind(tokenizer, c), Kind::InWord | Kind::Other);
        is_edge(token.chars().next()) && is_edge(token.chars().next_back()) && token.chars().all(stays)
    };
    let fits = longest_word <= LONGEST_WORD
        && tokenizer.get_normalizer().is_none_or(keeps_words)
        && tokenizer.get_pre_tokenizer().is_some_and(drops_space)
        && tokenizer.get_added_vocabulary().get_vocab().keys().all(is_apart);
    fits.then_some(longest_word)
}

/// Characters of the longest word that is not an unknown token because of its length alone.
fn limit(model: &ModelWrapper) -> Option<usize> {
    match model {
        ModelWrapper::WordPiece(model) => Some(model.max_input_chars_per_word),
        ModelWrapper::WordLevel(model) => model.get_vocab().keys().map(|word| word.chars().count()).max(),
        _ => None,
    }
}

/// Whether a text has only white space: such a text has no vector.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// White space as in Python's str.strip(), which includes the four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
