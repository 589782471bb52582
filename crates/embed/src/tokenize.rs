//! Text to token ids, as sentence-transformers does it before a model sees them.

use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::Error;
use crate::layout::Spec;

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
}

impl TextTokenizer {
    /// Reads tokenizer.json. Its own truncation and padding are those of some past training run: both are replaced.
    pub fn load(spec: &Spec) -> Result<Self, Error> {
        set_parallelism(false); // no thread pool: this process may be a PostgreSQL backend
        let path = &spec.tokenizer;
        let bytes = std::fs::read(path).map_err(|error| Error::read(path, &error))?;
        let mut inner = Tokenizer::from_bytes(&bytes).map_err(|error| Error::invalid(path, error.to_string()))?;
        let direction = inner.get_truncation().map_or(TruncationDirection::Right, |params| params.direction);
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::invalid(path, error.to_string()))?;
        let special = inner.encode_fast("", true).map_err(|error| Error::invalid(path, error.to_string()))?.len();
        if special >= spec.max_tokens {
            let reason = format!("it adds {special} special tokens to a sequence of at most {}", spec.max_tokens);
            return Err(Error::invalid(path, reason));
        }
        let truncation = TruncationParams {
            direction,
            max_length: spec.max_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        inner.with_truncation(Some(truncation)).map_err(|error| Error::invalid(path, error.to_string()))?;
        let prompt = spec.prompt().unwrap_or_default().to_owned();
        Ok(Self { inner, prompt, lower_case: spec.lower_case })
    }

    /// The tokens of one text, at least one.
    pub fn encode(&self, text: &str) -> Result<Tokens, Error> {
        if strip(text).is_empty() {
            return Err(Error::EmptyText { position: None });
        }
        let prompted = if self.prompt.is_empty() { None } else { Some(format!("{}{text}", self.prompt)) };
        let text = strip(prompted.as_deref().unwrap_or(text));
        let lower = self.lower_case.then(|| text.to_lowercase());
        let encoding = self.inner.encode_fast(lower.as_deref().unwrap_or(text), true);
        let encoding =
            encoding.map_err(|error| Error::Inference { model: "tokenizer".to_owned(), reason: error.to_string() })?;
        if encoding.is_empty() {
            return Err(Error::EmptyText { position: None }); // of characters that this tokenizer drops
        }
        Ok(Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

/// As str.strip() of Python, which also takes the four ASCII separators for white space.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}
