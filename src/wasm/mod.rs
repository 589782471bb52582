//! Functions and triggers in WebAssembly: the language `wasm` and its plugins.
//!
//! `language` has the callbacks, `function` and `trigger` what they do, `call_site` what they keep from call to call, `version`
//! which version of a plugin they see, `session` what a backend keeps, `plugins` what is installed.

mod call_site;
mod convert;
mod declaration;
mod error;
mod function;
mod language;
pub mod plugins;
mod session;
mod trigger;
mod version;

use pgrx::pg_sys;

use crate::pg::hook;
use crate::pg::node::Node;

/// Starts nothing: the engine is made at the first call.
pub fn init() {
    hook::at_transaction(version::transaction_ends);
    hook::after_utility(is_discard_all, version::forget);
}

fn is_discard_all(statement: Node<'_>) -> bool {
    let discard = statement.cast::<pg_sys::DiscardStmt>();
    discard.is_some_and(|discard| discard.target == pg_sys::DiscardMode::DISCARD_ALL)
}

pgrx::extension_sql_file!(
    "../../sql/wasm.sql",
    name = "wasm",
    requires = [
        plugins::install::lagoon::install_plugin,
        plugins::files::lagoon::install_plugin_file,
        plugins::remove::lagoon::remove_plugin,
        plugins::reload::lagoon::reload_plugins,
    ]
);
