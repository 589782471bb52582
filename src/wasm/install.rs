//! Installing and removing plugins: everything is checked first, then one row changes.

use lagoon_wasm::{Error, Manifest, Plugin, Source};
use pgrx::prelude::*;

use super::declaration::Declaration;
use super::error::finish;
use super::{catalog, session};
use crate::pg::tick_free_spi as _;

/// What an installation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Installed,
    Replaced,
    Unchanged,
}
