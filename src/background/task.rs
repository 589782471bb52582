//! The background tasks of the wings. [`all`] is the only place in this wing that names another one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pg::guc;
use crate::pg::transaction::Failure;
use crate::wasm::plugins::reload;

/// Work that is done repeatedly, in each database that has the extension. The launcher decides when, and starts a worker that
/// runs it.
pub trait BackgroundTask {
    /// A short name for the log and `pg_stat_activity`.
    fn name(&self) -> &'static str;

    /// When it is due. Called again after each reload of the configuration.
    fn trigger(&self) -> Trigger;

    /// Runs it, as superuser, with search_path `pg_catalog`, in transactions of its own (`transaction::run`), each of which
    /// checks first whether the extension still exists. Returns a line for the log, or None. After a failure it is retried
    /// at growing intervals.
    fn run(&mut self) -> Result<Option<String>, Failure>;
}

/// When a task is due.
#[derive(Clone, PartialEq, Eq)]
pub enum Trigger {
    /// When something in this folder or below has changed and was quiet for 200 ms; and once at the start.
    Folder(PathBuf),
    /// At this interval, counted from the end of the last run; and once at the start.
    #[allow(dead_code, reason = "the refresh of datasets will be the first")]
    Every(Duration),
    /// Not now.
    Never,
}

/// All tasks; 32 at most.
pub fn all() -> Vec<Box<dyn BackgroundTask>> {
    vec![Box::new(ReloadPlugins)]
}

/// Reloads WebAssembly plugins from the files in `lagoon.functions_directory`.
struct ReloadPlugins;

impl BackgroundTask for ReloadPlugins {
    fn name(&self) -> &'static str {
        "reload plugins"
    }

    fn trigger(&self) -> Trigger {
        let folder = guc::text(&guc::FUNCTIONS_DIRECTORY);
        if folder.is_empty() { Trigger::Never } else { Trigger::Folder(folder.into()) }
    }

    fn run(&mut self) -> Result<Option<String>, Failure> {
        let changed = reload::reload_each(Path::new(&guc::text(&guc::FUNCTIONS_DIRECTORY)))?.join("; ");
        Ok((!changed.is_empty()).then_some(changed))
    }
}
