//! Reload: installs the new and changed plugins of a folder. Removed files change nothing.
//!
//! Called in SQL, it tries every plugin, in one transaction. The worker gives each plugin a transaction and a time limit, tries
//! slow ones last, and does not retry files that have failed: they are in quarantine until they change.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use lagoon_wasm::{Candidate, Error, Hash, folder};
use pgrx::prelude::*;

use super::files::go_on;
use super::install::{CheckLimit, Outcome, install};
use super::notes::{self, Note};
use crate::pg::transaction::{self, Failure, must_write};
use crate::pg::{database, guc};
use crate::wasm::error::finish;

/// The worker's time limits for a module: in the first pass, and in the second one, for those that exceeded the first.
const CHECK_LIMITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

/// The outcome of a reload, by plugin.
pub struct Report {
    pub plugins: Vec<(String, Result<Outcome, Error>)>,
}

#[pg_schema]
mod lagoon {
    use super::*;

    /// Installs what has changed in `lagoon.functions_directory`. One row a plugin: `installed`, `replaced`, `unchanged` or
    /// `failed`; a plugin that failed stays at its old version, and `lagoon.plugin_status` shows why.
    #[pg_extern]
    fn reload_plugins()
    -> TableIterator<'static, (name!(name, String), name!(outcome, String), name!(message, Option<String>))> {
        must_write(c"lagoon.reload_plugins()");
        let directory = guc::text(&guc::FUNCTIONS_DIRECTORY);
        let report = if directory.is_empty() { Err(Error::NoDirectory) } else { reload_changed(Path::new(&directory)) };
        TableIterator::new(finish(report).plugins.into_iter().map(|(name, result)| match result {
            Ok(outcome) => (name, outcome.name().to_owned(), None),
            Err(error) => (name, "failed".to_owned(), Some(error.to_string())),
        }))
    }
}

/// Installs the new and changed plugins of `directory` in the current transaction, those in quarantine included. A plugin that
/// cannot be installed keeps its old version, and the reason goes into `lagoon.plugin_errors`. A PostgreSQL ERROR (cancel, no
/// privilege) aborts the whole reload.
pub fn reload_changed(directory: &Path) -> Result<Report, Error> {
    let mut plugins = Vec::new();
    for candidate in folder::candidates(directory, go_on)? {
        let result = Attempt::default().install_candidate(&candidate, true)?;
        plugins.push((candidate.name, result));
    }
    Ok(Report { plugins })
}

/// The same for the worker, outside of a transaction. Returns a short message for each plugin that was changed or failed. A
/// failure that no plugin has caused is returned after all plugins were tried; a cancel, at once.
pub fn reload_each(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut messages = Vec::new();
    let mut first_failure = None;
    let mut turn = transaction::run(|| folder::candidates(directory, go_on))?.map_err(Failure::of)?;
    for limit in CHECK_LIMITS {
        let mut slow = Vec::new();
        for candidate in turn {
            let attempt = Attempt { limit: CheckLimit::of(limit), fingerprint: Cell::new(None) };
            let outcome =
                transaction::run(|| database::has_lagoon().then(|| attempt.install_candidate(&candidate, false)));
            match outcome {
                Ok(None) => return Ok(messages), // the extension was dropped
                Ok(Some(Ok(Ok(Outcome::Unchanged | Outcome::Quarantined)))) => {}
                Ok(Some(Ok(Ok(outcome)))) => messages.push(format!("{} {}", candidate.name, outcome.name())),
                Ok(Some(Ok(Err(error)))) => messages.push(format!("{} failed: {error}", candidate.name)),
                Ok(Some(Err(error))) => first_failure = first_failure.or(Some(Failure::of(error))),
                Err(_) if attempt.limit.is_over() && limit == CHECK_LIMITS[0] => slow.push(candidate),
                Err(failure) if attempt.limit.is_over() => {
                    let message = format!("it took longer than {} s to compile and start", limit.as_secs());
                    messages.push(format!("{} failed: {message}", candidate.name));
                    let note = Note {
                        sqlstate: &failure.sqlstate,
                        message,
                        hint: None,
                        fingerprint: attempt.fingerprint.get(),
                    };
                    let noted =
                        transaction::run(|| database::has_lagoon().then(|| notes::remember(&candidate, &note)))?;
                    first_failure = first_failure.or(noted.and_then(Result::err).map(Failure::of));
                }
                Err(failure) if failure.sqlstate == "57014" => return Err(failure),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        turn = slow;
    }
    first_failure.map_or(Ok(messages), Err)
}

/// An attempt to install a plugin.
#[derive(Default)]
struct Attempt {
    limit: CheckLimit,
    /// The fingerprint of the files, once they are read.
    fingerprint: Cell<Option<Hash>>,
}

impl Attempt {
    /// Reads and installs the files, unless the same ones have failed before and `again` is false. The outer error is not caused
    /// by the plugin.
    fn install_candidate(&self, candidate: &Candidate, again: bool) -> Result<Result<Outcome, Error>, Error> {
        let result = candidate.read(go_on).and_then(|content| {
            self.fingerprint.set(Some(content.fingerprint));
            if !again && notes::is_quarantined(&candidate.name, &content.fingerprint)? {
                return Ok(Outcome::Quarantined);
            }
            content.parsed.and_then(|(manifest, wasm)| install(&candidate.name, &wasm, &manifest, &self.limit))
        });
        match &result {
            Ok(Outcome::Quarantined) => {}
            Ok(_) => notes::forget(&candidate.name)?,
            Err(Error::Interrupted) => return result.map(Ok),
            Err(error) => notes::remember(
                candidate,
                &Note {
                    sqlstate: error.sqlstate(),
                    message: error.to_string(),
                    hint: error.hint(),
                    fingerprint: self.fingerprint.get(),
                },
            )?,
        }
        Ok(result)
    }
}
