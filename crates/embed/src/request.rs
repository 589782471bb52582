//! What an engine is asked, and what it answers: plain data, that another thread takes as well as another process.
//!
//! Nothing here refers to memory of the process that asks, so both sides may be anywhere. Whoever asks cuts what he has into
//! requests of [`MOST_TEXTS`] and [`FULL_BYTES`], so that a request and its reply are a few megabytes.

use std::path::PathBuf;

use crate::models::{Registered, Settings};
use crate::reader::Watch;

/// Texts of one request at most.
pub const MOST_TEXTS: usize = 1024;

/// Bytes of texts with which a request takes no further one. A text that is longer than that goes alone, or is the last.
pub const FULL_BYTES: usize = 4 << 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The vectors of texts, by a model whose files are those that were registered.
    Embed { model: Registered, texts: Vec<String>, settings: Settings },
    /// What the model in a directory is like. It is loaded and run once.
    Describe { name: String, directory: PathBuf, settings: Settings },
    /// What the loaded runtime says about itself. Loads nothing.
    Library,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Request::Embed`].
    Embedded(Embedded),
    /// To [`Request::Describe`].
    Described(Box<Description>),
    /// To [`Request::Library`]; none while none is loaded.
    Library(Option<Library>),
}

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// In the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// Watches the files of the model.
    pub watch: Watch,
}

/// What a model is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name, directory, and how its files looked.
    pub registered: Registered,
    /// Elements of a vector.
    pub dimension: usize,
    /// Longest sequence.
    pub max_tokens: usize,
    /// Pooling modes, joined by `+`.
    pub pooling: String,
    /// Whether vectors have length 1.
    pub normalize: bool,
    /// Whether texts share a run.
    pub batched: bool,
    /// Prompts by name, a JSON object.
    pub prompts: String,
    /// The prompt in use.
    pub default_prompt: Option<String>,
    /// Bytes of all files.
    pub size: u64,
}

/// The runtime that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The path that it was loaded from.
    pub path: PathBuf,
    /// Major and minor number.
    pub version: String,
    /// What it says about its build: branch, commit, type.
    pub build: String,
}
