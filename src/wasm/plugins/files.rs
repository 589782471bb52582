//! Plugins in files of the server.

use std::path::Path;

use lagoon_wasm::{Candidate, Error};
use pgrx::prelude::*;

use super::install::{CheckLimit, Outcome, install};
use crate::pg::transaction::must_write;
use crate::pg::{interrupt, role};
use crate::wasm::error::finish;

#[pg_schema]
pub mod lagoon {
    use super::*;

    /// Installs a plugin, or replaces it, from a file of the server: a module, or a manifest that says where its module is.
    /// Superusers only.
    #[pg_extern]
    pub fn install_plugin_file(path: &str) -> &'static str {
        must_write(c"lagoon.install_plugin_file()");
        finish(install_file(Path::new(path))).name()
    }
}

fn install_file(path: &Path) -> Result<Outcome, Error> {
    if !role::is_superuser() {
        return Err(Error::SuperuserOnly("install a plugin from a file"));
    }
    let candidate = Candidate::of(path)?;
    let (manifest, wasm) = candidate.read(go_on)?.parsed?;
    install(&candidate.name, &wasm, &manifest, &CheckLimit::default())
}

/// Called in the engine's loops over files. It raises the ERROR of an interrupt, and always returns true.
pub fn go_on() -> bool {
    interrupt::check();
    true
}
