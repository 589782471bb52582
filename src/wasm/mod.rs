//! Functions and triggers in WebAssembly: the language `wasm`, the table of plugins, reload.
//!
//! `language` has the callbacks, `function` and `trigger` what they do, `version` which version of a plugin they see,
//! `session` what a backend keeps, `catalog` the table `lagoon.plugins` and `carrier` its copy, `install` and `reload` what
//! changes it, `dependents` what that leaves behind.

mod carrier;
mod catalog;
mod check_trigger;
mod convert;
mod declaration;
mod dependents;
mod error;
mod function;
mod install;
mod language;
pub mod reload;
mod session;
mod trigger;
mod version;

/// Starts nothing: the engine is made at the first call.
pub fn init() {
    crate::pg::hook::at_discard_all(session::forget);
}

pgrx::extension_sql_file!(
    "../../sql/wasm.sql",
    name = "wasm",
    requires = [
        install::lagoon::install_plugin,
        install::lagoon::install_plugin_file,
        install::lagoon::remove_plugin,
        reload::lagoon::reload_plugins,
    ]
);
