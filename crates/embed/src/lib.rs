//! Text to vectors: tokenizers and ONNX Runtime, with the conventions of sentence-transformers.
//!
//! A [`Model`] is read from a directory ([`layout`]), checked, and run ([`encode`]). [`Models`] keeps the ones that are
//! loaded and answers a [`Request`] with a [`Reply`]. Everything here may run on any thread, never calls PostgreSQL, and is
//! stopped through [`Cancel`].
#![forbid(unsafe_code)]

pub mod cancel;
mod cut;
pub mod encode;
pub mod error;
mod files;
mod graph;
pub mod layout;
pub mod models;
pub mod pooling;
mod reader;
pub mod request;
pub mod runtime;
mod serve;
pub mod tokenize;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tiny;

pub use cancel::Cancel;
pub use encode::Model;
pub use error::Error;
pub use files::ModelFiles;
pub use models::{Models, Registered, Settings, Statistics};
pub use reader::Watch;
pub use request::{Reply, Request};
pub use runtime::Runtime;
pub use tokenize::is_blank;

/// Turns texts into vectors of one length. A local model is one; a remote provider can be another.
pub trait TextEncoder: Send {
    /// Elements of each vector.
    fn dimension(&self) -> usize;

    /// One vector for each text, in the order of the texts. A text of white space only is [`Error::EmptyText`]. Stops soon after
    /// `cancel` is set, with [`Error::Cancelled`].
    fn encode(&mut self, texts: &[String], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error>;
}
