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

use pgrx::pg_sys;

use crate::pg::hook;
use crate::pg::node::Node;

/// Starts nothing: the engine is made at the first call.
pub fn init() {
    hook::at_transaction(session::transaction_ends);
    hook::after_utility(is_discard_all, session::forget);
}

fn is_discard_all(statement: Node<'_>) -> bool {
    let discard = statement.cast::<pg_sys::DiscardStmt>();
    discard.is_some_and(|discard| discard.target == pg_sys::DiscardMode::DISCARD_ALL)
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
