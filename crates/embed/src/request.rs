//! Requests to an engine and its replies: plain data, which can go to another thread or another process.
//!
//! The caller divides its texts into requests of [`MOST_TEXTS`] and [`FULL_BYTES`], so that a request and its reply are a few
//! megabytes.

use std::path::PathBuf;

use crate::models::{Registered, Settings};
use crate::reader::Watch;

/// Maximum number of texts of a request.
pub const MOST_TEXTS: usize = 1024;

/// Bytes of texts from which on a request is full. Its last text may be longer than that.
pub const FULL_BYTES: usize = 4 << 20;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Embeds texts with a model whose files are those that were registered.
    Embed { model: Registered, texts: Vec<String>, settings: Settings },
    /// Describes the model in a directory, by loading and running it.
    Describe { name: String, directory: PathBuf, settings: Settings },
    /// Describes ONNX Runtime, if it is loaded.
    Library,
}

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Request::Embed`].
    Embedded(Embedded),
    /// To [`Request::Describe`].
    Described(Box<Description>),
    /// To [`Request::Library`]; None if it is not loaded.
    Library(Option<Library>),
}

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// In the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// The identities of the model's files, to notice changes.
    pub watch: Watch,
}

/// A model's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name, directory, and fingerprint of its files.
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
    /// Information about its build: branch, commit, type.
    pub build: String,
}
