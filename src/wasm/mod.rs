//! Functions and triggers in WebAssembly: the language `wasm` and its plugins.
//!
//! `language` has the callbacks, which `function` and `trigger` implement. `call_site` has the state between calls, `version` the
//! version of a plugin that a statement uses, `session` the instances of a backend, `plugins` the installed plugins.

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

/// Registers hooks. The engine is made at the first call.
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
