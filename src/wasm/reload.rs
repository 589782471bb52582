//! Reload: what is in a folder becomes what is installed.
//!
//! A plugin in the folder is `<name>.wasm`, with a manifest `<name>.yaml`, `.yml` or `.json` beside it if it needs one, or
//! a folder `<name>` with `manifest.yaml`, `.yml` or `.json` and the module. Files that go away change nothing.

use std::fs;
use std::path::{Path, PathBuf};

use lagoon_wasm::manifest::check_name;
use lagoon_wasm::{Error, Manifest, Source};
use pgrx::prelude::*;

use super::error::finish;
use super::install::{Outcome, install, sql};
use crate::pg::guc;
use crate::pg::transaction::must_write;

const MANIFESTS: [&str; 3] = ["yaml", "yml", "json"];

/// What a reload did, by plugin.
pub struct Report {
    pub plugins: Vec<(String, Result<Outcome, Error>)>,
}

/// A plugin as it stands in the folder.
pub(super) struct Candidate {
    pub name: String,
    manifest: Option<PathBuf>,
    /// Where the module is if the manifest does not say.
    wasm: PathBuf,
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

/// Installs what has changed in `directory`, in the current transaction. A plugin that cannot be installed keeps its old
/// version, and the reason goes into `lagoon.plugin_errors`. A PostgreSQL ERROR (cancel, no privilege) ends all of it.
pub fn reload_changed(directory: &Path) -> Result<Report, Error> {
    let mut plugins = Vec::new();
    for candidate in candidates(directory)? {
        let result = candidate.read().and_then(|(manifest, wasm)| install(&candidate.name, &wasm, &manifest));
        match &result {
            Ok(_) => forget(&candidate.name)?,
            Err(Error::Interrupted) => return result.map(|_| Report { plugins }),
            Err(error) => remember(&candidate, error)?,
        }
        plugins.push((candidate.name, result));
    }
    Ok(Report { plugins })
}

/// The plugin that a module or a manifest belongs to.
pub(super) fn candidate_of(path: &Path) -> Result<Candidate, Error> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let is_manifest = MANIFESTS.contains(&extension.as_str());
    let name = match path.parent().and_then(Path::file_name) {
        Some(folder) if is_manifest && stem == "manifest" => folder.to_string_lossy().into_owned(),
        _ => stem,
    };
    check_name(&name)?;
    if is_manifest {
        return Ok(Candidate {
            wasm: path.with_file_name(format!("{name}.wasm")),
            manifest: Some(path.to_owned()),
            name,
        });
    }
    let manifest = MANIFESTS.iter().map(|e| path.with_extension(e)).find(|p| p.is_file());
    Ok(Candidate { name, manifest, wasm: path.to_owned() })
}

fn candidates(directory: &Path) -> Result<Vec<Candidate>, Error> {
    let failed = |source| Error::Io { action: "read directory", path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let main_file = if path.is_dir() {
            MANIFESTS.iter().map(|e| path.join("manifest").with_extension(e)).find(|p| p.is_file())
        } else {
            path.extension().is_some_and(|e| e == "wasm").then_some(path)
        };
        // What has no plugin's name is no plugin: editors leave such files.
        found.extend(main_file.and_then(|path| candidate_of(&path).ok()));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Candidate {
    /// Manifest and module from disk.
    pub(super) fn read(&self) -> Result<(Manifest, Vec<u8>), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action: "read", path, source }
        };
        let Some(path) = &self.manifest else {
            return Ok((Manifest::default(), read_limited(&self.wasm)?));
        };
        let manifest = Manifest::parse(&fs::read_to_string(path).map_err(failed(path))?)?;
        let wasm = match &manifest.wasm {
            Some(own) if Path::new(own).components().all(|c| matches!(c, std::path::Component::Normal(_))) => {
                path.with_file_name(own)
            }
            Some(own) => return Err(Error::Manifest(format!("wasm \"{own}\" is not below the manifest's folder"))),
            None => self.wasm.clone(),
        };
        let bytes = read_limited(&wasm)?;
        Ok((manifest, bytes))
    }
}

fn read_limited(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > Source::MAX_BYTES as u64 {
        return Err(Error::ModuleTooLarge { size: size as usize, limit: Source::MAX_BYTES });
    }
    fs::read(path).map_err(failed)
}

fn remember(candidate: &Candidate, error: &Error) -> Result<(), Error> {
    let path = candidate.manifest.as_deref().unwrap_or(&candidate.wasm).to_string_lossy().into_owned();
    let (name, message) = (candidate.name.as_str(), error.to_string());
    Spi::run_with_args(
        "INSERT INTO lagoon.plugin_errors (name, path, sqlstate, message, hint) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET path = excluded.path, sqlstate = excluded.sqlstate, message = excluded.message,
             hint = excluded.hint, failed_at = excluded.failed_at",
        &[name.into(), path.into(), error.sqlstate().into(), message.into(), error.hint().into()],
    )
    .map_err(sql)
}

/// Drops the note about a failure.
pub(super) fn forget(name: &str) -> Result<(), Error> {
    Spi::run_with_args("DELETE FROM lagoon.plugin_errors WHERE name OPERATOR(pg_catalog.=) $1", &[name.into()])
        .map_err(sql)
}
