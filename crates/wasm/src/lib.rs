//! WebAssembly plugins on wasmtime: their checks, compilation, calls and limits.
//!
//! A plugin goes through these states, each with a type of its own:
//!
//! ```text
//! bytes -> Source      size and magic checked, BLAKE3 known            source.rs
//!       -> Module      compiled, or taken from the compile cache       runtime.rs, cache.rs
//!       -> Plugin      ABI, imports and permissions checked, linked    plugin.rs
//!       -> Instance    memory of its own, callable                     instance.rs, row.rs
//! ```
//!
//! The ABI is documented in `guest/ABI.md`; its constants are in [`abi`]. This crate knows nothing of PostgreSQL: the embedder
//! provides [`Hooks`], and calls [`Runtime::tick`] about every ten milliseconds while a guest runs.
#![deny(unsafe_code)]

pub mod abi;
mod cache;
mod error;
pub mod folder;
mod hooks;
mod host;
mod instance;
mod limits;
pub mod manifest;
mod plugin;
mod row;
mod runtime;
mod source;
mod text;
mod trap;
mod unchecked;

pub use abi::{Signature, Type, Value};
pub use blake3::Hash;
pub use cache::{Bounds, Cache};
pub use error::{Error, GuestError};
pub use folder::Candidate;
pub use hooks::Hooks;
pub use host::{Level, LogLine};
pub use instance::{Export, Instance};
pub use manifest::Manifest;
pub use plugin::Plugin;
pub use row::{Column, Operation, RowAnswer, RowVersion};
pub use runtime::{Loaded, Runtime};
pub use source::Source;
pub use text::shown;

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
